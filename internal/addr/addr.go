package addr

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// Limits of RFC 5321 section 4.5.3.1, in octets.
const (
	MaxLocal  = 64
	MaxDomain = 255
	MaxPath   = 256
)

// ErrSyntax is wrapped by every error of this package.
var ErrSyntax = errors.New("malformed address")

// Address is a mail address. The zero value is the null sender. An empty
// Domain beside a Local is a local name such as "postmaster", which the
// caller qualifies with its own domain.
type Address struct {
	// Local is the local part without quotes, in its original case.
	Local string
	// Domain is lower case, internationalised labels as A-labels
	// ("xn--..."); an address literal keeps its brackets.
	Domain string
}

// IsNull says that a is the null sender.
func (a Address) IsNull() bool { return a == Address{} }

// String is the address as SMTP and tables write it, without angle brackets;
// "" for the null sender.
func (a Address) String() string {
	if a.Domain == "" {
		return quoteLocal(a.Local)
	}
	return quoteLocal(a.Local) + "@" + a.Domain
}

// Append appends String to b.
func (a Address) Append(b []byte) []byte {
	b = append(b, quoteLocal(a.Local)...)
	if a.Domain != "" {
		b = append(append(b, '@'), a.Domain...)
	}
	return b
}

// Path is the address in angle brackets, "<>" for the null sender.
func (a Address) Path() string {
	if a.Domain == "" {
		return "<" + quoteLocal(a.Local) + ">"
	}
	return "<" + quoteLocal(a.Local) + "@" + a.Domain + ">"
}

// Fold is the address in the form to compare and look up.
func (a Address) Fold() Address {
	return Address{Local: strings.ToLower(a.Local), Domain: a.Domain}
}

// Key is Fold as a string: the key of every lookup by address.
func (a Address) Key() string { return a.Fold().String() }

// Equal compares folded.
func (a Address) Equal(b Address) bool { return a.Fold() == b.Fold() }

// IsASCII says that the address can travel without SMTPUTF8. Domains always
// can: they are A-labels.
func (a Address) IsASCII() bool {
	for i := range len(a.Local) {
		if a.Local[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// WithDomain returns the address in another domain, which must be normal.
func (a Address) WithDomain(domain string) Address {
	return Address{Local: a.Local, Domain: domain}
}

// SplitExtension cuts the extension off at the first of the delimiters that
// stands behind at least one character: user+ext@d is user@d and "ext". The
// whole address and "" when there is none. Reserved names never split, so
// that "mailer-daemon" survives a "-" delimiter (Postfix recipient_delimiter).
func (a Address) SplitExtension(delimiters string) (base Address, extension string) {
	if delimiters == "" || isReserved(a.Local) {
		return a, ""
	}
	i := strings.IndexAny(a.Local, delimiters)
	if i <= 0 {
		return a, ""
	}
	return Address{Local: a.Local[:i], Domain: a.Domain}, a.Local[i+1:]
}

func isReserved(local string) bool {
	switch strings.ToLower(local) {
	case "mailer-daemon", "double-bounce", "postmaster":
		return true
	}
	return false
}

// quoteLocal writes a local part as dot-string when it is one, otherwise as
// quoted-string (RFC 5321 section 4.1.2).
func quoteLocal(s string) string {
	if s == "" || isDotString(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + 4)
	b.WriteByte('"')
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			b.WriteByte('\\')
		}
		b.WriteByte(s[i])
	}
	b.WriteByte('"')
	return b.String()
}

func isDotString(s string) bool {
	prevDot := true
	for i := range len(s) {
		switch c := s[i]; {
		case c == '.':
			if prevDot {
				return false
			}
			prevDot = true
			continue
		case !isAtext(c):
			return false
		}
		prevDot = false
	}
	return !prevDot
}

// isAtext is RFC 5322 atext plus the octets of UTF-8 (RFC 6531 section 3.3).
func isAtext(c byte) bool {
	switch {
	case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c >= utf8.RuneSelf:
		return true
	}
	return strings.IndexByte("!#$%&'*+-/=?^_`{|}~", c) >= 0
}
