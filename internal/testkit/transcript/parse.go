package transcript

import (
	"fmt"
	"strconv"
	"strings"
)

type kind uint8

const (
	client kind = iota
	server
	anyLines
	serverEnd
	startTLS
)

// step is one line of a dialogue.
type step struct {
	kind kind
	text string // client: the octets to send; server: the pattern
	line int
	// conn is which connection it is about, 0 is the one without a number.
	conn int
}

// String shows the step in an error.
func (s step) String() string { return fmt.Sprintf("%.200q", s.text) }

func parse(text string, vars map[string]string) ([]step, error) {
	for name, value := range vars {
		text = strings.ReplaceAll(text, "${"+name+"}", value)
	}
	var steps []step
	for i, line := range strings.Split(text, "\n") {
		s, ok, err := parseLine(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		if ok {
			s.line = i + 1
			steps = append(steps, s)
		}
	}
	return steps, nil
}

func parseLine(line string) (s step, ok bool, err error) {
	mark, rest, _ := strings.Cut(line, " ")
	if len(mark) == 3 && '2' <= mark[1] && mark[1] <= '9' {
		s.conn = int(mark[1] - '0')
		mark = mark[:1] + mark[2:]
	}
	switch {
	case strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#"):
		return s, false, nil
	case line == "TLS":
		s.kind = startTLS
		return s, true, nil
	case mark == "S:" && rest == "...":
		s.kind = anyLines
		return s, true, nil
	case mark == "S:" && rest == "<end>":
		s.kind = serverEnd
		return s, true, nil
	case mark == "S:":
		s.kind, s.text = server, rest
		return s, true, nil
	case mark == "C:":
		rest, err = unescape(rest)
		s.text = rest + "\r\n"
		return s, true, err
	case mark == "C>":
		s.text, err = unescape(rest)
		return s, true, err
	}
	return s, false, fmt.Errorf("not a dialogue line: %q", line)
}

// unescape reads the escapes of a client line.
func unescape(s string) (string, error) {
	var b strings.Builder
	for {
		head, tail, found := strings.Cut(s, `\`)
		b.WriteString(head)
		if !found {
			return b.String(), nil
		}
		if tail == "" {
			return "", fmt.Errorf("lone backslash")
		}
		octets, rest, err := escape(tail)
		if err != nil {
			return "", err
		}
		b.WriteString(octets)
		s = rest
	}
}

// escape reads what follows a backslash.
func escape(s string) (octets, rest string, err error) {
	switch s[0] {
	case 'r':
		return "\r", s[1:], nil
	case 'n':
		return "\n", s[1:], nil
	case 't':
		return "\t", s[1:], nil
	case '0':
		return "\x00", s[1:], nil
	case '\\':
		return `\`, s[1:], nil
	case 'x':
		if len(s) >= 3 {
			if n, err := strconv.ParseUint(s[1:3], 16, 8); err == nil {
				return string([]byte{byte(n)}), s[3:], nil
			}
		}
	case '{':
		inner, rest, ok := strings.Cut(s[1:], "}")
		at := strings.LastIndexByte(inner, '*')
		if ok && at >= 0 {
			n, err := strconv.Atoi(inner[at+1:])
			text, err2 := unescape(inner[:at])
			if err == nil && err2 == nil && n >= 0 {
				return strings.Repeat(text, n), rest, nil
			}
		}
	}
	return "", "", fmt.Errorf("unknown escape \\%.10s", s)
}
