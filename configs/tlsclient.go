package configs

import (
	"crypto"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"toastmaster/internal/addr"
)

// TLSDigest is a hash function for fingerprints.
type TLSDigest uint8

// The functions.
const (
	SHA256 TLSDigest = iota
	SHA512
	SHA1
	MD5 // for fingerprints of clients of smtpd
)

// Hash is the function.
func (d TLSDigest) Hash() crypto.Hash {
	return [...]crypto.Hash{SHA256: crypto.SHA256, SHA512: crypto.SHA512, SHA1: crypto.SHA1, MD5: crypto.MD5}[d]
}

func tlsDigests() []word[TLSDigest] {
	return []word[TLSDigest]{{"sha256", SHA256}, {"sha512", SHA512}, {"sha1", SHA1}}
}

// ParseTLSLevel reads a level of smtp.tls_level, which a policy table may name, too.
func ParseTLSLevel(s string) (TLSLevel, error) {
	for _, w := range tlsLevels() {
		if w.text == strings.ToLower(s) {
			return w.value, nil
		}
	}
	switch strings.ToLower(s) {
	case "dane", "dane-only", "half-dane":
		return TLSUnset, fmt.Errorf("the level %s is not there yet", s)
	}
	return TLSUnset, fmt.Errorf("%q is no level of TLS", s)
}

// Fingerprint reads a fingerprint in hexadecimal, with colons or without.
func Fingerprint(s string) (string, error) {
	digest, err := hex.DecodeString(strings.ReplaceAll(s, ":", ""))
	if err != nil || len(digest) < 20 {
		return "", fmt.Errorf("%q is no fingerprint of SHA-1, SHA-256 or SHA-512 in hexadecimal", s)
	}
	return string(digest), nil
}

func checkFingerprint(s string) error {
	_, err := Fingerprint(s)
	return err
}

// checkCertMatch accepts one of Postfix's words, a name, or a domain behind a dot.
func checkCertMatch(s string) error {
	if slices.Contains([]string{"hostname", "nexthop", "dot-nexthop"}, s) {
		return nil
	}
	_, err := addr.ParseDomain(strings.TrimPrefix(s, "."))
	return err
}

const protocolsForm = `">=TLSv1.2", "<=TLSv1.3", "TLSv1.2 TLSv1.3" or "!TLSv1 !TLSv1.1"`

// TLSVersions are the lowest and the highest that a client speaks; 0 is the library's.
type TLSVersions struct{ Min, Max uint16 }

// tlsProtocols are the versions by Postfix's names, the lowest first; those that
// nobody speaks any more are 0.
func tlsProtocols() []word[uint16] {
	return []word[uint16]{
		{"SSLv2", 0}, {"SSLv3", 0}, {"TLSv1", tls.VersionTLS10}, {"TLSv1.1", tls.VersionTLS11}, {"TLSv1.2", tls.VersionTLS12}, {"TLSv1.3", tls.VersionTLS13},
	}
}

// ParseTLSProtocols reads what Postfix calls a protocol list: names between blanks,
// commas or colons that are the only ones, or behind "!" are not, and bounds behind
// ">=" and "<=". What remains must be one run of versions.
func ParseTLSProtocols(s string) (TLSVersions, error) {
	all := tlsProtocols()
	low, high := 0, len(all)-1
	only, without := map[int]bool{}, map[int]bool{}
	for _, w := range strings.FieldsFunc(s, func(c rune) bool { return strings.ContainsRune(" \t,:", c) }) {
		name := strings.TrimLeft(w, "!<>=")
		at := slices.IndexFunc(all, func(p word[uint16]) bool { return strings.EqualFold(p.text, name) })
		if at < 0 {
			return TLSVersions{}, fmt.Errorf("%q names no version of TLS", w)
		}
		switch strings.TrimSuffix(w, name) {
		case ">=":
			low = max(low, at)
		case "<=":
			high = min(high, at)
		case "!":
			without[at] = true
		case "":
			only[at] = true
		default:
			return TLSVersions{}, fmt.Errorf("%q is no version, !version, >=version or <=version", w)
		}
	}
	var v TLSVersions
	ended := false
	for i, p := range all {
		in := i >= low && i <= high && !without[i] && (len(only) == 0 || only[i]) && p.value != 0
		switch {
		case in && ended:
			return v, errors.New("the versions of TLS that remain have a gap")
		case in && v.Min == 0:
			v.Min, v.Max = p.value, p.value
		case in:
			v.Max = p.value
		case v.Min != 0:
			ended = true
		}
	}
	if v.Min == 0 {
		return v, errors.New("no version of TLS remains")
	}
	return v, nil
}

func checkTLSProtocols(s string) error {
	_, err := ParseTLSProtocols(s)
	return err
}

func checkOptionalCertificate(s string) error {
	if s == "" {
		return nil
	}
	return checkCertificate(s)
}

// checkExtension accepts an extension that the client uses.
func checkExtension(s string) error { return CheckExtension(s) }

// CheckExtension is what is wrong with a word of smtp.discard_ehlo_keywords.
func CheckExtension(s string) error {
	known := []string{"pipelining", "size", "8bitmime", "smtputf8", "dsn", "starttls", "auth", "chunking", "xforward"}
	if !slices.Contains(known, strings.ToLower(s)) {
		return fmt.Errorf("%q is none of %s", s, inWords(known))
	}
	return nil
}
