package client_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"toastmaster/admin/client"
	"toastmaster/admin/model"
	"toastmaster/internal/clock"
	"toastmaster/internal/testkit/clocktest"
)

// TestWhatEachCallAsks: method, path with its segments escaped, query and body. An address may
// have any octet in it: none of it becomes a separator.
func TestWhatEachCallAsks(t *testing.T) {
	t.Parallel()
	const odd = "a/b?c#d%e f@x.test"
	const oddPath = "a%2Fb%3Fc%23d%25e%20f@x.test"
	yes := true
	for name, c := range map[string]struct {
		do   func(context.Context, *client.Client) error
		want string // METHOD path?query body
	}{
		"domain": {func(ctx context.Context, c *client.Client) error { _, err := c.Domain(ctx, "x.test"); return err }, "GET /domains/x.test"},
		"domains of a target": {func(ctx context.Context, c *client.Client) error {
			_, err := c.Domains(ctx, model.Filter{Domain: "x.test", Enabled: &yes}, "b.test", 7)
			return err
		}, "GET /domains?after=b.test&alias_of=x.test&enabled=true&limit=7"},
		"first page": {func(ctx context.Context, c *client.Client) error {
			_, err := c.Aliases(ctx, model.Filter{}, "", 0)
			return err
		}, "GET /aliases"},
		"aliases to a target": {func(ctx context.Context, c *client.Client) error {
			_, err := c.Aliases(ctx, model.Filter{Target: "t@x.test"}, "", 1)
			return err
		}, "GET /aliases?limit=1&target=t%40x.test"},
		"remove a domain":    {func(ctx context.Context, c *client.Client) error { return c.RemoveDomain(ctx, "x.test", true) }, "DELETE /domains/x.test?all=true"},
		"keep its addresses": {func(ctx context.Context, c *client.Client) error { return c.RemoveDomain(ctx, "x.test", false) }, "DELETE /domains/x.test?all=false"},
		"purge a domain":     {func(ctx context.Context, c *client.Client) error { _, err := c.PurgeDomain(ctx, "x.test"); return err }, "DELETE /domains/x.test?all=true&purge=true"},
		"an odd mailbox":     {func(ctx context.Context, c *client.Client) error { _, err := c.Mailbox(ctx, odd); return err }, "GET /mailboxes/" + oddPath},
		"its status":         {func(ctx context.Context, c *client.Client) error { _, err := c.MailboxStatus(ctx, odd); return err }, "GET /mailboxes/" + oddPath + "/status"},
		"remove it": {func(ctx context.Context, c *client.Client) error {
			_, err := c.RemoveMailbox(ctx, odd, false)
			return err
		}, "DELETE /mailboxes/" + oddPath + "?purge=false"},
		"with its mail": {func(ctx context.Context, c *client.Client) error {
			_, err := c.RemoveMailbox(ctx, odd, true)
			return err
		}, "DELETE /mailboxes/" + oddPath + "?purge=true"},
		"an odd alias":         {func(ctx context.Context, c *client.Client) error { return c.RemoveAlias(ctx, odd) }, "DELETE /aliases/" + oddPath},
		"an odd relocated one": {func(ctx context.Context, c *client.Client) error { return c.RemoveRelocated(ctx, odd) }, "DELETE /relocated/" + oddPath},
		"what of an address":   {func(ctx context.Context, c *client.Client) error { _, err := c.Check(ctx, odd); return err }, "GET /addresses/" + oddPath},
		"purge mailboxes": {func(ctx context.Context, c *client.Client) error {
			_, err := c.PurgeMailboxes(ctx, []string{"a@x.test", "b@x.test"})
			return err
		}, `POST /mailboxes/purge {"addresses":["a@x.test","b@x.test"]}`},
		"many, dry": {func(ctx context.Context, c *client.Client) error {
			_, err := c.AddDomains(ctx, []model.NewDomain{}, true)
			return err
		}, `POST /domains/bulk?dry_run=true []`},
		"many": {func(ctx context.Context, c *client.Client) error {
			_, err := c.AddRelocations(ctx, []model.NewRelocated{}, false)
			return err
		}, `POST /relocated/bulk []`},
		"a job":  {func(ctx context.Context, c *client.Client) error { _, err := c.Job(ctx, 1<<40); return err }, "GET /jobs/1099511627776"},
		"end it": {func(ctx context.Context, c *client.Client) error { _, err := c.CancelJob(ctx, 3); return err }, "POST /jobs/3/cancel"},
		"the jobs": {func(ctx context.Context, c *client.Client) error {
			_, err := c.Jobs(ctx, struct{}{}, "9", 2)
			return err
		}, "GET /jobs?after=9&limit=2"},
		"queue": {func(ctx context.Context, c *client.Client) error {
			_, err := c.Queue(ctx, model.QueueFilter{Place: "deferred", Sender: "<>", Recipient: "a&b@x.test"}, "ID", 5)
			return err
		}, "GET /queue?after=ID&limit=5&place=deferred&recipient=a%26b%40x.test&sender=%3C%3E"},
		"flush": {func(ctx context.Context, c *client.Client) error {
			_, err := c.Flush(ctx, model.QueueFilter{Recipient: "x.test"})
			return err
		}, "POST /queue/flush?recipient=x.test"},
		"hold":    {func(ctx context.Context, c *client.Client) error { _, err := c.Hold(ctx, "../ID"); return err }, "POST /queue/..%2FID/hold"},
		"release": {func(ctx context.Context, c *client.Client) error { _, err := c.Release(ctx, "ID"); return err }, "POST /queue/ID/release"},
		"expire":  {func(ctx context.Context, c *client.Client) error { _, err := c.Expire(ctx, "ID"); return err }, "POST /queue/ID/expire"},
		"requeue": {func(ctx context.Context, c *client.Client) error { _, err := c.Requeue(ctx, "ID"); return err }, "POST /queue/ID/requeue"},
		"delete":  {func(ctx context.Context, c *client.Client) error { _, err := c.DeleteQueued(ctx, "ID"); return err }, "DELETE /queue/ID"},
		"the audit": {func(ctx context.Context, c *client.Client) error {
			_, err := c.Audit(ctx, "mailbox", "", "5", 0)
			return err
		}, "GET /audit?after=5&object=mailbox"},
		"sessions":    {func(ctx context.Context, c *client.Client) error { _, err := c.Sessions(ctx, ""); return err }, "GET /sessions"},
		"sessions of": {func(ctx context.Context, c *client.Client) error { _, err := c.Sessions(ctx, "a@x.test"); return err }, "GET /sessions?mailbox=a%40x.test"},
		"revoke":      {func(ctx context.Context, c *client.Client) error { return c.RemoveToken(ctx, "ci/cd") }, "DELETE /tokens/ci%2Fcd"},
		"a folder": {func(ctx context.Context, c *client.Client) error {
			return c.MakeMailFolder(ctx, "a@x.test", model.NewMailFolder{Name: "A/B"})
		}, `POST /mailboxes/a@x.test/folders {"name":"A/B"}`},
		"its messages": {func(ctx context.Context, c *client.Client) error {
			_, err := c.Mail(ctx, "a@x.test", "A&B", 1<<32-1, 500)
			return err
		}, "GET /mailboxes/a@x.test/messages?after=4294967295&folder=A%26B&limit=500"},
		"what it has": {func(ctx context.Context, c *client.Client) error {
			_, err := c.ImportedMail(ctx, "a@x.test", "A B")
			return err
		}, "GET /mailboxes/a@x.test/imported?folder=A+B"},
		"a new archive": {func(ctx context.Context, c *client.Client) error {
			_, err := c.ImportMail(ctx, "a@x.test", "A", true, strings.NewReader("tar"), 3)
			return err
		}, "POST /mailboxes/a@x.test/import?folder=A&over_quota=true tar"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got string
			cl := server(t, func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				got = strings.TrimSpace(r.Method + " " + strings.TrimPrefix(r.RequestURI, "/api/v1") + " " + string(body))
				if len(body) > 0 && r.ContentLength != int64(len(body)) {
					t.Errorf("Content-Length %d", r.ContentLength)
				}
				_, _ = io.WriteString(w, "{}")
			})
			if err := c.do(t.Context(), cl); err != nil || got != c.want {
				t.Errorf("%v\nasked %s\nwant  %s", err, got, c.want)
			}
		})
	}
}

