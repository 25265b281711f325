package smtpserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"toastmaster/internal/dsn"
	"toastmaster/internal/service"
	"toastmaster/internal/wire"
)

// watching is a session that writes down the lines it sees, and refuses those of what it is told.
type watching struct {
	*bagSession
	seen    []string
	against map[string]*dsn.Error
}

func (w *watching) Watch(l Line) *dsn.Error {
	w.seen = append(w.seen, fmt.Sprintf("%s|%v|%v|%s", l.Text, l.Err, l.More, l.Rest))
	return w.against[string(l.Text)]
}

// TestAWatcherSeesEachLine: before anything is done about it, with its fault and what is sent along; a bare LF that
// it does not mind is a line.
func TestAWatcherSeesEachLine(t *testing.T) {
	t.Parallel()
	talk := func(in string, against map[string]*dsn.Error) (seen []string, out string) {
		w := &watching{bagSession: &bagSession{bag: &mailbag{}}, against: against}
		s := testServer(&mailbag{})
		s.Backend = BackendFunc(func(*Conn) Session { return w })
		c := &script{in: strings.NewReader(in)}
		s.ServeConn(t.Context(), c)
		return w.seen, c.out.String()
	}
	seen, out := talk("HELO c\nNOOP\r\nQUIT\r\n", nil)
	if want := []string{"HELO c|bare LF received|true|NOOP\r\nQUIT\r\n", "NOOP|<nil>|true|QUIT\r\n", "QUIT|<nil>|false|"}; !slices.Equal(seen, want) {
		t.Errorf("%q", seen)
	}
	if want := "220 mx.test ESMTP ready\r\n250 mx.test\r\n250 2.0.0 Ok\r\n221 2.0.0 Bye\r\n"; out != want {
		t.Errorf("%q", out)
	}
	seen, _ = talk("HELO c\r\n"+strings.Repeat("x", 3000)+"\r\n", nil)
	if len(seen) != 3 || !strings.HasPrefix(seen[1], "|"+wire.ErrTooLong.Error()) || seen[2] != "|"+io.EOF.Error()+"|false|" {
		t.Errorf("%q", seen)
	}
	for reply, want := range map[*dsn.Error]string{
		dsn.New(dsn.Policy, "no").WithCode(521):              "521 5.7.1 no\r\n",
		dsn.New(dsn.TooManyErrors, "enough").WithCode(421):   "421 4.7.0 mx.test enough\r\n",
		dsn.New(dsn.InvalidCommand, "not me").WithCode(550):  "550 5.5.1 not me\r\n",
		dsn.Wrap(dsn.Policy, "quiet", errors.New("a cause")): "554 5.7.1 quiet\r\n",
	} {
		if _, out := talk("HELO c\r\nNOOP\r\nQUIT\r\n", map[string]*dsn.Error{"NOOP": reply}); out != "220 mx.test ESMTP ready\r\n250 mx.test\r\n"+want {
			t.Errorf("%q, not %q", out, want)
		}
	}
}

// TestOneWhoSpokeBefore: the id of a session is that of who had the client before, and a greeting that is
// not wanted is not said.
func TestOneWhoSpokeBefore(t *testing.T) {
	t.Parallel()
	s := testServer(&mailbag{})
	id := ""
	s.Backend = BackendFunc(func(c *Conn) Session {
		id = c.ID()
		c.OmitGreeting()
		return &bagSession{bag: &mailbag{}}
	})
	c := &script{in: strings.NewReader("HELO c\r\nQUIT\r\n")}
	s.ServeConn(service.WithSessionID(context.Background(), "theSession"), c)
	if out := c.out.String(); id != "theSession" || out != "250 mx.test\r\n221 2.0.0 Bye\r\n" {
		t.Errorf("%s: %q", id, out)
	}
}
