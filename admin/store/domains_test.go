package store_test

import (
	"context"
	"testing"
	"time"

	"toastmaster/admin/model"
)

func TestDomainLife(t *testing.T) {
	t.Parallel()
	b, ctx := newBench(t), context.Background()
	d := must(b.AddDomain(ctx, me, model.NewDomain{Name: "Example.TEST", DomainChange: model.DomainChange{MaxMailboxes: ptr(int64(2)), DefaultQuotaBytes: ptr(int64(5))}}))(t)
	if d.Name != "example.test" || !d.Enabled || d.MaxMailboxes != 2 || d.Created.IsZero() {
		t.Errorf("added %+v", d)
	}
	_, err := b.AddDomain(ctx, me, model.NewDomain{Name: "example.test"})
	wantKind(t, "again", err, model.Exists)
	_, err = b.AddDomain(ctx, me, model.NewDomain{Name: "b.test", AliasOf: "none.test"})
	wantKind(t, "alias of nothing", err, model.Invalid)
	must(b.AddDomain(ctx, me, model.NewDomain{Name: "alias.test", AliasOf: "example.test"}))(t)
	_, err = b.AddDomain(ctx, me, model.NewDomain{Name: "b.test", AliasOf: "alias.test"})
	wantKind(t, "alias of alias", err, model.Invalid)

	b.clock.advance(time.Minute)
	set := must(b.SetDomain(ctx, me, "example.test", model.DomainChange{Enabled: ptr(false)}))(t)
	if set.Enabled || set.MaxMailboxes != 2 || !set.Updated.After(set.Created) {
		t.Errorf("set %+v", set)
	}
	if got := must(b.Domain(ctx, "example.test"))(t); got != set {
		t.Errorf("read %+v, want %+v", got, set)
	}
	_, err = b.SetDomain(ctx, me, "none.test", model.DomainChange{})
	wantKind(t, "set unknown", err, model.NotFound)

	must(b.AddMailbox(ctx, me, model.NewMailbox{Address: "a@example.test"}))(t)
	wantKind(t, "remove with alias", b.RemoveDomain(ctx, me, "example.test", true), model.InUse)
	if err := b.RemoveDomain(ctx, me, "alias.test", false); err != nil {
		t.Error(err)
	}
	wantKind(t, "remove with mailbox", b.RemoveDomain(ctx, me, "example.test", false), model.InUse)
	if err := b.RemoveDomain(ctx, me, "example.test", true); err != nil {
		t.Error(err)
	}
	_, err = b.Mailbox(ctx, "a@example.test")
	wantKind(t, "mailbox of a removed domain", err, model.NotFound)
	wantKind(t, "remove again", b.RemoveDomain(ctx, me, "example.test", false), model.NotFound)
}
