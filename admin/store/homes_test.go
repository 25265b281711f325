package store_test

import (
	"context"
	"testing"

	"toastmaster/admin/model"
)

// TestHomesAreNobodyElses: two mailboxes never share a folder, nor does one lie in
// another's.
func TestHomesAreNobodyElses(t *testing.T) {
	t.Parallel()
	b, ctx := newBench(t), context.Background()
	b.domain(t, "a.test")
	add := func(address, home string) error {
		in := model.NewMailbox{Address: address}
		if home != "" {
			in.Home = &home
		}
		_, err := b.AddMailbox(ctx, me, in)
		return err
	}
	must(0, add("one@a.test", ""))(t)
	must(0, add("two@a.test", "%d/%n/Maildir"))(t)
	for address, home := range map[string]string{
		"x1@a.test": "a.test/one", "x2@a.test": "a.test/one/sub", "x3@a.test": "a.test/two", "x4@a.test": "a.test", "x5@a.test": "../x",
		"x6@a.test": "a.test/two/Maildir", "x7@a.test": "/etc/x", "x8@a.test": "a.test/two/Maildir/deep/er",
	} {
		wantKind(t, home, add(address, home), model.Invalid)
	}
	must(0, add("three@a.test", "a.test/one0"))(t)
	must(0, add("four@a.test", "a.test/on"))(t)
	m := must(b.Mailbox(ctx, "two@a.test"))(t)
	if m.Home != "a.test/two/Maildir" {
		t.Errorf("%+v", m)
	}
	_, err := b.SetMailbox(ctx, me, "two@a.test", model.MailboxChange{Home: ptr("a.test/one")})
	wantKind(t, "set to another's", err, model.Invalid)
	// Its own, and one around its own, are free for it.
	for _, home := range []string{"a.test/two/Maildir", "a.test/two", "elsewhere/%n"} {
		m = must(b.SetMailbox(ctx, me, "two@a.test", model.MailboxChange{Home: &home}))(t)
	}
	if m.Home != "elsewhere/two" {
		t.Errorf("%+v", m)
	}
	if got := must(b.Mailbox(ctx, "two@a.test"))(t); got.Home != m.Home {
		t.Errorf("%+v", got)
	}
}
