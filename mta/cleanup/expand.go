package cleanup

import (
	"context"
	"fmt"

	"toastmaster/directory"
	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
)

// expansion is the work on one message's recipients.
type expansion struct {
	c     *Cleanup
	ctx   context.Context
	out   []envelope.Recipient
	seen  map[addr.Address]bool // folded final addresses
	path  []addr.Address        // aliases above the present address
	asked int
}

// expand turns the recipients of a client into final ones, in their order.
func (c *Cleanup) expand(ctx context.Context, given []envelope.Recipient) ([]envelope.Recipient, error) {
	e := &expansion{c: c, ctx: ctx, out: make([]envelope.Recipient, 0, len(given))}
	if len(given) > 1 {
		e.seen = make(map[addr.Address]bool, len(given))
	}
	for _, r := range given {
		if err := e.resolve(r); err != nil {
			return nil, err
		}
	}
	return e.out, nil
}

// resolve adds what r stands for.
func (e *expansion) resolve(r envelope.Recipient) error {
	domain, err := e.c.o.Directory.Domain(e.ctx, r.Address.Domain)
	switch {
	case directory.OutcomeOf(err) == directory.NotFound:
		return e.add(r)
	case err != nil:
		return directory.DSN(err)
	}
	found, err := e.c.o.Directory.Recipient(e.ctx, r.Address)
	switch {
	case directory.OutcomeOf(err) == directory.NotFound:
		return e.add(r)
	case err != nil:
		return directory.DSN(err)
	case found.Kind != directory.KindAlias:
		if domain.AliasOf != "" {
			r.Address = r.Address.WithDomain(domain.AliasOf)
		}
		return e.add(r)
	}
	return e.alias(r, found)
}

// alias goes on with the targets. NOTIFY, ORCPT and the original recipient
// stay with each of them, so every one reports for itself what the sender
// asked for; the "expanded" report that RFC 3461 section 5.2.7.3 offers instead
// would tell the sender less.
func (e *expansion) alias(r envelope.Recipient, found directory.Recipient) error {
	key := found.Matched.Fold()
	for _, above := range e.path {
		if above == key {
			return dsn.Wrap(dsn.LoopDetected, "Alias loop for "+r.Original.String(), fmt.Errorf("alias %s leads to itself", key))
		}
	}
	if len(e.path) >= e.c.o.Params.AliasDepthLimit {
		return tooMuch(fmt.Errorf("aliases nested deeper than %d at %s", e.c.o.Params.AliasDepthLimit, key))
	}
	// Targets that lead to the same address are asked again and again; this
	// bounds the work where the limit of recipients does not.
	if e.asked += len(found.Targets); e.asked > 10*e.c.o.Params.AliasExpandLimit {
		return tooMuch(fmt.Errorf("more than %d alias targets at %s", e.asked, key))
	}
	e.path = append(e.path, key)
	for _, target := range found.Targets {
		r.Address = target
		if err := e.resolve(r); err != nil {
			return err
		}
	}
	e.path = e.path[:len(e.path)-1]
	return nil
}

func tooMuch(cause error) error {
	return dsn.Wrap(dsn.Misconfigured, "Alias expansion error", cause)
}

// add notes a final recipient, once.
func (e *expansion) add(r envelope.Recipient) error {
	key := r.Address.Fold()
	if e.seen == nil {
		if len(e.out) == 0 {
			e.out = append(e.out, r)
			return nil
		}
		e.seen = map[addr.Address]bool{e.out[0].Address.Fold(): true}
	}
	if e.seen[key] {
		return nil
	}
	if len(e.out) >= e.c.o.Params.AliasExpandLimit {
		return tooMuch(fmt.Errorf("more than %d recipients", e.c.o.Params.AliasExpandLimit))
	}
	e.seen[key] = true
	e.out = append(e.out, r)
	return nil
}
