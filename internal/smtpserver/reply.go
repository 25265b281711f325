package smtpserver

import (
	"context"
	"net/netip"
	"strconv"
	"strings"

	"toastmaster/internal/dsn"
	"toastmaster/internal/msglog"
	"toastmaster/internal/printable"
	"toastmaster/internal/wire"
)

// text writes a reply without a status: greetings and 3xx.
func (c *Conn) text(code int, text string) { c.Reply(code, 0, text) }

// ok writes a reply of success.
func (c *Conn) ok(status dsn.Status, text string) { c.Reply(250, status, text) }

// replyError writes the reply for e.
func (c *Conn) replyError(e *dsn.Error) {
	e = c.softened(e)
	text := e.Text
	if c.srv.Footer != nil {
		text = c.srv.Footer(c, e)
	}
	c.Reply(e.Reply(), e.Status, text)
}

// Refuse writes the reply for e, as a session would, to a client that has none; id is the connection's in the log. Its owner flushes it.
func (s *Server) Refuse(ctx context.Context, w *wire.Conn, id string, client netip.Addr, e *dsn.Error) {
	c := &Conn{srv: s, ctx: ctx, w: w, id: id, client: client}
	c.replyError(e)
}

// softened is e as the client hears it.
func (c *Conn) softened(e *dsn.Error) *dsn.Error {
	if c.srv.SoftBounce {
		return e.Soft()
	}
	return e
}

// syntax is the 501 of the present command.
func (c *Conn) syntax() *dsn.Error {
	return dsn.New(dsn.InvalidArguments, "Syntax: "+c.verb.Help)
}

// Reply writes a reply, a line for each line of text, for a verb that succeeds;
// status 0 writes none. An error of the connection comes up at the next read.
func (c *Conn) Reply(code int, status dsn.Status, text string) {
	text = c.clean(text)
	for {
		line, rest, more := strings.Cut(text, "\n")
		p := strconv.AppendInt(c.codes[:0], int64(code), 10)
		p = append(p, separator(more))
		if status != 0 {
			p = appendStatus(p, status)
			p = append(p, ' ')
		}
		c.w.Out.Write(p)
		c.w.Out.WriteString(line)
		c.w.Out.WriteString("\r\n")
		if !more {
			return
		}
		text = rest
	}
}

// loggedPort is the client's port where the log has it, 0 elsewhere.
func (c *Conn) loggedPort() int {
	if c.srv.LogPorts {
		return int(c.ClientPort())
	}
	return 0
}

func separator(more bool) byte {
	if more {
		return '-'
	}
	return ' '
}

func appendStatus(p []byte, s dsn.Status) []byte {
	p = strconv.AppendInt(p, int64(s.Class()), 10)
	p = append(p, '.')
	p = strconv.AppendInt(p, int64(s.Subject()), 10)
	p = append(p, '.')
	return strconv.AppendInt(p, int64(s.Detail()), 10)
}

// clean makes text fit for a reply: no control characters, and UTF-8 only for
// a client that asked for it (RFC 6531 section 3.7.4.2).
func (c *Conn) clean(text string) string {
	if c.tx.utf8 {
		return printable.UTF8(text, '\n')
	}
	return printable.ASCII(text, '\n')
}

// rejected logs what a session refused. Of many refusals the first have a line
// each, the others are gathered in one: whoever probes addresses must not fill
// the disk of the log.
func (c *Conn) rejected(stage, to string, e *dsn.Error) {
	event := msglog.Reject{
		Service: c.srv.Service, Session: c.id, Client: c.clientText(), Helo: c.helo,
		Mail: stage != "connect" && stage != "helo", From: c.tx.from.String(), To: to, Stage: stage, Err: c.softened(e),
	}
	event.ClientPort = c.loggedPort()
	if c.srv.Quiet {
		event.Port = int(portOf(c.w.NetConn().RemoteAddr()).Port())
	}
	if c.rejects++; c.srv.RejectLines > 0 && c.rejects > c.srv.RejectLines {
		c.gathered++
		c.srv.Log.Count(event)
		return
	}
	c.srv.Log.Event(event)
}
