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

// matcher compares a password with a hash that was read; this is what costs
// time. An error wraps ErrMalformed.
type matcher func(password string) (bool, error)

// scheme is one way to keep a password.
type scheme struct {
	name     string
	encoding encoding
	// digest and salted describe the schemes that are one digest over the
	// password, with the salt behind both.
	digest func() hash.Hash
	salted bool
	// open is set for the others. It reads data and checks it, cheaply, and
	// returns what compares.
	open func(data []byte) (matcher, error)
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
		{name: "ARGON2ID", open: openArgon2},
		{name: "ARGON2I", open: openArgon2},
		{name: "SHA512-CRYPT", open: openSHACrypt},
		{name: "SHA256-CRYPT", open: openSHACrypt},
		{name: "BLF-CRYPT", open: openBcrypt},
		{name: "MD5-CRYPT", open: openMD5Crypt},
		{name: "CRYPT", open: openCrypt},
		{name: "PBKDF2", open: openPBKDF2},
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
		{name: "PLAIN", open: openPlain},
		{name: "CLEARTEXT", open: openPlain},
		{name: "CLEAR", open: openPlain},
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
	match, err := open(hash)
	if err != nil {
		return false, err
	}
	return match(password)
}

// Check says whether hash is one that Verify can read. It computes no hash. It
// is used before a hash is stored, so that mistakes show when they are made.
// The empty hash, with which nobody can log in, is allowed.
func Check(hash string) error {
	if hash == "" {
		return nil
	}
	_, err := open(hash)
	return err
}

func open(hash string) (matcher, error) {
	p, err := parse(hash)
	if err != nil {
		return nil, err
	}
	if p.scheme.digest != nil {
		return openDigest(p.scheme, p.data)
	}
	return p.scheme.open(p.data)
}

func openDigest(s scheme, data []byte) (matcher, error) {
	size := s.size()
	if len(data) < size || !s.salted && len(data) != size {
		return nil, fmt.Errorf("%w: wrong length", ErrMalformed)
	}
	return func(password string) (bool, error) {
		h := s.digest()
		h.Write([]byte(password))
		h.Write(data[size:])
		return subtle.ConstantTimeCompare(h.Sum(nil), data[:size]) == 1, nil
	}, nil
}

func openPlain(data []byte) (matcher, error) {
	return func(password string) (bool, error) {
		return subtle.ConstantTimeCompare(data, []byte(password)) == 1, nil
	}, nil
}
