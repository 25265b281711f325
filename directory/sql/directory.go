package sql

import (
	"context"
	dbsql "database/sql"
	"embed"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"toastmaster/directory"
	"toastmaster/internal/addr"
	"toastmaster/internal/db"
	"toastmaster/internal/identity"
)

// queryFiles are all that this package asks.
//
//go:embed queries*.sql
var queryFiles embed.FS

// The names of the queries.
const (
	instanceQuery db.Query = "instance"
	domainQuery   db.Query = "domain"
	addressQuery  db.Query = "address"
	walkQuery     db.Query = "walk"
	loginQuery    db.Query = "login"
)

// Queries are the queries in the words of a dialect.
func Queries(d db.Dialect) (db.Queries, error) { return db.Load(queryFiles, d) }

// Directory is a directory.Backend and Walker. Safe for concurrent use.
type Directory struct {
	db   *dbsql.DB
	pool *db.Pool
	name string

	mu sync.Mutex
	// instance is the id of the database that gave the first answer.
	instance *identity.ID
}

var _ directory.Walker = (*Directory)(nil)

// Instance is the id of the database, "" for none. All answers are of that one,
// also when the file gets other content.
func (d *Directory) Instance(ctx context.Context) (identity.ID, error) {
	const table = "sql:instance"
	var id identity.ID
	err := d.pool.QueryRow(ctx, instanceQuery).Scan(&id)
	if err == nil {
		err = d.same(id)
	}
	if err != nil {
		return "", answer(table, d.name, err)
	}
	return id, nil
}

// same says whether an answer comes from the database that gave the first one.
func (d *Directory) same(id identity.ID) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.instance == nil {
		d.instance = &id
	}
	if *d.instance != id {
		return fmt.Errorf("%w: %s has the instance id %q and had %q", errOther, d.name, id, *d.instance)
	}
	return nil
}

// Close closes the database.
func (d *Directory) Close() error { return db.Close(d.pool.Dialect(), d.db) }

// Entry implements directory.Backend.
func (d *Directory) Entry(ctx context.Context, key directory.Key) (directory.Entry, error) {
	if !db.Storable(key.Local) || !db.Storable(key.Domain) {
		return directory.Entry{}, d.missing(ctx, "sql:keys", key.String())
	}
	switch key.Kind {
	case directory.OfDomain:
		return d.domain(ctx, key.Domain)
	case directory.OfLogin:
		return d.login(ctx, key)
	}
	const table = "sql:recipients"
	row, err := d.rows(ctx, addressQuery, key.Domain, key.Local)
	if errors.Is(err, dbsql.ErrNoRows) {
		return directory.Entry{}, d.missing(ctx, table, key.String())
	}
	if err != nil {
		return directory.Entry{}, answer(table, key.String(), err)
	}
	return row.entry, nil
}

// Walk implements directory.Walker.
func (d *Directory) Walk(ctx context.Context, w directory.Walk) (directory.Walked, error) {
	const table = "sql:recipients"
	if !db.Storable(w.Domain) {
		return directory.Walked{}, d.missing(ctx, table, w.Domain)
	}
	var locals [directory.MaxKeys]string
	for i := range locals {
		locals[i] = w.Locals[min(i, w.N-1)] // the query wants three
		if !db.Storable(locals[i]) {
			locals[i] = tooLong
		}
	}
	row, err := d.rows(ctx, walkQuery, w.Domain, locals[0], locals[1], locals[2])
	switch {
	case errors.Is(err, dbsql.ErrNoRows):
		domain, err := d.domain(ctx, w.Domain)
		return directory.Walked{Domain: domain.Domain, At: directory.None}, err
	case err != nil:
		return directory.Walked{}, answer(table, w.Locals[0]+"@"+w.Domain, err)
	}
	row.domain.Name = w.Domain
	return directory.Walked{Domain: row.domain, At: slices.Index(w.Locals[:w.N], row.local), Entry: row.entry}, nil
}

