package store

import (
	"context"
	"errors"

	"toastmaster/admin/model"
	"toastmaster/directory"
	"toastmaster/internal/addr"
)

// checkExpansion refuses an alias that the mail services would refuse with these
// targets, among what stands in the transaction: one that leads to itself, and one
// beyond their limits. With mailbox false it may not name itself either. What only a
// later change makes of it (a domain that becomes an alias domain, a mailbox that
// goes) is met at RCPT.
func (t *tx) checkExpansion(ctx context.Context, address string, targets []string, mailbox bool) error {
	if leaves, err := t.leavesHere(ctx, targets); err != nil || leaves {
		return err
	}
	a, err := model.ParseAddress(address, true)
	if err != nil {
		return err
	}
	back := planned{Backend: t.entries(), address: address, targets: targets, batch: t.batch}
	if a.Local == "" {
		// Some address that only the catch-all takes: none has an empty name.
		a.Local = "\x00"
	}
	addresses, err := directory.Expand(ctx, directory.New(back, t.delimiters), a, t.limits, nil)
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

// planned is a back end with aliases that are not written yet: one, and those of the
// batch. It says of them what an expansion asks, their targets, and not whether there
// is a mailbox beside.
type planned struct {
	directory.Backend
	address string
	targets []string
	batch   *batch
}

// Entry implements directory.Backend.
func (p planned) Entry(ctx context.Context, key directory.Key) (directory.Entry, error) {
	if key.Kind != directory.OfAddress {
		return p.Backend.Entry(ctx, key)
	}
	address := key.String()
	if address == p.address {
		return aliasTo(address, p.targets)
	}
	if targets := p.batch.targets(address); targets != nil {
		return aliasTo(address, targets)
	}
	if e, err, known := p.batch.entry(address); known {
		return e, err
	}
	e, err := p.Backend.Entry(ctx, key)
	p.batch.knowEntry(address, e, err)
	return e, err
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
