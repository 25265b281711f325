package cli

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
	"golang.org/x/term"

	"toastmaster/configs"
)

// sizeValue is a flag for octets: "500M", "2GiB", "0" for unlimited.
type sizeValue struct{ n **int64 }

var _ pflag.Value = sizeValue{}

func (s sizeValue) String() string {
	if s.n == nil || *s.n == nil {
		return ""
	}
	return strconv.FormatInt(**s.n, 10)
}

func (s sizeValue) Set(text string) error {
	n, err := configs.ParseSize(text)
	if err != nil {
		return err
	}
	*s.n = &n
	return nil
}

func (s sizeValue) Type() string { return "size" }

// countValue is a flag for a number that may be left away.
type countValue struct{ n **int64 }

var _ pflag.Value = countValue{}

func (c countValue) String() string { return sizeValue(c).String() }

func (c countValue) Set(text string) error {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return fmt.Errorf("%q is not a number from 0", text)
	}
	*c.n = &n
	return nil
}

func (c countValue) Type() string { return "number" }

// switchValue is a flag for yes or no that may be left away.
type switchValue struct{ b **bool }

// textValue is a flag for a text that may be absent.
type textValue struct{ s **string }

var _ pflag.Value = textValue{}

func (t textValue) String() string {
	if t.s == nil || *t.s == nil {
		return ""
	}
	return **t.s
}

func (t textValue) Set(text string) error {
	*t.s = &text
	return nil
}

func (t textValue) Type() string { return "TEXT" }

var _ pflag.Value = switchValue{}

func (s switchValue) String() string {
	if s.b == nil || *s.b == nil {
		return ""
	}
	return strconv.FormatBool(**s.b)
}

func (s switchValue) Set(text string) error {
	b, err := strconv.ParseBool(text)
	switch strings.ToLower(text) { // as the lists show it
	case "yes":
		b, err = true, nil
	case "no":
		b, err = false, nil
	}
	if err != nil {
		return fmt.Errorf("%q is not true or false, or yes or no", text)
	}
	*s.b = &b
	return nil
}

func (s switchValue) Type() string { return "yes|no" }

// choiceValue is a flag for one of several words.
type choiceValue struct {
	s       *string
	choices []string
	kind    string // in the help
}

var _ pflag.Value = choiceValue{}

func (c choiceValue) String() string {
	if c.s == nil {
		return ""
	}
	return *c.s
}

func (c choiceValue) Set(text string) error {
	if !slices.Contains(c.choices, text) {
		return fmt.Errorf("must be one of %s", strings.Join(c.choices, ", "))
	}
	*c.s = text
	return nil
}

func (c choiceValue) Type() string { return c.kind }

func formatLimit(n int64) string {
	if n == 0 {
		return "unlimited"
	}
	return strconv.FormatInt(n, 10)
}

func formatQuota(n int64) string {
	if n == 0 {
		return "unlimited"
	}
	return configs.FormatSize(n)
}

// maxSecretLine bounds what is read as a password. It is no parameter: no password
// is longer (directory/password.MaxPassword).
const maxSecretLine = 4096

// readLine reads the first line of r, without its end.
func readLine(r io.Reader) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(r, maxSecretLine)).ReadString('\n')
	if err != nil && err != io.EOF {
		return "", err
	}
	line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
	if line == "" {
		return "", usageError("no password on standard input")
	}
	return line, nil
}

// askPassword asks a person twice, without echo.
func (e *Environment) askPassword(prompt string) (string, error) {
	f, ok := isTerminal(e.Stdin)
	if !ok {
		return "", usageError("standard input is no terminal: use --password-stdin, --hash-stdin or --no-password")
	}
	var typed [2]string
	for i, text := range []string{prompt + ": ", "Again: "} {
		fmt.Fprint(e.Stderr, text)
		b, err := term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(e.Stderr)
		if err != nil {
			return "", err
		}
		typed[i] = string(b)
	}
	switch {
	case typed[0] != typed[1]:
		return "", usageError("the two passwords differ")
	case typed[0] == "":
		return "", usageError("the password is empty")
	}
	return typed[0], nil
}
