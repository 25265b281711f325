package store

import (
	"context"
	"database/sql"
	"errors"
	"strconv"

	"toastmaster/admin/model"
	"toastmaster/internal/db"
)

const noDomain = "no such domain"

// domainRow is a domain with its number.
type domainRow struct {
	id int64
	model.Domain
}

type scanner interface{ Scan(dest ...any) error }

func scanDomain(row scanner) (domainRow, error) {
	var d domainRow
	var created, updated int64
	err := row.Scan(&d.id, &d.Name, &d.AliasOf, &d.Enabled, &d.MaxMailboxes, &d.MaxAliases,
		&d.DefaultQuotaBytes, &d.DefaultQuotaMessages, &created, &updated)
	d.Created, d.Updated = milliseconds(created), milliseconds(updated)
	return d, err
}

// AddDomain makes a domain. in is normalised by the call.
func (s *Store) AddDomain(ctx context.Context, actor string, in model.NewDomain) (model.Domain, error) {
	if err := in.Normalize(); err != nil {
		return model.Domain{}, err
	}
	var out model.Domain
	err := s.write(ctx, actor, func(t *tx) error {
		d, write, err := t.newDomain(ctx, in)
		if err != nil {
			return err
		}
		out = d
		return write()
	})
	return out, err
}

// newDomain checks a new domain; write makes it.
func (t *tx) newDomain(ctx context.Context, in model.NewDomain) (out model.Domain, write func() error, err error) {
	if _, err := t.domain(ctx, in.Name); err == nil {
		return out, nil, model.Fail(model.Exists, "the domain exists")
	} else if model.KindOf(err) != model.NotFound {
		return out, nil, err
	}
	d := domainRow{Domain: model.Domain{Name: in.Name, AliasOf: in.AliasOf, Enabled: true, Created: milliseconds(t.now)}}
	d.change(in.DomainChange, t.now)
	kind, target, targetKind := "hosted", sql.NullInt64{}, sql.NullString{}
	if d.AliasOf != "" {
		to, err := t.domain(ctx, d.AliasOf)
		switch {
		case model.KindOf(err) == model.NotFound:
			return out, nil, fieldError("alias_of", noDomain)
		case err != nil:
			return out, nil, err
		case to.AliasOf != "":
			return out, nil, fieldError("alias_of", "stands for another domain itself")
		}
		kind, target, targetKind = "alias", sql.NullInt64{Int64: to.id, Valid: true}, sql.NullString{String: "hosted", Valid: true}
	}
	return d.Domain, func() error {
		t.batch.forgetDomain(d.Name)
		_, err := t.Exec(ctx, insertDomain, d.Name, kind, target, targetKind, d.Enabled, d.MaxMailboxes, d.MaxAliases,
			d.DefaultQuotaBytes, d.DefaultQuotaMessages, t.now, t.now)
		if err != nil {
			return err
		}
		return t.audit(ctx, "add", "domain", in.Name, nil, d.Domain)
	}, nil
}

func fieldError(field, message string) error {
	return &model.Error{Kind: model.Invalid, Text: "invalid input", Fields: []model.FieldError{{Field: field, Message: message}}}
}

// change applies what is given.
func (d *domainRow) change(c model.DomainChange, now int64) {
	set(&d.Enabled, c.Enabled)
	set(&d.MaxMailboxes, c.MaxMailboxes)
	set(&d.MaxAliases, c.MaxAliases)
	set(&d.DefaultQuotaBytes, c.DefaultQuotaBytes)
	set(&d.DefaultQuotaMessages, c.DefaultQuotaMessages)
	d.Updated = milliseconds(now)
}

func set[T any](field *T, value *T) {
	if value != nil {
		*field = *value
	}
}

// domain reads one inside the transaction.
func (t *tx) domain(ctx context.Context, name string) (domainRow, error) {
	if d, err, ok := t.batch.domain(name); ok {
		return d, err
	}
	d, err := scanDomain(t.QueryRow(ctx, selectDomain, name))
	err = missing(err, noDomain)
	t.batch.knowDomain(name, d, err)
	return d, err
}

