package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"errors"
	"time"

	"toastmaster/admin/authz"
	"toastmaster/admin/model"
	"toastmaster/internal/db"
)

const (
	noToken = "no such token"
	// secretPrefix lets people and scanners recognise a token where it should
	// not be.
	secretPrefix = "tmt_"
	secretSize   = 32
	// lastUsedStep is how exactly the last use is kept: a write per request
	// would cost more than it is worth.
	lastUsedStep = time.Hour
)

type tokenRow struct {
	id int64
	model.Token
}

func scanToken(row scanner) (tokenRow, error) {
	var t tokenRow
	var created, expires, used int64
	err := row.Scan(&t.id, &t.Name, &t.Role, &created, &expires, &used)
	t.Created, t.Expires, t.LastUsed = milliseconds(created), optionalTime(expires), optionalTime(used)
	return t, err
}

func optionalTime(n int64) *time.Time {
	if n == 0 {
		return nil
	}
	t := milliseconds(n)
	return &t
}

// AddToken makes a token. Its secret is in the result and nowhere else.
func (s *Store) AddToken(ctx context.Context, actor string, in model.NewToken) (model.TokenSecret, error) {
	if err := in.Normalize(); err != nil {
		return model.TokenSecret{}, err
	}
	if in.Role == "" {
		in.Role = string(authz.Superadmin)
	}
	if !authz.Known(authz.Role(in.Role)) {
		return model.TokenSecret{}, fieldError("role", "tokens can have the role superadmin")
	}
	random := make([]byte, secretSize)
	rand.Read(random)
	out := model.TokenSecret{Secret: secretPrefix + base64.RawURLEncoding.EncodeToString(random)}
	err := s.write(ctx, actor, func(t *tx) error {
		_, err := t.token(ctx, in.Name)
		switch {
		case err == nil:
			return model.Fail(model.Exists, "there is a token of this name")
		case model.KindOf(err) != model.NotFound:
			return err
		}
		expires := int64(0)
		if in.Expires != nil {
			expires = in.Expires.UnixMilli()
			if expires <= t.now {
				return fieldError("expires", "is over")
			}
		}
		if _, err := t.Exec(ctx, insertToken, in.Name, digest(out.Secret), in.Role, t.now, expires); err != nil {
			return err
		}
		out.Token = model.Token{Name: in.Name, Role: in.Role, Created: milliseconds(t.now), Expires: optionalTime(expires)}
		return t.audit(ctx, "add", "token", in.Name, nil, out.Token)
	})
	if err != nil {
		return model.TokenSecret{}, err
	}
	return out, nil
}

func (t *tx) token(ctx context.Context, name string) (tokenRow, error) {
	row, err := scanToken(t.QueryRow(ctx, selectToken, name))
	return row, missing(err, noToken)
}

// RemoveToken revokes a token.
func (s *Store) RemoveToken(ctx context.Context, actor, name string) error {
	return s.write(ctx, actor, func(t *tx) error {
		row, err := t.token(ctx, name)
		if err != nil {
			return err
		}
		if _, err := t.Exec(ctx, deleteToken, row.id); err != nil {
			return err
		}
		return t.audit(ctx, "remove", "token", name, row.Token, nil)
	})
}

// Tokens lists all tokens by name.
func (s *Store) Tokens(ctx context.Context) ([]model.Token, error) {
	rows, err := s.reader.Query(ctx, listTokens)
	return collect(rows, err, func(r *db.Rows) (model.Token, error) {
		t, err := scanToken(r)
		return t.Token, err
	})
}

// Authenticate finds who a secret belongs to. An unknown or expired one is
// Unauthenticated. The search is for the secret's digest, so its time tells
// nothing about other secrets.
func (s *Store) Authenticate(ctx context.Context, secret string) (authz.Principal, error) {
	row, err := scanToken(s.reader.QueryRow(ctx, findToken, digest(secret)))
	now := s.o.Clock.Now()
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return authz.Principal{}, model.Fail(model.Unauthenticated, "unknown token")
	case err != nil:
		return authz.Principal{}, failure(err)
	case row.Expires != nil && !now.Before(*row.Expires):
		return authz.Principal{}, model.Fail(model.Unauthenticated, "the token has expired")
	}
	if row.LastUsed == nil || now.Sub(*row.LastUsed) >= lastUsedStep {
		// Not worth an error: it is information for people.
		_, _ = s.writer.Exec(ctx, touchToken, row.id, now.UnixMilli())
	}
	return authz.Principal{Name: "token:" + row.Name, Role: authz.Role(row.Role)}, nil
}
