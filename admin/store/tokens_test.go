package store_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"toastmaster/admin/model"
)

func TestTokens(t *testing.T) {
	t.Parallel()
	b, ctx := newBench(t), context.Background()
	soon := b.clock.Now().Add(time.Hour)
	s := must(b.AddToken(ctx, me, model.NewToken{Name: "ci", Expires: &soon}))(t)
	if len(s.Secret) < 40 || !strings.HasPrefix(s.Secret, "tmt_") {
		t.Errorf("secret %q", s.Secret)
	}
	p := must(b.Authenticate(ctx, s.Secret))(t)
	if p.Name != "token:ci" || p.Role != "superadmin" {
		t.Errorf("principal %+v", p)
	}
	if list := must(b.Tokens(ctx))(t); len(list) != 1 || list[0].LastUsed == nil || list[0].Name != "ci" {
		t.Errorf("list %+v", list)
	}
	var plain int
	if err := b.reader.QueryRow("SELECT count(*) FROM api_tokens WHERE token_hash LIKE 'tmt%'").Scan(&plain); err != nil || plain != 0 {
		t.Error("the secret is in the database")
	}
	_, err := b.AddToken(ctx, me, model.NewToken{Name: "ci"})
	wantKind(t, "same name", err, model.Exists)
	_, err = b.AddToken(ctx, me, model.NewToken{Name: "x", Role: "king"})
	wantKind(t, "unknown role", err, model.Invalid)
	past := b.clock.Now().Add(-time.Hour)
	_, err = b.AddToken(ctx, me, model.NewToken{Name: "x", Expires: &past})
	wantKind(t, "expired at birth", err, model.Invalid)
	for _, bad := range []string{"", "x", s.Secret + "x", strings.ToUpper(s.Secret)} {
		_, err := b.Authenticate(ctx, bad)
		wantKind(t, bad, err, model.Unauthenticated)
	}
	b.clock.advance(time.Hour)
	_, err = b.Authenticate(ctx, s.Secret)
	wantKind(t, "expired", err, model.Unauthenticated)
	if err := b.RemoveToken(ctx, me, "ci"); err != nil {
		t.Error(err)
	}
	wantKind(t, "remove again", b.RemoveToken(ctx, me, "ci"), model.NotFound)
}
