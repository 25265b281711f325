package store

import (
	"context"
	"errors"
	"slices"

	"toastmaster/admin/model"
	"toastmaster/internal/db"
)

// AddAliases makes many aliases in one transaction. There is one result for each
// of in, in order; an alias that exists is left as it is and is no error, so that an
// interrupted addition can be done again. With dry nothing is changed, and the
// results are what they would be. The error is that of the whole; then nothing was
// added.
func (s *Store) AddAliases(ctx context.Context, actor string, in []model.NewAlias, dry bool) ([]model.BulkResult, error) {
	return addMany(ctx, s, actor, in, dry, many[model.NewAlias]{
		kind: "alias", name: func(a *model.NewAlias) string { return a.Address },
		normalize: func(a *model.NewAlias) error {
			a.Targets = slices.Clone(a.Targets)
			return a.Normalize()
		},
		add: func(t *tx, a *model.NewAlias) error { _, err := t.addAlias(ctx, *a); return err },
	})
}

// AddRelocations is AddAliases for relocated addresses.
func (s *Store) AddRelocations(ctx context.Context, actor string, in []model.NewRelocated, dry bool) ([]model.BulkResult, error) {
	return addMany(ctx, s, actor, in, dry, many[model.NewRelocated]{
		kind: "relocated", name: func(r *model.NewRelocated) string { return r.Address },
		normalize: (*model.NewRelocated).Normalize,
		add:       func(t *tx, r *model.NewRelocated) error { _, err := t.addRelocated(ctx, *r); return err },
	})
}

// AddDomains is AddAliases for domains.
func (s *Store) AddDomains(ctx context.Context, actor string, in []model.NewDomain, dry bool) ([]model.BulkResult, error) {
	return addMany(ctx, s, actor, in, dry, many[model.NewDomain]{
		name: func(d *model.NewDomain) string { return d.Name }, normalize: (*model.NewDomain).Normalize,
		add: func(t *tx, d *model.NewDomain) error { _, err := t.addDomain(ctx, *d); return err },
	})
}

// many is how many things of one kind are added.
type many[T any] struct {
	// kind is that of the address, "" for what is none.
	kind      string
	name      func(*T) string
	normalize func(*T) error
	add       func(*tx, *T) error
}

// errDry takes back a transaction that was only tried.
var errDry = errors.New("dry run")

func addMany[T any](ctx context.Context, s *Store, actor string, in []T, dry bool, m many[T]) ([]model.BulkResult, error) {
	out := make([]model.BulkResult, len(in))
	err := s.write(ctx, actor, func(t *tx) error {
		t.many()
		for i := range in {
			if err := ctx.Err(); err != nil {
				return err
			}
			var err error
			if out[i], err = addOne(ctx, t, &in[i], m); err != nil {
				return err
			}
		}
		if dry {
			return errDry
		}
		return nil
	})
	if dry && errors.Is(err, errDry) {
		err = nil
	}
	if err != nil {
		return nil, err
	}
	return out, nil
}

// addOne adds one thing, or nothing of it. The error is one of the database, which
// ends the whole; a refusal is in the result.
func addOne[T any](ctx context.Context, t *tx, in *T, m many[T]) (model.BulkResult, error) {
	r := model.BulkResult{Address: m.name(in), Result: model.BulkFailed}
	if err := m.normalize(in); err != nil {
		r.Error = err.Error()
		return r, nil
	}
	r.Address = m.name(in)
	if _, err := t.Exec(ctx, savepoint); err != nil {
		return r, err
	}
	err := m.add(t, in)
	if err == nil {
		r.Result = model.BulkAdded
		_, err = t.Exec(ctx, release)
		return r, err
	}
	clear(t.counts)
	if m.kind == "" {
		clear(t.domains) // it may be one of these that goes again
	}
	for _, q := range []db.Query{rollbackToSavepoint, release} {
		if _, err := t.Exec(ctx, q); err != nil {
			return r, err
		}
	}
	switch model.KindOf(err) {
	case model.Exists:
		same := m.kind == ""
		if !same {
			kinds, lookErr := t.kindsOf(ctx, r.Address)
			if lookErr != nil {
				return r, lookErr
			}
			same = slices.Contains(kinds, m.kind)
		}
		if same {
			r.Result = model.BulkExists
			return r, nil
		}
	case model.Invalid, model.OverLimit, model.NotFound, model.InUse:
	default:
		return r, err
	}
	r.Error = err.Error()
	return r, nil
}
