package policy

import (
	"context"

	"toastmaster/directory"
	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
)

// Owns says whether a user may write as a: the own address, also with an extension or
// in an alias domain, and an alias that leads to the user's mailbox, over other
// aliases too. An alias beside somebody else's mailbox is that mailbox's address, whoever
// else gets its mail. This is the place for further rights to send.
func (e *Env) Owns(ctx context.Context, user, a addr.Address) (bool, *dsn.Error) {
	o := ownership{e: e, user: user, seen: map[addr.Address]bool{}}
	return o.leads(ctx, a, 0)
}

// ownership is the walk over aliases.
type ownership struct {
	e    *Env
	user addr.Address
	seen map[addr.Address]bool
}

func (o *ownership) leads(ctx context.Context, a addr.Address, depth int) (bool, *dsn.Error) {
	limits := o.e.Aliases
	if o.seen[a.Fold()] || depth > limits.Depth || len(o.seen) > limits.Addresses {
		return false, nil
	}
	o.seen[a.Fold()] = true
	found, err := o.e.Directory.Recipient(ctx, a)
	switch outcome := directory.OutcomeOf(err); {
	case outcome != directory.Found && outcome != directory.NotFound:
		return false, directory.DSN(err)
	case found.Mailbox.Address.Equal(o.user):
		return true, nil
	case found.Mailbox.Home != "":
		return false, nil
	}
	targets := found.Targets
	if limits.Virtual != nil {
		more, has, err := limits.Virtual(ctx, a)
		switch {
		case err != nil:
			return false, dsn.From(err)
		case has:
			targets = more
		}
	}
	for _, target := range targets {
		if ok, e := o.leads(ctx, target, depth+1); ok || e != nil {
			return ok, e
		}
	}
	return false, nil
}

// hasOwner says that an address is somebody's here.
func (e *Env) hasOwner(ctx context.Context, a addr.Address) (bool, *dsn.Error) {
	_, err := e.Directory.Recipient(ctx, a)
	switch outcome := directory.OutcomeOf(err); {
	case outcome == directory.NotFound && e.Aliases.Virtual != nil:
		_, has, err := e.Aliases.Virtual(ctx, a)
		if err != nil {
			return false, dsn.From(err)
		}
		return has, nil
	case outcome == directory.NotFound:
		return false, nil
	case err != nil:
		return false, directory.DSN(err)
	}
	return true, nil
}
