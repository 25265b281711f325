package sendmail

import (
	"bytes"
	"fmt"
	"strings"

	"toastmaster/internal/addr"
	"toastmaster/internal/addrfield"
)

// parseRecipients reads command-line recipients, each argument one address or
// several separated by commas. A bare name is of this host, and stays bare.
func parseRecipients(args []string) ([]addr.Address, error) {
	var out []addr.Address
	for _, arg := range args {
		list, err := parseList(arg)
		if err != nil {
			return nil, err
		}
		out = append(out, list...)
	}
	return out, nil
}

// headerRecipients reads the addresses of a To, Cc or Bcc field.
func headerRecipients(field []byte) ([]addr.Address, error) {
	_, value, _ := bytes.Cut(field, []byte(":"))
	return parseList(string(value))
}

// mostTokens bounds a list of addresses, as header_address_token_limit does in Postfix; a message has fewer recipients. It is no
// parameter: who calls sendmail may call it again.
const mostTokens = 200_000

// parseList reads a list as people write it: with names, comments and groups, or not.
func parseList(text string) (out []addr.Address, err error) {
	l, ok := addrfield.Parse(text, mostTokens)
	if !ok {
		return nil, fmt.Errorf("too many recipients: %d words at most", mostTokens)
	}
	l.Rewrite(func(found string) string {
		a, parseErr := addr.Parse(found)
		switch {
		case strings.TrimSpace(found) == "":
		case parseErr != nil && err == nil:
			err = fmt.Errorf("bad recipient %q: %w", found, parseErr)
		case parseErr == nil:
			out = append(out, a)
		}
		return found
	})
	return out, err
}
