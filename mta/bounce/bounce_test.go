package bounce

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"mime"
	"mime/multipart"
	"net/mail"
	"strings"
	"testing"
	"time"

	"toastmaster/configs"
	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/msglog"
	"toastmaster/internal/testkit/clocktest"
	"toastmaster/mta/agent"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// queue is a Submitter that keeps what it gets.
type queue struct {
	envs  []*envelope.Envelope
	texts []string
	fail  error
	// failTo is whose report there is no room for.
	failTo string
}

func (q *queue) Submit(_ context.Context, s *envelope.Submission) (envelope.QueueID, error) {
	text, err := io.ReadAll(envelope.Reader(s.Content))
	if err = errors.Join(err, s.Content.Close(), q.fail); err != nil {
		return "", err
	}
	if q.failTo == s.Envelope.Recipients[0].Address.String() {
		return "", dsn.New(dsn.SystemFull, "full")
	}
	q.envs, q.texts = append(q.envs, s.Envelope), append(q.texts, string(text))
	return "REPORT1", nil
}

func generator(t testing.TB, change func(*configs.Bounce)) (*Generator, *queue, *strings.Builder) {
	t.Helper()
	c := configs.Default().Bounce
	if change != nil {
		change(&c)
	}
	var log strings.Builder
	q := &queue{}
	g, err := New(Options{
		Params:   c,
		Hostname: "mail.example.test", Values: values, Submit: q, Clock: clocktest.New(now),
		Log: msglog.New(slog.NewTextHandler(&log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return g, q, &log
}

func address(t testing.TB, s string) addr.Address {
	t.Helper()
	a, err := addr.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

const sample = "From: s@example.test\nMessage-ID: <m1@example.test>\nSubject: hi\n\nbody text\n"

// failure is a report about recipients that all failed.
func failure(t testing.TB, to ...string) *agent.Report {
	t.Helper()
	r := &agent.Report{
		Kind:     agent.Failure,
		Envelope: &envelope.Envelope{ID: "Q1", Sender: address(t, "s@example.test"), Arrived: now.Add(-time.Hour)},
		Content:  envelope.Memory(sample),
	}
	for i, s := range to {
		a := address(t, s)
		r.Envelope.Recipients = append(r.Envelope.Recipients, envelope.Recipient{Address: a, Original: a})
		r.Recipients = append(r.Recipients, agent.ReportRecipient{Recipient: i, Err: dsn.New(dsn.BadDestMailbox, "No such user here"), At: now})
	}
	return r
}

type part struct{ kind, text string }

// parse takes a report apart with the standard library.
func parse(t testing.TB, text string) (mail.Header, []part) {
	t.Helper()
	m, err := mail.ReadMessage(strings.NewReader(text))
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/report" || params["report-type"] != "delivery-status" || len(params["boundary"]) > 70 {
		t.Fatalf("%q %v %v", kind, params, err)
	}
	var parts []part
	r := multipart.NewReader(m.Body, params["boundary"])
	for {
		p, err := r.NextRawPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(p)
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, part{p.Header.Get("Content-Type"), string(body)})
	}
	if len(parts) != 3 {
		t.Fatalf("%d parts in\n%s", len(parts), text)
	}
	for line := range strings.Lines(text) {
		if len(line) > 999 {
			t.Errorf("a line of %d octets", len(line))
		}
	}
	return m.Header, parts
}

// contains checks that text has all the lines.
func contains(t *testing.T, text string, lines ...string) {
	t.Helper()
	for _, l := range lines {
		if !strings.Contains("\n"+text+"\n", "\n"+l+"\n") {
			t.Errorf("no line %q in\n%s", l, text)
		}
	}
}

func TestFailure(t *testing.T) {
	t.Parallel()
	g, q, log := generator(t, nil)
	r := failure(t, "nobody@remote.test", "x@remote.test")
	r.Envelope.EnvID = "QQ+2B1"
	r.Envelope.Recipients[0].ORcpt = "rfc822;no+2Bbody@example.test"
	r.Envelope.Recipients[1].Original = address(t, "team@example.test")
	r.Recipients[1].Err = &dsn.Error{Status: dsn.Make(5, 7, 1), Text: "Host mx said: no", RemoteMTA: "mx.remote.test", RemoteReply: "550 5.7.1 no\r\nInjected: yes"}
	if err := g.Report(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	env := q.envs[0]
	if !env.Sender.IsNull() || len(env.Recipients) != 1 || env.Recipients[0].Address != r.Envelope.Sender || env.UTF8 || env.Body != envelope.Body7Bit {
		t.Errorf("%+v", env)
	}
	h, parts := parse(t, q.texts[0])
	for name, want := range map[string]string{
		"From": "Mail Delivery System <MAILER-DAEMON@mail.example.test>", "To": "s@example.test", "Auto-Submitted": "auto-replied",
		"Subject": "Undelivered Mail Returned to Sender", "In-Reply-To": "<m1@example.test>", "Date": now.Format(time.RFC1123Z),
	} {
		if got := h.Get(name); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	if parts[0].kind != "text/plain; charset=us-ascii" || parts[1].kind != "message/delivery-status" || parts[2].kind != "message/rfc822" {
		t.Errorf("%v", parts)
	}
	contains(t, parts[0].text, "<nobody@remote.test>: No such user here")
	contains(t, parts[1].text, "Reporting-MTA: dns; mail.example.test", "Original-Envelope-Id: QQ+1", "Arrival-Date: "+now.Add(-time.Hour).Format(time.RFC1123Z),
		"Original-Recipient: rfc822; no+body@example.test", "Final-Recipient: rfc822; nobody@remote.test", "Action: failed", "Status: 5.1.1",
		"Diagnostic-Code: X-Toastmaster; No such user here", "Last-Attempt-Date: "+now.Format(time.RFC1123Z),
		"Original-Recipient: rfc822; team@example.test", "Status: 5.7.1", "Remote-MTA: dns; mx.remote.test", "Diagnostic-Code: smtp; 550 5.7.1 no??Injected: yes")
	if parts[2].text != sample {
		t.Errorf("%q", parts[2].text)
	}
	if !strings.Contains(log.String(), "msg=notification id=Q1 report=REPORT1 kind=failure to=<s@example.test>") {
		t.Errorf("log %q", log)
	}
}

func TestWhoWantsAReport(t *testing.T) {
	t.Parallel()
	all := []envelope.Notify{0, envelope.NotifyNever, envelope.NotifySuccess, envelope.NotifyFailure, envelope.NotifyDelay}
	for kind, want := range map[agent.Kind]string{agent.Failure: "ad", agent.Delay: "ae", agent.Success: "c"} {
		g, q, _ := generator(t, nil)
		r := failure(t, "a@r.test", "b@r.test", "c@r.test", "d@r.test", "e@r.test")
		r.Kind = kind
		for i, n := range all {
			r.Envelope.Recipients[i].Notify = n
		}
		if err := g.Report(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, name := range []string{"a", "b", "c", "d", "e"} {
			if strings.Contains(q.texts[0], "Final-Recipient: rfc822; "+name+"@") {
				got += name
			}
		}
		if got != want {
			t.Errorf("%s: %q, want %q", kind, got, want)
		}
	}
}

func TestNoReport(t *testing.T) {
	t.Parallel()
	g, q, log := generator(t, nil)
	never := failure(t, "a@r.test")
	never.Envelope.Recipients[0].Notify = envelope.NotifyNever
	null := failure(t, "a@r.test")
	null.Envelope.Sender = addr.Address{}
	for _, r := range []*agent.Report{never, null} {
		if err := g.Report(t.Context(), r); err != nil || len(q.envs) != 0 {
			t.Errorf("%v, %d reports", err, len(q.envs))
		}
	}
	if !strings.Contains(log.String(), "no report to the null sender") {
		t.Error("the null sender's loss is not logged")
	}
}

func TestAReportThatCannotBeQueuedIsAnError(t *testing.T) {
	t.Parallel()
	g, q, log := generator(t, nil)
	q.fail = dsn.New(dsn.SystemFull, "full")
	if err := g.Report(t.Context(), failure(t, "a@r.test")); dsn.From(err).Status != dsn.SystemFull {
		t.Errorf("%v", err)
	}
	if strings.Contains(log.String(), "notification") {
		t.Error("logged as queued")
	}
}

func TestDelay(t *testing.T) {
	t.Parallel()
	g, q, _ := generator(t, nil)
	r := failure(t, "a@r.test")
	r.Kind, r.RetryUntil = agent.Delay, now.Add(96*time.Hour)
	r.Recipients[0].Err = dsn.New(dsn.NoAnswer, "Cannot connect to mx.r.test")
	if err := g.Report(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	h, parts := parse(t, q.texts[0])
	if h.Get("Subject") != "Delayed Mail (still being retried)" || parts[2].kind != "text/rfc822-headers" || strings.Contains(parts[2].text, "body text") {
		t.Errorf("%v %v", h, parts[2])
	}
	contains(t, parts[1].text, "Action: delayed", "Status: 4.4.1", "Will-Retry-Until: "+r.RetryUntil.Format(time.RFC1123Z))
	contains(t, parts[0].text, "<a@r.test>: Cannot connect to mx.r.test")
}

func TestSuccess(t *testing.T) {
	t.Parallel()
	g, q, _ := generator(t, nil)
	r := failure(t, "a@r.test", "b@r.test", "c@r.test")
	r.Kind = agent.Success
	actions := []agent.Action{agent.Sent, agent.Relayed, agent.Expanded}
	for i := range r.Recipients {
		r.Envelope.Recipients[i].Notify = envelope.NotifySuccess
		r.Recipients[i] = agent.ReportRecipient{Recipient: i, Status: dsn.OK, Text: "250 ok", Action: actions[i], At: now}
	}
	if err := g.Report(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	_, parts := parse(t, q.texts[0])
	contains(t, parts[1].text, "Action: delivered", "Action: relayed", "Final-Recipient: rfc822; c@r.test\nAction: expanded", "Status: 2.0.0")
	if strings.Contains(parts[1].text, "Diagnostic-Code") {
		t.Error("a success has no diagnosis")
	}
}

func TestWhatIsReturned(t *testing.T) {
	t.Parallel()
	long := sample + strings.Repeat("x\n", 60_000)
	for name, c := range map[string]struct {
		content envelope.Content
		ret     envelope.Return
		kind    string
		text    string
	}{
		"whole":         {envelope.Memory(sample), 0, "message/rfc822", sample},
		"RET=FULL":      {envelope.Memory(sample), envelope.ReturnFull, "message/rfc822", sample},
		"RET=HDRS":      {envelope.Memory(sample), envelope.ReturnHeaders, "text/rfc822-headers", sample[:strings.Index(sample, "\n\n")+1]},
		"too large":     {envelope.Memory(long), envelope.ReturnFull, "text/rfc822-headers", sample[:strings.Index(sample, "\n\n")+1]},
		"unreadable":    {nil, 0, "text/rfc822-headers", ""},
		"header only":   {envelope.Memory("A: b\n"), envelope.ReturnHeaders, "text/rfc822-headers", "A: b\n"},
		"no header":     {envelope.Memory("\nbody\n"), envelope.ReturnHeaders, "text/rfc822-headers", ""},
		"no line end":   {envelope.Memory("A: b"), 0, "message/rfc822", "A: b"},
		"empty message": {envelope.Memory(""), 0, "message/rfc822", ""},
	} {
		g, q, _ := generator(t, nil)
		r := failure(t, "a@r.test")
		r.Content, r.Envelope.Return = c.content, c.ret
		if err := g.Report(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		if _, parts := parse(t, q.texts[0]); parts[2] != (part{c.kind, c.text}) {
			t.Errorf("%s: %q", name, parts[2])
		}
	}
}

func TestInternationalised(t *testing.T) {
	t.Parallel()
	g, q, _ := generator(t, nil)
	r := failure(t, "jos\u00e9@remote.test")
	r.Envelope.UTF8 = true
	r.Content = envelope.Memory("Subject: caf\u00e9\n\nx\n")
	if err := g.Report(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	_, parts := parse(t, q.texts[0])
	if env := q.envs[0]; !env.UTF8 || env.Body != envelope.Body8BitMIME {
		t.Errorf("%+v", env)
	}
	if parts[1].kind != "message/global-delivery-status" || parts[2].kind != "message/global" {
		t.Errorf("%v", parts)
	}
	contains(t, parts[1].text, "Final-Recipient: utf-8; jos\u00e9@remote.test")
	contains(t, parts[0].text, "<jos\u00e9@remote.test>: No such user here")
}

func TestEightBitContentNeedsNoUTF8Report(t *testing.T) {
	t.Parallel()
	g, q, _ := generator(t, nil)
	r := failure(t, "a@remote.test")
	r.Envelope.UTF8 = true // said, but neither header nor address needs it
	r.Content = envelope.Memory("Subject: x\n\ncaf\xe9\n")
	r.Recipients[0].Err = dsn.New(dsn.BadDestMailbox, "caf\u00e9 closed")
	if err := g.Report(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	_, parts := parse(t, q.texts[0])
	if env := q.envs[0]; env.UTF8 || env.Body != envelope.Body8BitMIME || parts[2].kind != "message/rfc822" {
		t.Errorf("%+v %v", env, parts[2])
	}
	contains(t, parts[1].text, "Diagnostic-Code: X-Toastmaster; caf? closed")
}

func TestCopies(t *testing.T) {
	t.Parallel()
	withCopy := func(c *configs.Bounce) { c.CopyTo = "postmaster@example.test" }
	g, q, _ := generator(t, withCopy)
	if err := g.Report(t.Context(), failure(t, "a@r.test")); err != nil || len(q.envs) != 2 {
		t.Fatalf("%v, %d reports", err, len(q.envs))
	}
	if to := q.envs[1].Recipients[0].Address; to.String() != "postmaster@example.test" || strings.Contains(q.texts[1], "body text") {
		t.Errorf("%v\n%s", to, q.texts[1])
	}
	null := failure(t, "a@r.test")
	null.Envelope.Sender = addr.Address{}
	if err := g.Report(t.Context(), null); err != nil || len(q.envs) != 3 {
		t.Errorf("the null sender: %v, %d reports", err, len(q.envs))
	}
	loop := failure(t, "Postmaster@example.test")
	loop.Envelope.Sender = addr.Address{}
	if err := g.Report(t.Context(), loop); err != nil || len(q.envs) != 3 {
		t.Errorf("a failure of the copy was copied: %v, %d reports", err, len(q.envs))
	}
	if _, err := New(Options{Params: configs.Bounce{CopyTo: "x y"}}); err == nil {
		t.Error("bad copy_to accepted")
	}
}

// TestACopyThatFailsRepeatsNoReport: the sender gets one report, whatever
// becomes of the copy; where the copy is all there is, it is tried again.
func TestACopyThatFailsRepeatsNoReport(t *testing.T) {
	t.Parallel()
	g, q, log := generator(t, func(c *configs.Bounce) { c.CopyTo = "postmaster@example.test" })
	q.failTo = "postmaster@example.test"
	if err := g.Report(t.Context(), failure(t, "a@r.test")); err != nil || len(q.envs) != 1 {
		t.Errorf("%v, %d reports", err, len(q.envs))
	}
	if !strings.Contains(log.String(), `level=ERROR msg="copy of a report not queued" id=Q1 to=postmaster@example.test cause=`) {
		t.Errorf("log %q", log)
	}
	null := failure(t, "a@r.test")
	null.Envelope.Sender = addr.Address{}
	if err := g.Report(t.Context(), null); dsn.From(err).Status != dsn.SystemFull {
		t.Errorf("the null sender: %v", err)
	}
	q.failTo = ""
	if err := g.Report(t.Context(), null); err != nil || len(q.envs) != 2 {
		t.Errorf("%v, %d reports", err, len(q.envs))
	}
}

func FuzzReport(f *testing.F) {
	f.Add("a+2Bb", "rfc822;x+40y", "550 no", "Subject: x\n\ny\n")
	f.Add("\r\n", ";", "\n\n--", "")
	f.Add("+", "utf-8;\xff", strings.Repeat("x", 3000), "Message-ID: <a b>\n")
	f.Fuzz(func(t *testing.T, envid, orcpt, reply, content string) {
		g, q, _ := generator(t, nil)
		r := failure(t, "a@remote.test")
		r.Envelope.EnvID, r.Envelope.Recipients[0].ORcpt = envid, orcpt
		r.Content = envelope.Memory(content)
		r.Recipients[0].Err = &dsn.Error{Status: dsn.Make(5, 0, 0), Text: reply, RemoteMTA: reply, RemoteReply: reply}
		if err := g.Report(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		text := q.texts[0]
		head := text[:strings.Index(text, "Content-Description: Undelivered")]
		if strings.Contains(head, "\r") || strings.Count(head, "Content-Type:") != 3 {
			t.Errorf("%q", head)
		}
		if strings.Count(head, "\nFinal-Recipient: rfc822; a@remote.test\nAction: failed\nStatus: 5.0.0\n") != 1 {
			t.Errorf("%q", head)
		}
	})
}
