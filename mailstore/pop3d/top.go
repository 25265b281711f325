package pop3d

import (
	"bytes"
	"errors"
	"strconv"

	"toastmaster/internal/envelope"
	"toastmaster/internal/wire"
)

// top is TOP: the header, the empty line, and so many lines of the body.
func (s *session) top(args []string) error {
	seq, m, reason := s.drop.find(args[0])
	if m == nil {
		return s.mistake(reason)
	}
	lines, err := strconv.ParseUint(args[1], 10, 32)
	if err != nil {
		return s.mistake("Not a number of lines")
	}
	return s.send(seq, "Top of message follows", func(c envelope.Content, out *wire.ContentWriter) error {
		t := topper{body: lines}
		err := s.copy(c, func(p []byte) (int, error) {
			part := p[:t.take(p)]
			n, err := out.Write(part)
			s.count.topBytes += int64(n)
			if err == nil && t.done {
				err = errDone
			}
			return n, err
		})
		s.count.top++
		if errors.Is(err, errDone) {
			return nil
		}
		return err
	})
}

// errDone stops the copying.
var errDone = errors.New("done")

// topper finds where TOP ends, over pieces of a message.
type topper struct {
	body     uint64 // lines of the body still to come
	inBody   bool
	done     bool
	nonEmpty bool // the present header line has octets before its end
	cr       bool // it began with a CR, which may belong to its end
}

// take returns how much of p belongs to the top.
func (t *topper) take(p []byte) int {
	at := 0
	for !t.done && at < len(p) {
		if t.inBody && t.body == 0 {
			t.done = true
			break
		}
		i := bytes.IndexByte(p[at:], '\n')
		if i < 0 {
			t.header(p[at:])
			return len(p)
		}
		t.header(p[at : at+i])
		at += i + 1
		switch {
		case t.inBody:
			t.body--
		case !t.nonEmpty:
			t.inBody = true
		}
		t.nonEmpty, t.cr = false, false
	}
	return at
}

// header notes whether a line of the header is empty. A file that another
// program wrote with CR LF has a CR on its empty line.
func (t *topper) header(part []byte) {
	switch {
	case len(part) == 0:
	case t.cr || len(part) > 1 || part[0] != '\r':
		t.nonEmpty = true
	default:
		t.cr = true
	}
}
