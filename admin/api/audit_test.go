package api_test

import (
	"context"
	"regexp"
	"strings"
	"testing"
	"time"

	"toastmaster/admin/api"
	"toastmaster/admin/model"
	"toastmaster/internal/testkit/clocktest"
)

// TestQueueActionsAreInTheAudit: who held, deleted or read a message, and nothing
// of what was not done because there is no such message.
func TestQueueActionsAreInTheAudit(t *testing.T) {
	t.Parallel()
	b, ctx := newBench(t, nil), context.Background()
	for _, act := range []func() error{
		func() error { _, err := b.tcp.Hold(ctx, "3B"); return err },
		func() error { _, err := b.unix.Release(ctx, "3B"); return err },
		func() error { _, err := b.tcp.Requeue(ctx, "3C"); return err },
		func() error { _, err := b.tcp.DeleteQueued(ctx, "3D"); return err },
		func() error { _, err := b.tcp.Flush(ctx, model.QueueFilter{Sender: "s@example.test"}); return err },
	} {
		if err := act(); err != nil {
			t.Fatal(err)
		}
	}
	if got := b.ask(t, "GET", "/api/v1/queue/3F/content", ""); got.status != 200 {
		t.Fatalf("%+v", got)
	}
	if _, err := b.tcp.DeleteQueued(ctx, "NONE"); model.KindOf(err) != model.NotFound {
		t.Fatal(err)
	}
	page, err := b.unix.Audit(ctx, "queue", "", "", 0)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range page.Items {
		got = append(got, strings.SplitN(e.Actor, ":", 2)[0]+" "+e.Action+" "+e.Name+" "+string(e.Before)+string(e.After))
	}
	want := `token read 3F 
token flush sender=s@example.test {"flushed":1}
token delete 3D {"place":"active","sender":"s@example.test","recipients":1,"size":SIZE}
token requeue 3C {"place":"deferred","sender":"s@example.test","recipients":1,"size":SIZE}
unix release 3B {"place":"hold","sender":"s@example.test","recipients":1,"size":SIZE}
token hold 3B {"place":"active","sender":"s@example.test","recipients":1,"size":SIZE}`
	if s := sizeOfJSON.ReplaceAllString(strings.Join(got, "\n"), `"size":SIZE`); flushed.ReplaceAllString(s, `{"flushed":1}`) != want {
		t.Errorf("%s\nwant\n%s", s, want)
	}
}

// TestTheAuditIsTrimmed at the start, and each hour.
func TestTheAuditIsTrimmed(t *testing.T) {
	t.Parallel()
	clk := clocktest.New(time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC))
	b := newBench(t, func(o *api.Options) {
		o.Params.AuditRows, o.Params.AuditKeep, o.Clock = 3, 0, clk
	})
	ctx := context.Background()
	for _, name := range []string{"a.test", "b.test", "c.test", "d.test", "e.test"} {
		if _, err := b.store.AddDomain(ctx, "test", model.NewDomain{Name: name}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 2 {
		wait, cancel := context.WithTimeout(ctx, time.Minute)
		if err := clk.WaitTimers(wait, 1); err != nil {
			t.Fatalf("%d: %v", i, err)
		}
		cancel()
		if i == 0 {
			clk.Advance(time.Hour)
		}
	}
	entries, err := b.store.Audit(ctx, "", "", 0, 100)
	if err != nil || len(entries) != 3 || entries[0].Name != "e.test" {
		t.Errorf("%d entries, %v", len(entries), err)
	}
}

var (
	sizeOfJSON = regexp.MustCompile(`"size":\d+`)
	flushed    = regexp.MustCompile(`\{"flushed":\d+\}`)
)
