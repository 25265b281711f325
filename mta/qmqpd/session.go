package qmqpd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"

	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/mime"
	"toastmaster/internal/msglog"
	"toastmaster/internal/netstring"
	"toastmaster/internal/printable"
	"toastmaster/internal/service"
	"toastmaster/internal/smtpserver"
	"toastmaster/internal/spool"
	"toastmaster/internal/wire"
)

// Limits of an envelope. They are no parameters: the first is far more than a message may have
// recipients, the second what an address may be (RFC 5321) with room for what is none.
const (
	maxEnvelope = 8 << 20
	maxAddress  = 2048
)

// session is one client's connection. All but draining is its goroutine's.
type session struct {
	d          *Daemon
	link       *wire.Link
	in         *bufio.Reader
	id, client string
	// end is when all must have come, began says that something has.
	end      time.Time
	began    bool
	draining atomic.Bool
}

func newSession(d *Daemon, c net.Conn) *session {
	s := &session{d: d, link: wire.NewLink(c), id: service.NewSessionID(), client: service.ClientText(service.ClientAddr(c))}
	if a, ok := c.RemoteAddr().(*net.TCPAddr); ok && d.o.Params.ClientPortLogging {
		s.client = net.JoinHostPort(s.client, fmt.Sprint(a.Port))
	}
	s.in = bufio.NewReader(reader{s})
	return s
}

// wholeTimes is how many times qmqpd.timeout the whole message may take.
const wholeTimes = 10

// reader reads from the link within the session's times.
type reader struct{ s *session }

// Read implements io.Reader.
func (r reader) Read(p []byte) (int, error) {
	until := time.Now().Add(r.s.d.o.Params.Timeout) // sockets live in real time
	if until.After(r.s.end) {
		until = r.s.end
	}
	n, err := r.s.link.Read(p, until, r.s.ended)
	r.s.began = r.s.began || n > 0
	return n, err
}

// errDraining ends a session that has not begun.
var errDraining = errors.New("the service stops")

func (s *session) ended() error {
	if !s.began && s.draining.Load() {
		return errDraining
	}
	return nil
}

func (s *session) serve(ctx context.Context) {
	service.OnDrain(ctx, func() {
		s.draining.Store(true)
		s.link.Poke()
	})
	log, began := s.d.o.Log, s.d.o.Clock.Now()
	s.end = time.Now().Add(wholeTimes * s.d.o.Params.Timeout)
	log.Event(msglog.Connect{Service: serviceName, Session: s.id, Client: s.client})
	err := s.exchange(ctx)
	log.Event(msglog.Disconnect{
		Service: serviceName, Session: s.id, Client: s.client, Duration: s.d.o.Clock.Now().Sub(began), Reason: s.reason(err),
	})
}

// reason is for the log, and no more than what the client did: its octets are in no line.
func (s *session) reason(err error) string {
	switch {
	case err == nil:
		return "done"
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "timed out"
	case errors.Is(err, errDraining):
		return err.Error()
	}
	return "lost connection"
}

// exchange is the message and its answer. An error is that of the connection.
func (s *session) exchange(ctx context.Context) error {
	client := service.ClientAddr(s.link.Socket())
	if client.IsValid() && !service.InNetworks(s.d.clients, client) {
		return s.refuse(ctx, dsn.Newf(dsn.Policy, "Error: %s is not authorized to use this service", s.client), "connect")
	}
	env, content, err := s.receive()
	if err != nil {
		var lost *lostError
		if errors.As(err, &lost) {
			return lost.error
		}
		return s.refuse(ctx, dsn.From(err), "message")
	}
	env.Origin = envelope.Origin{Source: envelope.SourceQMQP, Protocol: envelope.SourceQMQP.String(), Session: s.id}
	if client.IsValid() {
		env.Origin.ClientAddr, env.Origin.ClientName = service.ClientText(client), "unknown"
		if s.d.o.ClientName != nil {
			env.Origin.ClientName = s.d.o.ClientName(ctx, client)
		}
		env.Origin.Helo = env.Origin.ClientName
	}
	id, err := s.d.o.Submit.Submit(ctx, &envelope.Submission{
		Envelope: env, Content: content, Complete: true, Incoming: true, Rewrite: env.Origin.Source.Rewrite(),
	})
	if err != nil {
		return s.refuse(ctx, dsn.From(err), "message")
	}
	return s.say("Kok: queued as " + string(id))
}

// refuse says no, after a while.
func (s *session) refuse(ctx context.Context, e *dsn.Error, stage string) error {
	s.d.o.Log.Event(msglog.Reject{Service: serviceName, Session: s.id, Client: s.client, Stage: stage, Err: e})
	if d := s.d.o.Params.ErrorDelay; d > 0 {
		timer := s.d.o.Clock.NewTimer(d)
		select {
		case <-timer.C():
		case <-ctx.Done():
			timer.Stop()
		}
	}
	class := "D"
	if e.Temporary() {
		class = "Z"
	}
	err := s.say(class + printable.ASCII(e.Text))
	s.link.Linger() // the client may still be sending
	return err
}

func (s *session) say(text string) error {
	_, err := s.link.Write(netstring.Append(nil, text), s.d.o.Params.Timeout)
	return err
}

// lostError is that of the connection: there is nobody to hear an answer.
type lostError struct{ error }

