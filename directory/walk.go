package directory

import (
	"context"
	"errors"
	"strings"

	"toastmaster/internal/addr"
)

// Directory is the hosted data as the mail system sees it: a back end, and the
// one walk over the keys of an address. Safe for concurrent use.
type Directory struct {
	back       Backend
	delimiters string
}

// New makes a Directory. delimiters are the characters that begin an extension
// (main.recipient_delimiter), "" for none.
func New(b Backend, delimiters string) *Directory {
	return &Directory{back: b, delimiters: delimiters}
}

// Domain says whether name (as in addr.Address.Domain) is hosted here. A
// disabled domain is found with Enabled false.
func (d *Directory) Domain(ctx context.Context, name string) (Domain, error) {
	e, err := d.back.Entry(ctx, DomainKey(name))
	return e.Domain, err
}

// Recipient resolves one step of an address: the entry of the first key of its
// walk that has one. NotFound means that the address is in a hosted domain but
// nobody's, or that the domain is not hosted; Decide tells which.
func (d *Directory) Recipient(ctx context.Context, a addr.Address) (Recipient, error) {
	_, found, err := d.resolve(ctx, a)
	return found, err
}

// walkOf is THE walk: the whole address, without its extension, the catch-all.
// Which domain they are in, the address's own or the one it stands for, is known
// when the domain's entry is. Names that never have an extension: see
// addr.SplitExtension.
func (d *Directory) walkOf(a addr.Address) (w Walk, extension string) {
	base, extension := a.SplitExtension(d.delimiters)
	w.Domain = a.Domain
	w.add(a.Fold().Local)
	if base.Local != a.Local {
		w.add(base.Fold().Local)
	}
	if a.Local != "" {
		w.add("")
	}
	return w, extension
}

func (w *Walk) add(local string) {
	w.Locals[w.N] = local
	w.N++
}

// resolve walks. The domain is that of the address, also when nobody has the
// address; without it err is that of the domain.
func (d *Directory) resolve(ctx context.Context, a addr.Address) (Domain, Recipient, error) {
	w, extension := d.walkOf(a)
	walked, err := Ask(ctx, d.back, w)
	if err != nil {
		return Domain{}, Recipient{}, err
	}
	if walked.At == None {
		return walked.Domain, Recipient{}, Missing("recipients", a.Key())
	}
	local := w.Locals[walked.At]
	found := Recipient{
		Kind:    walked.Entry.kind(),
		Matched: addr.Address{Local: local, Domain: walked.Domain.Real()},
		Mailbox: walked.Entry.Mailbox, Targets: walked.Entry.Targets, MovedTo: walked.Entry.MovedTo,
	}
	if found.Mailbox.Home != "" {
		found.Mailbox.Address = found.Matched
		found.Mailbox.Enabled = found.Mailbox.Enabled && walked.Domain.Enabled
	}
	if walked.At > 0 && local != "" {
		found.Extension = extension
	}
	if found.Kind == 0 {
		return walked.Domain, Recipient{}, &Error{Outcome: Misconfigured, Table: "recipients", Key: found.Matched.Key(), Cause: errEmpty}
	}
	return walked.Domain, found, nil
}

// errEmpty is a back end's answer that says nothing.
var errEmpty = errors.New("the entry is no mailbox, no alias and not relocated")

// Ask walks in one question where the back end can, and else key by key.
func Ask(ctx context.Context, b Backend, w Walk) (Walked, error) {
	if walker, ok := b.(Walker); ok {
		return walker.Walk(ctx, w)
	}
	return Step(ctx, b, w)
}

// Step is the walk by one key after the other, for a Walker whose own way is
// not open.
func Step(ctx context.Context, b Backend, w Walk) (Walked, error) {
	domain, err := b.Entry(ctx, DomainKey(w.Domain))
	if err != nil {
		return Walked{}, err
	}
	walked := Walked{Domain: domain.Domain, At: None}
	for i, local := range w.Locals[:w.N] {
		e, err := b.Entry(ctx, AddressKey(local, walked.Domain.Real()))
		switch OutcomeOf(err) {
		case Found:
			walked.At, walked.Entry = i, e
			return walked, nil
		case NotFound:
		default:
			return Walked{}, err
		}
	}
	return walked, nil
}

// Account finds who logs in by a login name, which is the address of a mailbox,
// also in an alias domain: neither extension nor catch-all nor address literal. The
// password is not checked here: see directory/password.
func (d *Directory) Account(ctx context.Context, login string) (Account, error) {
	a, err := addr.Parse(login)
	if err != nil || a.Domain == "" || strings.HasPrefix(a.Domain, "[") {
		return Account{}, Missing("accounts", login)
	}
	domain, err := d.back.Entry(ctx, DomainKey(a.Domain))
	if err != nil {
		return Account{}, err
	}
	key := Key{Kind: OfLogin, Local: a.Fold().Local, Domain: domain.Domain.Real()}
	e, err := d.back.Entry(ctx, key)
	if err != nil {
		return Account{}, err
	}
	e.Mailbox.Address = key.Address()
	e.Mailbox.Enabled = e.Mailbox.Enabled && domain.Domain.Enabled
	return Account{Mailbox: e.Mailbox, PasswordHash: e.PasswordHash}, nil
}
