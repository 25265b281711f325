package configs

import (
	"errors"
	"fmt"
	"strings"
)

// UIDLPart is a piece of pop3d.uidl_format: a text, or a variable.
type UIDLPart struct {
	Text string
	// Variable is 'u' (UID), 'v' (UIDVALIDITY), 'f' (the file's name without flags), 'g'
	// (the GUID, which is that name where the message has no other), or 0 for Text.
	Variable byte
	// Width is the least number of digits; zeros fill it up.
	Width int
	// Hex is lower-case hexadecimal instead of decimal.
	Hex bool
}

// maxUIDL is the longest unique id (RFC 1939 section 7).
const maxUIDL = 70

// ParseUIDL takes a format in Dovecot's notation apart: %u, %v, %f, %g and %%,
// with a zero and a width, and X for hexadecimal, before u and v. The result makes
// different ids for different messages, of at most 70 octets beside the names of files.
func ParseUIDL(format string) ([]UIDLPart, error) {
	if strings.ContainsFunc(format, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, errors.New("characters that are not printable ASCII")
	}
	var parts []UIDLPart
	length, own := 0, false
	for format != "" {
		text, behind, found := strings.Cut(format, "%")
		if text != "" {
			parts = append(parts, UIDLPart{Text: text})
			length += len(text)
		}
		if !found {
			break
		}
		p, rest, err := parseUIDLVariable(behind)
		if err != nil {
			return nil, err
		}
		parts = append(parts, p)
		if p.Variable == 'u' || p.Variable == 'v' {
			length += max(p.Width, len("4294967295"))
		}
		own = own || p.Variable != 0 && p.Variable != 'v'
		format = rest
	}
	if !own {
		return nil, errors.New("no %u, %f or %g, so that messages have no ids of their own")
	}
	if length > maxUIDL {
		return nil, fmt.Errorf("ids longer than %d octets", maxUIDL)
	}
	return parts, nil
}

// parseUIDLVariable reads what stands behind a percent sign.
func parseUIDLVariable(s string) (UIDLPart, string, error) {
	p := UIDLPart{}
	i := 0
	for i < len(s) && i < 3 && s[i] >= '0' && s[i] <= '9' {
		p.Width = p.Width*10 + int(s[i]-'0')
		i++
	}
	if i > 0 && s[0] != '0' {
		return p, "", errors.New("a width without a leading zero would be filled up with spaces")
	}
	if i < len(s) && s[i] == 'X' {
		p.Hex = true
		i++
	}
	if i == len(s) {
		return p, "", errors.New("nothing behind %")
	}
	switch s[i] {
	case 'u', 'v':
		p.Variable = s[i]
	case 'f', 'g':
		if i > 0 {
			return p, "", fmt.Errorf("a width or X before %c, which is no number", s[i])
		}
		p.Variable = s[i]
	case '%':
		p = UIDLPart{Text: "%"}
	default:
		return p, "", fmt.Errorf("unknown variable %%%c", s[i])
	}
	return p, s[i+1:], nil
}

func checkUIDLFormat(s string) error {
	_, err := ParseUIDL(s)
	return err
}
