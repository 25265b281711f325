package tables

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
)

// tcpTable asks a server of tcp_table(5).
type tcpTable struct {
	name
	server *server
}

func openTCP(_ context.Context, s *Set, n name, argument string) (Table, error) {
	host, port, err := net.SplitHostPort(argument)
	if err != nil || host == "" || port == "" {
		return nil, errors.New("expected tcp:host:port")
	}
	return &tcpTable{n, s.serverOf("tcp", argument)}, nil
}

func (t *tcpTable) wantsWhole() bool { return true }

// Lookup asks the server.
func (t *tcpTable) Lookup(ctx context.Context, key string) (string, error) {
	if key == "" {
		return "", t.missing(key)
	}
	var reply string
	err := t.server.exchange(ctx, func(c *conn) error {
		if _, err := c.Write([]byte("get " + encodeTCP(key) + "\n")); err != nil {
			return err
		}
		var err error
		reply, err = readLine(c, maxTCPReply)
		return err
	})
	if err != nil {
		return "", t.unavailable(key, err)
	}
	code, text, ok := strings.Cut(strings.TrimRight(reply, blanks), " ")
	switch {
	case code == "500":
		return "", t.missing(key)
	case !ok:
	case code == "400":
		return "", t.unavailable(key, fmt.Errorf("the server says %q", brief(text)))
	case code == "200":
		text, err := decodeTCP(text)
		if err != nil {
			return "", t.unavailable(key, err)
		}
		return text, nil
	}
	return "", t.unavailable(key, fmt.Errorf("the server's answer %q is none of the protocol", brief(reply)))
}

// maxTCPReply is the protocol's, with the newline.
const maxTCPReply = 4096

func readLine(c *conn, most int) (string, error) {
	var line []byte
	for {
		b, err := c.in.ReadByte()
		if err != nil {
			return "", err
		}
		if b == '\n' {
			return string(line), nil
		}
		if line = append(line, b); len(line) >= most {
			return "", fmt.Errorf("the server's answer is longer than %d octets", most)
		}
	}
}

// encodeTCP writes %, what cannot be printed, and white space as %XX.
func encodeTCP(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || c == '%' {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

func decodeTCP(s string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b.WriteByte(s[i])
			continue
		}
		if i+2 >= len(s) {
			return "", fmt.Errorf("the server's answer %q ends within a %%XX", brief(s))
		}
		c, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
		if err != nil {
			return "", fmt.Errorf("the server's answer %q has a %% without two digits", brief(s))
		}
		b.WriteByte(byte(c))
		i += 2
	}
	return b.String(), nil
}
