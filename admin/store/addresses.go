package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"toastmaster/admin/model"
	"toastmaster/internal/addr"
)

// claim makes the row of an address, which must be free, in a hosted domain
// that has room for one more of the kind.
func (t *tx) claim(ctx context.Context, address, kind string) (int64, domainRow, error) {
	a, err := model.ParseAddress(address, true)
	if err != nil {
		return 0, domainRow{}, fieldError("address", err.Error())
	}
	d, err := t.hostedDomain(ctx, a)
	if err != nil {
		return 0, d, err
	}
	taken, err := t.kindOf(ctx, address)
	switch {
	case err != nil:
		return 0, d, err
	case taken != "":
		return 0, d, model.Fail(model.Exists, "the address is taken: "+taken)
	}
	if err := t.room(ctx, d, kind); err != nil {
		return 0, d, err
	}
	res, err := t.ExecContext(ctx, insertAddress, address, d.id, a.Local, kind, t.now, t.now)
	if err != nil {
		return 0, d, err
	}
	id, err := res.LastInsertId()
	return id, d, err
}

func (t *tx) hostedDomain(ctx context.Context, a addr.Address) (domainRow, error) {
	d, err := t.domain(ctx, a.Domain)
	switch {
	case model.KindOf(err) == model.NotFound:
		return d, fieldError("address", "the domain is not hosted here")
	case err == nil && d.AliasOf != "":
		return d, fieldError("address", "the domain stands for "+d.AliasOf+": add the address there")
	}
	return d, err
}

// kindOf is what an address is, "" when it is free.
func (t *tx) kindOf(ctx context.Context, address string) (string, error) {
	var id int64
	var kind string
	err := t.QueryRowContext(ctx, selectAddress, address).Scan(&id, &kind)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return kind, err
}

// room checks the domain's limit. Counting is only done where there is one.
func (t *tx) room(ctx context.Context, d domainRow, kind string) error {
	limit := map[string]int64{"mailbox": d.MaxMailboxes, "alias": d.MaxAliases}[kind]
	if limit == 0 {
		return nil
	}
	var n int64
	if err := t.QueryRowContext(ctx, countOfKind, d.id, kind).Scan(&n); err != nil {
		return err
	}
	if n >= limit {
		return model.Fail(model.OverLimit, fmt.Sprintf("the domain may have %d of them", limit))
	}
	return nil
}

// touch notes the time of a change.
func (t *tx) touch(ctx context.Context, id int64) error {
	_, err := t.ExecContext(ctx, touchAddress, id, t.now)
	return err
}

// remove deletes an address with what hangs on it.
func (t *tx) remove(ctx context.Context, id int64) error {
	_, err := t.ExecContext(ctx, deleteAddress, id)
	return err
}
