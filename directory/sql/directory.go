package sql

import (
	"context"
	dbsql "database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"

	"toastmaster/directory"
	"toastmaster/internal/addr"
	"toastmaster/internal/identity"
)

// Directory implements directory.Directory. Safe for concurrent use.
type Directory struct {
	db         *dbsql.DB
	path       string
	delimiters string

	mu       sync.Mutex
	prepared [4]*dbsql.Stmt
	// instance is the id of the database that gave the first answer.
	instance *identity.ID
}

// Instance is the id of the database, "" for none. All answers are of that one,
// also when the file gets other content.
func (d *Directory) Instance(ctx context.Context) (identity.ID, error) {
	const table = "sql:instance"
	s, err := d.statement(ctx, instanceQuery)
	if err != nil {
		return "", answer(table, d.path, err)
	}
	var id identity.ID
	err = s.QueryRowContext(ctx).Scan(&id)
	if err == nil {
		err = d.same(id)
	}
	if err != nil {
		return "", answer(table, d.path, err)
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
		return fmt.Errorf("%w: %s has the instance id %q and had %q", errOther, d.path, id, *d.instance)
	}
	return nil
}

// missing is the answer of a query without rows: NotFound, if it was asked of
// the right database.
func (d *Directory) missing(ctx context.Context, table, key string) error {
	if _, err := d.Instance(ctx); err != nil {
		return err
	}
	return directory.Missing(table, key)
}

// failed is any answer but Found.
func (d *Directory) failed(ctx context.Context, table, key string, err error) error {
	if errors.Is(err, dbsql.ErrNoRows) {
		return d.missing(ctx, table, key)
	}
	return answer(table, key, err)
}

// Close closes the database.
func (d *Directory) Close() error { return d.db.Close() }

// The queries, in order of the constants. All that this package asks stands
// here.
const (
	domainQuery = iota
	recipientQuery
	accountQuery
	instanceQuery
)

// Each answer has the id of its database in front; one without rows is asked
// for by itself (missing).
var queries = [4]string{
	instanceQuery: `SELECT COALESCE((SELECT id FROM directory_instance), '')`,

	domainQuery: `SELECT COALESCE((SELECT id FROM directory_instance), ''), alias_of, enabled FROM directory_domains WHERE name = ?1`,

	// Up to three addresses match: whole, without extension, catch-all. They
	// come best first, and only the rows of the first are read: one for each
	// target of an alias, then the mailbox beside it ('alias' < 'mailbox').
	recipientQuery: `
SELECT COALESCE((SELECT id FROM directory_instance), ''), r.local, d.real_name, r.kind, r.home, r.quota_bytes, r.quota_messages, r.enabled * d.enabled, r.moved_to, COALESCE(t.target, '')
  FROM directory_domains d
  JOIN directory_recipients r ON r.real_id = d.real_id AND r.local IN (?2, ?3, '')
  LEFT JOIN directory_targets t ON t.address_id = r.address_id
 WHERE d.name = ?1
 ORDER BY CASE r.local WHEN ?2 THEN 0 WHEN ?3 THEN 1 ELSE 2 END, r.kind, t.position`,

	accountQuery: `
SELECT COALESCE((SELECT id FROM directory_instance), ''), d.real_name, a.home, a.quota_bytes, a.quota_messages, a.enabled * d.enabled, a.password_hash, a.credential
  FROM directory_domains d
  JOIN directory_accounts a ON a.real_id = d.real_id AND a.local = ?2
 WHERE d.name = ?1`,
}

// statement prepares a query at its first use. Not in Open, because the schema
// may be laid later and a lookup then has to recover.
func (d *Directory) statement(ctx context.Context, query int) (*dbsql.Stmt, error) {
	d.mu.Lock()
	s := d.prepared[query]
	d.mu.Unlock()
	if s != nil {
		return s, nil
	}
	// Prepared without the lock: it may wait for the database.
	s, err := d.db.PrepareContext(ctx, queries[query])
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if first := d.prepared[query]; first != nil {
		s.Close()
		return first, nil
	}
	d.prepared[query] = s
	return s, nil
}

