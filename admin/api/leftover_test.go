package api_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"toastmaster/admin/api"
	"toastmaster/admin/model"
	"toastmaster/directory"
)

// TestMailOfAnEarlierMailbox is not shown to whoever has the address next unless that
// is asked for, and can be purged without that.
func TestMailOfAnEarlierMailbox(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(o *api.Options) {
		o.HasMail = func(_ context.Context, m directory.Mailbox) (bool, error) { return m.Home == "a.test/old", nil }
	})
	ctx := t.Context()
	_, err := b.unix.AddDomain(ctx, model.NewDomain{Name: "a.test"})
	check(t, 0, err)
	removed, err := b.unix.RemoveMailbox(ctx, "Old@a.test", true)
	if check(t, removed, err); !removed.MailOnly || !slices.Equal(b.purged, []string{"a.test/old"}) {
		t.Errorf("%+v, purged %v", removed, b.purged)
	}
	_, err = b.unix.RemoveMailbox(ctx, "new@a.test", true)
	wantKind(t, "no mail", err, model.NotFound)
	_, err = b.unix.RemoveMailbox(ctx, "old@a.test", false)
	wantKind(t, "no mailbox", err, model.NotFound)
	bulk, err := b.unix.AddMailboxes(ctx, []model.NewMailbox{{Address: "Old@a.test"}, {Address: "one@a.test"}}, false)
	if check(t, bulk, err); bulk.Added != 1 || bulk.Failed != 1 || !strings.Contains(bulk.Results[0].Error, "--keep-mail") {
		t.Errorf("%+v", bulk)
	}
	_, err = b.unix.AddMailbox(ctx, model.NewMailbox{Address: "Old@a.test"})
	if wantKind(t, "old mail", err, model.InUse); err == nil || !strings.Contains(err.Error(), "a.test/old: ") {
		t.Error(err)
	}
	for _, address := range []string{"old@a.test", "new@a.test"} {
		old := address == "old@a.test"
		m, err := b.unix.AddMailbox(ctx, model.NewMailbox{Address: address, KeepMail: old})
		if check(t, m, err); (m.Warning != "") != old {
			t.Errorf("%s: %q", address, m.Warning)
		}
	}
	_, err = b.unix.AddMailbox(ctx, model.NewMailbox{Address: "old@a.test"})
	wantKind(t, "is there", err, model.Exists)
	bulk, err = b.unix.AddMailboxes(ctx, []model.NewMailbox{{Address: "old@a.test"}}, false)
	if check(t, bulk, err); bulk.Exists != 1 {
		t.Errorf("%+v", bulk)
	}
	if len(b.purged) != 1 {
		t.Errorf("purged %v", b.purged)
	}
}

// TestRemoveAMailboxThatAnAliasNeeds: nothing is purged when the removal would
// be refused.
func TestRemoveAMailboxThatAnAliasNeeds(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	ctx := t.Context()
	_, err := b.unix.AddDomain(ctx, model.NewDomain{Name: "a.test"})
	check(t, 0, err)
	_, err = b.unix.AddDomain(ctx, model.NewDomain{Name: "b.test", AliasOf: "a.test"})
	check(t, 0, err)
	for _, name := range []string{"keep", "domain", "forward"} {
		_, err = b.unix.AddMailbox(ctx, model.NewMailbox{Address: name + "@a.test"})
		check(t, 0, err)
	}
	for address, target := range map[string]string{"keep@a.test": "Keep@a.test", "domain@a.test": "domain@b.test", "forward@a.test": "x@else.test"} {
		in := model.NewAlias{Address: address, AliasChange: model.AliasChange{Targets: []string{"y@else.test", target}}}
		_, err = b.unix.AddAlias(ctx, in)
		check(t, 0, err)
	}
	for _, address := range []string{"keep@a.test", "domain@a.test"} {
		_, err = b.unix.RemoveMailbox(ctx, address, true)
		if wantKind(t, address, err, model.InUse); err == nil || !strings.Contains(err.Error(), "keeps a copy in this mailbox") {
			t.Error(err)
		}
		if m, err := b.unix.Mailbox(ctx, address); err != nil || !m.Enabled || len(b.purged) != 0 {
			t.Errorf("%+v %v, purged %v", m, err, b.purged)
		}
	}
	if _, err = b.unix.RemoveMailbox(ctx, "forward@a.test", true); err != nil {
		t.Error(err)
	}
	// The domain goes with all of it.
	if err := b.unix.RemoveDomain(ctx, "b.test", false); err != nil {
		t.Error(err)
	}
	b.purgeDomain(t, "a.test")
}

// TestMailInTheHomeOfAnother: who is there is named, not an earlier mailbox.
func TestMailInTheHomeOfAnother(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(o *api.Options) {
		o.HasMail = func(_ context.Context, m directory.Mailbox) (bool, error) { return m.Home == "a.test/old/sub", nil }
	})
	ctx := t.Context()
	_, err := b.unix.AddDomain(ctx, model.NewDomain{Name: "a.test"})
	check(t, 0, err)
	_, err = b.unix.AddMailbox(ctx, model.NewMailbox{Address: "old@a.test"})
	check(t, 0, err)
	home := "a.test/old/sub"
	in := model.NewMailbox{Address: "new@a.test", MailboxChange: model.MailboxChange{Home: &home}}
	_, err = b.unix.AddMailbox(ctx, in)
	if wantKind(t, "alone", err, model.Invalid); err == nil || !strings.Contains(err.Error(), "home of old@a.test") {
		t.Error(err)
	}
	bulk, err := b.unix.AddMailboxes(ctx, []model.NewMailbox{in}, false)
	if check(t, bulk, err); bulk.Failed != 1 || !strings.Contains(bulk.Results[0].Error, "home of old@a.test") {
		t.Errorf("%+v", bulk)
	}
}
