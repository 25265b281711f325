package sendmail

import (
	"bytes"
	"fmt"
	"net/mail"
	"strings"

	"toastmaster/internal/addr"
)

// parseRecipients reads command-line recipients, each argument one address or
// several separated by commas. A bare name is at this host.
func parseRecipients(args []string, hostname string) ([]addr.Address, error) {
	var out []addr.Address
	for _, arg := range args {
		list, err := parseList(arg, hostname)
		if err != nil {
			return nil, err
		}
		out = append(out, list...)
	}
	return out, nil
}

// headerRecipients reads the addresses of a To, Cc or Bcc field.
func headerRecipients(field []byte, hostname string) ([]addr.Address, error) {
	_, value, _ := bytes.Cut(field, []byte(":"))
	text := strings.TrimSpace(strings.ReplaceAll(string(value), "\n", ""))
	if text == "" {
		return nil, nil
	}
	return parseList(text, hostname)
}

func parseList(text, hostname string) ([]addr.Address, error) {
	list, err := mail.ParseAddressList(text)
	if err != nil {
		// net/mail knows no bare local names, sendmail does.
		var out []addr.Address
		for word := range strings.SplitSeq(text, ",") {
			a, parseErr := addr.Parse(strings.Trim(strings.TrimSpace(word), "<>"))
			if parseErr != nil {
				return nil, fmt.Errorf("bad recipient %q: %w", strings.TrimSpace(word), parseErr)
			}
			out = append(out, qualify(a, hostname))
		}
		return out, nil
	}
	out := make([]addr.Address, 0, len(list))
	for _, m := range list {
		a, err := addr.Parse(m.Address)
		if err != nil {
			return nil, fmt.Errorf("bad recipient %q: %w", m.Address, err)
		}
		out = append(out, qualify(a, hostname))
	}
	return out, nil
}

func qualify(a addr.Address, hostname string) addr.Address {
	if a.Domain == "" {
		return a.WithDomain(hostname)
	}
	return a
}