// Domain implements directory.Directory.
func (d *Directory) Domain(ctx context.Context, name string) (directory.Domain, error) {
	const table = "sql:domains"
	s, err := d.statement(ctx, domainQuery)
	if err != nil {
		return directory.Domain{}, answer(table, name, err)
	}
	dom := directory.Domain{Name: name}
	var id identity.ID
	err = s.QueryRowContext(ctx, name).Scan(&id, &dom.AliasOf, &dom.Enabled)
	if err == nil {
		err = d.same(id)
	}
	if err != nil {
		return directory.Domain{}, d.failed(ctx, table, name, err)
	}
	return dom, nil
}

// Recipient implements directory.Directory.
func (d *Directory) Recipient(ctx context.Context, a addr.Address) (directory.Recipient, error) {
	const table = "sql:recipients"
	key := a.Key()
	s, err := d.statement(ctx, recipientQuery)
	if err != nil {
		return directory.Recipient{}, answer(table, key, err)
	}
	base, extension := a.SplitExtension(d.delimiters)
	whole := a.Fold().Local
	rows, err := s.QueryContext(ctx, a.Domain, whole, base.Fold().Local)
	if err != nil {
		return directory.Recipient{}, answer(table, key, err)
	}
	r, id, err := readRecipient(rows)
	// Before the id is asked for: that needs a connection, too.
	err = errors.Join(err, rows.Close())
	if err == nil {
		err = d.same(id)
	}
	if err != nil {
		return directory.Recipient{}, d.failed(ctx, table, key, err)
	}
	if r.Matched.Local != whole && r.Matched.Local != "" {
		r.Extension = extension
	}
	return r, nil
}

// readRecipient reads the rows of the best match.
func readRecipient(rows *dbsql.Rows) (r directory.Recipient, id identity.ID, err error) {
	found := false
	for rows.Next() {
		var matched addr.Address
		var m directory.Mailbox
		var kind, movedTo, target string
		if err := rows.Scan(&id, &matched.Local, &matched.Domain, &kind, &m.Home, &m.QuotaBytes, &m.QuotaMessages, &m.Enabled, &movedTo, &target); err != nil {
			return r, id, err
		}
		if found && matched != r.Matched {
			break
		}
		if !found {
			found = true
			r = directory.Recipient{Kind: kinds(kind), Matched: matched, MovedTo: movedTo}
		}
		if kinds(kind) == directory.KindMailbox {
			m.Address = matched
			r.Mailbox = m
		}
		if target == "" {
			continue
		}
		t, err := addr.Parse(target)
		if err != nil {
			return r, id, errors.Join(errBadRow, err)
		}
		r.Targets = append(r.Targets, t)
	}
	switch {
	case rows.Err() != nil:
		return r, id, rows.Err()
	case !found:
		return r, id, dbsql.ErrNoRows
	case r.Kind == 0:
		return r, id, errBadRow
	case r.Kind == directory.KindAlias && len(r.Targets) == 0:
		return r, id, errBadRow
	}
	return r, id, nil
}

// kinds reads the column kind; 0 for one that this program does not know.
func kinds(column string) directory.Kind {
	switch column {
	case "mailbox":
		return directory.KindMailbox
	case "alias":
		return directory.KindAlias
	case "relocated":
		return directory.KindRelocated
	}
	return 0
}

// Account implements directory.Directory.
func (d *Directory) Account(ctx context.Context, login string) (directory.Account, error) {
	const table = "sql:accounts"
	a, err := addr.Parse(login)
	if err != nil || a.Domain == "" {
		return directory.Account{}, directory.Missing(table, login)
	}
	s, err := d.statement(ctx, accountQuery)
	if err != nil {
		return directory.Account{}, answer(table, login, err)
	}
	acc := directory.Account{Mailbox: directory.Mailbox{Address: a.Fold()}}
	m := &acc.Mailbox
	var id identity.ID
	err = s.QueryRowContext(ctx, a.Domain, m.Address.Local).
		Scan(&id, &m.Address.Domain, &m.Home, &m.QuotaBytes, &m.QuotaMessages, &m.Enabled, &acc.PasswordHash, &m.Credential)
	if err == nil {
		err = d.same(id)
	}
	if err != nil {
		return directory.Account{}, d.failed(ctx, table, strings.ToLower(login), err)
	}
	return acc, nil
}
