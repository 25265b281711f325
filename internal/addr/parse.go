package addr

import (
	"fmt"
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// Parse reads "local@domain" or a bare local part, with or without a quoted
// local part, without angle brackets. The empty string is an error: the null
// sender exists only as a path.
func Parse(s string) (Address, error) {
	local, rest, err := parseLocal(s)
	if err != nil {
		return Address{}, err
	}
	if rest == "" {
		return Address{Local: local}, nil
	}
	if rest[0] != '@' {
		return Address{}, fmt.Errorf("%w: unexpected %q after the local part", ErrSyntax, rest[0])
	}
	domain, err := ParseDomain(rest[1:])
	if err != nil {
		return Address{}, err
	}
	if len(local)+1+len(domain) > MaxPath {
		return Address{}, fmt.Errorf("%w: longer than %d octets", ErrSyntax, MaxPath)
	}
	return Address{Local: local, Domain: domain}, nil
}

// ParsePath reads the path at the start of s, "<...>", and returns what stands
// behind it (the parameters). "<>" is the null sender. A source route
// "<@a,@b:user@c>" is accepted and dropped. A path without brackets is read
// up to the next space when lax is true, as Postfix and old clients do.
func ParsePath(s string, lax bool) (a Address, rest string, err error) {
	if !strings.HasPrefix(s, "<") {
		if !lax || s == "" {
			return Address{}, s, fmt.Errorf("%w: missing <", ErrSyntax)
		}
		word, rest, _ := strings.Cut(s, " ")
		a, err = Parse(word)
		return a, rest, err
	}
	end := closingBracket(s)
	if end < 0 {
		return Address{}, s, fmt.Errorf("%w: missing >", ErrSyntax)
	}
	inner, rest := s[1:end], s[end+1:]
	if rest != "" && rest[0] != ' ' {
		return Address{}, s, fmt.Errorf("%w: text behind >", ErrSyntax)
	}
	rest = strings.TrimLeft(rest, " ")
	if inner == "" {
		return Address{}, rest, nil
	}
	if inner[0] == '@' {
		_, after, ok := strings.Cut(inner, ":")
		if !ok {
			return Address{}, s, fmt.Errorf("%w: source route without address", ErrSyntax)
		}
		inner = after
	}
	a, err = Parse(inner)
	return a, rest, err
}

// closingBracket finds the ">" that ends the path; a quoted local part may
// hold others.
func closingBracket(s string) int {
	quoted := false
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			if quoted {
				i++
			}
		case '"':
			quoted = !quoted
		case '>':
			if !quoted {
				return i
			}
		}
	}
	return -1
}

func parseLocal(s string) (local, rest string, err error) {
	if s == "" {
		return "", "", fmt.Errorf("%w: empty", ErrSyntax)
	}
	if s[0] == '"' {
		local, rest, err = parseQuoted(s)
	} else {
		end := strings.IndexByte(s, '@')
		if end < 0 {
			end = len(s)
		}
		local, rest = s[:end], s[end:]
		if !isDotString(local) {
			err = fmt.Errorf("%w: bad local part", ErrSyntax)
		}
	}
	switch {
	case err != nil:
		return "", "", err
	case local == "":
		return "", "", fmt.Errorf("%w: empty local part", ErrSyntax)
	case len(local) > MaxLocal:
		return "", "", fmt.Errorf("%w: local part longer than %d octets", ErrSyntax, MaxLocal)
	case !utf8.ValidString(local):
		return "", "", fmt.Errorf("%w: local part is not UTF-8", ErrSyntax)
	case strings.ContainsFunc(local, isInvisible):
		return "", "", fmt.Errorf("%w: invisible character in the local part", ErrSyntax)
	}
	return local, rest, nil
}

// isInvisible finds what nobody sees in an address, or what is no character
// (yet): format and control characters, spaces but the ASCII one, fillers and
// variation selectors, private and unassigned code points.
func isInvisible(r rune) bool {
	return r >= utf8.RuneSelf && (!unicode.IsGraphic(r) ||
		unicode.In(r, unicode.Zs, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector))
}

func parseQuoted(s string) (local, rest string, err error) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '"':
			return b.String(), s[i+1:], nil
		case c == '\\':
			i++
			if i == len(s) {
				return "", "", fmt.Errorf("%w: unterminated quote", ErrSyntax)
			}
			c = s[i]
		}
		if c < ' ' || c == 0x7f {
			return "", "", fmt.Errorf("%w: control character", ErrSyntax)
		}
		b.WriteByte(c)
	}
	return "", "", fmt.Errorf("%w: unterminated quote", ErrSyntax)
}

// profile is UTS 46 as browsers and mail systems look names up, without the
// STD3 check: underscores occur in real mail domains and are checked here.
func toASCII(s string) (string, error) {
	return idna.New(idna.MapForLookup(), idna.StrictDomainName(false), idna.Transitional(false)).ToASCII(s)
}

// ParseDomain normalises a domain: lower case, A-labels, no trailing dot; an
// address literal "[192.0.2.1]" or "[IPv6:...]" is checked and kept.
func ParseDomain(s string) (string, error) {
	if strings.HasPrefix(s, "[") {
		return parseLiteral(s)
	}
	s = strings.TrimSuffix(s, ".")
	if s == "" {
		return "", fmt.Errorf("%w: empty domain", ErrSyntax)
	}
	domain := s
	if !isLowerASCII(s) {
		if !utf8.ValidString(s) {
			return "", fmt.Errorf("%w: domain is not UTF-8", ErrSyntax)
		}
		ascii, err := toASCII(s)
		if err != nil {
			return "", fmt.Errorf("%w: bad domain", ErrSyntax)
		}
		domain = ascii
	}
	if len(domain) > MaxDomain {
		return "", fmt.Errorf("%w: domain longer than %d octets", ErrSyntax, MaxDomain)
	}
	for label := range strings.SplitSeq(domain, ".") {
		if !isLabel(label) {
			return "", fmt.Errorf("%w: bad domain", ErrSyntax)
		}
	}
	return domain, nil
}

func isLowerASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf || s[i] >= 'A' && s[i] <= 'Z' {
			return false
		}
	}
	return true
}

func isLabel(s string) bool {
	if s == "" || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

func parseLiteral(s string) (string, error) {
	inner, ok := strings.CutSuffix(s[1:], "]")
	if !ok {
		return "", fmt.Errorf("%w: unterminated address literal", ErrSyntax)
	}
	v6 := len(inner) > 5 && strings.EqualFold(inner[:5], "IPv6:")
	if v6 {
		inner = inner[5:]
	}
	ip, err := netip.ParseAddr(inner)
	if err != nil || ip.Is4() == v6 || ip.Zone() != "" {
		return "", fmt.Errorf("%w: bad address literal", ErrSyntax)
	}
	if v6 {
		return "[IPv6:" + ip.String() + "]", nil
	}
	return "[" + ip.String() + "]", nil
}
