package pop3d

import "bytes"

// state is where in a session a verb is allowed (RFC 1939 sections 4 and 5).
type state uint8

const (
	authorization state = 1 << iota
	transaction
)

// arguments is how many arguments a verb takes. verbatim is one argument that
// may hold spaces (PASS).
type arguments struct {
	least, most int
	verbatim    bool
}

// verb is one command.
type verb struct {
	name string
	in   state
	args arguments
	run  func(s *session, args []string) error
}

// verbs is the command table. Errors of run end the session; what the client
// did wrong is a reply and no error.
func verbs() []verb {
	return []verb{
		{"CAPA", authorization | transaction, arguments{}, (*session).capa},
		{"STLS", authorization, arguments{}, (*session).stls},
		{"AUTH", authorization, arguments{most: 2}, (*session).auth},
		{"USER", authorization, arguments{least: 1, most: 1}, (*session).user},
		{"PASS", authorization, arguments{least: 1, most: 1, verbatim: true}, (*session).pass},
		{"STAT", transaction, arguments{}, (*session).stat},
		{"LIST", transaction, arguments{most: 1}, (*session).list},
		{"UIDL", transaction, arguments{most: 1}, (*session).uidl},
		{"RETR", transaction, arguments{least: 1, most: 1}, (*session).retr},
		{"TOP", transaction, arguments{least: 2, most: 2}, (*session).top},
		{"DELE", transaction, arguments{least: 1, most: 1}, (*session).dele},
		{"RSET", transaction, arguments{}, (*session).rset},
		{"NOOP", transaction, arguments{}, (*session).noop},
		{"QUIT", authorization | transaction, arguments{}, (*session).quit},
	}
}

// maxVerb is longer than any verb.
const maxVerb = 8

// lookup finds the verb at the start of line and returns what follows it.
func (h *Handler) lookup(line []byte) (*verb, []byte) {
	name, rest, _ := bytes.Cut(line, []byte{' '})
	if len(name) > maxVerb {
		return nil, nil
	}
	var upper [maxVerb]byte
	for i, c := range name {
		if 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		upper[i] = c
	}
	return h.verbs[string(upper[:len(name)])], rest
}

// split makes the arguments of v. ok is false when there are too few or too
// many.
func (v *verb) split(rest []byte) (args []string, ok bool) {
	if v.args.verbatim {
		return []string{string(rest)}, len(rest) > 0
	}
	for _, f := range bytes.Fields(rest) {
		if len(args) == v.args.most {
			return nil, false
		}
		args = append(args, string(f))
	}
	return args, len(args) >= v.args.least
}
