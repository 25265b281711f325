package store_test

import (
	"context"
	"slices"
	"testing"

	"toastmaster/admin/model"
)

// TestWarningsOfTargets: an alias may name whom there is not yet, and a mailbox
// may go before its aliases, but not unsaid.
func TestWarningsOfTargets(t *testing.T) {
	t.Parallel()
	b, ctx := newBench(t), context.Background()
	b.domain(t, "a.test")
	must(b.AddDomain(ctx, me, model.NewDomain{Name: "b.test", AliasOf: "a.test"}))(t)
	must(b.AddMailbox(ctx, me, model.NewMailbox{Address: "alice@a.test"}))(t)
	targets := func(to ...string) model.AliasChange { return model.AliasChange{Targets: to} }
	a := must(b.AddAlias(ctx, me, model.NewAlias{Address: "x@a.test", AliasChange: targets("nobody@a.test", "alice@a.test", "alice+tag@b.test", "z@else.test", "no@b.test")}))(t)
	if want := []string{"nobody has the target nobody@a.test", "nobody has the target no@b.test"}; !slices.Equal(a.Warnings, want) {
		t.Errorf("%q", a.Warnings)
	}
	a = must(b.SetAlias(ctx, me, "x@a.test", targets("alice@a.test")))(t)
	if len(a.Warnings) != 0 {
		t.Errorf("%q", a.Warnings)
	}
	removed := must(b.RemoveMailbox(ctx, me, "alice@a.test"))(t)
	if want := []string{"alice@a.test is still a target of x@a.test"}; !slices.Equal(removed.Warnings, want) {
		t.Errorf("%q", removed.Warnings)
	}
	must(b.AddMailbox(ctx, me, model.NewMailbox{Address: "alice@a.test"}))(t)
	must(b.AddAlias(ctx, me, model.NewAlias{Address: "@a.test", AliasChange: targets("z@else.test")}))(t)
	if removed = must(b.RemoveMailbox(ctx, me, "alice@a.test"))(t); len(removed.Warnings) != 0 {
		t.Errorf("with a catch-all: %q", removed.Warnings)
	}
}
