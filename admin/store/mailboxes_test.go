package store_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"toastmaster/admin/model"
	"toastmaster/admin/store"
	"toastmaster/directory"
	dirsql "toastmaster/directory/sql"
)

func TestMailboxLife(t *testing.T) {
	t.Parallel()
	b, ctx := newBench(t), context.Background()
	must(b.AddDomain(ctx, me, model.NewDomain{Name: "a.test", DomainChange: model.DomainChange{
		MaxMailboxes: ptr(int64(2)), DefaultQuotaBytes: ptr(int64(100)), DefaultQuotaMessages: ptr(int64(10)),
	}}))(t)
	m := must(b.AddMailbox(ctx, me, model.NewMailbox{Address: "Alice@A.test", MailboxChange: model.MailboxChange{Password: ptr("secret")}}))(t)
	if m.Address != "alice@a.test" || m.Home != "a.test/alice" || m.QuotaBytes != 100 || m.QuotaMessages != 10 || !m.Enabled || !m.HasPassword {
		t.Errorf("added %+v", m)
	}
	b.wantPassword(t, "alice@a.test", "secret")
	set := must(b.SetMailbox(ctx, me, "alice@a.test", model.MailboxChange{QuotaBytes: ptr(int64(0))}))(t)
	if set.QuotaBytes != 0 || set.QuotaMessages != 10 || !set.HasPassword {
		t.Errorf("set %+v", set)
	}
	b.wantPassword(t, "alice@a.test", "secret")
	must(b.SetMailbox(ctx, me, "alice@a.test", model.MailboxChange{Password: ptr("other")}))(t)
	b.wantPassword(t, "alice@a.test", "other")
	set = must(b.SetMailbox(ctx, me, "alice@a.test", model.MailboxChange{PasswordHash: ptr("")}))(t)
	if set.HasPassword {
		t.Error("still has a password")
	}
	_, err := b.SetMailbox(ctx, me, "alice@a.test", model.MailboxChange{PasswordHash: ptr("{NOPE}x")})
	wantKind(t, "bad hash", err, model.Invalid)
	for address, kind := range map[string]model.Kind{
		"alice@a.test": model.Exists, "x@b.test": model.Invalid, "x": model.Invalid,
	} {
		_, err := b.AddMailbox(ctx, me, model.NewMailbox{Address: address})
		wantKind(t, address, err, kind)
	}
	must(b.AddMailbox(ctx, me, model.NewMailbox{Address: "b@a.test"}))(t)
	_, err = b.AddMailbox(ctx, me, model.NewMailbox{Address: "c@a.test"})
	wantKind(t, "over the limit", err, model.OverLimit)
	if _, err := b.RemoveMailbox(ctx, me, "alice@a.test"); err != nil {
		t.Error(err)
	}
	_, err = b.RemoveMailbox(ctx, me, "alice@a.test")
	wantKind(t, "remove again", err, model.NotFound)
	must(b.AddMailbox(ctx, me, model.NewMailbox{Address: "c@a.test"}))(t)
}

// TestPaging goes through 5,000 mailboxes of two domains while others come.
func TestPaging(t *testing.T) {
	t.Parallel()
	b, ctx := newBench(t), context.Background()
	b.domain(t, "a.test")
	b.domain(t, "b.test")
	const n = 5000
	in := make([]model.NewMailbox, n)
	for i := range in {
		in[i].Address = fmt.Sprintf("u%d@%s.test", i, string("ab"[i%2]))
	}
	start := time.Now()
	for chunk := range slices.Chunk(in, 500) {
		for _, r := range must(b.AddMailboxes(ctx, me, chunk, false, nil))(t) {
			if r.Result != model.BulkAdded {
				t.Fatalf("%+v", r)
			}
		}
	}
	t.Logf("%d mailboxes in %s", n, time.Since(start))
	for _, f := range []model.Filter{{}, {Domain: "a.test"}, {Contains: "99@"}, {Domain: "none.test"}, {Enabled: ptr(false)}} {
		seen := map[string]bool{}
		last, after := "", ""
		for {
			p := must(b.Mailboxes(ctx, f, after, 333))(t)
			for _, m := range p.Items {
				if m.Address <= last {
					t.Fatalf("%q after %q", m.Address, last)
				}
				last = m.Address
				seen[m.Address] = true
			}
			if p.Next == "" {
				break
			}
			after = p.Next
			if f == (model.Filter{}) && len(seen) == 999 {
				// One that comes before the place is not shown, one behind is.
				must(b.AddMailbox(ctx, me, model.NewMailbox{Address: "0@a.test"}))(t)
				must(b.AddMailbox(ctx, me, model.NewMailbox{Address: "zzz@a.test"}))(t)
			}
		}
		want := map[model.Filter]int{{}: n + 1, {Domain: "a.test"}: n/2 + 2, {Contains: "99@"}: 50, {Domain: "none.test"}: 0}[f]
		if len(seen) != want {
			t.Errorf("%+v: %d mailboxes, want %d", f, len(seen), want)
		}
	}
}

func TestReplaceHash(t *testing.T) {
	t.Parallel()
	b, ctx := newBench(t), context.Background()
	b.domain(t, "a.test")
	m := must(b.AddMailbox(ctx, me, model.NewMailbox{Address: "m@a.test", MailboxChange: model.MailboxChange{PasswordHash: ptr("{PLAIN}x")}}))(t)
	box := must(store.Directory(m))(t)
	for _, step := range []struct{ old, new, want string }{
		{"{PLAIN}other", "{PLAIN}evil", "{PLAIN}x"}, {"{PLAIN}x", "{PLAIN}stronger", "{PLAIN}stronger"},
	} {
		if err := b.ReplaceHash(ctx, box, step.old, step.new); err != nil {
			t.Fatal(err)
		}
		if got := b.hash(t, "m@a.test"); got != step.want {
			t.Errorf("hash %s, want %s", got, step.want)
		}
	}
}

// TestCredential: it changes with the mailbox and with the password, and with
// nothing else, because open sessions end with it.
func TestCredential(t *testing.T) {
	t.Parallel()
	b, ctx := newBench(t), context.Background()
	b.domain(t, "a.test")
	back := must(dirsql.Open(b.database))(t)
	defer back.Close()
	hosted := directory.New(back, "")
	in := model.NewMailbox{Address: "m@a.test", MailboxChange: model.MailboxChange{PasswordHash: ptr("{PLAIN}x")}}
	m := must(b.AddMailbox(ctx, me, in))(t)
	last := ""
	for _, step := range []struct {
		name    string
		do      func() error
		another bool
	}{
		{"add", func() error { return nil }, true},
		{"quota", func() error {
			_, err := b.SetMailbox(ctx, me, "m@a.test", model.MailboxChange{QuotaBytes: ptr(int64(5))})
			return err
		}, false},
		{"stronger hash", func() error {
			return b.ReplaceHash(ctx, must(store.Directory(m))(t), "{PLAIN}x", "{PLAIN}y")
		}, false},
		{"password", func() error {
			_, err := b.SetMailbox(ctx, me, "m@a.test", in.MailboxChange)
			return err
		}, true},
		{"made anew", func() error {
			if _, err := b.RemoveMailbox(ctx, me, "m@a.test"); err != nil {
				return err
			}
			_, err := b.AddMailbox(ctx, me, in)
			return err
		}, true},
	} {
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		now := must(hosted.Account(ctx, "m@a.test"))(t).Mailbox.Credential
		if now == "" || (now != last) != step.another {
			t.Errorf("%s: %q after %q", step.name, now, last)
		}
		last = now
	}
}
