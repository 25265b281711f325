package smtp

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"toastmaster/internal/dsn"
	"toastmaster/internal/idle"
	"toastmaster/internal/smtpreply"
	"toastmaster/internal/wire"
)

// session is a connection to a host that has greeted.
type session struct {
	agent  *Agent
	target target
	in     *wire.Reader
	out    *wire.Writer
	ext    extensions
	opened time.Time
	// ready is when it was ready for this request's MAIL.
	ready time.Time
	uses  int
	// reused: no reply was read since it came out of the cache, so a loss
	// says nothing about the host.
	reused bool
	// dirty: a transaction was begun and not ended; RSET is due.
	dirty bool
	// loggedIn: the host knows us by name and password.
	loggedIn bool
	// broken: it is of no use any more.
	broken bool
	// ctx is that of the present request.
	ctx context.Context
	// patience is how long the peer may still take for the content that is being sent, where
	// smtp.min_data_rate counts.
	patience time.Duration
	sending  bool
	// ahead was read before it was asked for.
	ahead []byte
	stop  func() bool

	// The connection is shared with interrupt.
	mu        sync.Mutex
	conn      net.Conn
	committed bool // the final dot is out
	cut       time.Time
}

// grace is how long a session has for the answer to the final dot after it
// was interrupted.
const grace = 5 * time.Second

func newSession(a *Agent, t target, c net.Conn) *session {
	s := &session{agent: a, target: t, conn: c, opened: a.clock.Now()}
	s.in = wire.NewReader(source{s}, a.pool)
	s.in.Bare = wire.Normalize // a reply with a bare LF harms nobody
	s.out = wire.NewWriter(sink{s}, a.pool)
	return s
}

// begin ties the session to the context of a request.
func (s *session) begin(ctx context.Context, reused bool) {
	s.mu.Lock()
	s.committed, s.cut = false, time.Time{}
	s.mu.Unlock()
	s.reused, s.ctx = reused, ctx
	s.ready = s.agent.clock.Now()
	s.uses++
	s.stop = context.AfterFunc(ctx, s.interrupt)
}

// end unties it. When the context has ended meanwhile it cannot be used again.
func (s *session) end() {
	if s.stop != nil && !s.stop() {
		s.broken = true
	}
	s.stop = nil
	s.in.Close()
}

// interrupt makes every present and later wait fail; one for the answer to
// the final dot after a grace.
func (s *session) interrupt() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cut = time.Unix(1, 0)
	if s.committed {
		s.cut = time.Now().Add(grace)
	}
	// A connection that takes no deadline is closed, and reads fail anyway.
	_ = s.conn.SetDeadline(s.cut)
	if s.agent.interrupted != nil {
		s.agent.interrupted()
	}
}

// deadline sets the end of the next reads and writes. Sockets live in real
// time, so this is the one place that does not ask the clock.
func (s *session) deadline(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	until := time.Now().Add(d)
	if !s.cut.IsZero() && s.cut.Before(until) {
		until = s.cut
	}
	_ = s.conn.SetDeadline(until)
}

// contents says that a content is being sent, or that it is no more.
func (s *session) contents(sending bool) {
	s.sending, s.patience = sending, s.agent.config.DataXferTimeout
}

func (s *session) commit() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.committed = true
}

func (s *session) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.in.Close()
	_ = s.conn.Close() // nothing that matters is still unwritten
}

// quit says goodbye without waiting for the answer.
func (s *session) quit() {
	s.deadline(time.Second)
	s.out.WriteString("QUIT\r\n")
	_ = s.out.Flush() // the peer may be gone already
	s.close()
}

func (s *session) mayBeReused() bool {
	c := &s.agent.config
	return !s.dirty && c.CacheLimit > 0 && c.CacheTime > 0 && (c.CacheReuseCount == 0 || s.uses < c.CacheReuseCount) &&
		s.agent.clock.Now().Sub(s.opened) < c.CacheReuseTime
}

// source reads from the connection. What is gathered in out goes first: we are about to wait for the answer.
type source struct{ s *session }

func (r source) Read(p []byte) (int, error) {
	s := r.s
	if err := s.out.Flush(); err != nil {
		return 0, err
	}
	if len(s.ahead) > 0 {
		n := copy(p, s.ahead)
		s.ahead = s.ahead[n:]
		return n, nil
	}
	return s.conn.Read(p)
}

// sink writes; the deadline is set for each piece of content.
type sink struct{ s *session }

func (w sink) Write(p []byte) (int, error) {
	s, c := w.s, &w.s.agent.config
	if !s.sending || c.MinDataRate == 0 {
		s.deadline(c.DataXferTimeout)
		return s.conn.Write(p)
	}
	s.deadline(s.patience)
	began := time.Now() // as the deadline
	n, err := s.conn.Write(p)
	s.patience = min(s.patience-time.Since(began)+time.Duration(n)*time.Second/time.Duration(c.MinDataRate), c.DataXferTimeout)
	return n, err
}

