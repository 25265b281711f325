package store

import (
	"context"
	"database/sql"
	"slices"
	"strings"

	"toastmaster/admin/model"
	"toastmaster/internal/db"
)

const noAlias = "no such alias"

type aliasRow struct {
	id int64
	model.Alias
}

// scanAliases reads rows of one alias per target into one alias each.
func scanAliases(rows *db.Rows, err error) ([]aliasRow, error) {
	type line struct {
		aliasRow
		target sql.NullString
	}
	lines, err := collect(rows, err, func(r *db.Rows) (line, error) {
		var l line
		var created, updated int64
		err := r.Scan(&l.id, &l.Address, &created, &updated, &l.Mailbox, &l.target)
		l.Created, l.Updated = milliseconds(created), milliseconds(updated)
		return l, err
	})
	var out []aliasRow
	for _, l := range lines {
		if len(out) == 0 || out[len(out)-1].id != l.id {
			l.Targets = []string{}
			out = append(out, l.aliasRow)
		}
		if l.target.Valid {
			last := &out[len(out)-1]
			last.Targets = append(last.Targets, l.target.String)
		}
	}
	return out, err
}

// AddAlias makes an alias, also beside a mailbox of the same address. in is normalised by the call.
func (s *Store) AddAlias(ctx context.Context, actor string, in model.NewAlias) (model.Alias, error) {
	in.Targets = slices.Clone(in.Targets)
	if err := in.Normalize(); err != nil {
		return model.Alias{}, err
	}
	var out model.Alias
	err := s.write(ctx, actor, func(t *tx) error {
		a, write, err := t.newAlias(ctx, in)
		if err != nil {
			return err
		}
		if err := write(); err != nil {
			return err
		}
		out = a
		out.Warnings, err = t.deadTargets(ctx, in.Targets)
		return err
	})
	return out, err
}

// newAlias checks a new alias; write makes it.
func (t *tx) newAlias(ctx context.Context, in model.NewAlias) (out model.Alias, write func() error, err error) {
	p, err := t.find(ctx, in.Address, "alias")
	if err != nil {
		return out, nil, err
	}
	if err := t.checkExpansion(ctx, in.Address, in.Targets, p.beside); err != nil {
		return out, nil, err
	}
	now := milliseconds(t.now)
	out = model.Alias{Address: in.Address, Targets: in.Targets, Mailbox: p.beside, Created: now, Updated: now}
	return out, func() error {
		if t.batch != nil {
			t.batch.alias(p, in.Targets)
		} else if err := t.insertAlias(ctx, p, in.Targets); err != nil {
			return err
		}
		return t.audit(ctx, "add", "alias", in.Address, nil, out)
	}, nil
}

func (t *tx) insertAlias(ctx context.Context, p newAddress, targets []string) error {
	id, err := t.take(ctx, p)
	if err != nil {
		return err
	}
	if _, err := t.Exec(ctx, insertAlias, id); err != nil {
		return err
	}
	return t.insertTargets(ctx, id, targets)
}

func (t *tx) insertTargets(ctx context.Context, id int64, targets []string) error {
	for i, target := range targets {
		if _, err := t.Exec(ctx, insertTarget, id, i, target); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) alias(ctx context.Context, address string) (aliasRow, error) {
	return oneAlias(scanAliases(t.Query(ctx, selectAlias, address)))
}

func oneAlias(rows []aliasRow, err error) (aliasRow, error) {
	if err == nil && len(rows) == 0 {
		err = model.Fail(model.NotFound, noAlias)
	}
	if err != nil {
		return aliasRow{}, err
	}
	return rows[0], nil
}

// SetAlias replaces the targets. What the mail services could not expand is
// refused, as by AddAlias.
func (s *Store) SetAlias(ctx context.Context, actor, address string, in model.AliasChange) (model.Alias, error) {
	in.Targets = slices.Clone(in.Targets)
	if err := in.Normalize(); err != nil {
		return model.Alias{}, err
	}
	var out model.Alias
	err := s.write(ctx, actor, func(t *tx) error {
		a, err := t.alias(ctx, address)
		if err != nil {
			return err
		}
		if err := t.checkExpansion(ctx, address, in.Targets, a.Mailbox); err != nil {
			return err
		}
		if _, err := t.Exec(ctx, deleteTargets, a.id); err != nil {
			return err
		}
		if err := t.insertTargets(ctx, a.id, in.Targets); err != nil {
			return err
		}
		if err := t.touch(ctx, a.id); err != nil {
			return err
		}
		out = a.Alias
		out.Targets, out.Updated = in.Targets, milliseconds(t.now)
		if err := t.audit(ctx, "set", "alias", address, a.Alias, out); err != nil {
			return err
		}
		out.Warnings, err = t.deadTargets(ctx, in.Targets)
		return err
	})
	return out, err
}

// RemoveAlias removes an alias.
func (s *Store) RemoveAlias(ctx context.Context, actor, address string) error {
	return s.write(ctx, actor, func(t *tx) error {
		a, err := t.alias(ctx, address)
		if err != nil {
			return err
		}
		if err := t.remove(ctx, a.id); err != nil {
			return err
		}
		return t.audit(ctx, "remove", "alias", address, a.Alias, nil)
	})
}

// Alias reads one.
func (s *Store) Alias(ctx context.Context, address string) (model.Alias, error) {
	a, err := oneAlias(scanAliases(s.reader.Query(ctx, selectAlias, address)))
	return a.Alias, err
}

// Aliases lists aliases by address.
func (s *Store) Aliases(ctx context.Context, f model.Filter, after string, limit int) (model.Page[model.Alias], error) {
	limit, f = clampLimit(limit), narrow(f)
	q, args := listAliases, []any{after, f.Contains, limit + 1}
	switch {
	case f.Target != "":
		q, args = listAliasesWithTarget, append(args, strings.ToLower(f.Target), f.Domain, optionalScope(f.Scope))
	case f.Domain != "":
		q, args = listAliasesOf, append(args, f.Domain)
	case f.Scope != nil:
		q, args = listAliasesInScope, append(args, scopeArg(f.Scope))
	}
	rows, err := scanAliases(s.reader.Query(ctx, q, args...))
	items := make([]model.Alias, 0, len(rows))
	for _, r := range rows {
		items = append(items, r.Alias)
	}
	return page(items, limit, func(a model.Alias) string { return a.Address }), err
}
