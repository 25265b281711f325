package store

import (
	"context"
	"errors"
	"slices"

	"toastmaster/admin/model"
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
		check: func(t *tx, a *model.NewAlias) (func() error, error) {
			_, write, err := t.newAlias(ctx, *a)
			return write, err
		},
	})
}

// AddRelocations is AddAliases for relocated addresses.
func (s *Store) AddRelocations(ctx context.Context, actor string, in []model.NewRelocated, dry bool) ([]model.BulkResult, error) {
	return addMany(ctx, s, actor, in, dry, many[model.NewRelocated]{
		kind: "relocated", name: func(r *model.NewRelocated) string { return r.Address },
		normalize: (*model.NewRelocated).Normalize,
		check: func(t *tx, r *model.NewRelocated) (func() error, error) {
			_, write, err := t.newRelocated(ctx, *r)
			return write, err
		},
	})
}

// AddDomains is AddAliases for domains.
func (s *Store) AddDomains(ctx context.Context, actor string, in []model.NewDomain, dry bool) ([]model.BulkResult, error) {
	return addMany(ctx, s, actor, in, dry, many[model.NewDomain]{
		name: func(d *model.NewDomain) string { return d.Name }, normalize: (*model.NewDomain).Normalize,
		check: func(t *tx, d *model.NewDomain) (func() error, error) {
			_, write, err := t.newDomain(ctx, *d)
			return write, err
		},
	})
}

// many is how many things of one kind are added.
type many[T any] struct {
	// kind is that of the address, "" for what is none.
	kind      string
	name      func(*T) string
	normalize func(*T) error
	// check says what is wrong with one, or else how it is written. It writes
	// nothing itself, so that of what is refused there is nothing to take back.
	check func(*tx, *T) (write func() error, err error)
}

// errDry takes back a transaction that was only tried.
var errDry = errors.New("dry run")

func addMany[T any](ctx context.Context, s *Store, actor string, in []T, dry bool, m many[T]) ([]model.BulkResult, error) {
	out := make([]model.BulkResult, len(in))
	good := make([]bool, len(in))
	var addresses []string
	for i := range in {
		err := m.normalize(&in[i])
		out[i] = model.BulkResult{Address: m.name(&in[i]), Result: model.BulkFailed}
		switch good[i] = err == nil; {
		case !good[i]:
			out[i].Error = err.Error()
		case m.kind != "":
			addresses = append(addresses, out[i].Address)
		}
	}
	err := s.write(ctx, actor, func(t *tx) error {
		if err := t.many(ctx, addresses); err != nil {
			return err
		}
		for i := range in {
			if err := ctx.Err(); err != nil {
				return err
			}
			if !good[i] {
				continue
			}
			if err := addOne(ctx, t, &in[i], &out[i], m); err != nil {
				return err
			}
		}
		if dry {
			return errDry
		}
		return t.flush(ctx)
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
func addOne[T any](ctx context.Context, t *tx, in *T, r *model.BulkResult, m many[T]) error {
	write, err := m.check(t, in)
	if err == nil {
		r.Result = model.BulkAdded
		return write()
	}
	switch model.KindOf(err) {
	case model.Exists:
		same := m.kind == ""
		if !same {
			kinds, lookErr := t.kindsOf(ctx, r.Address)
			if lookErr != nil {
				return lookErr
			}
			same = slices.Contains(kinds, m.kind)
		}
		if same {
			r.Result = model.BulkExists
			return nil
		}
	case model.Invalid, model.OverLimit, model.NotFound, model.InUse:
	default:
		return err
	}
	r.Error = err.Error()
	return nil
}
