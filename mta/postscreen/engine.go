package postscreen

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"strings"

	"toastmaster/configs"
	"toastmaster/internal/dsn"
	"toastmaster/internal/msglog"
	"toastmaster/internal/smtpserver"
	"toastmaster/internal/wire"
)

// visitKey is where a context has the visit.
type visitKey struct{}

// dummy is the SMTP server for those who must not, or cannot, be handed on: it refuses every
// recipient, and looks how the client behaves.
func (s *Screen) dummy() *smtpserver.Server {
	p := &s.o.Params
	d := &smtpserver.Server{
		Service: "postscreen", Hostname: s.o.Hostname, Quiet: true, Verbs: verbs(),
		TLS: s.o.TLS, HandshakeTimeout: s.o.HandshakeTimeout, MaxMessageBytes: s.o.MaxMessageBytes,
		Timeout: p.CommandTimeLimit, Stress: smtpserver.Stress{Timeout: min(p.StressTimeLimit, p.CommandTimeLimit)},
		Footer: s.o.Footer, SoftBounce: s.o.SoftBounce, Log: s.o.Log, Clock: s.o.Clock,
	}
	known := map[string]bool{}
	for _, row := range d.Verbs {
		known[row.Name] = row.Name != ""
	}
	d.Backend = smtpserver.BackendFunc(func(c *smtpserver.Conn) smtpserver.Session {
		v := c.Context().Value(visitKey{}).(*visit)
		if v.talked && v.refusal != nil {
			c.OmitGreeting()
		}
		return &engine{v: v, c: c, known: known, where: "CONNECT"}
	})
	return d
}

// verbs are the commands of the dummy engine. What it does not offer is PIPELINING, because a client that is
// told that it may send several commands at once is not tested by whether it does; AUTH, which is
// smtpd's; BDAT, because no message is taken; and what browsers say.
func verbs() []smtpserver.Verb {
	var rows []smtpserver.Verb
	for _, v := range smtpserver.SMTPVerbs() {
		switch v.Name {
		case "AUTH", "BDAT", "HELP", "GET", "POST", "CONNECT":
			continue
		case "EHLO":
			v.Keyword = nil
		case "VRFY":
			v.Run = func(*smtpserver.Conn, string) *dsn.Error { return unavailable() }
		case "ETRN":
			v.Run = func(*smtpserver.Conn, string) *dsn.Error {
				return dsn.New(dsn.MailSystem, "Unable to queue messages").WithCode(458)
			}
		case "DATA":
			v.States = smtpserver.Transaction
			v.Run = func(c *smtpserver.Conn, _ string) *dsn.Error {
				c.End("DATA without a recipient") // nothing else can come
				return dsn.New(dsn.InvalidCommand, "No valid recipients").WithCode(554)
			}
		}
		rows = append(rows, v)
	}
	return rows
}

// unavailable is what a client hears that has to come again.
func unavailable() *dsn.Error {
	return dsn.New(dsn.ShuttingDown, "Service currently unavailable").WithCode(450)
}

// converse speaks with a client that is not handed on in this session.
func (v *visit) converse(ctx context.Context) {
	v.began = v.s.o.Clock.Now()
	v.s.engine.ServeConn(context.WithValue(ctx, visitKey{}, v), v.nc)
	v.conclude()
}

// engine is the session of a visit.
type engine struct {
	v     *visit
	c     *smtpserver.Conn
	known map[string]bool
	// where is the last command, seen are the tests that the client has failed.
	where    string
	seen     set
	commands int
}

// Connect tells the room whom it may hurry.
func (g *engine) Connect(context.Context) *dsn.Error {
	g.v.s.room.converses(g.v, g.c)
	return nil
}

// Mail takes any sender.
func (*engine) Mail(context.Context, smtpserver.Mail) *dsn.Error { return nil }

