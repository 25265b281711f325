package store

import (
	"context"
	"fmt"

	"toastmaster/admin/model"
	"toastmaster/internal/addr"
	"toastmaster/internal/db"
)

// newAddress is an address that is to be made, in a hosted domain that has room for it.
type newAddress struct {
	// address is as it is written down, local its local part.
	address, local string
	kind           string
	domain         domainRow
	// beside says that the address is something else already: an alias and a mailbox
	// may share one.
	beside bool
}

// find looks whether a new address of the kind may be made, and writes nothing.
func (t *tx) find(ctx context.Context, address, kind string) (p newAddress, err error) {
	a, err := model.ParseAddress(address, true)
	if err != nil {
		return p, fieldError("address", err.Error())
	}
	p.address, p.local, p.kind = address, a.Local, kind
	if p.domain, err = t.hostedDomain(ctx, a); err != nil {
		return p, err
	}
	is, err := t.kindsOf(ctx, address)
	if err != nil {
		return p, err
	}
	for _, other := range is {
		if other == kind || other == "relocated" || kind == "relocated" {
			return p, model.Fail(model.Exists, "the address is taken: it is "+aKind(other))
		}
	}
	p.beside = len(is) > 0
	return p, t.room(ctx, p.domain, kind)
}

// take makes the row of an address.
func (t *tx) take(ctx context.Context, p newAddress) (id int64, err error) {
	t.batch.took(p)
	return t.InsertID(ctx, insertAddress, p.address, p.domain.id, p.local, p.kind, t.now)
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
	if t.batch != nil && t.batch.kinds != nil {
		return t.batch.kinds[address], nil
	}
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
	n, known := t.batch.count(d.id, kind)
	if !known {
		if err := t.QueryRow(ctx, countOfKind, d.id, kind).Scan(&n); err != nil {
			return err
		}
		t.batch.counted(d.id, kind, n)
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
