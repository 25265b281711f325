package cleanup

import (
	"context"
	"errors"
	"fmt"

	"toastmaster/directory"
	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
)

// aliases expands the recipients.
type aliases struct{ quiet }

func (aliases) end(ctx context.Context, m *message) (err error) {
	if m.s.Override.NoMappings {
		m.s.Envelope.Recipients = m.given
		return nil
	}
	m.s.Envelope.Recipients, err = m.c.expand(ctx, m.given, len(m.s.Envelope.BCC))
	return err
}

// expand turns the recipients of a client into final ones, in their order,
// each once. One whose aliases make a loop, or are too many, is kept with
// Refused and does not concern the others.
//
// NOTIFY, ORCPT and the original recipient stay with each address that an alias
// stands for. When there are several and the sender asked for a report of
// success, he gets one that says "expanded" for the recipient that he gave,
// which stays in the list for that, and none for each target (RFC 3461 section
// 5.2.7.3, as Postfix).
//
// The limit is about what aliases stand for. What was given counts beside it, for it has limits of its own where it came in:
// a list of local, or a command, may name more. beside is how many blind copies there may be besides.
func (c *Cleanup) expand(ctx context.Context, given []envelope.Recipient, beside int) ([]envelope.Recipient, error) {
	limits := c.o.Addresses.Limits(c.o.Params)
	list := recipientList{out: make([]envelope.Recipient, 0, len(given)), limit: len(given) + limits.Addresses + beside}
	var buffer [4]addr.Address
	for _, r := range given {
		addresses, err := directory.Expand(ctx, c.o.Directory, r.Address, limits, buffer[:0])
		if r.Refused = refusal(err); r.Refused != nil {
			addresses = append(buffer[:0], r.Address)
		} else if err != nil {
			return nil, err
		}
		if len(addresses) > 1 && r.Notify.Wants(envelope.NotifySuccess) {
			list.addExpanded(r)
			r.Notify = withoutSuccess(r.Notify)
		}
		for _, r.Address = range addresses {
			if err := list.add(r); err != nil {
				return nil, err
			}
		}
	}
	return append(list.out, list.expanded...), nil
}

// withoutSuccess is what the targets of an alias get of a NOTIFY. Zero would
// ask for the reports that the sender did not ask for.
func withoutSuccess(n envelope.Notify) envelope.Notify {
	if n &^= envelope.NotifySuccess; n != 0 {
		return n
	}
	return envelope.NotifyNever
}

// refusal is the error of a recipient that will never expand, nil for others. A
// directory that could not say concerns the whole message: the client comes
// again with all of it.
func refusal(err error) *dsn.Error {
	var loop *directory.LoopError
	var large *directory.TooLargeError
	switch {
	case errors.As(err, &loop):
		return dsn.From(err)
	case errors.As(err, &large):
		// Permanent now, because nothing expands it again later.
		return dsn.Wrap(dsn.Make(5, 3, 5), "Alias expansion error", err)
	}
	return nil
}

// recipientList is a list of final recipients.
type recipientList struct {
	out   []envelope.Recipient
	seen  map[addr.Address]bool // folded; nil until there are two
	limit int
	// expanded are beside the limit: no more than the client gave. They go to
	// the end of the list.
	expanded     []envelope.Recipient
	seenExpanded map[addr.Address]bool // folded
}

// addExpanded notes a recipient that stands for several, once.
func (l *recipientList) addExpanded(r envelope.Recipient) {
	key := r.Address.Fold()
	if l.seenExpanded[key] {
		return
	}
	if l.seenExpanded == nil {
		l.seenExpanded = map[addr.Address]bool{}
	}
	l.seenExpanded[key] = true
	r.Expanded = true
	l.expanded = append(l.expanded, r)
}

// add notes a recipient, once.
func (l *recipientList) add(r envelope.Recipient) error {
	if len(l.out) == 0 {
		l.out = append(l.out, r)
		return nil
	}
	if l.seen == nil {
		l.seen = map[addr.Address]bool{l.out[0].Address.Fold(): true}
	}
	key := r.Address.Fold()
	if l.seen[key] {
		return nil
	}
	if len(l.out) >= l.limit {
		return dsn.Wrap(dsn.Misconfigured, "Alias expansion error", fmt.Errorf("more than %d recipients", l.limit))
	}
	l.seen[key] = true
	l.out = append(l.out, r)
	return nil
}
