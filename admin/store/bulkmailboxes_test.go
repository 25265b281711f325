package store_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"toastmaster/admin/model"
	"toastmaster/admin/store"
	"toastmaster/directory/password"
)

func TestBulk(t *testing.T) {
	t.Parallel()
	b, ctx := newBench(t), context.Background()
	must(b.AddDomain(ctx, me, model.NewDomain{Name: "a.test", DomainChange: model.DomainChange{MaxMailboxes: ptr(int64(4))}}))(t)
	must(b.AddRelocated(ctx, me, model.NewRelocated{Address: "gone@a.test", RelocatedChange: model.RelocatedChange{MovedTo: "x"}}))(t)
	must(b.AddMailbox(ctx, me, model.NewMailbox{Address: "old@a.test", MailboxChange: model.MailboxChange{Password: ptr("keep")}}))(t)
	const hash = "{SSHA}OzzvfepGxsUTtI24VJOyxGOx6G886Nvd"
	in := []model.NewMailbox{
		{Address: "one@a.test", MailboxChange: model.MailboxChange{Password: ptr("1"), QuotaBytes: ptr(int64(7))}},
		{Address: "Old@a.test", MailboxChange: model.MailboxChange{Password: ptr("new")}},
		{Address: "nonsense"},
		{Address: "hash@a.test", MailboxChange: model.MailboxChange{PasswordHash: ptr(hash)}},
		{Address: "ONE@a.test", MailboxChange: model.MailboxChange{Password: ptr("2")}},
		{Address: "gone@a.test"},
		{Address: "x@elsewhere.test"},
		{Address: "bad@a.test", MailboxChange: model.MailboxChange{PasswordHash: ptr("{NOPE}")}},
		{Address: "four@a.test"},
		{Address: "five@a.test"},
	}
	want := []string{"added", "exists", "failed", "added", "exists", "failed", "failed", "failed", "added", "failed"}
	before := b.changed.Load()
	dry := must(b.AddMailboxes(ctx, me, slices.Clone(in), true, nil))(t)
	if page := must(b.Mailboxes(ctx, model.Filter{}, "", 100))(t); len(page.Items) != 1 || b.changed.Load() != before {
		t.Errorf("a dry run made %+v", page.Items)
	}
	for i, r := range must(b.AddMailboxes(ctx, me, in, false, nil))(t) {
		if r != dry[i] {
			t.Errorf("%d: %+v, but %+v in a dry run", i, r, dry[i])
		}
		if r.Result != want[i] || (r.Error != "") != (want[i] == "failed") {
			t.Errorf("%d: %+v, want %s", i, r, want[i])
		}
	}
	if b.changed.Load() != before+1 {
		t.Error("not one change")
	}
	b.wantPassword(t, "one@a.test", "1")
	b.wantPassword(t, "old@a.test", "keep")
	b.wantPassword(t, "hash@a.test", "secret")
	if got := b.hash(t, "hash@a.test"); got != hash {
		t.Errorf("stored %s", got)
	}
	for i, r := range must(b.AddMailboxes(ctx, me, in[:2], false, nil))(t) {
		if r.Result != model.BulkExists {
			t.Errorf("again %d: %+v", i, r)
		}
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	_, err := b.AddMailboxes(cancelled, me, in, false, nil)
	wantKind(t, "cancelled", err, model.Unavailable)
}

// TestBulkRefusesWhole: of a mailbox that is refused after its address was claimed
// nothing stays, so that it can be added with what was wrong put right.
func TestBulkRefusesWhole(t *testing.T) {
	t.Parallel()
	b, ctx := newBench(t), context.Background()
	b.domain(t, "a.test")
	in := []model.NewMailbox{
		{Address: "one@a.test", MailboxChange: model.MailboxChange{Home: ptr("shared")}}, {Address: "two@a.test", MailboxChange: model.MailboxChange{Home: ptr("shared")}}, {Address: "three@a.test", MailboxChange: model.MailboxChange{Home: ptr("../x")}},
		{Address: "four@a.test"},
	}
	if got := results(must(b.AddMailboxes(ctx, me, in, false, nil))(t)); got != "added failed failed added" {
		t.Errorf("%s", got)
	}
	for i := range in {
		in[i].MailboxChange = model.MailboxChange{}
	}
	if got := results(must(b.AddMailboxes(ctx, me, in, false, nil))(t)); got != "exists added added exists" {
		t.Errorf("with other homes: %s", got)
	}
}

// TestBulkWithAPanic: a password whose hash panics, in a goroutine of its own, is
// one mailbox that could not be added.
func TestBulkWithAPanic(t *testing.T) {
	t.Parallel()
	b, ctx := newBench(t), context.Background()
	b.domain(t, "a.test")
	broken := must(store.New(store.Options{Writer: b.writer, Reader: b.reader, Dialect: b.database.Dialect, Hasher: &password.Hasher{}, Clock: b.clock, Workers: 2}))(t)
	got, err := broken.AddMailboxes(ctx, me, []model.NewMailbox{
		{Address: "one@a.test", MailboxChange: model.MailboxChange{Password: ptr("1")}}, {Address: "two@a.test"},
	}, false, nil)
	if err != nil || results(got) != "failed added" {
		t.Errorf("%+v %v", got, err)
	}
}

func BenchmarkBulk(b *testing.B) {
	s := newBench(b)
	s.domain(b, "a.test")
	i := 0
	for b.Loop() {
		in := make([]model.NewMailbox, 500)
		for j := range in {
			in[j] = model.NewMailbox{Address: fmt.Sprintf("u%d@a.test", i), MailboxChange: model.MailboxChange{Password: ptr("secret")}}
			i++
		}
		must(s.AddMailboxes(context.Background(), me, in, false, nil))(b)
	}
	b.ReportMetric(float64(i)/b.Elapsed().Seconds(), "mailboxes/s")
}