// reply reads one reply within the given time. doing is for the error text.
// After an error the session is broken.
func (s *session) reply(within time.Duration, doing string) (*reply, *dsn.Error) {
	err := s.out.Flush()
	if err != nil {
		return nil, s.lost(err, doing)
	}
	s.deadline(within)
	var filter *dsn.Error // of smtp.reply_filter
	r, err := smtpreply.Read(s.in, smtpreply.Limits{Octets: s.agent.config.ReplySizeLimit, Text: maxText}, func(line []byte) ([]byte, error) {
		if line, filter = s.filtered(line); filter != nil {
			return nil, filter
		}
		return line, nil
	})
	switch {
	case filter != nil:
		return nil, filter
	case err != nil:
		return nil, s.lost(err, doing)
	}
	s.reused = false
	if r.Code == 421 {
		s.broken = true
		return nil, failure(r, s.target.host, doing)
	}
	return r, nil
}

// refusal is what the peer has said while it was sent a content, or said. A success means nothing
// there: it is of something before.
func (s *session) refusal(doing string) (*reply, *dsn.Error) {
	s.out.Reset(sink{s}) // what did not go out never will
	for s.early() {
		r, err := s.reply(s.agent.config.DataDoneTimeout, doing)
		if err != nil {
			return nil, err
		}
		if c := r.Class(); c == 4 || c == 5 {
			return r, nil
		}
	}
	return nil, nil
}

// early says that the peer has sent something that nobody has read, or has ended the connection:
// where nothing was asked it is no answer.
func (s *session) early() bool {
	if s.in.Buffered() > 0 || len(s.ahead) > 0 {
		return true
	}
	conn := s.conn
	if c, ok := conn.(*tls.Conn); ok {
		// What the library has read already it gives without waiting.
		_ = c.SetReadDeadline(time.Unix(1, 0))
		b := make([]byte, 512)
		n, err := c.Read(b)
		if s.ahead = b[:n]; n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			return true
		}
		conn = c.NetConn()
	}
	return !idle.Quiet(conn)
}

// command is a command and its reply.
func (s *session) command(within time.Duration, cmd, doing string) (*reply, *dsn.Error) {
	s.out.WriteString(cmd)
	s.out.WriteString("\r\n") // an error of out comes back from Flush
	return s.reply(within, doing)
}

// lost makes the error of a session that is over.
func (s *session) lost(err error, doing string) *dsn.Error {
	s.broken = true
	host := s.target.host
	switch {
	case errors.Is(err, errEarly):
		return dsn.Wrap(protocolError, "Host "+host+" answered before the end of the message", err)
	case errors.Is(err, smtpreply.ErrMalformed), errors.Is(err, smtpreply.ErrTooLong):
		return dsn.Wrap(protocolError, "Host "+host+" does not speak SMTP (after "+doing+")", err)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return dsn.Wrap(dsn.BadConnection, "Conversation with "+host+" timed out (after "+doing+")", err)
	}
	return dsn.Wrap(dsn.BadConnection, "Lost connection with "+host+" (after "+doing+")", err)
}

// extensions are what EHLO announced.
type extensions struct {
	esmtp, startTLS, pipelining, eightBit, utf8, dsn, size, chunking bool
	// maxSize is the SIZE limit, 0 if none was said.
	maxSize int64
	auth    []string
	// xforward are the attributes that XFORWARD takes, none without it.
	xforward []string
}

// parseExtensions reads them, without those of discard (smtp.discard_ehlo_keywords).
func parseExtensions(r *reply, discard []string) extensions {
	e := extensions{esmtp: true}
	for _, l := range r.Lines[min(1, len(r.Lines)):] {
		words := strings.Fields(strings.ToUpper(l))
		if len(words) == 0 || slices.ContainsFunc(discard, func(d string) bool { return strings.EqualFold(d, words[0]) }) {
			continue
		}
		switch words[0] {
		case "STARTTLS":
			e.startTLS = true
		case "PIPELINING":
			e.pipelining = true
		case "8BITMIME":
			e.eightBit = true
		case "SMTPUTF8":
			e.utf8 = true
		case "DSN":
			e.dsn = true
		case "CHUNKING":
			e.chunking = true
		case "SIZE":
			e.size = true
			if len(words) > 1 {
				e.maxSize = parseSize(words[1])
			}
		case "AUTH":
			e.auth = append(e.auth, words[1:]...)
		case "XFORWARD":
			e.xforward = words[1:]
		}
	}
	return e
}

// parseSize is 0, no limit, for anything that is no number.
func parseSize(s string) int64 {
	var n int64
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' || n > 1<<58 {
			return 0
		}
		n = n*10 + int64(s[i]-'0')
	}
	return n
}
