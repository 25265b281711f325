package smtpd

import (
	"context"
	"errors"
	"net/mail"
	"strings"

	"toastmaster/directory"
	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
)

// maxAuthors is how many addresses the From and Sender fields of a message may
// show; each costs a lookup. Messages with several authors are rare, and with
// more than a handful unheard of.
const maxAuthors = 50

// checkAuthor refuses a message of a user whose header shows somebody else of
// ours as its author. What the header shows is what anybody can take for it: a
// From or Sender field, repeated, folded, encoded or not, an address inside of a
// display name, and the fields of a message that is sent again.
func (s *session) checkAuthor(ctx context.Context, content envelope.Content) error {
	if !s.d.o.Params.CheckHeaderFrom {
		return nil
	}
	fields, err := authorFields(content)
	switch {
	case errors.Is(err, errAuthorTooLong):
		return dsn.New(dsn.BadContent, "A From or Sender field of the header is too long").WithCode(550)
	case err != nil:
		return dsn.Wrap(dsn.MailSystem, "Temporary failure while reading the message", err)
	}
	c := authorCheck{s: s, done: map[addr.Address]bool{}}
	seen := map[string]bool{}
	for _, f := range fields {
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
	s    *session
	done map[addr.Address]bool
}

// field checks what a field says: its addresses, and what else in it looks like
// one.
func (c *authorCheck) field(ctx context.Context, f authorField) error {
	p := mail.AddressParser{WordDecoder: wordDecoder()}
	list, err := p.ParseList(f.value)
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
	ours, err := c.s.d.hosts(ctx, a.Domain)
	switch {
	case err != nil:
		return err
	case !ours && inText:
		return nil
	case !ours && c.s.d.o.Params.ForeignHeaderFrom:
		c.s.d.o.Log.Info("foreign author", "service", "smtpd", "session", c.s.c.ID(), "login", c.s.known.User.Address.String(), "field", f.name, "from", a.String())
		return nil
	case ours:
		owned, e := c.s.d.env.Owns(ctx, c.s.known.User, a)
		if e != nil {
			return e
		}
		if owned {
			return nil
		}
	}
	return dsn.Newf(dsn.Policy, "%s: %s header address is not owned by %s", a.Path(), f.shown(), c.s.known.User.Address).WithCode(550)
}

// hosts says whether addresses of a domain are ours to give.
func (d *Daemon) hosts(ctx context.Context, domain string) (bool, error) {
	if domain == d.o.Hostname || d.o.Ours != nil && d.o.Ours(domain) {
		return true, nil
	}
	_, err := d.o.Directory.Domain(ctx, domain)
	switch outcome := directory.OutcomeOf(err); {
	case outcome == directory.NotFound:
		return false, nil
	case err != nil:
		return false, directory.DSN(err)
	}
	return true, nil
}
