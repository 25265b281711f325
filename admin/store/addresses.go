package store

import (
	"context"
	"fmt"

	"toastmaster/admin/model"
	"toastmaster/internal/addr"
	"toastmaster/internal/db"
)

// claim makes the row of an address in a hosted domain that has room for one
// more of the kind. The address must be free; only an alias and a mailbox may
// share one; beside says that the other is there.
func (t *tx) claim(ctx context.Context, address, kind string) (id int64, d domainRow, beside bool, err error) {
	a, err := model.ParseAddress(address, true)
	if err != nil {
		return 0, d, false, fieldError("address", err.Error())
	}
	d, err = t.hostedDomain(ctx, a)
	if err != nil {
		return 0, d, false, err
	}
	is, err := t.kindsOf(ctx, address)
	if err != nil {
		return 0, d, false, err
	}
	for _, other := range is {
		if other == kind || other == "relocated" || kind == "relocated" {
			return 0, d, false, model.Fail(model.Exists, "the address is taken: it is "+aKind(other))
		}
	}
	if err := t.room(ctx, d, kind); err != nil {
		return 0, d, false, err
	}
	id, err = t.InsertID(ctx, insertAddress, address, d.id, a.Local, kind, t.now)
	return id, d, len(is) > 0, err
}

// aKind is what an address is, in a sentence.
func aKind(kind string) string {
	switch kind {
	case "alias":
		return "an alias"
	case "relocated":
		return "a relocated address"
	}
	return "a " + kind
}

func (t *tx) hostedDomain(ctx context.Context, a addr.Address) (domainRow, error) {
	d, err := t.domain(ctx, a.Domain)
	switch {
	case model.KindOf(err) == model.NotFound:
		return d, fieldError("address", "the domain is not hosted here: add it first")
	case err == nil && d.AliasOf != "":
		return d, fieldError("address", "the domain stands for "+d.AliasOf+": add the address there")
	}
	return d, err
}

// kindsOf is what an address is; nothing when it is free.
func (t *tx) kindsOf(ctx context.Context, address string) ([]string, error) {
	rows, err := t.Query(ctx, selectKinds, address)
	return collect(rows, err, func(r *db.Rows) (kind string, err error) {
		err = r.Scan(&kind)
		return kind, err
	})
}

// room checks the domain's limit. Counting is only done where there is one.
func (t *tx) room(ctx context.Context, d domainRow, kind string) error {
	limit := map[string]int64{"mailbox": d.MaxMailboxes, "alias": d.MaxAliases}[kind]
	if limit == 0 {
		return nil
	}
	key := countKey{d.id, kind}
	n, known := t.counts[key]
	if !known {
		if err := t.QueryRow(ctx, countOfKind, d.id, kind).Scan(&n); err != nil {
			return err
		}
	}
	if t.counts != nil {
		t.counts[key] = n + 1 // who asks takes the room, or forgets all counts
	}
	if n >= limit {
		return model.Fail(model.OverLimit, fmt.Sprintf("the domain may have %d of them", limit))
	}
	return nil
}

// touch notes the time of a change.
func (t *tx) touch(ctx context.Context, id int64) error {
	_, err := t.Exec(ctx, touchAddress, id, t.now)
	return err
}

// remove deletes an address with what hangs on it.
func (t *tx) remove(ctx context.Context, id int64) error {
	_, err := t.Exec(ctx, deleteAddress, id)
	return err
}
