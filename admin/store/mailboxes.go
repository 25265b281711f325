package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"path/filepath"

	"toastmaster/admin/model"
	"toastmaster/directory"
	"toastmaster/directory/password"
	"toastmaster/internal/addr"
	"toastmaster/internal/db"
)

const noMailbox = "no such mailbox"

type mailboxRow struct {
	id int64
	model.Mailbox
}

// auditedMailbox is what the audit keeps: never a hash, but that it changed.
type auditedMailbox struct {
	model.Mailbox
	PasswordChanged bool `json:"password_changed,omitempty"`
}

func scanMailbox(row scanner) (mailboxRow, error) {
	var m mailboxRow
	var created, updated int64
	err := row.Scan(&m.id, &m.Address, &m.Home, &m.QuotaBytes, &m.QuotaMessages, &m.Enabled, &m.HasPassword, &m.Alias, &created, &updated)
	m.Created, m.Updated = milliseconds(created), milliseconds(updated)
	return m, err
}

// storedHash is what is kept of a change's password: nil when it has none.
func storedHash(c model.MailboxChange, hash func(string) string) (*string, error) {
	switch {
	case c.PasswordHash != nil:
		_, err := password.Recognise(*c.PasswordHash) // names the method
		if err == nil {
			err = password.Check(*c.PasswordHash)
		}
		if err != nil {
			return nil, fieldError("password_hash", err.Error())
		}
		return c.PasswordHash, nil
	case c.Password != nil:
		h := hash(*c.Password)
		return &h, nil
	}
	return nil, nil
}

// AddMailbox makes a mailbox, also beside an alias of the same address. in is normalised by the call.
func (s *Store) AddMailbox(ctx context.Context, actor string, in model.NewMailbox) (model.Mailbox, error) {
	if err := in.Normalize(); err != nil {
		return model.Mailbox{}, err
	}
	hash, err := storedHash(in.MailboxChange, s.o.Hasher.Hash)
	if err != nil {
		return model.Mailbox{}, err
	}
	var out model.Mailbox
	err = s.write(ctx, actor, func(t *tx) error {
		m, write, err := t.newMailbox(ctx, in, hash)
		if err != nil {
			return err
		}
		out = m
		return write()
	})
	return out, err
}

// newMailbox checks a new mailbox; write makes it.
func (t *tx) newMailbox(ctx context.Context, in model.NewMailbox, hash *string) (out model.Mailbox, write func() error, err error) {
	p, err := t.find(ctx, in.Address, "mailbox")
	if err != nil {
		return out, nil, err
	}
	home, err := t.homes.of(in.Address, in.Home)
	if err == nil {
		err = freeHome(ctx, t, home, 0)
	}
	if err != nil {
		return out, nil, err
	}
	m := mailboxRow{Mailbox: model.Mailbox{
		Address: in.Address, Home: home, Enabled: true, Alias: p.beside,
		QuotaBytes: p.domain.DefaultQuotaBytes, QuotaMessages: p.domain.DefaultQuotaMessages, Created: milliseconds(t.now),
	}}
	m.change(in.MailboxChange, hash, t.now)
	return m.Mailbox, func() error {
		id, err := t.take(ctx, p)
		if err != nil {
			return err
		}
		stored := ""
		set(&stored, hash)
		_, err = t.Exec(ctx, insertMailbox, id, m.Home, stored, m.QuotaBytes, m.QuotaMessages, m.Enabled, newCredential())
		if err != nil {
			return err
		}
		return t.audit(ctx, "add", "mailbox", in.Address, nil, auditedMailbox{m.Mailbox, false})
	}, nil
}

// newCredential is another one for each password.
func newCredential() string { return rand.Text() }

// homes makes the homes of mailboxes.
type homes struct{ root, template string }

