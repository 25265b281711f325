package store_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"toastmaster/admin/model"
)

func TestAliasBesideMailbox(t *testing.T) {
	t.Parallel()
	b, ctx := newBench(t), context.Background()
	b.domain(t, "a.test")
	alias := model.NewAlias{Address: "a@a.test", AliasChange: model.AliasChange{Targets: []string{"A@a.test", "x@y.test"}}}
	if m := must(b.AddMailbox(ctx, me, model.NewMailbox{Address: "a@a.test"}))(t); m.Alias {
		t.Errorf("%+v", m)
	}
	if a := must(b.AddAlias(ctx, me, alias))(t); !a.Mailbox {
		t.Errorf("%+v", a)
	}
	if a := must(b.Alias(ctx, "a@a.test"))(t); !a.Mailbox || len(a.Targets) != 2 {
		t.Errorf("%+v", a)
	}
	if m := must(b.Mailbox(ctx, "a@a.test"))(t); !m.Alias {
		t.Errorf("%+v", m)
	}
	for _, what := range []func() (string, bool){
		func() (string, bool) {
			p := must(b.Aliases(ctx, model.Filter{}, "", 10))(t)
			return "aliases", len(p.Items) == 1 && p.Items[0].Mailbox
		},
		func() (string, bool) {
			p := must(b.Mailboxes(ctx, model.Filter{}, "", 10))(t)
			return "mailboxes", len(p.Items) == 1 && p.Items[0].Alias
		},
	} {
		if name, ok := what(); !ok {
			t.Errorf("list of %s", name)
		}
	}
	// Each goes without the other.
	if err := b.RemoveAlias(ctx, me, "a@a.test"); err != nil {
		t.Fatal(err)
	}
	if m := must(b.Mailbox(ctx, "a@a.test"))(t); m.Alias {
		t.Errorf("%+v", m)
	}
	alias.Targets = []string{"x@y.test"}
	must(b.AddAlias(ctx, me, alias))(t)
	if _, err := b.RemoveMailbox(ctx, me, "a@a.test"); err != nil {
		t.Fatal(err)
	}
	if a := must(b.Alias(ctx, "a@a.test"))(t); a.Mailbox {
		t.Errorf("%+v", a)
	}
	if m := must(b.AddMailbox(ctx, me, model.NewMailbox{Address: "a@a.test"}))(t); !m.Alias {
		t.Errorf("%+v", m)
	}
}

func TestAliasesThatCannotBeExpanded(t *testing.T) {
	t.Parallel()
	b, ctx := newBench(t), context.Background()
	b.domain(t, "a.test")
	b.domain(t, "b.test")
	must(b.AddDomain(ctx, me, model.NewDomain{Name: "alias.test", AliasOf: "a.test"}))(t)
	must(b.AddMailbox(ctx, me, model.NewMailbox{Address: "box@a.test"}))(t)
	add := func(address string, targets ...string) error {
		_, err := b.AddAlias(ctx, me, model.NewAlias{Address: address, AliasChange: model.AliasChange{Targets: targets}})
		return err
	}
	set := func(address string, targets ...string) error {
		_, err := b.SetAlias(ctx, me, address, model.AliasChange{Targets: targets})
		return err
	}
	for _, c := range []struct {
		err  error
		kind model.Kind
		says string
	}{
		{add("x@a.test", "y@b.test"), 0, ""},
		{add("y@b.test", "x+ext@alias.test"), model.Invalid, "y@b.test -> x@a.test -> y@b.test"},
		{add("y@b.test", "z@b.test", "far@y.test"), 0, ""},
		{add("z@b.test", "box@a.test", "x@a.test"), model.Invalid, "z@b.test -> x@a.test -> y@b.test -> z@b.test"},
		{set("y@b.test", "X@alias.test"), model.Invalid, "y@b.test -> x@a.test -> y@b.test"},
		{set("y@b.test", "box@alias.test"), 0, ""},
		{add("@b.test", "nobody@b.test"), model.Invalid, "@b.test -> @b.test"},
		{add("@b.test", "y@b.test"), 0, ""},
		{add("self@a.test", "self@alias.test", "y@b.test"), model.Invalid, "no mailbox"},
		{add("box@a.test", "box@alias.test", "x@a.test"), 0, ""},
		{add("d1@a.test", "x@a.test"), 0, ""},
		{add("many@a.test", "1@y.test", "2@y.test", "3@y.test", "4@y.test", "5@y.test", "6@y.test", "7@y.test", "8@y.test", "9@y.test", "10@y.test", "11@y.test"),
			model.OverLimit, "more than 10 addresses"},
		{add("d2@a.test", "d1@a.test"), model.OverLimit, "nested deeper than 4"},
	} {
		switch {
		case c.says == "" && c.err != nil:
			t.Error(c.err)
		case c.says != "":
			wantKind(t, c.says, c.err, c.kind)
			if c.err != nil && !strings.Contains(c.err.Error(), c.says) {
				t.Errorf("%v does not say %q", c.err, c.says)
			}
		}
	}
	// Nothing is left of what was refused.
	for _, address := range []string{"z@b.test", "self@a.test", "many@a.test", "d2@a.test"} {
		_, err := b.Alias(ctx, address)
		wantKind(t, address, err, model.NotFound)
	}
	if a := must(b.Alias(ctx, "y@b.test"))(t); len(a.Targets) != 1 || a.Targets[0] != "box@alias.test" {
		t.Errorf("%+v", a)
	}
}

