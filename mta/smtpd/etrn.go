package smtpd

import (
	"context"
	"errors"
	"slices"
	"strings"

	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
	"toastmaster/internal/msglog"
	"toastmaster/internal/service"
	"toastmaster/internal/smtpserver"
	"toastmaster/mta/policy"
)

// The answers of a Flusher that have replies of their own; every other error is temporary.
var (
	// ErrNotFlushed is that a domain is none that is served.
	ErrNotFlushed = errors.New("smtpd: ETRN is not for this domain")
	// ErrUnqueued is that the request could not be taken, for whatever reason.
	ErrUnqueued = errors.New("smtpd: request of ETRN not taken")
)

// Flusher has what waits for a domain tried soon; it does not wait for that. Its error wraps
// one of the above.
type Flusher func(ctx context.Context, domain string) error

// verbs are the commands of the server: those of the engine, with ETRN when there is a
// Flusher, and without the keywords of smtpd.discard_ehlo_keywords.
func (d *Daemon) verbs() []smtpserver.Verb {
	rows := slices.Concat(smtpserver.SMTPVerbs(), smtpserver.ForwardVerbs())
	// What is forbidden is smtpd.forbidden_commands.
	rows = slices.DeleteFunc(rows, func(v smtpserver.Verb) bool { return v.Name == "GET" || v.Name == "POST" || v.Name == "CONNECT" })
	for i := range rows {
		row := &rows[i]
		if row.Name == "ETRN" && d.o.Flush != nil {
			row.States, row.Busy, row.Help = smtpserver.Greeted, "MAIL transaction in progress", "ETRN domain"
			row.Keyword = func(*smtpserver.Conn) string { return "ETRN" }
			row.Run = func(c *smtpserver.Conn, arg string) *dsn.Error { return c.Session().(*session).etrn(c, arg) }
		}
		if offer := row.Keyword; offer != nil {
			row.Keyword = func(c *smtpserver.Conn) string { return d.announced(offer(c)) }
		}
	}
	return rows
}

// announced is a line of EHLO, or "" when its keyword is not to be announced. The command behind it
// works all the same, as in Postfix.
func (d *Daemon) announced(line string) string {
	word, _, _ := strings.Cut(line, " ")
	if slices.ContainsFunc(d.o.Params.DiscardKeywords, func(k string) bool { return strings.EqualFold(k, word) }) {
		return ""
	}
	return line
}

// etrn is ETRN (RFC 1985): the client asks for the mail of a domain, which goes to where
// the domain's mail goes and not to the client. With "@" or "#" in front nothing else is meant.
func (s *session) etrn(c *smtpserver.Conn, arg string) *dsn.Error {
	ctx := c.Context()
	if arg == "" || strings.ContainsAny(arg, " \t") {
		return dsn.New(dsn.SyntaxError, "Syntax: ETRN domain").WithCode(500)
	}
	domain := strings.TrimLeft(arg[:1], "@#") + arg[1:]
	if !flushable(domain) {
		return dsn.New(dsn.InvalidArguments, "Error: invalid parameter syntax").WithCode(501)
	}
	if e := s.mayEtrn(ctx, domain); e != nil {
		return s.noEtrn(domain, e)
	}
	err := s.d.o.Flush(ctx, domain)
	switch {
	case err == nil:
		s.d.o.Log.Info("etrn", "service", s.d.o.LogService, "session", c.ID(), "domain", domain)
		c.Reply(250, dsn.OK, "Queuing started")
		return nil
	case errors.Is(err, ErrNotFlushed):
		return s.noEtrn(domain, dsn.New(dsn.PolicyLater, "<"+domain+">: service unavailable").WithCode(459))
	}
	s.d.o.Log.Warn("etrn", "service", s.d.o.LogService, "session", c.ID(), "domain", domain, "cause", err)
	return dsn.New(dsn.MailSystem, "Unable to queue messages").WithCode(458)
}

// flushable says that a text may be a domain, or an address literal.
func flushable(domain string) bool {
	if inner, ok := strings.CutPrefix(domain, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		a, err := addr.Parse("x@[" + inner + "]")
		return ok && err == nil && a.Domain != ""
	}
	_, err := addr.ParseDomain(domain)
	return err == nil
}

// mayEtrn asks the restrictions: those of client and HELO when they have waited for RCPT, then those
// of ETRN. What they want done to a message is forgotten: there is none.
func (s *session) mayEtrn(ctx context.Context, domain string) *dsn.Error {
	noted := s.known.Noted
	s.known.Noted = slices.Clip(noted)
	s.known.Etrn = domain
	defer func() { s.known.Noted, s.known.Etrn = noted, "" }()
	lists := []policy.List{s.lists.Etrn}
	if s.lists.Delayed {
		lists = []policy.List{s.lists.Client, s.lists.Helo, s.lists.Etrn}
	}
	return s.refused(ctx, policy.Etrn, true, lists...)
}

// noEtrn logs a refusal.
func (s *session) noEtrn(domain string, e *dsn.Error) *dsn.Error {
	s.d.o.Log.Event(msglog.Reject{
		Service: s.d.o.LogService, Session: s.c.ID(), Client: service.ClientText(s.c.ClientAddr()), Helo: s.c.Helo(), Stage: "etrn", To: domain, Err: e,
	})
	return e
}