// of is the home of an address, by what was asked for or by the template.
func (h homes) of(address string, asked *string) (string, error) {
	a, err := model.ParseAddress(address, false)
	if err != nil {
		return "", err
	}
	template := h.template
	set(&template, asked)
	home, err := model.ExpandHome(template, h.root, a)
	var known *model.Error
	if err != nil && !errors.As(err, &known) {
		err = fieldError("home", err.Error())
	}
	if err != nil {
		return "", err
	}
	return home, nil
}

// FreeHome says that the home that a new mailbox would get is nobody else's; the
// error names whose it is.
func (s *Store) FreeHome(ctx context.Context, home string) error {
	return freeHome(ctx, s.reader, home, 0)
}

// HomeOf is the home that a new mailbox would get.
func (s *Store) HomeOf(address string, asked *string) (string, error) {
	return s.o.homes().of(address, asked)
}

// freeHome refuses a home that is another mailbox's, lies in one, or has one in it:
// who removes one would remove the other.
func freeHome(ctx context.Context, q queryer, home string, id int64) error {
	taken := func(query db.Query, args ...any) error {
		var address, at string
		err := q.QueryRow(ctx, query, args...).Scan(&address, &at)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		return &model.Error{
			Kind: model.Invalid, Text: "invalid input",
			Fields: []model.FieldError{{Field: "home", Message: "another mailbox has it, or they would be one in the other"}},
			Staff:  home + " and " + at + ", the home of " + address,
		}
	}
	for path := home; path != "."; path = filepath.Dir(path) {
		if err := taken(selectHome, path, id); err != nil {
			return err
		}
	}
	return taken(selectHomesIn, home+"/", home+"0", id) // "0" follows "/"
}

func (m *mailboxRow) change(c model.MailboxChange, hash *string, now int64) {
	set(&m.QuotaBytes, c.QuotaBytes)
	set(&m.QuotaMessages, c.QuotaMessages)
	set(&m.Enabled, c.Enabled)
	if hash != nil {
		m.HasPassword = *hash != ""
	}
	m.Updated = milliseconds(now)
}

func (t *tx) mailbox(ctx context.Context, address string) (mailboxRow, error) {
	m, err := scanMailbox(t.QueryRow(ctx, selectMailbox, address))
	return m, missing(err, noMailbox)
}

// SetMailbox changes a mailbox.
func (s *Store) SetMailbox(ctx context.Context, actor, address string, in model.MailboxChange) (model.Mailbox, error) {
	if err := in.Normalize(); err != nil {
		return model.Mailbox{}, err
	}
	hash, err := storedHash(in, s.o.Hasher.Hash)
	if err != nil {
		return model.Mailbox{}, err
	}
	var out model.Mailbox
	err = s.write(ctx, actor, func(t *tx) error {
		m, err := t.mailbox(ctx, address)
		if err != nil {
			return err
		}
		before := m.Mailbox
		if in.Home != nil {
			if m.Home, err = t.homes.of(address, in.Home); err == nil {
				err = freeHome(ctx, t, m.Home, m.id)
			}
			if err != nil {
				return err
			}
		}
		m.change(in, hash, t.now)
		if _, err := t.Exec(ctx, updateMailbox, m.id, hash, m.QuotaBytes, m.QuotaMessages, m.Enabled, m.Home, newCredential()); err != nil {
			return err
		}
		if err := t.touch(ctx, m.id); err != nil {
			return err
		}
		out = m.Mailbox
		return t.audit(ctx, "set", "mailbox", address, auditedMailbox{before, false}, auditedMailbox{out, hash != nil})
	})
	return out, err
}

// MayRemoveMailbox refuses a mailbox of which an alias of the same address keeps
// a copy: without it the alias would name itself and be nobody. InUse.
func (s *Store) MayRemoveMailbox(ctx context.Context, address string) error {
	a, err := model.ParseAddress(address, false)
	if err != nil {
		return nil // no mailbox's address
	}
	d := s.Directory()
	own, err := d.Recipient(ctx, a)
	switch outcome := directory.OutcomeOf(err); {
	case outcome == directory.NotFound, outcome == directory.Found && !own.Matched.Equal(a):
		return nil
	case err != nil:
		return failure(err)
	}
	for _, target := range own.Targets {
		found, err := d.Recipient(ctx, target)
		switch directory.OutcomeOf(err) {
		case directory.NotFound:
			continue
		case directory.Found:
		default:
			return failure(err)
		}
		if found.Matched == own.Matched {
			return model.Fail(model.InUse, "the alias of the same address keeps a copy in this mailbox: "+
				"remove the alias, or take "+target.String()+" out of its targets")
		}
	}
	return nil
}