func TestAliasAndRelocatedLife(t *testing.T) {
	t.Parallel()
	b, ctx := newBench(t), context.Background()
	b.domain(t, "a.test")
	targets := []string{"Z@y.test", "a@a.test", "m@y.test"}
	a := must(b.AddAlias(ctx, me, model.NewAlias{Address: "List@a.test", AliasChange: model.AliasChange{Targets: targets}}))(t)
	if got := must(b.Alias(ctx, "list@a.test"))(t); !slices.Equal(got.Targets, targets) || got.Address != a.Address {
		t.Errorf("read %+v", got)
	}
	must(b.AddAlias(ctx, me, model.NewAlias{Address: "@a.test", AliasChange: model.AliasChange{Targets: []string{"z@y.test"}}}))(t)
	for target, want := range map[string]int{"Z@Y.test": 2, "a@a.test": 1, "none@y.test": 0, "": 2} {
		if got := must(b.Aliases(ctx, model.Filter{Target: target}, "", 10))(t); len(got.Items) != want {
			t.Errorf("target %q: %+v", target, got.Items)
		}
	}
	must(b.SetAlias(ctx, me, "list@a.test", model.AliasChange{Targets: []string{"new@y.test"}}))(t)
	if got := must(b.Alias(ctx, "list@a.test"))(t); !slices.Equal(got.Targets, []string{"new@y.test"}) {
		t.Errorf("after set %+v", got)
	}
	_, err := b.SetAlias(ctx, me, "none@a.test", model.AliasChange{Targets: []string{"new@y.test"}})
	wantKind(t, "set unknown", err, model.NotFound)
	if err := b.RemoveAlias(ctx, me, "@a.test"); err != nil {
		t.Error(err)
	}
	must(b.AddRelocated(ctx, me, model.NewRelocated{Address: "gone@a.test", RelocatedChange: model.RelocatedChange{MovedTo: "x@y.test"}}))(t)
	r := must(b.SetRelocated(ctx, me, "gone@a.test", model.RelocatedChange{MovedTo: "ask the office"}))(t)
	if got := must(b.Relocated(ctx, "gone@a.test"))(t); got != r || got.MovedTo != "ask the office" {
		t.Errorf("read %+v", got)
	}
	if err := b.RemoveRelocated(ctx, me, "gone@a.test"); err != nil {
		t.Error(err)
	}
	if c := must(b.Counts(ctx))(t); c != (model.HostedCounts{Domains: 1, Aliases: 1}) {
		t.Errorf("counts %+v", c)
	}
}
