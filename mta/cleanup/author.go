package cleanup

import (
	"context"
	"net/mail"
	"strings"

	"toastmaster/directory"
	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/header"
)

// maxAuthors is how many addresses the From and Sender fields of a message may show;
// each costs a lookup. Messages with several authors are rare, and with more than a
// handful unheard of. It is no parameter: a message with more is refused, whoever
// wrote it; nobody has so many.
const maxAuthors = 50

// author refuses a message of a user whose header shows somebody else of
// ours as its author. What the header shows is what anybody can take for it: a
// From or Sender field, repeated, folded, encoded or not, an address inside of a
// display name, and the fields of a message that is sent again.
type author struct {
	quiet
	fields authorFields
}

func (a *author) line(m *message, l *header.Line) {
	if !m.s.Author.IsNull() {
		a.fields.line(l)
	}
}

func (a *author) end(ctx context.Context, m *message) error {
	if m.s.Author.IsNull() {
		return nil
	}
	if a.fields.err != nil {
		return dsn.New(dsn.BadContent, "A From or Sender field of the header is too long").WithCode(550)
	}
	c := authorCheck{m: m, done: map[addr.Address]bool{}}
	seen := map[string]bool{}
	for _, f := range a.fields.found {
		if seen[f.name] && !strings.HasPrefix(f.name, "resent-") {
			return dsn.Newf(dsn.BadContent, "The header has more than one %s field", f.shown()).WithCode(550)
		}
		seen[f.name] = true
		if err := c.field(ctx, f); err != nil {
			return err
		}
	}
	return nil
}

// authorCheck is the check of one message.
type authorCheck struct {
	m    *message
	done map[addr.Address]bool
}

// field checks what a field says: its addresses, and what else in it looks like
// one.
func (c *authorCheck) field(ctx context.Context, f authorField) error {
	p := mail.AddressParser{WordDecoder: wordDecoder()}
	list, err := p.ParseList(c.m.completed(f.value))
	if err != nil {
		return dsn.Wrap(dsn.BadContent, "The "+f.shown()+" field of the header is malformed, it must be like: Name <user@domain>", err).WithCode(550)
	}
	for _, m := range list {
		a, err := authorAddress(m.Address)
		if err != nil {
			return dsn.Wrap(dsn.BadContent, "The "+f.shown()+" field of the header has a malformed address", err).WithCode(550)
		}
		if err := c.author(ctx, f, a, false); err != nil {
			return err
		}
	}
	for _, a := range shownAddresses(f.value) {
		if err := c.author(ctx, f, a, true); err != nil {
			return err
		}
	}
	return nil
}

// authorAddress reads what net/mail found, which has no quotes.
func authorAddress(s string) (addr.Address, error) {
	i := strings.LastIndexByte(s, '@')
	domain, err := addr.ParseDomain(s[i+1:])
	return addr.Address{Local: s[:max(i, 0)], Domain: domain}, err
}

// author checks one address. inText: it stands in a display name or comment,
// where an address of another host is nobody's business.
func (c *authorCheck) author(ctx context.Context, f authorField, a addr.Address, inText bool) error {
	key := a.Fold()
	if c.done[key] {
		return nil
	}
	if len(c.done) >= maxAuthors {
		return dsn.Newf(dsn.BadContent, "The %s field of the header has too many addresses", f.shown()).WithCode(550)
	}
	c.done[key] = true
	cleanup, user := c.m.c, c.m.s.Author
	ours, err := cleanup.hosts(ctx, a.Domain)
	switch {
	case err != nil:
		return err
	case !ours && inText:
		return nil
	case !ours && cleanup.o.ForeignAuthors:
		cleanup.o.Log.Info("foreign author", "service", "smtpd", "session", c.m.s.Envelope.Origin.Session, "login", user.String(), "field", f.name, "from", a.String())
		return nil
	case ours:
		owned, e := cleanup.rights.Owns(ctx, user, a)
		if e != nil {
			return e
		}
		if owned {
			return nil
		}
	}
	return dsn.Newf(dsn.Policy, "%s: %s header address is not owned by %s", a.Path(), f.shown(), user).WithCode(550)
}

// hosts says whether addresses of a domain are ours to give.
func (c *Cleanup) hosts(ctx context.Context, domain string) (bool, error) {
	if domain == c.o.Hostname || c.o.Ours != nil && c.o.Ours(domain) {
		return true, nil
	}
	_, err := c.o.Directory.Domain(ctx, domain)
	switch outcome := directory.OutcomeOf(err); {
	case outcome == directory.NotFound:
		return false, nil
	case err != nil:
		return false, directory.DSN(err)
	}
	return true, nil
}

// CheckAuthor is the check alone, for a message that goes to a filter and not into the queue. It closes nothing.
func (c *Cleanup) CheckAuthor(ctx context.Context, s *envelope.Submission) error {
	m := c.begin(s)
	if err := m.read(); err != nil {
		return dsn.Wrap(dsn.MailSystem, "Temporary failure while reading the message", err)
	}
	return m.author.end(ctx, m)
}
