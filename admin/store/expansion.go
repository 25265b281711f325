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
	addresses, err := directory.Expand(ctx, t.directory(), a, t.limits, nil)
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
