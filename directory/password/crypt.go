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
	"hash"
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

// openCrypt is crypt(3): the prefix names the method.
func openCrypt(data []byte) (matcher, error) {
	for _, m := range []struct {
		prefix string
		open   func([]byte) (matcher, error)
	}{
		{"$6$", openSHACrypt}, {"$5$", openSHACrypt}, {"$1$", openMD5Crypt},
		{"$2", openBcrypt}, {"$argon2", openArgon2},
	} {
		if bytes.HasPrefix(data, []byte(m.prefix)) {
			return m.open(data)
		}
	}
	return nil, fmt.Errorf("%w: unknown method of crypt", ErrMalformed)
}

// openSHACrypt reads "$6$rounds=N$salt$key", rounds being optional. As the
// specification says, rounds below 1,000 count as 1,000 and only 16 octets of
// the salt are used.
func openSHACrypt(data []byte) (matcher, error) {
	fields := strings.Split(string(data), "$")
	rounds := 5000
	if len(fields) == 5 {
		text, ok := strings.CutPrefix(fields[2], "rounds=")
		n, err := strconv.Atoi(text)
		if !ok || err != nil || n < 0 || n > maxSHACryptRounds {
			return nil, fmt.Errorf("%w: bad rounds", ErrMalformed)
		}
		rounds = max(n, 1000)
		fields = append(fields[:2], fields[3:]...)
	}
	if len(fields) != 4 || fields[0] != "" {
		return nil, fmt.Errorf("%w: wrong number of fields", ErrMalformed)
	}
	salt, key := []byte(fields[2]), []byte(fields[3])
	salt = salt[:min(len(salt), 16)]
	var digest func() hash.Hash
	switch {
	case fields[1] == "6" && len(key) == 86:
		digest = sha512.New
	case fields[1] == "5" && len(key) == 43:
		digest = sha256.New
	default:
		return nil, fmt.Errorf("%w: no SHA-crypt", ErrMalformed)
	}
	return func(password string) (bool, error) {
		got := xcrypt.KeySHACrypt(digest, []byte(password), salt, rounds)
		return subtle.ConstantTimeCompare(got, key) == 1, nil
	}, nil
}

// openMD5Crypt reads "$1$salt$key".
func openMD5Crypt(data []byte) (matcher, error) {
	fields := strings.Split(string(data), "$")
	if len(fields) != 4 || fields[0] != "" || fields[1] != "1" || len(fields[3]) != 22 {
		return nil, fmt.Errorf("%w: no MD5-crypt", ErrMalformed)
	}
	salt := []byte(fields[2])
	return func(password string) (bool, error) {
		got := xcrypt.KeyMD5Crypt([]byte(password), salt[:min(len(salt), 8)])
		return subtle.ConstantTimeCompare(got, []byte(fields[3])) == 1, nil
	}, nil
}

// openBcrypt reads "$2y$cost$saltkey". Like every other implementation it
// looks at the first 72 octets of the password; Go's library refuses longer
// ones instead.
func openBcrypt(data []byte) (matcher, error) {
	cost, err := bcrypt.Cost(data)
	if err != nil || cost > maxBcryptCost {
		return nil, fmt.Errorf("%w: no bcrypt, or cost above %d", ErrMalformed, maxBcryptCost)
	}
	return func(password string) (bool, error) {
		err := bcrypt.CompareHashAndPassword(data, []byte(password[:min(len(password), 72)]))
		switch {
		case err == nil:
			return true, nil
		case errors.Is(err, bcrypt.ErrMismatchedHashAndPassword):
			return false, nil
		}
		return false, fmt.Errorf("%w: bcrypt: %w", ErrMalformed, err)
	}, nil
}

// openPBKDF2 reads Dovecot's "$1$salt$rounds$hex": HMAC-SHA-1, 20 octets.
func openPBKDF2(data []byte) (matcher, error) {
	fields := strings.Split(string(data), "$")
	if len(fields) != 5 || fields[0] != "" || fields[1] != "1" {
		return nil, fmt.Errorf("%w: no PBKDF2", ErrMalformed)
	}
	rounds, err := strconv.Atoi(fields[3])
	if err != nil || rounds < 1 || rounds > maxPBKDF2Rounds {
		return nil, fmt.Errorf("%w: bad rounds", ErrMalformed)
	}
	key, err := hex.DecodeString(fields[4])
	if err != nil || len(key) != sha1.Size {
		return nil, fmt.Errorf("%w: bad key", ErrMalformed)
	}
	return func(password string) (bool, error) {
		got, err := pbkdf2.Key(sha1.New, password, []byte(fields[2]), rounds, sha1.Size)
		if err != nil {
			return false, fmt.Errorf("%w: %w", ErrMalformed, err)
		}
		return subtle.ConstantTimeCompare(got, key) == 1, nil
	}, nil
}
