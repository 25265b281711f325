package sendmail

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"time"

	"toastmaster/cmd/toastmaster/cli"
	"toastmaster/internal/clock"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/maildrop"
	"toastmaster/internal/msglog"
	"toastmaster/internal/smtpserver"
	"toastmaster/internal/wire"
)

// session speaks SMTP on standard input and output (`sendmail -bs`), as Postfix's smtpd(8) does alone: whoever calls is the
// user of this host that the kernel knows, whatever the session says, and what it takes goes the way of every
// message. Where TOASTMASTER_SMTP names the service the session is that one's.
func (m mailSystem) session(ctx context.Context, env *cli.Environment) error {
	if m.smtpOnly {
		return m.join(ctx, env.Stdin, env.Stdout)
	}
	here, there := net.Pipe()
	defer here.Close()
	defer context.AfterFunc(ctx, func() { _ = here.Close() })()
	server := &smtpserver.Server{
		Service: "sendmail", Hostname: m.hostname, MaxMessageBytes: m.limit, Log: msglog.Discard(), Clock: clock.System{},
		Backend: smtpserver.BackendFunc(func(c *smtpserver.Conn) smtpserver.Session {
			c.SetTrusted()
			c.SetBare(wire.Allow)
			return &standalone{system: m}
		}),
	}
	// Nobody waits for the first: the process ends with the session, and a read of standard input cannot be
	// ended. They have no fence: the process is the command's own, and a panic in it is no matter of the mail service.
	go func() {
		if copyLines(here, env.Stdin) == nil {
			// The end of input is that of the session; what is under way is answered.
			_ = here.SetWriteDeadline(time.Now().Add(endTime))
			_, _ = io.WriteString(here, "QUIT\r\n")
		}
	}()
	go func() {
		server.ServeConn(ctx, there)
		_ = there.Close()
	}()
	_, err := io.Copy(env.Stdout, here)
	return err
}

// endTime is how long a session may take to end whose input has ended.
const endTime = 5 * time.Minute

// standalone is one session.
type standalone struct {
	system mailSystem
	said   maildrop.Message
}

// Mail implements smtpserver.Session, as the following do.
func (s *standalone) Mail(_ context.Context, m smtpserver.Mail) *dsn.Error {
	s.said = maildrop.Message{Sender: m.From.String(), EightBit: m.Body == envelope.Body8BitMIME}
	switch m.Return {
	case envelope.ReturnFull:
		s.said.Return = "FULL"
	case envelope.ReturnHeaders:
		s.said.Return = "HDRS"
	}
	s.said.EnvID, _ = envelope.DecodeXtext(m.EnvelopeID)
	return nil
}

func (s *standalone) Rcpt(_ context.Context, r smtpserver.Rcpt) *dsn.Error {
	s.said.Recipients = append(s.said.Recipients, maildrop.Recipient{Address: r.To.String(), Notify: r.Notify.String(), ORcpt: r.ORcpt})
	return nil
}

func (s *standalone) Data(ctx context.Context, r io.Reader) (smtpserver.Accepted, *dsn.Error) {
	var text bytes.Buffer
	if err := smtpserver.WriteLF(&text, r); err != nil {
		return smtpserver.Accepted{}, dsn.From(err)
	}
	id, err := s.system.submit(ctx, &letter{s.said, text.Bytes()})
	var refused *refusal
	switch {
	case errors.As(err, &refused):
		return smtpserver.Accepted{}, dsn.New(refused.status, refused.text)
	case err != nil:
		return smtpserver.Accepted{}, dsn.Wrap(dsn.MailSystem, "Error: "+err.Error(), err)
	case id == "":
		return smtpserver.Accepted{Text: "queued"}, nil
	}
	return smtpserver.Accepted{Text: "queued as " + id}, nil
}

func (s *standalone) Reset() { s.said = maildrop.Message{} }

// join joins in and out with the SMTP service until it ends the session, as
// it does after QUIT or the end of in.
func (m mailSystem) join(ctx context.Context, in io.Reader, out io.Writer) error {
	conn, err := m.dial(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	// Nobody waits for this one: the process ends with the session, and a read
	// of standard input cannot be ended. It has no fence: the process is the
	// command's own, and a panic in it is no matter of the mail service.
	go func() {
		_ = copyLines(conn, in)
		if c, ok := conn.(*net.TCPConn); ok {
			_ = c.CloseWrite()
		}
	}()
	_, err = io.Copy(out, conn)
	return err
}

// copyLines copies in as it comes. A program whose first line ends with LF
// alone means CRLF by LF throughout; one that speaks SMTP is left alone.
func copyLines(out io.Writer, in io.Reader) error {
	r := bufio.NewReader(in)
	first, err := r.ReadSlice('\n')
	bare := bytes.HasSuffix(first, []byte("\n")) && !bytes.HasSuffix(first, []byte("\r\n"))
	w := out
	if bare {
		w = newDialogue(out)
	}
	if _, werr := w.Write(first); werr != nil {
		return werr
	}
	if err != nil && err != bufio.ErrBufferFull {
		return err
	}
	_, err = io.Copy(w, struct{ io.Reader }{r})
	return err
}

// dialogue writes lines that end with LF as the service wants them, each at once.
type dialogue struct {
	lines *wire.ContentWriter
	w     *wire.Writer
}

func newDialogue(out io.Writer) dialogue {
	w := wire.NewWriter(out, nil)
	return dialogue{wire.NewLineWriter(w), w}
}

func (d dialogue) Write(b []byte) (int, error) {
	if _, err := d.lines.Write(b); err != nil {
		return 0, err
	}
	if err := d.w.Flush(); err != nil {
		return 0, err
	}
	return len(b), nil
}
