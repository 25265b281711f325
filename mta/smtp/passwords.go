package smtp

import (
	"fmt"
	"os"
	"strings"

	"toastmaster/configs"
	"toastmaster/internal/addr"
)

// credentials are what AUTH sends. They have no String method and stand in no
// event, so they cannot be logged by accident.
type credentials struct{ user, password string }

// passwords maps a nexthop to credentials.
type passwords map[string]credentials

// CheckPasswordFile says why New would not take it as smtp.password_file.
func CheckPasswordFile(name string) error {
	_, err := readPasswords(name)
	return err
}

// readPasswords reads smtp.password_file: "nexthop user:password" a line, "#"
// begins a comment line (Postfix smtp_sasl_password_maps as texthash). Errors
// name the file and the line, never what stands on it; the parameter is the caller's to name.
func readPasswords(name string) (passwords, error) {
	if name == "" {
		return nil, nil
	}
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o007 != 0 {
		return nil, fmt.Errorf("%s may be read or changed by others (mode %04o)", name, info.Mode().Perm())
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	p, err := parsePasswords(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s:%w", name, err)
	}
	return p, nil
}

func parsePasswords(text string) (passwords, error) {
	p := passwords{}
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		end := strings.IndexAny(line, " \t")
		if end < 0 {
			return nil, fmt.Errorf("%d: want \"nexthop user:password\"", n)
		}
		user, password, ok := strings.Cut(strings.TrimLeft(line[end:], " \t"), ":")
		if !ok || user == "" || strings.ContainsRune(user+password, 0) {
			return nil, fmt.Errorf("%d: want \"nexthop user:password\"", n)
		}
		p[strings.ToLower(line[:end])] = credentials{user, password}
	}
	return p, nil
}

// findSender looks for the log-in of a sender: the address, without its extension, "@domain". line is what
// was found.
func (p passwords) findSender(sender addr.Address, delimiters string) (c credentials, line string, ok bool) {
	base, _ := sender.SplitExtension(delimiters)
	for _, key := range []string{sender.String(), base.String(), "@" + sender.Domain} {
		if c, ok = p[strings.ToLower(key)]; ok {
			return c, strings.ToLower(key), true
		}
	}
	return c, "", false
}

// find looks for the nexthop as it is written, then for its host alone.
func (p passwords) find(nexthop string, n configs.Nexthop) (credentials, bool) {
	for _, key := range []string{nexthop, "[" + n.Host + "]", n.Host} {
		if c, ok := p[strings.ToLower(key)]; ok {
			return c, true
		}
	}
	return credentials{}, false
}
