package store

import (
	"context"
	"errors"

	"toastmaster/admin/model"
	"toastmaster/directory"
	"toastmaster/internal/addr"
)

// checkExpansion refuses an alias, as it stands in the transaction, that the
// mail services would refuse: one that leads to itself, and one beyond their
// limits. With mailbox false it may not name itself either. What only a later
// change makes of it (a domain that becomes an alias domain, a mailbox that
// goes) is met at RCPT.
func (t *tx) checkExpansion(ctx context.Context, address string, mailbox bool) error {
	a, err := model.ParseAddress(address, true)
	if err != nil {
		return err
	}
	if a.Local == "" {
		// Some address that only the catch-all takes: none has an empty name.
		a.Local = "\x00"
	}
	addresses, err := directory.Expand(ctx, aliasesOf{t}, a, t.limits, nil)
	var loop *directory.LoopError
	var large *directory.TooLargeError
	switch {
	case errors.As(err, &loop):
		return fieldError("targets", loop.Error())
	case errors.As(err, &large):
		return &model.Error{Kind: model.OverLimit, Text: "the alias stands for too much: " + large.Error()}
	case err != nil:
		return failure(err)
	}
	for _, to := range addresses {
		if !mailbox && to.Equal(a) {
			return fieldError("targets", "the alias names itself, but there is no mailbox of this address")
		}
	}
	return nil
}

// leavesHere says that all targets are of other hosts, and few enough: then there is
// nothing to walk.
func (t *tx) leavesHere(ctx context.Context, targets []string) (bool, error) {
	if len(targets) > 1 {
		return false, nil // limits are Expand's
	}
	for _, text := range targets {
		a, err := addr.Parse(text)
		if err != nil || a.Domain == "" {
			return false, nil
		}
		if _, err := t.domain(ctx, a.Domain); model.KindOf(err) != model.NotFound {
			return false, err
		}
	}
	return true, nil
}

// aliasesOf is the directory as the transaction sees it, as far as expansion
// asks: what is no alias is not found.
type aliasesOf struct{ t *tx }

var _ directory.Directory = aliasesOf{}

// Domain implements directory.Directory.
func (d aliasesOf) Domain(ctx context.Context, name string) (directory.Domain, error) {
	row, err := d.t.domain(ctx, name)
	return directory.Domain{Name: name, AliasOf: row.AliasOf, Enabled: row.Enabled}, lookup("domains", name, err)
}

// Recipient implements directory.Directory.
func (d aliasesOf) Recipient(ctx context.Context, a addr.Address) (directory.Recipient, error) {
	domain, err := d.Domain(ctx, a.Domain)
	if err != nil {
		return directory.Recipient{}, err
	}
	if domain.AliasOf != "" {
		a = a.WithDomain(domain.AliasOf)
	}
	matched, err := d.t.match(ctx, a)
	if err != nil {
		return directory.Recipient{}, lookup("addresses", a.String(), err)
	}
	return d.alias(ctx, matched)
}

// match is the entry that an address of a hosted domain leads to: itself,
// itself without extension, or the catch-all. The error is NotFound when there
// is none.
func (t *tx) match(ctx context.Context, a addr.Address) (addr.Address, error) {
	base, _ := a.SplitExtension(t.delimiters)
	for _, candidate := range []addr.Address{a.Fold(), base.Fold(), {Domain: a.Domain}} {
		kinds, err := t.kindsOf(ctx, candidate.String())
		if err != nil || len(kinds) > 0 {
			return candidate, err
		}
	}
	return addr.Address{}, model.Fail(model.NotFound, "nobody has the address")
}

func (d aliasesOf) alias(ctx context.Context, a addr.Address) (directory.Recipient, error) {
	row, err := d.t.alias(ctx, a.String())
	if err != nil {
		return directory.Recipient{}, lookup("aliases", a.String(), err)
	}
	found := directory.Recipient{Kind: directory.KindAlias, Matched: a}
	for _, text := range row.Targets {
		target, err := addr.Parse(text)
		if err != nil {
			return found, &directory.Error{Outcome: directory.Misconfigured, Table: "aliases", Key: a.String(), Cause: err}
		}
		found.Targets = append(found.Targets, target)
	}
	return found, nil
}

// Account implements directory.Directory; nobody asks.
func (aliasesOf) Account(_ context.Context, login string) (directory.Account, error) {
	return directory.Account{}, directory.Missing("accounts", login)
}

// lookup turns an error of the store into an answer of a directory.
func lookup(table, key string, err error) error {
	switch {
	case err == nil:
		return nil
	case model.KindOf(err) == model.NotFound:
		return directory.Missing(table, key)
	}
	return &directory.Error{Outcome: directory.Unavailable, Table: table, Key: key, Cause: err}
}
