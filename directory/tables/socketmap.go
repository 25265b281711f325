package tables

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"toastmaster/internal/netstring"
)

// socketmap asks a server of socketmap_table(5).
type socketmap struct {
	name
	server *server
	// remote is what the server calls the table.
	remote string
}

// openSocketmap reads "inet:host:port:name" and "unix:path:name".
func openSocketmap(_ context.Context, s *Set, n name, argument string) (Table, error) {
	const expected = "expected socketmap:inet:host:port:name or socketmap:unix:path:name"
	network, rest, _ := strings.Cut(argument, ":")
	i := strings.LastIndexByte(rest, ':')
	if i <= 0 || i == len(rest)-1 || strings.ContainsAny(rest[i+1:], blanks) {
		return nil, errors.New(expected)
	}
	address, remote := rest[:i], rest[i+1:]
	switch network {
	case "inet":
		network = "tcp"
		if _, _, err := net.SplitHostPort(address); err != nil {
			return nil, fmt.Errorf("%w: %s", err, expected)
		}
	case "unix":
		address = s.path(address)
	default:
		return nil, errors.New(expected)
	}
	return &socketmap{n, s.serverOf(network, address), remote}, nil
}

func (t *socketmap) wantsWhole() bool { return true }

// Lookup asks the server.
func (t *socketmap) Lookup(ctx context.Context, key string) (string, error) {
	if key == "" {
		return "", t.missing(key)
	}
	var reply string
	err := t.server.exchange(ctx, func(c *conn) error {
		if _, err := c.Write(netstring.Append(nil, t.remote+" "+key)); err != nil {
			return err
		}
		// The word before the text, and a text.
		text, err := netstring.Read(c.in, int64(t.server.set.limits.maxResult)+len64("NOTFOUND "))
		reply = string(text)
		return err
	})
	if err != nil {
		return "", t.unavailable(key, err)
	}
	status, text, _ := strings.Cut(reply, " ")
	switch status {
	case "OK":
		if len(text) > t.server.set.limits.maxResult {
			return "", t.misconfigured(key, fmt.Errorf("the text is longer than %d octets (tables.max_result)", t.server.set.limits.maxResult))
		}
		return text, nil
	case "NOTFOUND":
		return "", t.missing(key)
	case "PERM":
		return "", t.misconfigured(key, fmt.Errorf("the server says %q", brief(reply)))
	case "TEMP", "TIMEOUT":
		return "", t.unavailable(key, fmt.Errorf("the server says %q", brief(reply)))
	}
	return "", t.unavailable(key, fmt.Errorf("the server's answer %q is none of the protocol", brief(reply)))
}

func len64(s string) int64 { return int64(len(s)) }
