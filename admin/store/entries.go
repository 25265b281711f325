package store

import (
	"context"
	"database/sql"

	"toastmaster/admin/model"
	"toastmaster/directory"
	"toastmaster/internal/addr"
	"toastmaster/internal/db"
)

// entries is the directory.Backend of what the tables hold now, also of what a
// transaction has not committed: the checks of a change ask the same walk as the
// mail services. It knows no log-ins.
type entries struct {
	query  func(ctx context.Context, q db.Query, args ...any) (*db.Rows, error)
	domain func(ctx context.Context, name string) (domainRow, error)
}

// entries is what stands in the transaction.
func (t *tx) entries() entries { return entries{query: t.Query, domain: t.domain} }

// directory is what the mail services will see when t is committed.
func (t *tx) directory() *directory.Directory { return directory.New(t.entries(), t.delimiters) }

// Directory is what the mail services see, by way of the tables and without a
// cache.
func (s *Store) Directory() *directory.Directory {
	return directory.New(entries{query: s.reader.Query, domain: s.domain}, s.o.Delimiters)
}

// Entry implements directory.Backend.
func (e entries) Entry(ctx context.Context, key directory.Key) (directory.Entry, error) {
	if !db.Storable(key.Local) || !db.Storable(key.Domain) {
		return directory.Entry{}, directory.Missing("addresses", key.String())
	}
	if key.Kind == directory.OfDomain {
		d, err := e.hosted(ctx, key.Domain)
		return directory.Entry{Domain: d}, lookup("domains", key.Domain, err)
	}
	if key.Kind == directory.OfLogin {
		return directory.Entry{}, directory.Missing("accounts", key.String())
	}
	found, err := e.address(ctx, key)
	return found, lookup("addresses", key.String(), err)
}

func (e entries) hosted(ctx context.Context, name string) (directory.Domain, error) {
	row, err := e.domain(ctx, name)
	d := directory.Domain{Name: name, AliasOf: row.AliasOf, Enabled: row.Enabled}
	if err == nil && d.AliasOf != "" {
		row, err = e.domain(ctx, d.AliasOf)
		d.Enabled = d.Enabled && row.Enabled
	}
	return d, err
}

// address reads a row for each target of an alias, and one for what else there
// is.
func (e entries) address(ctx context.Context, key directory.Key) (directory.Entry, error) {
	type line struct {
		kind, home, movedTo string
		enabled             bool
		target              sql.Null[string]
	}
	rows, err := e.query(ctx, selectEntry, key.String())
	lines, err := collect(rows, err, func(r *db.Rows) (l line, err error) {
		err = r.Scan(&l.kind, &l.home, &l.enabled, &l.movedTo, &l.target)
		return l, err
	})
	if err == nil && len(lines) == 0 {
		err = model.Fail(model.NotFound, "nobody has the address")
	}
	var out directory.Entry
	for _, l := range lines {
		switch l.kind {
		case "mailbox":
			out.Mailbox = directory.Mailbox{Home: l.home, Enabled: l.enabled}
		case "relocated":
			out.MovedTo = l.movedTo
		}
		if !l.target.Valid {
			continue
		}
		if out.Targets, err = appendTarget(out.Targets, key.String(), l.target.V); err != nil {
			return out, err
		}
	}
	return out, err
}

// aliasTo is the entry of an alias.
func aliasTo(address string, targets []string) (out directory.Entry, err error) {
	for _, target := range targets {
		if out.Targets, err = appendTarget(out.Targets, address, target); err != nil {
			return out, err
		}
	}
	return out, nil
}

func appendTarget(to []addr.Address, alias, text string) ([]addr.Address, error) {
	target, err := addr.Parse(text)
	if err != nil {
		return to, &directory.Error{Outcome: directory.Misconfigured, Table: "aliases", Key: alias, Cause: err}
	}
	return append(to, target), nil
}

// lookup turns an error of the store into an answer of a directory.
func lookup(table, key string, err error) error {
	switch {
	case err == nil:
		return nil
	case model.KindOf(err) == model.NotFound:
		return directory.Missing(table, key)
	}
	return &directory.Error{Outcome: directory.Unavailable, Table: table, Key: key, Cause: err}
}
