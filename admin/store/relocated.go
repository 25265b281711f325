package store

import (
	"context"

	"toastmaster/admin/model"
	"toastmaster/internal/db"
)

const noRelocated = "no such relocated address"

type relocatedRow struct {
	id int64
	model.Relocated
}

func scanRelocated(row scanner) (relocatedRow, error) {
	var r relocatedRow
	var created, updated int64
	err := row.Scan(&r.id, &r.Address, &r.MovedTo, &created, &updated)
	r.Created, r.Updated = milliseconds(created), milliseconds(updated)
	return r, err
}

// AddRelocated makes a relocated address. in is normalised by the call.
func (s *Store) AddRelocated(ctx context.Context, actor string, in model.NewRelocated) (model.Relocated, error) {
	if err := in.Normalize(); err != nil {
		return model.Relocated{}, err
	}
	var out model.Relocated
	err := s.write(ctx, actor, func(t *tx) error {
		r, write, err := t.newRelocated(ctx, in)
		if err != nil {
			return err
		}
		out = r
		return write()
	})
	return out, err
}

// newRelocated checks a new relocated address; write makes it.
func (t *tx) newRelocated(ctx context.Context, in model.NewRelocated) (out model.Relocated, write func() error, err error) {
	p, err := t.find(ctx, in.Address, "relocated")
	if err != nil {
		return out, nil, err
	}
	now := milliseconds(t.now)
	out = model.Relocated{Address: in.Address, MovedTo: in.MovedTo, Created: now, Updated: now}
	return out, func() error {
		if t.batch != nil {
			t.batch.relocate(p, in.MovedTo)
		} else if err := t.insertRelocated(ctx, p, in.MovedTo); err != nil {
			return err
		}
		return t.audit(ctx, "add", "relocated", in.Address, nil, out)
	}, nil
}

func (t *tx) insertRelocated(ctx context.Context, p newAddress, movedTo string) error {
	id, err := t.take(ctx, p)
	if err == nil {
		_, err = t.Exec(ctx, insertRelocated, id, movedTo)
	}
	return err
}

func (t *tx) relocated(ctx context.Context, address string) (relocatedRow, error) {
	r, err := scanRelocated(t.QueryRow(ctx, selectRelocated, address))
	return r, missing(err, noRelocated)
}

// SetRelocated changes the new place.
func (s *Store) SetRelocated(ctx context.Context, actor, address string, in model.RelocatedChange) (model.Relocated, error) {
	if err := in.Normalize(); err != nil {
		return model.Relocated{}, err
	}
	var out model.Relocated
	err := s.write(ctx, actor, func(t *tx) error {
		r, err := t.relocated(ctx, address)
		if err != nil {
			return err
		}
		if _, err := t.Exec(ctx, updateRelocated, r.id, in.MovedTo); err != nil {
			return err
		}
		if err := t.touch(ctx, r.id); err != nil {
			return err
		}
		out = r.Relocated
		out.MovedTo, out.Updated = in.MovedTo, milliseconds(t.now)
		return t.audit(ctx, "set", "relocated", address, r.Relocated, out)
	})
	return out, err
}

// RemoveRelocated removes one.
func (s *Store) RemoveRelocated(ctx context.Context, actor, address string) error {
	return s.write(ctx, actor, func(t *tx) error {
		r, err := t.relocated(ctx, address)
		if err != nil {
			return err
		}
		if err := t.remove(ctx, r.id); err != nil {
			return err
		}
		return t.audit(ctx, "remove", "relocated", address, r.Relocated, nil)
	})
}

// Relocated reads one.
func (s *Store) Relocated(ctx context.Context, address string) (model.Relocated, error) {
	r, err := scanRelocated(s.reader.QueryRow(ctx, selectRelocated, address))
	return r.Relocated, missing(err, noRelocated)
}

// RelocatedList lists relocated addresses.
func (s *Store) RelocatedList(ctx context.Context, f model.Filter, after string, limit int) (model.Page[model.Relocated], error) {
	limit, f = clampLimit(limit), narrow(f)
	q, args := listRelocated, []any{after, f.Contains, limit + 1}
	switch {
	case f.Domain != "":
		q, args = listRelocatedOf, append(args, f.Domain)
	case f.Scope != nil:
		q, args = listRelocatedInScope, append(args, scopeArg(f.Scope))
	}
	rows, err := s.reader.Query(ctx, q, args...)
	items, err := collect(rows, err, func(r *db.Rows) (model.Relocated, error) {
		row, err := scanRelocated(r)
		return row.Relocated, err
	})
	return page(items, limit, func(r model.Relocated) string { return r.Address }), err
}