// receive reads the message and its envelope. Nothing is kept after an error.
func (s *session) receive() (*envelope.Envelope, *spool.Buffer, error) {
	buf := s.d.o.Spool.New()
	env, err := s.receiveInto(buf)
	if err != nil {
		return nil, nil, errors.Join(err, buf.Close())
	}
	return env, buf, nil
}

func (s *session) receiveInto(buf *spool.Buffer) (*envelope.Envelope, error) {
	outer, err := netstring.ReadLength(s.in)
	if err != nil {
		return nil, wrong(err)
	}
	if outer > s.d.o.MaxMessage+maxEnvelope {
		return nil, dsn.New(dsn.MessageTooLong, "Error: message too large")
	}
	inner := bufio.NewReader(&whole{r: s.in, left: outer})
	eight, err := s.content(inner, buf)
	if err != nil {
		return nil, err
	}
	if s.d.o.Room != nil {
		if err := s.d.o.Room(buf.Size()); err != nil {
			return nil, err
		}
	}
	env := &envelope.Envelope{}
	if eight {
		env.Body = envelope.Body8BitMIME
	}
	sender, err := s.address(inner)
	if err != nil {
		return nil, err
	}
	if env.Sender, err = s.parse(sender, true); err != nil {
		return nil, dsn.Wrap(dsn.BadSenderSyntax, "Error: bad sender address syntax", err)
	}
	for total := 0; ; {
		if _, err := inner.Peek(1); errors.Is(err, errOver) {
			break
		}
		text, err := s.address(inner)
		if err != nil {
			return nil, err
		}
		if total += len(text) + 1; total > maxEnvelope {
			return nil, dsn.New(dsn.MessageTooLong, "Error: too many recipients")
		}
		to, err := s.parse(text, false)
		if err != nil {
			return nil, dsn.Wrap(dsn.BadDestSyntax, "Error: bad recipient address syntax", err)
		}
		env.UTF8 = env.UTF8 || !to.IsASCII()
		env.Recipients = append(env.Recipients, envelope.Recipient{Address: to, Original: to})
	}
	env.UTF8 = env.UTF8 || !env.Sender.IsASCII()
	switch c, err := s.in.ReadByte(); {
	case err != nil:
		return nil, wrong(err)
	case c != ',':
		return nil, dsn.New(dsn.SyntaxError, "Error: netstring format error")
	case len(env.Recipients) == 0:
		return nil, dsn.New(dsn.BadDestMailbox, "Error: no recipients specified")
	}
	return env, nil
}

// content reads the message into buf, and says whether it is more than ASCII.
func (s *session) content(in *bufio.Reader, buf *spool.Buffer) (eight bool, err error) {
	size, err := netstring.ReadLength(in)
	if err != nil {
		return false, wrong(err)
	}
	if size > s.d.o.MaxMessage {
		return false, dsn.New(dsn.MessageTooLong, "Error: message too large")
	}
	note := &noting{w: smtpserver.MailboxLines(buf)}
	if _, err := io.CopyN(note, in, size); err != nil {
		if note.err != nil {
			return false, note.err // ours: the disk
		}
		return false, wrong(err)
	}
	if err := note.w.Close(); err != nil {
		return false, err
	}
	return note.eight, comma(in)
}

// address reads one.
func (s *session) address(in *bufio.Reader) (string, error) {
	size, err := netstring.ReadLength(in)
	if err != nil {
		return "", wrong(err)
	}
	if size > maxAddress {
		return "", dsn.New(dsn.BadDestSyntax, "Error: address too long")
	}
	text := make([]byte, size)
	if _, err := io.ReadFull(in, text); err != nil {
		return "", wrong(err)
	}
	return string(text), comma(in)
}

func comma(in *bufio.Reader) error {
	switch c, err := in.ReadByte(); {
	case err != nil:
		return wrong(err)
	case c != ',':
		return dsn.New(dsn.SyntaxError, "Error: netstring format error")
	}
	return nil
}

func (s *session) parse(text string, null bool) (addr.Address, error) {
	if text == "" && null {
		return addr.Address{}, nil
	}
	a, err := addr.Parse(text)
	if err == nil && a.Domain == "" {
		a = a.WithDomain(s.d.o.Hostname)
	}
	return a, err
}

// errOver is the end of the outer netstring.
var errOver = errors.New("the end of the outer netstring")

// whole reads the outer netstring. Its end is another one than that of the connection.
type whole struct {
	r    io.Reader
	left int64
}

// Read implements io.Reader.
func (w *whole) Read(p []byte) (int, error) {
	if w.left == 0 {
		return 0, errOver
	}
	n, err := w.r.Read(p[:min(int64(len(p)), w.left)])
	w.left -= int64(n)
	return n, err
}

// wrong is what is said of octets that are no netstring, or the loss of the connection.
func wrong(err error) error {
	if errors.Is(err, netstring.ErrSyntax) || errors.Is(err, errOver) {
		return dsn.Wrap(dsn.SyntaxError, "Error: netstring format error", err)
	}
	return &lostError{err}
}

// noting notes what passes to a message.
type noting struct {
	w     io.WriteCloser
	eight bool
	err   error
}

// Write implements io.Writer.
func (n *noting) Write(p []byte) (int, error) {
	n.eight = n.eight || mime.Has8Bit(p)
	size, err := n.w.Write(p)
	n.err = err
	return size, err
}
