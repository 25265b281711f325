package password

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"fmt"
	"hash"
)

// scheme is one way to keep a password.
type scheme struct {
	name     string
	encoding encoding
	// digest and salted describe the schemes that are one digest over the
	// password, with the salt behind both.
	digest func() hash.Hash
	salted bool
	// verify is set for the others.
	verify func(data []byte, password string) (bool, error)
}

func (s scheme) size() int {
	if s.digest == nil {
		return 0
	}
	return s.digest().Size()
}

// schemes is the table of what Verify reads. A new scheme is a row.
func schemes() []scheme {
	return []scheme{
		{name: "ARGON2ID", verify: verifyArgon2},
		{name: "ARGON2I", verify: verifyArgon2},
		{name: "SHA512-CRYPT", verify: verifySHACrypt},
		{name: "SHA256-CRYPT", verify: verifySHACrypt},
		{name: "BLF-CRYPT", verify: verifyBcrypt},
		{name: "MD5-CRYPT", verify: verifyMD5Crypt},
		{name: "CRYPT", verify: verifyCrypt},
		{name: "PBKDF2", verify: verifyPBKDF2},
		{name: "SSHA", encoding: encBase64, digest: sha1.New, salted: true},
		{name: "SSHA256", encoding: encBase64, digest: sha256.New, salted: true},
		{name: "SSHA512", encoding: encBase64, digest: sha512.New, salted: true},
		{name: "SMD5", encoding: encBase64, digest: md5.New, salted: true},
		{name: "SHA", encoding: encBase64, digest: sha1.New},
		{name: "SHA1", encoding: encBase64, digest: sha1.New},
		{name: "SHA256", encoding: encBase64, digest: sha256.New},
		{name: "SHA512", encoding: encBase64, digest: sha512.New},
		{name: "LDAP-MD5", encoding: encBase64, digest: md5.New},
		{name: "PLAIN-MD5", encoding: encHex, digest: md5.New},
		{name: "PLAIN", verify: verifyPlain},
		{name: "CLEARTEXT", verify: verifyPlain},
		{name: "CLEAR", verify: verifyPlain},
	}
}

func schemeByName(name string) (scheme, bool) {
	for _, s := range schemes() {
		if s.name == name {
			return s, true
		}
	}
	return scheme{}, false
}

// Verify says whether password is the one behind hash. The error wraps
// ErrMalformed; it means that the hash, not the password, is wrong. An empty
// hash matches nothing.
func Verify(hash, password string) (bool, error) {
	if hash == "" {
		return false, nil
	}
	p, err := parse(hash)
	if err != nil {
		return false, err
	}
	if p.scheme.digest != nil {
		return verifyDigest(p.scheme, p.data, password)
	}
	return p.scheme.verify(p.data, password)
}

// Check says whether hash is well formed, without a password. It is used
// before a hash is stored, so that mistakes show when they are made. It takes
// as long as a verification.
func Check(hash string) error {
	_, err := Verify(hash, "")
	return err
}

func verifyDigest(s scheme, data []byte, password string) (bool, error) {
	h := s.digest()
	size := h.Size()
	if len(data) < size || !s.salted && len(data) != size {
		return false, fmt.Errorf("%w: wrong length", ErrMalformed)
	}
	h.Write([]byte(password))
	h.Write(data[size:])
	return subtle.ConstantTimeCompare(h.Sum(nil), data[:size]) == 1, nil
}

func verifyPlain(data []byte, password string) (bool, error) {
	return subtle.ConstantTimeCompare(data, []byte(password)) == 1, nil
}
