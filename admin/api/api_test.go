package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"toastmaster/admin/api"
	"toastmaster/admin/client"
	"toastmaster/admin/model"
)

// TestHostedData goes through every operation on hosted data, over both ways.
func TestHostedData(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	for name, c := range map[string]*client.Client{"unix": b.unix, "tcp": b.tcp} {
		t.Run(name, func(t *testing.T) {
			domain := name + ".test"
			domains(t, c, domain)
			mailboxes(t, c, domain)
			aliases(t, c, domain)
			relocated(t, c, domain)
			if err := c.RemoveDomain(t.Context(), domain, false); model.KindOf(err) != model.InUse {
				t.Errorf("a domain in use: %v", err)
			}
			if err := c.RemoveDomain(t.Context(), domain, true); err != nil {
				t.Error(err)
			}
		})
	}
}

func check[T any](t *testing.T, v T, err error) T {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func domains(t *testing.T, c *client.Client, name string) {
	ctx := t.Context()
	d, err := c.AddDomain(ctx, model.NewDomain{Name: strings.ToUpper(name), DomainChange: model.DomainChange{DefaultQuotaBytes: ptr(int64(9))}})
	if check(t, d, err); d.Name != name || d.DefaultQuotaBytes != 9 || !d.Enabled {
		t.Errorf("%+v", d)
	}
	_, err = c.AddDomain(ctx, model.NewDomain{Name: name})
	wantKind(t, "again", err, model.Exists)
	_, err = c.AddDomain(ctx, model.NewDomain{Name: "alias-" + name, AliasOf: name})
	check(t, d, err)
	set, err := c.SetDomain(ctx, name, model.DomainChange{MaxAliases: ptr(int64(5))})
	if check(t, set, err); set.MaxAliases != 5 || set.DefaultQuotaBytes != 9 {
		t.Errorf("%+v", set)
	}
	got, err := c.Domain(ctx, strings.ToUpper(name))
	if check(t, got, err); got != set {
		t.Errorf("%+v, want %+v", got, set)
	}
	p, err := c.Domains(ctx, model.Filter{Domain: name}, "", 0)
	if check(t, p, err); len(p.Items) != 1 || p.Items[0].AliasOf != name {
		t.Errorf("%+v", p)
	}
	if err := c.RemoveDomain(ctx, "alias-"+name, false); err != nil {
		t.Error(err)
	}
	_, err = c.Domain(ctx, "none.test")
	wantKind(t, "unknown", err, model.NotFound)
}

func mailboxes(t *testing.T, c *client.Client, domain string) {
	ctx := t.Context()
	address := "Ali+ce@" + domain
	m, err := c.AddMailbox(ctx, model.NewMailbox{Address: address, MailboxChange: model.MailboxChange{Password: ptr("secret")}})
	if check(t, m, err); m.Address != "ali+ce@"+domain || m.QuotaBytes != 9 || !m.HasPassword {
		t.Errorf("%+v", m)
	}
	// An address that needs quotes and escapes on its way through the path.
	odd := `"a/b c%2F?#"@` + domain
	if _, err := c.AddMailbox(ctx, model.NewMailbox{Address: odd}); err != nil {
		t.Fatal(err)
	}
	for _, a := range []string{address, odd} {
		set, err := c.SetMailbox(ctx, a, model.MailboxChange{Enabled: ptr(false)})
		if check(t, set, err); set.Enabled {
			t.Errorf("%+v", set)
		}
		got, err := c.Mailbox(ctx, a)
		if check(t, got, err); got != set {
			t.Errorf("%+v, want %+v", got, set)
		}
	}
	off, err := c.Mailboxes(ctx, model.Filter{Domain: domain, Enabled: ptr(false)}, "", 0)
	if check(t, off, err); len(off.Items) != 2 {
		t.Errorf("%+v", off)
	}
	if _, err := c.RemoveMailbox(ctx, odd, false); err != nil {
		t.Error(err)
	}
	_, err = c.Mailbox(ctx, odd)
	wantKind(t, "removed", err, model.NotFound)
	_, err = c.AddMailbox(ctx, model.NewMailbox{Address: "x@" + domain, MailboxChange: model.MailboxChange{Password: ptr(""), QuotaBytes: ptr(int64(-1))}})
	wantKind(t, "bad input", err, model.Invalid)
	var e *model.Error
	if !errors.As(err, &e) || len(e.Fields) == 0 || !slices.ContainsFunc(e.Fields, func(f model.FieldError) bool { return f.Field == "quota_bytes" }) {
		t.Errorf("fields of %v", err)
	}
}

func aliases(t *testing.T, c *client.Client, domain string) {
	ctx := t.Context()
	for _, address := range []string{"sales@" + domain, "@" + domain} {
		a, err := c.AddAlias(ctx, model.NewAlias{Address: address, AliasChange: model.AliasChange{Targets: []string{"z@x.test", "a@x.test"}}})
		if check(t, a, err); a.Address != address || len(a.Targets) != 2 {
			t.Errorf("%+v", a)
		}
		a, err = c.SetAlias(ctx, address, model.AliasChange{Targets: []string{"b@x.test"}})
		check(t, a, err)
		got, err := c.Alias(ctx, address)
		if check(t, got, err); !slices.Equal(got.Targets, []string{"b@x.test"}) {
			t.Errorf("%+v", got)
		}
	}
	p, err := c.Aliases(ctx, model.Filter{Target: "b@x.test", Domain: domain}, "", 0)
	if check(t, p, err); len(p.Items) != 2 {
		t.Errorf("%+v", p)
	}
	if err := c.RemoveAlias(ctx, "@"+domain); err != nil {
		t.Error(err)
	}
	_, err = c.AddAlias(ctx, model.NewAlias{Address: "none@" + domain})
	wantKind(t, "no targets", err, model.Invalid)
}

func relocated(t *testing.T, c *client.Client, domain string) {
	ctx := t.Context()
	address := "gone@" + domain
	r, err := c.AddRelocated(ctx, model.NewRelocated{Address: address, RelocatedChange: model.RelocatedChange{MovedTo: "new@x.test"}})
	check(t, r, err)
	r, err = c.SetRelocated(ctx, address, model.RelocatedChange{MovedTo: "other@x.test"})
	check(t, r, err)
	got, err := c.Relocated(ctx, address)
	if check(t, got, err); got.MovedTo != "other@x.test" {
		t.Errorf("%+v", got)
	}
	p, err := c.RelocatedList(ctx, model.Filter{Contains: "GONE"}, "", 0)
	if check(t, p, err); len(p.Items) == 0 {
		t.Errorf("%+v", p)
	}
	_, err = c.AddMailbox(ctx, model.NewMailbox{Address: address})
	wantKind(t, "taken", err, model.Exists)
	if err := c.RemoveRelocated(ctx, address); err != nil {
		t.Error(err)
	}
}

func TestBulkAndPaging(t *testing.T) {
	t.Parallel()
	// The time of a request is not what this is about.
	b := newBench(t, func(o *api.Options) { o.Params.RequestTimeout = 10 * time.Minute })
	ctx := t.Context()
	_, err := b.unix.AddDomain(ctx, model.NewDomain{Name: "a.test"})
	check(t, 0, err)
	const n = 5000
	in := make([]model.NewMailbox, n)
	for i := range in {
		in[i] = model.NewMailbox{Address: fmt.Sprintf("u%04d@a.test", i)}
	}
	in[10].Address = "u@elsewhere.test"
	in[20].Address = in[19].Address
	res, err := b.unix.AddMailboxes(ctx, in, false)
	if check(t, res, err); res.Added != n-2 || res.Exists != 1 || res.Failed != 1 || res.Results[10].Error == "" {
		t.Errorf("%d added, %d existed, %d failed", res.Added, res.Exists, res.Failed)
	}
	var seen []string
	err = client.Each(ctx, b.tcp.Mailboxes, model.Filter{Domain: "a.test"}, func(m model.Mailbox) error {
		seen = append(seen, m.Address)
		return nil
	})
	if err != nil || len(seen) != n-2 || !slices.IsSorted(seen) {
		t.Errorf("%d mailboxes, %v", len(seen), err)
	}
	p, err := b.tcp.Mailboxes(ctx, model.Filter{}, "", 0)
	if check(t, p, err); len(p.Items) != 100 || p.Next != p.Items[99].Address {
		t.Errorf("default page: %d, next %q", len(p.Items), p.Next)
	}
	wantProblem(t, "limit too large", b.ask(t, "GET", "/api/v1/mailboxes?limit=1001", ""), 422, "")
	wantProblem(t, "limit no number", b.ask(t, "GET", "/api/v1/mailboxes?limit=x", ""), 422, "")
}

func TestBulkForms(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	_, err := b.unix.AddDomain(t.Context(), model.NewDomain{Name: "a.test"})
	check(t, 0, err)
	for name, c := range map[string]struct {
		mediaType, body string
		status, added   int
	}{
		"array":         {"application/json", ` [{"address":"a@a.test"},{"address":"b@a.test","password":"x"}] `, 200, 2},
		"ndjson":        {"application/x-ndjson", "{\"address\":\"c@a.test\"}\n{\"address\":\"d@a.test\",\"quota_bytes\":5}\n\n", 200, 2},
		"empty array":   {"application/json", `[]`, 200, 0},
		"unknown field": {"application/x-ndjson", `{"address":"e@a.test"}` + "\n" + `{"adress":"f@a.test"}`, 422, 0},
		"broken":        {"application/json", `[{"address":"g@a.test"},`, 422, 0},
		"no bracket":    {"application/json", `[{"address":"g@a.test"}`, 422, 0},
		"nonsense":      {"application/x-ndjson", `hello`, 422, 0},
	} {
		a := b.ask(t, "POST", "/api/v1/mailboxes/bulk", c.body, "Content-Type: "+c.mediaType)
		if c.status != 200 {
			p := wantProblem(t, name, a, c.status, "invalid")
			if len(p.Errors) != 1 || !strings.HasPrefix(p.Errors[0].Location, "body.[") {
				t.Errorf("%s: %+v does not name the entry", name, p)
			}
			continue
		}
		var res struct{ Added int }
		if err := json.Unmarshal([]byte(a.body), &res); err != nil || a.status != 200 || res.Added != c.added {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	wantProblem(t, "too many", b.ask(t, "POST", "/api/v1/mailboxes/bulk", strings.Repeat("{}\n", 5001), "Content-Type: application/x-ndjson"), 422, "invalid")
}

func TestQueue(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	ctx := t.Context()
	p, err := b.tcp.Queue(ctx, model.QueueFilter{}, "", 2)
	if check(t, p, err); len(p.Items) != 2 || p.Next != "3C" {
		t.Errorf("first page %+v", p)
	}
	var ids []string
	err = client.Each(ctx, func(ctx context.Context, f model.QueueFilter, after string, _ int) (model.Page[model.QueuedMessage], error) {
		return b.tcp.Queue(ctx, f, after, 2)
	}, model.QueueFilter{}, func(m model.QueuedMessage) error {
		ids = append(ids, m.ID)
		return nil
	})
	if err != nil || !slices.Equal(ids, []string{"3B", "3C", "3D", "3F", "3G"}) {
		t.Errorf("%v, %v", ids, err)
	}
	if p, err := b.tcp.Queue(ctx, model.QueueFilter{Place: "deferred"}, "", 0); err != nil || len(p.Items) != 2 {
		t.Errorf("deferred: %+v, %v", p, err)
	}
	for _, step := range []struct {
		act   func(context.Context, string) (bool, error)
		place string
	}{{b.tcp.Hold, "hold"}, {b.tcp.Release, "active"}, {b.tcp.Requeue, "incoming"}} {
		for _, want := range []bool{true, false} {
			if changed, err := step.act(ctx, "3C"); err != nil || changed != want {
				t.Errorf("%s: changed %t, %v", step.place, changed, err)
			}
		}
		if m, err := b.tcp.Queued(ctx, "3C"); err != nil || m.Place != step.place {
			t.Errorf("%+v, %v; want %s", m, err, step.place)
		}
		_, err := step.act(ctx, "4X")
		wantKind(t, "unknown", err, model.NotFound)
	}
	content, err := b.tcp.QueuedContent(ctx, "3C")
	check(t, content, err)
	text, err := io.ReadAll(content)
	if content.Close(); err != nil || string(text) != queuedContent {
		t.Errorf("%q, %v", text, err)
	}
	raw := b.ask(t, "GET", "/api/v1/queue/3C/content", "")
	if raw.header.Get("Content-Type") != "message/rfc822" || raw.header.Get("X-Content-Type-Options") != "nosniff" || raw.header.Get("Content-Disposition") != "attachment" {
		t.Errorf("a browser may show it: %v", raw.header)
	}
	if n, err := b.tcp.Flush(ctx, model.QueueFilter{Recipient: "r@x.test"}); err != nil || n != 2 || b.queue.flushed[0].Recipient != "r@x.test" {
		t.Errorf("flush: %d, %v, %+v", n, err, b.queue.flushed)
	}
	if changed, err := b.tcp.DeleteQueued(ctx, "3C"); err != nil || !changed {
		t.Errorf("%t, %v", changed, err)
	}
	_, err = b.tcp.Queued(ctx, "3C")
	wantKind(t, "deleted", err, model.NotFound)
}

func TestSystem(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	ctx := t.Context()
	s, err := b.unix.Status(ctx)
	if check(t, s, err); s.Hostname != "mx.example.test" || len(s.Services) != 1 || s.Services[0].Sessions != 3 || s.Queue["deferred"] != 2 {
		t.Errorf("%+v", s)
	}
	secret, err := b.unix.AddToken(ctx, model.NewToken{Name: "a/b c"})
	check(t, secret, err)
	list, err := b.unix.Tokens(ctx)
	if check(t, list, err); len(list) != 2 {
		t.Errorf("%+v", list)
	}
	if raw := b.ask(t, "GET", "/api/v1/tokens", ""); strings.Contains(raw.body, "tmt_") || strings.Contains(raw.body, "hash") {
		t.Errorf("secrets in the list: %s", raw.body)
	}
	if err := b.unix.RemoveToken(ctx, "a/b c"); err != nil {
		t.Error(err)
	}
	log, err := b.unix.Audit(ctx, "token", "", "", 0)
	if check(t, log, err); len(log.Items) != 3 || log.Items[0].Action != "remove" || !strings.HasPrefix(log.Items[0].Actor, "unix:uid=") {
		t.Errorf("%+v", log)
	}
	first, err := b.unix.Audit(ctx, "", "", "", 2)
	check(t, first, err)
	second, err := b.unix.Audit(ctx, "", "", first.Next, 2)
	if check(t, second, err); len(first.Items) != 2 || len(second.Items) != 1 {
		t.Errorf("pages of %d and %d", len(first.Items), len(second.Items))
	}
}

func TestPurge(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	ctx := t.Context()
	_, err := b.unix.AddDomain(ctx, model.NewDomain{Name: "a.test"})
	check(t, 0, err)
	for _, a := range []string{"x@a.test", "y@a.test", "z@a.test"} {
		_, err := b.unix.AddMailbox(ctx, model.NewMailbox{Address: a})
		check(t, 0, err)
	}
	if _, err := b.unix.RemoveMailbox(ctx, "z@a.test", false); err != nil || len(b.purged) != 0 {
		t.Errorf("without purge: %v, %v", err, b.purged)
	}
	b.refuse = errors.New("disk on fire at /secret/path")
	_, err = b.unix.RemoveMailbox(ctx, "x@a.test", true)
	wantKind(t, "mail cannot be removed", err, model.Internal)
	if strings.Contains(err.Error(), "secret") {
		t.Errorf("internals: %v", err)
	}
	if !strings.Contains(b.log.String(), "disk on fire") {
		t.Error("the cause is not in the log")
	}
	if m, err := b.unix.Mailbox(ctx, "x@a.test"); err != nil || m.Enabled {
		t.Errorf("the mailbox should be there, disabled: %+v, %v", m, err)
	}
	b.refuse = nil
	if _, err := b.unix.RemoveMailbox(ctx, "x@a.test", true); err != nil {
		t.Error(err)
	}
	if a := b.askUnix(t, http.MethodDelete, "/api/v1/domains/a.test?purge=true", ""); a.status != http.StatusUnprocessableEntity {
		t.Errorf("purge without all: %d %s", a.status, a.body)
	}
	b.purgeDomain(t, "a.test")
	if !slices.Equal(b.purged, []string{"a.test/x", "a.test/y"}) {
		t.Errorf("purged %v", b.purged)
	}
}
