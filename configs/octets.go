package configs

import (
	"fmt"
	"strings"
)

// characters is a set of octets, as C writes them.
func characters(name string, field *string, text string) Param {
	return String(name, field, "", `characters, as \0, \ooo, \a \b \f \n \r \t \v \\, or empty`, func(s string) error {
		_, err := ParseOctets(s)
		return err
	}, text)
}

// ParseOctets reads characters in the escapes of C: \a \b \f \n \r \t \v, \\, and one to three octal digits behind a
// backslash.
func ParseOctets(s string) (all []byte, err error) {
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			all = append(all, s[i])
			continue
		}
		i++
		if i == len(s) {
			return nil, fmt.Errorf("%q ends with a backslash", s)
		}
		const letters, octets = `abfnrtv\`, "\a\b\f\n\r\t\v\\"
		if at := strings.IndexByte(letters, s[i]); at >= 0 {
			all = append(all, octets[at])
			continue
		}
		n, digits := 0, 0
		for ; digits < 3 && i < len(s) && s[i] >= '0' && s[i] <= '7'; digits++ {
			n = 8*n + int(s[i]-'0')
			i++
		}
		if i--; digits == 0 || n > 255 {
			return nil, fmt.Errorf("%q has an escape that says no character", s)
		}
		all = append(all, byte(n))
	}
	return all, nil
}