// TestAnswersThatAreNone: half an answer, another program's, or none is an error that says
// so, in whatever call; a body that nobody reads is closed all the same (goleak, and the
// server that waits for its connections).
func TestAnswersThatAreNone(t *testing.T) {
	t.Parallel()
	calls := map[string]func(context.Context, *client.Client) error{
		"read": func(ctx context.Context, c *client.Client) error { _, err := c.Domain(ctx, "x.test"); return err },
		"import": func(ctx context.Context, c *client.Client) error {
			_, err := c.ImportMail(ctx, "a@x.test", "A", false, strings.NewReader("x"), 1)
			return err
		},
		"flush": func(ctx context.Context, c *client.Client) error {
			_, err := c.Flush(ctx, model.QueueFilter{})
			return err
		},
	}
	for what, body := range map[string]string{"nothing": "", "a page": "<html>", "cut": `{"items":[{"na`, "another form": `{"results":7,"name":7,"flushed":"all"}`} {
		for name, call := range calls {
			cl := server(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) })
			if err := call(t.Context(), cl); model.KindOf(err) != model.Internal || !strings.Contains(err.Error(), "not understood") {
				t.Errorf("%s, %s: %v", name, what, err)
			}
		}
	}
	// The server falls over while it answers.
	cl := server(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		_, _ = io.WriteString(w, `{"name":`)
		panic(http.ErrAbortHandler)
	})
	if _, err := cl.Domain(t.Context(), "x.test"); err == nil {
		t.Error("half an answer is one")
	}
	cl = server(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	if _, err := cl.Domain(t.Context(), "x.test"); model.KindOf(err) != model.Unavailable || !strings.Contains(err.Error(), "no answer from the server at http://127.0.0.1:") {
		t.Errorf("%v", err)
	}
}