// SetDomain changes a domain.
func (s *Store) SetDomain(ctx context.Context, actor, name string, in model.DomainChange) (model.Domain, error) {
	if err := in.Normalize(); err != nil {
		return model.Domain{}, err
	}
	var out model.Domain
	err := s.write(ctx, actor, func(t *tx) error {
		d, err := t.domain(ctx, name)
		if err != nil {
			return err
		}
		before := d.Domain
		d.change(in, t.now)
		_, err = t.Exec(ctx, updateDomain, d.id, d.Enabled, d.MaxMailboxes, d.MaxAliases,
			d.DefaultQuotaBytes, d.DefaultQuotaMessages, t.now)
		if err != nil {
			return err
		}
		out = d.Domain
		return t.audit(ctx, "set", "domain", name, before, out)
	})
	return out, err
}

// RemoveDomain removes a domain. One that others stand for is InUse; one with
// addresses is InUse unless all is true, which removes them too.
func (s *Store) RemoveDomain(ctx context.Context, actor, name string, all bool) error {
	return s.write(ctx, actor, func(t *tx) error {
		d, err := t.domain(ctx, name)
		if err != nil {
			return err
		}
		if err := unused(ctx, t, d.id, all); err != nil {
			return err
		}
		if _, err := t.Exec(ctx, deleteDomainLogins, d.id); err != nil {
			return err
		}
		if _, err := t.Exec(ctx, deleteDomain, d.id); err != nil {
			return err
		}
		return t.audit(ctx, "remove", "domain", name, d.Domain, nil)
	})
}

// queryer is a transaction or the readers.
type queryer interface {
	QueryRow(ctx context.Context, q db.Query, args ...any) db.Row
}

func unused(ctx context.Context, t queryer, domain int64, all bool) error {
	var aliases, addresses int64
	err := errors.Join(
		t.QueryRow(ctx, countAliasesOf, domain).Scan(&aliases),
		t.QueryRow(ctx, countAddresses, domain).Scan(&addresses))
	switch {
	case err != nil:
		return err
	case aliases > 0:
		return model.Fail(model.InUse, "alias domains that stand for it: "+strconv.FormatInt(aliases, 10))
	case addresses > 0 && !all:
		return model.Fail(model.InUse, "addresses that it still has: "+strconv.FormatInt(addresses, 10)+"; remove them first, or with it (`all`, on the command line --all)")
	}
	return nil
}

// Domain reads one.
func (s *Store) Domain(ctx context.Context, name string) (model.Domain, error) {
	d, err := s.domain(ctx, name)
	return d.Domain, err
}

func (s *Store) domain(ctx context.Context, name string) (domainRow, error) {
	d, err := scanDomain(s.reader.QueryRow(ctx, selectDomain, name))
	return d, missing(err, noDomain)
}

// Domains lists domains by name. f.Domain selects the aliases of a domain.
func (s *Store) Domains(ctx context.Context, f model.Filter, after string, limit int) (model.Page[model.Domain], error) {
	limit, f = clampLimit(limit), narrow(f)
	q, args := listDomains, []any{after, f.Contains, limit + 1, tristate(f.Enabled)}
	switch {
	case f.Domain != "":
		q, args = listDomainsOf, append(args, f.Domain)
	case f.Scope != nil:
		q, args = listDomainsInScope, append(args, scopeArg(f.Scope))
	}
	rows, err := s.reader.Query(ctx, q, args...)
	items, err := collect(rows, err, func(r *db.Rows) (model.Domain, error) {
		d, err := scanDomain(r)
		return d.Domain, err
	})
	return page(items, limit, func(d model.Domain) string { return d.Name }), err
}

// tristate is -1 for "do not care".
func tristate(b *bool) int {
	switch {
	case b == nil:
		return -1
	case *b:
		return 1
	}
	return 0
}

// Counts counts the hosted data.
func (s *Store) Counts(ctx context.Context) (model.HostedCounts, error) {
	var c model.HostedCounts
	type count struct {
		kind string
		n    int64
	}
	rows, err := s.reader.Query(ctx, hostedCounts)
	counts, err := collect(rows, err, func(r *db.Rows) (count, error) {
		var k count
		err := r.Scan(&k.kind, &k.n)
		return k, err
	})
	for _, k := range counts {
		switch k.kind {
		case "domain":
			c.Domains = k.n
		case "mailbox":
			c.Mailboxes = k.n
		case "alias":
			c.Aliases = k.n
		case "relocated":
			c.Relocated = k.n
		}
	}
	return c, err
}
