package smtpd

import (
	"context"
	"errors"
	"slices"
	"strconv"

	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/service"
	"toastmaster/internal/smtpreply"
	"toastmaster/internal/smtpserver"
	"toastmaster/internal/spool"
	"toastmaster/internal/trace"
	"toastmaster/mta/policy"
)

// proxying is the way of a message to smtpd.proxy_filter. The zero value is none.
type proxying struct {
	conn *proxyConn // nil: not connected
	// mail and rcpts are what the client has said behind FROM: and TO:, of recipients those that were accepted.
	mail  string
	rcpts []string
}

// reset ends the transaction, and the connection with it.
func (p *proxying) reset() {
	if p.conn != nil {
		p.conn.end()
	}
	*p = proxying{}
}

// proxied says that messages go to a filter and not into the queue.
func (s *session) proxied() bool { return s.d.proxyAddress != "" }

// proxyRcpt tells the filter of a recipient that nothing here refuses, and first of the sender. Its refusal is the reply.
func (s *session) proxyRcpt(ctx context.Context, raw string) *dsn.Error {
	if !s.proxied() {
		return nil
	}
	if !s.d.o.Params.SpeedAdjust() {
		if e := s.tellProxy(ctx); e != nil {
			return e
		}
		if e := s.proxy.say("RCPT TO:" + raw); e != nil {
			return e
		}
	}
	s.proxy.rcpts = append(s.proxy.rcpts, raw)
	return nil
}

// tellProxy connects, if there is no connection yet, and says where the message comes from and MAIL.
func (s *session) tellProxy(ctx context.Context) *dsn.Error {
	p := &s.proxy
	if p.conn != nil {
		return nil
	}
	conn, err := s.d.dialProxy(ctx)
	if err != nil {
		return errProxy(err)
	}
	p.conn = conn
	f := s.env.Origin.Forward("")
	if s.env.Origin.Forwarded == nil {
		if port := s.known.Conn.ClientPort; port != 0 {
			f.Port = strconv.Itoa(int(port))
		}
		f.Source = "REMOTE"
		if rewrite, err := s.rewrite(ctx); err == nil && rewrite == envelope.RewriteLocal { // as in Postfix, whose headers are completed is local
			f.Source = "LOCAL"
		}
	}
	if err := conn.forward(f); err != nil {
		p.hangUp()
		return errProxy(err)
	}
	if e := p.say("MAIL FROM:" + p.mail); e != nil {
		p.hangUp()
		return e
	}
	return nil
}

func (p *proxying) hangUp() {
	p.conn.end()
	p.conn = nil
}

// say is a command that the filter has to take.
func (p *proxying) say(command string) *dsn.Error {
	r, err := p.conn.command(command)
	switch {
	case err != nil:
		return errProxy(err)
	case !r.OK():
		return refusal(r)
	}
	return nil
}

// proxyData gives the filter the message, and the client its answer.
func (s *session) proxyData(ctx context.Context, buf *spool.Buffer) (got smtpserver.Accepted, e *dsn.Error) {
	defer func() {
		if err := buf.Close(); err != nil && e == nil {
			// The filter has it: what the client is told is its answer.
			s.d.o.Log.Warn("message of a session", "service", s.d.o.LogService, "session", s.c.ID(), "cause", err)
		}
	}()
	if s.discarded() {
		return got, nil
	}
	if a := s.author(); !a.IsNull() && s.d.o.CheckAuthor != nil { // behind the filter nobody knows who has logged in
		if err := s.d.o.CheckAuthor(ctx, &envelope.Submission{Author: a, Envelope: s.env, Content: buf}); err != nil {
			return got, dsn.From(err)
		}
	}
	r, err := s.passToProxy(ctx, buf)
	if err != nil {
		var said *dsn.Error
		if errors.As(err, &said) {
			return got, said
		}
		return got, errProxy(err)
	}
	if !r.OK() {
		return got, refusal(r)
	}
	s.d.o.Log.Info("proxy-accept", "service", s.d.o.LogService, "session", s.c.ID(), "client", s.proxyClient(), "from", s.env.Sender.String(), "nrcpt", len(s.env.Recipients),
		"proto", s.env.Origin.Protocol, "helo", s.c.Helo(), "size", buf.Size(), "reply", lines(r))
	return smtpserver.Accepted{Text: lines(r)}, nil
}

func (s *session) proxyClient() string { return service.ClientText(s.c.ClientAddr()) }

// discarded says that a restriction or a milter lets nobody have the message.
func (s *session) discarded() bool {
	return s.milters.discard || slices.ContainsFunc(s.known.Noted, func(d policy.Decision) bool { return d.Action == policy.Discard })
}

// passToProxy sends the message. A connection that has broken while the client took its time is made anew, once: nothing has been
// given to it yet.
func (s *session) passToProxy(ctx context.Context, content envelope.Content) (*smtpreply.Reply, error) {
	p := &s.proxy
	fresh := p.conn == nil
	for {
		if p.conn == nil {
			if e := s.tellAll(ctx); e != nil {
				return nil, e
			}
		}
		r, err := p.conn.command("DATA")
		switch {
		case err != nil && !fresh && ctx.Err() == nil:
			p.hangUp()
			fresh = true
			continue
		case err != nil:
			return nil, err
		case r.Code != 354:
			if r.OK() || r.Class() == 3 {
				return nil, refusal(r)
			}
			return r, nil
		}
		return p.conn.send(s.proxyTop(), content)
	}
}

// tellAll says all commands up to DATA. A recipient that is refused now, when the client has been told that it is not, refuses
// the message.
func (s *session) tellAll(ctx context.Context) *dsn.Error {
	if e := s.tellProxy(ctx); e != nil {
		return e
	}
	for _, raw := range s.proxy.rcpts {
		if e := s.proxy.say("RCPT TO:" + raw); e != nil {
			return e
		}
	}
	return nil
}

// proxyTop is what stands on top of the message: the fields that restrictions want, and Received, which has the session's ID: the message
// has none yet.
func (s *session) proxyTop() []byte {
	var top []byte
	for _, d := range s.known.Noted {
		if d.Action == policy.Prepend {
			top = append(append(top, d.Arg...), '\n')
		}
	}
	r := trace.Received{Origin: &s.env.Origin, By: s.d.o.Hostname, ID: s.c.ID(), UTF8: s.env.UTF8, At: s.d.o.Clock.Now()}
	if len(s.env.Recipients) == 1 {
		r.For = s.env.Recipients[0].Original
	}
	return r.Append(top)
}