// TestAnArchiveThatIsShorterThanSaid: the server must not take it for a whole one.
func TestAnArchiveThatIsShorterThanSaid(t *testing.T) {
	t.Parallel()
	ends := make(chan error, 1)
	cl := server(t, func(_ http.ResponseWriter, r *http.Request) {
		_, err := io.ReadAll(r.Body)
		ends <- err
		panic(http.ErrAbortHandler)
	})
	if _, err := cl.ImportMail(t.Context(), "a@x.test", "A", false, strings.NewReader(strings.Repeat("short", 20_000)), 200_000); err == nil {
		t.Error("sent")
	}
	if err := <-ends; err == nil {
		t.Error("the server saw a whole body")
	}
}

// TestAWholeExportIsRead: an archive goes by as a stream, and an error of the server before it
// is the problem that it is.
func TestAWholeExportIsRead(t *testing.T) {
	t.Parallel()
	long := bytes.Repeat([]byte("0123456789abcdef"), 1<<18)
	cl := server(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/queue/export") {
			w.WriteHeader(http.StatusConflict)
			_, _ = io.WriteString(w, `{"type":"urn:toastmaster:in-use","detail":"another export"}`)
			return
		}
		_, _ = w.Write(long)
	})
	for name, open := range map[string]func() (io.ReadCloser, error){
		"mail":    func() (io.ReadCloser, error) { return cl.ExportMail(t.Context(), "a@x.test", model.MailSelection{}) },
		"content": func() (io.ReadCloser, error) { return cl.QueuedContent(t.Context(), "ID") },
	} {
		r, err := open()
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if err = errors.Join(err, r.Close()); err != nil || !bytes.Equal(got, long) {
			t.Errorf("%s: %d octets, %v", name, len(got), err)
		}
	}
	if _, err := cl.ExportQueue(t.Context(), []string{"ID"}); model.KindOf(err) != model.InUse || err.Error() != "another export" {
		t.Errorf("%v", err)
	}
}

// TestWhoWaitsCanGo: a context that ends ends a request that the server does not answer, and
// the timeout of the client one of whoever has no context.
func TestWhoWaitsCanGo(t *testing.T) {
	t.Parallel()
	asked, done := make(chan struct{}, 2), make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		select {
		case <-r.Context().Done():
		case <-done:
		}
	}))
	t.Cleanup(s.Close)
	defer close(done)
	c, err := client.New(client.Options{URL: s.URL, Timeout: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Status(t.Context()); model.KindOf(err) != model.Unavailable {
		t.Errorf("the timeout: %v", err)
	}
	<-asked
	patient, err := client.New(client.Options{URL: s.URL})
	if err != nil {
		t.Fatal(err)
	}
	defer patient.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-asked
		cancel()
	}()
	if _, err := patient.Status(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("the context: %v", err)
	}
}

// TestTheSocketSaysWhatIsWrong: nobody is there, nobody listens any more, and no right to it.
func TestTheSocketSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	left := filepath.Join(dir, "left")
	l, err := net.Listen("unix", left)
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, cause := range map[string]error{left: syscall.ECONNREFUSED, filepath.Join(dir, "none"): syscall.ENOENT, file: syscall.ECONNREFUSED} {
		c := client.NewUnix(path)
		_, err := c.Status(t.Context())
		if model.KindOf(err) != model.Unavailable || err.Error() != "no instance runs: nobody listens on "+path {
			t.Errorf("%s (%v): %v", path, cause, err)
		}
		c.Close()
	}
}

// waiting is a client whose WaitJob waits by a clock that moves to the end of each pause at
// once, and the pauses that it made.
func waiting(t *testing.T, f func(http.ResponseWriter, *clocktest.Clock)) (*client.Client, func() []time.Duration) {
	t.Helper()
	clk := clocktest.New(time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC))
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { f(w, clk) }))
	t.Cleanup(s.Close)
	paces := &pacer{Clock: clk}
	c, err := client.New(client.Options{URL: s.URL, Clock: paces})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, func() []time.Duration { return paces.pauses }
}

