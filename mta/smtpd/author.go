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
		c.s.d.o.Log.Info("foreign author", "service", "smtpd", "session", c.s.c.ID(), "login", c.s.user.Address.String(), "field", f.name, "from", a.String())
		return nil
	case ours:
		owned, err := c.s.d.owns(ctx, c.s.user, a)
		if err != nil || owned {
			return err
		}
	}
	return dsn.Newf(dsn.Policy, "%s: %s header address is not owned by %s", a.Path(), f.shown(), c.s.user.Address).WithCode(550)
}

// hosts says whether addresses of a domain are ours to give.
func (d *Daemon) hosts(ctx context.Context, domain string) (bool, error) {
	if domain == d.o.Hostname || d.isOurs(domain) {
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

// owns says whether a user may write as a: the own address, also with an extension or
// in an alias domain, and an alias that leads to the user's mailbox, over other
// aliases too. An alias beside somebody else's mailbox is that mailbox's address, whoever
// else gets its mail. This is the place for further rights to send.
func (d *Daemon) owns(ctx context.Context, user directory.Mailbox, a addr.Address) (bool, error) {
	o := ownership{d: d, user: user, seen: map[addr.Address]bool{}}
	return o.leads(ctx, a, 0)
}

// ownership is the walk over aliases.
type ownership struct {
	d    *Daemon
	user directory.Mailbox
	seen map[addr.Address]bool
}

func (o *ownership) leads(ctx context.Context, a addr.Address, depth int) (bool, error) {
	limits := o.d.o.Aliases
	if o.seen[a.Fold()] || depth > limits.Depth || len(o.seen) > limits.Addresses {
		return false, nil
	}
	o.seen[a.Fold()] = true
	found, err := o.d.o.Directory.Recipient(ctx, a)
	switch outcome := directory.OutcomeOf(err); {
	case outcome == directory.NotFound:
		return false, nil
	case err != nil:
		return false, directory.DSN(err)
	case found.Mailbox.Address.Equal(o.user.Address):
		return true, nil
	case found.Kind != directory.KindAlias || found.Mailbox.Home != "":
		return false, nil
	}
	for _, target := range found.Targets {
		if ok, err := o.leads(ctx, target, depth+1); ok || err != nil {
			return ok, err
		}
	}
	return false, nil
}
