package model

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"toastmaster/internal/addr"
)

// DefaultHome is the template of homes.
const DefaultHome = "%d/%n"

const (
	maxHome     = 900
	maxHomePart = 200
)

// ExpandHome is the home of an address by a template, as a path below root: %d is
// its domain, %n its local part, %u both, %% a percent sign. A template may be an
// absolute path below root. What a file name could trip over in the local part is
// %XX, as in Home.
func ExpandHome(template, root string, a addr.Address) (string, error) {
	if template == "" {
		template = DefaultHome
	}
	domain, local, _ := strings.Cut(Home(a), "/")
	path, err := expand(template, map[byte]string{'d': domain, 'n': local, 'u': local + "@" + domain, '%': "%"})
	if err != nil {
		return "", err
	}
	if filepath.IsAbs(path) {
		rel, err := filepath.Rel(root, path)
		if err != nil || root == "" || !filepath.IsLocal(rel) {
			return "", &Error{
				Kind: Invalid, Text: "invalid input", Fields: []FieldError{{"home", path + " is not inside of the mail store (store.path)"}},
				Staff: "the mail store is " + root,
			}
		}
		path = rel
	}
	return path, checkHome(path)
}

func expand(template string, with map[byte]string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(template); i++ {
		if template[i] != '%' {
			b.WriteByte(template[i])
			continue
		}
		if i++; i == len(template) {
			return "", errors.New("ends with %")
		}
		text, ok := with[template[i]]
		if !ok {
			return "", fmt.Errorf("%%%c is unknown: %%d is the domain, %%n the local part, %%u both", template[i])
		}
		b.WriteString(text)
	}
	return b.String(), nil
}

// checkHome refuses a path that is not a plain one below a root, or that Maildir++
// would take for a folder of the home above it.
func checkHome(path string) error {
	switch {
	case path == "" || path == ".":
		return errors.New("is the mail store itself, not a folder in it")
	case len(path) > maxHome:
		return fmt.Errorf("longer than %d octets", maxHome)
	case filepath.Clean(path) != path || filepath.IsAbs(path):
		return errors.New(`is no plain path: no "..", ".", double or last slash`)
	}
	for _, part := range strings.Split(path, "/") {
		switch {
		case len(part) > maxHomePart:
			return fmt.Errorf("a name in it is longer than %d octets", maxHomePart)
		case part[0] == '.':
			return errors.New("a name in it begins with a dot, as folders of a mailbox do")
		case strings.ContainsFunc(part, func(c rune) bool { return c < ' ' || c == 0x7f }):
			return errors.New("has control characters")
		}
	}
	return nil
}