// tooLong is in no database: no local part of the schema has more than 64 characters.
var tooLong = strings.Repeat("x", 65)

// domain is the entry of a domain.
func (d *Directory) domain(ctx context.Context, name string) (directory.Entry, error) {
	const table = "sql:domains"
	var id identity.ID
	var enabled dbsql.Null[bool]
	var aliasOf dbsql.Null[string]
	err := d.pool.QueryRow(ctx, domainQuery, name).Scan(&id, &enabled, &aliasOf)
	if err == nil {
		err = d.same(id)
	}
	switch {
	case err != nil:
		return directory.Entry{}, answer(table, name, err)
	case !enabled.Valid:
		return directory.Entry{}, directory.Missing(table, name)
	}
	return directory.Entry{Domain: directory.Domain{Name: name, AliasOf: aliasOf.V, Enabled: enabled.V}}, nil
}

// login is the entry of somebody who logs in.
func (d *Directory) login(ctx context.Context, key directory.Key) (directory.Entry, error) {
	const table = "sql:accounts"
	var e directory.Entry
	m := &e.Mailbox
	var id identity.ID
	err := d.pool.QueryRow(ctx, loginQuery, key.Domain, key.Local).
		Scan(&id, &m.Home, &m.QuotaBytes, &m.QuotaMessages, &m.Enabled, &e.PasswordHash, &m.Credential)
	if errors.Is(err, dbsql.ErrNoRows) {
		return directory.Entry{}, d.missing(ctx, table, key.String())
	}
	if err == nil {
		err = d.same(id)
	}
	if err != nil {
		return directory.Entry{}, answer(table, key.String(), err)
	}
	return e, nil
}

// missing is the answer of a query without rows: NotFound, if it was asked of
// the right database.
func (d *Directory) missing(ctx context.Context, table, key string) error {
	if _, err := d.Instance(ctx); err != nil {
		return err
	}
	return directory.Missing(table, key)
}

// found is what the rows of a query are: the entry of the first local among them,
// and the domain where the query has it.
type found struct {
	domain directory.Domain
	local  string
	entry  directory.Entry
}

// rows asks for an entry.
func (d *Directory) rows(ctx context.Context, query db.Query, args ...any) (found, error) {
	rows, err := d.pool.Query(ctx, query, args...)
	if err != nil {
		return found{}, err
	}
	f, id, err := readEntry(rows)
	// Before the id is asked for: that needs a connection, too.
	err = errors.Join(err, rows.Close())
	if err == nil {
		err = d.same(id)
	}
	return f, err
}

// readEntry reads the rows of the first local.
func readEntry(rows *db.Rows) (f found, id identity.ID, err error) {
	seen, alias := false, false
	for rows.Next() {
		var m directory.Mailbox
		var local, kind, movedTo, target string
		if err := rows.Scan(&id, &f.domain.AliasOf, &f.domain.Enabled, &local, &kind,
			&m.Home, &m.QuotaBytes, &m.QuotaMessages, &m.Enabled, &movedTo, &target); err != nil {
			return f, id, err
		}
		if seen && local != f.local {
			break
		}
		seen, f.local = true, local
		switch kind {
		case "mailbox":
			f.entry.Mailbox = m
		case "alias":
			alias = true
		case "relocated":
			f.entry.MovedTo = movedTo
		default: // of a newer program
			return f, id, errBadRow
		}
		if target == "" {
			continue
		}
		t, err := addr.Parse(target)
		if err != nil {
			return f, id, errors.Join(errBadRow, err)
		}
		f.entry.Targets = append(f.entry.Targets, t)
	}
	switch {
	case rows.Err() != nil:
		return f, id, rows.Err()
	case !seen:
		return f, id, dbsql.ErrNoRows
	case alias && len(f.entry.Targets) == 0:
		return f, id, errBadRow
	}
	return f, id, nil
}