// RemoveMailbox removes a mailbox from the directory. Its mail stays. The
// answer warns of the aliases for which there is nobody now.
func (s *Store) RemoveMailbox(ctx context.Context, actor, address string) (model.Removed, error) {
	out := model.Removed{Address: address}
	err := s.write(ctx, actor, func(t *tx) error {
		m, err := t.mailbox(ctx, address)
		if err != nil {
			return err
		}
		if err := t.remove(ctx, m.id); err != nil {
			return err
		}
		if _, err := t.Exec(ctx, deleteLogins, address); err != nil {
			return err
		}
		if err := t.audit(ctx, "remove", "mailbox", address, auditedMailbox{m.Mailbox, false}, nil); err != nil {
			return err
		}
		out.Warnings, err = t.aliasesLeft(ctx, address)
		return err
	})
	return out, err
}

// Mailbox reads one.
func (s *Store) Mailbox(ctx context.Context, address string) (model.Mailbox, error) {
	m, err := scanMailbox(s.reader.QueryRow(ctx, selectMailbox, address))
	return m.Mailbox, missing(err, noMailbox)
}

// Mailboxes lists mailboxes by address.
func (s *Store) Mailboxes(ctx context.Context, f model.Filter, after string, limit int) (model.Page[model.Mailbox], error) {
	limit, f = clampLimit(limit), narrow(f)
	q, args := listMailboxes, []any{after, f.Contains, limit + 1, tristate(f.Enabled)}
	switch {
	case tristate(f.Enabled) == 0:
		q, args = listMailboxesDisabled, append(args[:3], f.Domain, optionalScope(f.Scope))
	case f.Domain != "":
		q, args = listMailboxesOf, append(args, f.Domain)
	case f.Scope != nil:
		q, args = listMailboxesInScope, append(args, scopeArg(f.Scope))
	}
	rows, err := s.reader.Query(ctx, q, args...)
	items, err := collect(rows, err, func(r *db.Rows) (model.Mailbox, error) {
		m, err := scanMailbox(r)
		return m.Mailbox, err
	})
	return page(items, limit, func(m model.Mailbox) string { return m.Address }), err
}

// ReplaceHash stores a stronger hash of the same password, if the old one is
// still there; password.Options.Rehash. It is no change of the mailbox, so
// there is no audit row: thousands would follow each bulk addition.
func (s *Store) ReplaceHash(ctx context.Context, box directory.Mailbox, old, new string) error {
	return s.write(ctx, "login", func(t *tx) error {
		_, err := t.Exec(ctx, replaceHash, box.Home, old, new)
		return err
	})
}

// Directory is a mailbox as the directory gives it, for the removal of mail.
func Directory(m model.Mailbox) (directory.Mailbox, error) {
	a, err := addr.Parse(m.Address)
	return directory.Mailbox{Address: a, Home: m.Home, QuotaBytes: m.QuotaBytes, QuotaMessages: m.QuotaMessages, Enabled: m.Enabled}, err
}

// MailboxesOf counts the mailboxes of a domain.
func (s *Store) MailboxesOf(ctx context.Context, domain string) (int64, error) {
	d, err := scanDomain(s.reader.QueryRow(ctx, selectDomain, domain))
	if err != nil {
		return 0, missing(err, noDomain)
	}
	var n int64
	err = s.reader.QueryRow(ctx, countOfKind, d.id, "mailbox").Scan(&n)
	return n, failure(err)
}