// pacer is a clock that ends each pause when it begins.
type pacer struct {
	*clocktest.Clock
	pauses []time.Duration
}

func (p *pacer) NewTimer(d time.Duration) clock.Timer {
	p.pauses = append(p.pauses, d)
	timer := p.Clock.NewTimer(d)
	p.Advance(d)
	return timer
}

// TestWaitJob: a job is asked for until it is over; a server that restarts is waited for as
// long as patience goes, which begins anew with each answer; any other error ends it.
func TestWaitJob(t *testing.T) {
	t.Parallel()
	// each letter is an answer: r runs, d done, u unavailable, h after half a minute, n not found
	for name, c := range map[string]struct {
		answers  string
		patience time.Duration
		told     int
		kind     model.Kind
	}{
		"at once":                    {"d", 0, 1, 0},
		"it takes a while":           {"rrd", 0, 3, 0},
		"a restart":                  {"ruud", time.Minute, 2, 0},
		"a restart, no patience":     {"ru", 0, 1, model.Unavailable},
		"two restarts":               {"ruruuu", 400 * time.Millisecond, 2, model.Unavailable},
		"two short restarts":         {"urud", 100 * time.Millisecond, 2, 0},
		"it is not there any more":   {"rn", time.Minute, 1, model.NotFound},
		"what hangs is waited for":   {"rhd", time.Minute, 2, 0},
		"the hanging takes its time": {"rhh", time.Minute, 1, model.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var n atomic.Int64
			cl, _ := waiting(t, func(w http.ResponseWriter, clk *clocktest.Clock) {
				at := int(n.Add(1)) - 1
				if at >= len(c.answers) {
					_, _ = io.WriteString(w, `{"id":5,"state":"done"}`)
					return
				}
				switch c.answers[at] {
				case 'r':
					_, _ = io.WriteString(w, `{"id":5,"state":"running"}`)
				case 'd':
					_, _ = io.WriteString(w, `{"id":5,"state":"done"}`)
				case 'h':
					clk.Advance(30 * time.Second)
					w.WriteHeader(http.StatusServiceUnavailable)
				case 'u':
					w.WriteHeader(http.StatusServiceUnavailable)
				case 'n':
					w.WriteHeader(http.StatusNotFound)
				}
			})
			told := 0
			j, err := cl.WaitJob(t.Context(), 5, c.patience, func(model.Job) { told++ })
			if int(n.Load()) != len(c.answers) {
				t.Errorf("asked %d times, want %d", n.Load(), len(c.answers))
			}
			if c.kind == 0 {
				if err != nil || !j.State.Over() {
					t.Errorf("%+v, %v after %d questions", j, err, n.Load())
				}
			} else if model.KindOf(err) != c.kind {
				t.Errorf("%v", err)
			}
			if told != c.told {
				t.Errorf("told %d times, want %d", told, c.told)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cl := server(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"id":5,"state":"running"}`) })
	if _, err := cl.WaitJob(ctx, 5, 0, func(model.Job) { cancel() }); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestWaitJobAsksSeldomAndSeldomer: a long job costs the server a question a second.
func TestWaitJobAsksSeldomAndSeldomer(t *testing.T) {
	t.Parallel()
	var n atomic.Int64
	cl, pauses := waiting(t, func(w http.ResponseWriter, _ *clocktest.Clock) {
		state := "running"
		if n.Add(1) > 9 {
			state = "failed"
		}
		_, _ = io.WriteString(w, `{"id":5,"state":"`+state+`"}`)
	})
	if j, err := cl.WaitJob(t.Context(), 5, 0, nil); err != nil || j.State != model.JobFailed {
		t.Errorf("%+v, %v", j, err)
	}
	const ms = time.Millisecond
	if want := []time.Duration{20 * ms, 40 * ms, 80 * ms, 160 * ms, 320 * ms, 640 * ms, 1000 * ms, 1000 * ms, 1000 * ms}; !slices.Equal(pauses(), want) {
		t.Errorf("%v\nwant %v", pauses(), want)
	}
}

// TestWaitJobGoesInAPause: a context that ends while nothing is asked ends the waiting.
func TestWaitJobGoesInAPause(t *testing.T) {
	t.Parallel()
	clk := clocktest.New(time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC))
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"id":5,"state":"queued"}`)
	}))
	t.Cleanup(s.Close)
	c, err := client.New(client.Options{URL: s.URL, Clock: clk})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := c.WaitJob(ctx, 5, time.Minute, nil)
		ended <- err
	}()
	if err := clk.WaitTimers(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if n := clk.Timers(); n != 0 {
		t.Errorf("%d timers are left", n)
	}
}