// Rcpt refuses. A client that comes as far as this has passed what it has not failed.
func (g *engine) Rcpt(context.Context, smtpserver.Rcpt) *dsn.Error {
	for _, t := range []test{pipelining, nonSMTP, bareNewline} {
		if !g.seen[t] {
			g.v.pass(t, g.v.s.deep(t).TTL)
		}
	}
	if g.v.refusal != nil {
		return g.v.refusal
	}
	return unavailable()
}

// Data is never asked: there is no recipient.
func (*engine) Data(context.Context, io.Reader) (smtpserver.Accepted, *dsn.Error) {
	return smtpserver.Accepted{}, unavailable()
}

// Reset forgets nothing.
func (*engine) Reset() {}

// Watch looks at each line of the client.
func (g *engine) Watch(l smtpserver.Line) *dsn.Error {
	switch {
	case errors.Is(l.Err, wire.ErrTooLong), errors.Is(l.Err, wire.ErrEndless):
		return g.limit("COMMAND LENGTH LIMIT")
	case errors.Is(l.Err, os.ErrDeadlineExceeded):
		return g.limit("COMMAND TIME LIMIT")
	case errors.Is(l.Err, wire.ErrInterrupted), errors.Is(l.Err, wire.ErrCut):
		return nil
	case l.Err != nil && wire.Refusal(l.Err) == nil:
		g.v.hangup(afterHandshake)
		return nil
	}
	if g.commands++; g.commands > g.v.s.o.Params.CommandCountLimit {
		return g.limit("COMMAND COUNT LIMIT")
	}
	if errors.Is(l.Err, wire.ErrBareLF) {
		if e := g.failed(bareNewline, msglog.Screened{Result: "BARE NEWLINE", Stage: escape(l.Text)}, protocolError()); e != nil {
			return e
		}
	}
	word, _, _ := bytes.Cut(bytes.TrimLeft(l.Text, " \t"), []byte(" "))
	verb := strings.ToUpper(string(word))
	if !g.known[verb] && (g.forbidden(verb) || isHeader(l.Text)) {
		e := dsn.New(dsn.AuthRequired, "Error: I can break rules, too. Goodbye.").WithCode(521)
		if e := g.failed(nonSMTP, msglog.Screened{Result: "NON-SMTP COMMAND", Stage: g.where, Text: escape(l.Text)}, e); e != nil {
			return e
		}
	}
	if g.where = verb; !g.known[verb] {
		g.where = "UNKNOWN"
	}
	if l.More && verb != "STARTTLS" {
		return g.failed(pipelining, msglog.Screened{Result: "COMMAND PIPELINING", Stage: g.where, Text: escape(l.Rest)}, protocolError())
	}
	return nil
}

// limit ends the session of a client that is beyond one.
func (g *engine) limit(name string) *dsn.Error {
	g.v.log(msglog.Screened{Result: name, Stage: g.where})
	return dsn.New(dsn.TooManyErrors, "Service unavailable - try again later").WithCode(421)
}

// failed notes that the client failed a test; an error ends the connection.
func (g *engine) failed(t test, event msglog.Screened, drop *dsn.Error) *dsn.Error {
	if g.seen[t] {
		return nil
	}
	g.seen[t] = true
	action := g.v.s.deep(t).Action
	event.Action = actionText(action)
	g.v.log(event)
	switch action {
	case configs.ScreenDrop:
		g.v.lost = true
		return drop.WithCode(521)
	case configs.ScreenEnforce:
		g.v.lost = true
		g.v.refusal = protocolError()
	default:
		// It is not to fail, and hear 450, for ever.
		g.v.pass(t, g.v.s.shortest())
	}
	return nil
}

func (g *engine) forbidden(verb string) bool {
	return slices.ContainsFunc(g.v.s.o.Params.ForbiddenCommands, func(s string) bool { return strings.EqualFold(s, verb) })
}

// isHeader says that a line looks like the header of a message.
func isHeader(line []byte) bool {
	name, _, ok := bytes.Cut(line, []byte(":"))
	name = bytes.TrimRight(name, " \t")
	return ok && len(name) > 0 && !bytes.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' })
}
