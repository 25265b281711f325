package password

import (
	"bytes"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	xcrypt "github.com/go-crypt/x/crypt"
	"golang.org/x/crypto/bcrypt"
)

// Bounds on what a stored hash may ask for.
const (
	maxSHACryptRounds = 2_000_000
	maxBcryptCost     = 15
	maxPBKDF2Rounds   = 5_000_000
)

// verifyCrypt is crypt(3): the prefix names the method.
func verifyCrypt(data []byte, password string) (bool, error) {
	for _, m := range []struct {
		prefix string
		verify func([]byte, string) (bool, error)
	}{
		{"$6$", verifySHACrypt}, {"$5$", verifySHACrypt}, {"$1$", verifyMD5Crypt},
		{"$2", verifyBcrypt}, {"$argon2", verifyArgon2},
	} {
		if bytes.HasPrefix(data, []byte(m.prefix)) {
			return m.verify(data, password)
		}
	}
	return false, fmt.Errorf("%w: unknown method of crypt", ErrMalformed)
}

// verifySHACrypt reads "$6$rounds=N$salt$key", rounds being optional. As the
// specification says, rounds below 1,000 count as 1,000 and only 16 octets of
// the salt are used.
func verifySHACrypt(data []byte, password string) (bool, error) {
	fields := strings.Split(string(data), "$")
	rounds := 5000
	if len(fields) == 5 {
		text, ok := strings.CutPrefix(fields[2], "rounds=")
		n, err := strconv.Atoi(text)
		if !ok || err != nil || n < 0 || n > maxSHACryptRounds {
			return false, fmt.Errorf("%w: bad rounds", ErrMalformed)
		}
		rounds = max(n, 1000)
		fields = append(fields[:2], fields[3:]...)
	}
	if len(fields) != 4 || fields[0] != "" {
		return false, fmt.Errorf("%w: wrong number of fields", ErrMalformed)
	}
	salt, key := []byte(fields[2]), []byte(fields[3])
	salt = salt[:min(len(salt), 16)]
	var got []byte
	switch {
	case fields[1] == "6" && len(key) == 86:
		got = xcrypt.KeySHACrypt(sha512.New, []byte(password), salt, rounds)
	case fields[1] == "5" && len(key) == 43:
		got = xcrypt.KeySHACrypt(sha256.New, []byte(password), salt, rounds)
	default:
		return false, fmt.Errorf("%w: no SHA-crypt", ErrMalformed)
	}
	return subtle.ConstantTimeCompare(got, key) == 1, nil
}

// verifyMD5Crypt reads "$1$salt$key".
func verifyMD5Crypt(data []byte, password string) (bool, error) {
	fields := strings.Split(string(data), "$")
	if len(fields) != 4 || fields[0] != "" || fields[1] != "1" || len(fields[3]) != 22 {
		return false, fmt.Errorf("%w: no MD5-crypt", ErrMalformed)
	}
	salt := []byte(fields[2])
	got := xcrypt.KeyMD5Crypt([]byte(password), salt[:min(len(salt), 8)])
	return subtle.ConstantTimeCompare(got, []byte(fields[3])) == 1, nil
}

// verifyBcrypt reads "$2y$cost$saltkey". Like every other implementation it
// looks at the first 72 octets of the password; Go's library refuses longer
// ones instead.
func verifyBcrypt(data []byte, password string) (bool, error) {
	cost, err := bcrypt.Cost(data)
	if err != nil || cost > maxBcryptCost {
		return false, fmt.Errorf("%w: no bcrypt, or cost above %d", ErrMalformed, maxBcryptCost)
	}
	err = bcrypt.CompareHashAndPassword(data, []byte(password[:min(len(password), 72)]))
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, bcrypt.ErrMismatchedHashAndPassword):
		return false, nil
	}
	return false, fmt.Errorf("%w: bcrypt: %w", ErrMalformed, err)
}

// verifyPBKDF2 reads Dovecot's "$1$salt$rounds$hex": HMAC-SHA-1, 20 octets.
func verifyPBKDF2(data []byte, password string) (bool, error) {
	fields := strings.Split(string(data), "$")
	if len(fields) != 5 || fields[0] != "" || fields[1] != "1" {
		return false, fmt.Errorf("%w: no PBKDF2", ErrMalformed)
	}
	rounds, err := strconv.Atoi(fields[3])
	if err != nil || rounds < 1 || rounds > maxPBKDF2Rounds {
		return false, fmt.Errorf("%w: bad rounds", ErrMalformed)
	}
	key, err := hex.DecodeString(fields[4])
	if err != nil || len(key) != sha1.Size {
		return false, fmt.Errorf("%w: bad key", ErrMalformed)
	}
	got, err := pbkdf2.Key(sha1.New, password, []byte(fields[2]), rounds, sha1.Size)
	if err != nil {
		return false, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return subtle.ConstantTimeCompare(got, key) == 1, nil
}
