package store_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"toastmaster/admin/model"
	"toastmaster/directory"
	dirsql "toastmaster/directory/sql"
	"toastmaster/directory/static"
	"toastmaster/directory/tabletest"
)

// TestContractThroughTheStore: what the write side wrote, the directory reads.
func TestContractThroughTheStore(t *testing.T) {
	t.Parallel()
	tabletest.Run(t, tabletest.Subject{
		Healthy: func(t *testing.T, data static.Data) directory.Backend {
			b := newBench(t)
			b.fill(t, data, false)
			d, err := dirsql.Open(b.database)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { d.Close() })
			return d
		},
		Failing: func(_ *testing.T, outcome directory.Outcome) directory.Backend {
			return static.Broken{Outcome: outcome}
		},
		Refuses: true,
	})
}

// fill writes data through the store, and gives it back without what the store
// refuses: that is no mistake when lax.
func (b *bench) fill(t *testing.T, data static.Data, lax bool) static.Data {
	t.Helper()
	ctx := context.Background()
	for _, alias := range []bool{false, true} {
		for _, d := range data.Domains {
			if alias == (d.AliasOf != "") {
				in := model.NewDomain{Name: d.Name, AliasOf: d.AliasOf, DomainChange: model.DomainChange{Enabled: &d.Enabled}}
				must(b.AddDomain(ctx, me, in))(t)
			}
		}
	}
	for _, a := range data.Accounts {
		m := a.Mailbox
		in := model.NewMailbox{Address: m.Address.String(), MailboxChange: model.MailboxChange{
			PasswordHash: &a.PasswordHash, QuotaBytes: &m.QuotaBytes, QuotaMessages: &m.QuotaMessages, Enabled: &m.Enabled,
		}}
		must(b.AddMailbox(ctx, me, in))(t)
	}
	taken := map[string][]string{}
	for from, to := range data.Aliases {
		_, err := b.AddAlias(ctx, me, model.NewAlias{Address: from, AliasChange: model.AliasChange{Targets: to}})
		switch {
		case err == nil:
			taken[from] = to
		case !lax || model.KindOf(err) != model.Invalid && model.KindOf(err) != model.OverLimit:
			t.Fatalf("%s: %v", from, err)
		}
	}
	data.Aliases = taken
	for from, to := range data.Relocated {
		must(b.AddRelocated(ctx, me, model.NewRelocated{Address: from, RelocatedChange: model.RelocatedChange{MovedTo: to}}))(t)
	}
	return data
}

// TestRandomThroughTheStore: what the store took, the mail services, the checks of
// a change and a table in memory decide alike.
func TestRandomThroughTheStore(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3) {
		b := newBench(t)
		data := b.fill(t, tabletest.Random(rand.New(rand.NewPCG(seed, 3))), true)
		want := must(static.New(data))(t)
		d := must(dirsql.Open(b.database))(t)
		t.Cleanup(func() { d.Close() })
		tabletest.Same(t, want, directory.New(d, data.Delimiters))
		own := b.Store.Directory()
		for _, a := range tabletest.Universe() {
			q := directory.Question{Aliases: directory.Limits{Depth: 4, Addresses: 10}}
			if w, g := want.Decide(t.Context(), a, q), own.Decide(t.Context(), a, q); w.Verdict != g.Verdict || !slices.Equal(w.Addresses, g.Addresses) {
				t.Errorf("%s: %s %v, want %s %v", a, g.Verdict, g.Addresses, w.Verdict, w.Addresses)
			}
		}
	}
}

func TestAuditIsComplete(t *testing.T) {
	t.Parallel()
	b, ctx := newBench(t), context.Background()
	b.domain(t, "a.test")
	must(b.AddMailbox(ctx, "token:x", model.NewMailbox{Address: "m@a.test", MailboxChange: model.MailboxChange{Password: ptr("s3cr3t")}}))(t)
	must(b.SetMailbox(ctx, me, "m@a.test", model.MailboxChange{Password: ptr("s3cr3t2")}))(t)
	if _, err := b.RemoveMailbox(ctx, me, "m@a.test"); err != nil {
		t.Fatal(err)
	}
	secret := must(b.AddToken(ctx, me, model.NewToken{Name: "t"}))(t)
	_, err := b.AddMailbox(ctx, me, model.NewMailbox{Address: "m@none.test"})
	wantKind(t, "refused", err, model.Invalid)
	all := must(b.Audit(ctx, "", "", 0, 100))(t)
	var got []string
	for _, e := range all {
		got = append(got, fmt.Sprintf("%s %s %s %s %v %v", e.Actor, e.Action, e.Object, e.Name, e.Before != nil, e.After != nil))
		if text := string(e.Before) + string(e.After); strings.Contains(text, "argon2") || strings.Contains(text, "s3cr3t") || strings.Contains(text, secret.Secret) {
			t.Errorf("secret in the audit: %s", text)
		}
	}
	want := []string{
		"unix:uid=0 add token t false true",
		"unix:uid=0 remove mailbox m@a.test true false",
		"unix:uid=0 set mailbox m@a.test true true",
		"token:x add mailbox m@a.test false true",
		"unix:uid=0 add domain a.test false true",
	}
	if !slices.Equal(got, want) {
		t.Errorf("audit:\n%s", strings.Join(got, "\n"))
	}
	if !strings.Contains(string(all[2].After), `"password_changed":true`) {
		t.Errorf("the change of password does not show: %s", all[2].After)
	}
	if second := must(b.Audit(ctx, "mailbox", "m@a.test", all[1].ID, 1))(t); len(second) != 1 || second[0].Action != "set" {
		t.Errorf("second page %+v", second)
	}
}

// TestLockedDatabase: another process writes; the answer is "later", and what
// was refused is not there.
func TestLockedDatabase(t *testing.T) {
	t.Parallel()
	b, ctx := newBench(t), context.Background()
	b.domain(t, "a.test")
	other := must(dirsql.OpenWriter(ctx, b.database))(t)
	defer other.Close()
	lock := must(b.database.Dialect.Lock(ctx, other))(t)
	before := b.changed.Load()
	_, err := b.AddMailbox(ctx, me, model.NewMailbox{Address: "m@a.test"})
	wantKind(t, "locked", err, model.Unavailable)
	if b.changed.Load() != before {
		t.Error("Changed was called")
	}
	must(b.Mailboxes(ctx, model.Filter{}, "", 10))(t) // readers go on
	if err := lock.Rollback(); err != nil {
		t.Fatal(err)
	}
	must(b.AddMailbox(ctx, me, model.NewMailbox{Address: "m@a.test"}))(t)
}

func TestBrokenSchemaIsInternal(t *testing.T) {
	t.Parallel()
	b, ctx := newBench(t), context.Background()
	if _, err := b.writer.Exec("DROP VIEW directory_recipients; DROP TABLE relocated"); err != nil {
		t.Fatal(err)
	}
	_, err := b.RelocatedList(ctx, model.Filter{}, "", 10)
	wantKind(t, "dropped table", err, model.Internal)
	var e *model.Error
	if !errors.As(err, &e) || strings.Contains(e.Text, "relocated") || e.Cause == nil {
		t.Errorf("internals in the text, or no cause: %+v", e)
	}
}
