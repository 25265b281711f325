package smtpd

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"

	"toastmaster/configs"
	"toastmaster/internal/clock"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/msglog"
	"toastmaster/internal/testkit/logtest"
	"toastmaster/internal/testkit/transcript"
	"toastmaster/internal/vfs"
	"toastmaster/mta/cleanup"
	"toastmaster/mta/policy"
	"toastmaster/mta/queue"
)

// wanting is a restriction that wants these things done, one after the other.
func wanting(wants ...policy.Decision) policy.List {
	var checks []policy.Check
	for _, d := range wants {
		checks = append(checks, policy.CheckFunc(func(context.Context, *policy.Transaction) policy.Decision { return d }))
	}
	return policy.NewList(checks...)
}

// TestActionsOfRestrictions: what a restriction wants done to a message is done to that
// message, in the queue, and to no other.
func TestActionsOfRestrictions(t *testing.T) {
	t.Parallel()
	want := func(a policy.Action, arg string) policy.Decision { return policy.Decision{Action: a, Arg: arg} }
	for name, c := range map[string]struct {
		wants []policy.Decision
		place queue.Place
		to    string // recipients with NOTIFY
		route string
	}{
		"nothing":  {nil, queue.Incoming, "alice@example.test 0, bob@example.test 0", ""},
		"hold":     {[]policy.Decision{want(policy.Hold, "look at it")}, queue.Hold, "alice@example.test 0, bob@example.test 0", ""},
		"filter":   {[]policy.Decision{want(policy.Filter, "scan:[127.0.0.1]:10025")}, queue.Incoming, "alice@example.test 0, bob@example.test 0", "scan:[127.0.0.1]:10025"},
		"discard":  {[]policy.Decision{want(policy.BCC, "c@example.test"), want(policy.Filter, "scan:"), want(policy.Discard, "")}, queue.Incoming, "alice@example.test 0, bob@example.test 0", "discard:"},
		"redirect": {[]policy.Decision{want(policy.BCC, "c@example.test"), want(policy.Redirect, "else@elsewhere.test"), want(policy.Filter, "scan:x")}, queue.Incoming, "else@elsewhere.test 0", ""},
		"bcc":      {[]policy.Decision{want(policy.BCC, "archive@elsewhere.test"), want(policy.BCC, "two@elsewhere.test"), want(policy.Info, "seen")}, queue.Incoming, "alice@example.test 0, bob@example.test 0, archive@elsewhere.test 1, two@elsewhere.test 1", ""},
		"all":      {[]policy.Decision{want(policy.Warn, "w"), want(policy.Hold, ""), want(policy.Filter, "first:"), want(policy.Filter, "scan:")}, queue.Hold, "alice@example.test 0, bob@example.test 0", "scan:"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, stage := range []func(l *policy.Lists) *policy.List{
				func(l *policy.Lists) *policy.List { return &l.Client }, func(l *policy.Lists) *policy.List { return &l.Helo },
				func(l *policy.Lists) *policy.List { return &l.Sender }, func(l *policy.Lists) *policy.List { return &l.Data },
				func(l *policy.Lists) *policy.List { return &l.EndOfData },
			} {
				b := newBed(t)
				var log logtest.Buffer
				b.o.Log = msglog.New(slog.NewTextHandler(&log, nil))
				q := realQueue(t, b)
				d := daemon(t, b.o)
				lists := *d.lists[mx]
				*stage(&lists) = wanting(c.wants...)
				d.lists[mx] = &lists
				once := "C: MAIL FROM:<s@elsewhere.test>\nS: 250 *\nC: RCPT TO:<alice@example.test>\nS: 250 *\nC: RCPT TO:<bob@example.test>\nS: 250 *\nC: DATA\nS: 354 *\nC: Subject: x\nC: \nC: .\nS: 250 *\n"
				converse(t, d, "S: 220 *\nC: HELO first.test\nS: 250 *\nC: HELO client.test\nS: 250 *\n"+once+once+"C: QUIT\nS: 221 *\n")
				list, err := q.List(t.Context(), queue.Filter{}, "", 10)
				if err != nil || len(list) != 2 {
					t.Fatalf("%d messages, %v", len(list), err)
				}
				for _, info := range list {
					_, env, content, err := q.Get(t.Context(), info.ID)
					if err != nil || content.Close() != nil {
						t.Fatal(err)
					}
					var to []string
					for _, r := range env.Recipients {
						to = append(to, fmt.Sprintf("%s %d", r.Address, r.Notify))
					}
					route := ""
					if env.Filter != nil {
						route = env.Filter.String()
					}
					if actions := strings.Join(info.Actions, ","); route != "" && actions != "FILTER "+route {
						t.Errorf("the listing says %q", actions)
					}
					if got := strings.Join(to, ", "); info.Place != c.place || got != c.to || route != c.route {
						t.Errorf("%s: %q by %q, want %q %q by %q", info.Place, got, route, c.place, c.to, c.route)
					}
				}
				for _, w := range c.wants {
					if !strings.Contains(log.String(), "msg=restriction service=smtpd") || !strings.Contains(log.String(), "action="+w.Action.String()) {
						t.Errorf("no line of %s: %s", w.Action, log.String())
					}
				}
			}
		})
	}
}

// TestPrepend: the fields stand above our own Received, in their order, once each, and are in the
// queue when it is opened again.
func TestPrepend(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	q := realQueue(t, b)
	d := daemon(t, b.o)
	lists := *d.lists[mx]
	lists.Sender = wanting(policy.Decision{Action: policy.Prepend, Arg: "X-First: 1"}, policy.Decision{Action: policy.Prepend, Arg: "Date: Fri, 27 Nov 2026 08:00:00 +0000"})
	d.lists[mx] = &lists
	converse(t, d, "S: 220 *\nC: HELO client.test\nS: 250 *\nC: MAIL FROM:<s@elsewhere.test>\nS: 250 *\nC: RCPT TO:<alice@example.test>\nS: 250 *\nC: RCPT TO:<bob@example.test>\nS: 250 *\n"+
		"C: DATA\nS: 354 *\nC: Subject: x\nC: \nC: .\nS: 250 *\nC: QUIT\nS: 221 *\n")
	list, err := q.List(t.Context(), queue.Filter{}, "", 10)
	if err != nil || len(list) != 1 {
		t.Fatalf("%d messages, %v", len(list), err)
	}
	_, env, content, err := q.Get(t.Context(), list[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	defer content.Close()
	text, err := io.ReadAll(envelope.Reader(content))
	if want := "X-First: 1\nDate: Fri, 27 Nov 2026 08:00:00 +0000\nReceived: from "; err != nil || !strings.HasPrefix(string(text), want) ||
		strings.Count(string(text), "Date:") != 1 || strings.Count(string(text), "X-First") != 1 || !strings.HasSuffix(string(text), "\nSubject: x\n\n") {
		t.Errorf("%q, %v", text, err)
	}
	if got := strings.Join(list[0].Actions, "|"); got != "PREPEND X-First: 1|PREPEND Date: Fri, 27 Nov 2026 08:00:00 +0000" || len(env.Prepend) != 2 {
		t.Errorf("%q, %q", got, env.Prepend)
	}
}

// TestDiscardIsAcceptedWhateverComes: nothing else is asked about a message that is to be discarded,
// by no list.
func TestDiscardIsAcceptedWhateverComes(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.o.Trusted = nil
	d := daemon(t, b.o)
	lists := *d.lists[mx]
	refuse := policy.Decision{Action: policy.Reject, Err: dsn.New(dsn.Policy, "Not today")}
	lists.Client = wanting(policy.Decision{Action: policy.Discard, Arg: "spam"}, refuse)
	lists.Data, lists.EndOfData = wanting(refuse), wanting(refuse)
	d.lists[mx] = &lists
	converse(t, d, "S: 220 *\nC: HELO client.test\nS: 250 *\nC: MAIL FROM:<s@elsewhere.test>\nS: 250 *\nC: RCPT TO:<x@elsewhere.test>\nS: 250 *\n"+
		"C: DATA\nS: 354 *\nC: .\nS: 250 *\nC: QUIT\nS: 221 *\n")
	if sub, _ := b.sent.last(t); sub.Envelope.Filter == nil || sub.Envelope.Filter.Transport != "discard" {
		t.Errorf("%+v", sub.Envelope.Filter)
	}
}

// TestCodesThatEndTheSession: 421 and 521 of a restriction end it, as in Postfix, at each command.
func TestCodesThatEndTheSession(t *testing.T) {
	t.Parallel()
	for _, code := range []int{421, 521} {
		refuse := wanting(policy.Decision{Action: policy.Reject, Err: dsn.New(dsn.Make(code/100, 7, 0), "Go away").WithCode(code)})
		mail := "C: HELO client.test\nS: 250 *\nC: MAIL FROM:<s@elsewhere.test>\n"
		rcpt := mail + "S: 250 *\nC: RCPT TO:<alice@example.test>\n"
		for lines, list := range map[string]func(*policy.Lists) *policy.List{
			"C: HELO client.test\n":      func(l *policy.Lists) *policy.List { return &l.Helo },
			mail:                         func(l *policy.Lists) *policy.List { return &l.Sender },
			rcpt:                         func(l *policy.Lists) *policy.List { return &l.Recipient },
			rcpt + "S: 250 *\nC: DATA\n": func(l *policy.Lists) *policy.List { return &l.Data },
			rcpt + "S: 250 *\nC: DATA\nS: 354 *\nC: .\n": func(l *policy.Lists) *policy.List { return &l.EndOfData },
		} {
			b := newBed(t)
			d := daemon(t, b.o)
			l := *d.lists[mx]
			l.Delayed = false
			*list(&l) = refuse
			d.lists[mx] = &l
			converse(t, d, fmt.Sprintf("S: 220 *\n%sS: %d %d.7.0 Go away\nS: <end>\n", lines, code, code/100))
		}
	}
}

// TestRestrictionsKnowTheOnlyRecipientAtDATA, and none of several; a report with one
// recipient is none with several.
func TestRestrictionsKnowTheOnlyRecipientAtDATA(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	d := daemon(t, b.o)
	lists := *d.lists[mx]
	var known []string
	note := policy.NewList(policy.CheckFunc(func(_ context.Context, t *policy.Transaction) policy.Decision {
		known = append(known, t.Recipient.String())
		return policy.Decision{}
	}))
	bounces, err := policy.Compile(policy.Data, []string{"reject_multi_recipient_bounce"}, d.env)
	if err != nil {
		t.Fatal(err)
	}
	lists.Data, lists.EndOfData = policy.NewList(note, bounces), policy.NewList(note, bounces)
	d.lists[mx] = &lists
	begin, rcpt, data := "C: MAIL FROM:<>\nS: 250 *\n", "C: RCPT TO:<%s@example.test>\nS: %s *\n", "C: DATA\nS: 354 *\nC: .\nS: 250 *\n"
	alice, bob, nobody := fmt.Sprintf(rcpt, "alice", "250"), fmt.Sprintf(rcpt, "bob", "250"), fmt.Sprintf(rcpt, "nobody", "550")
	converse(t, d, "S: 220 *\nC: HELO client.test\nS: 250 *\n"+begin+alice+data+begin+alice+nobody+data+begin+alice+bob+"C: DATA\nS: 550 5.5.3 *\nC: QUIT\nS: 221 *\n")
	if got := strings.Join(known, " "); got != strings.Repeat("alice@example.test ", 4) {
		t.Errorf("%q", got)
	}
}

// TestARefusedRecipientWantsNothing: what was wanted about it goes with it.
func TestARefusedRecipientWantsNothing(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	d := daemon(t, b.o)
	lists := *d.lists[mx]
	before := lists.Recipient
	lists.Recipient = policy.NewList(
		policy.CheckFunc(func(_ context.Context, t *policy.Transaction) policy.Decision {
			if t.Recipient.Local == "nobody" {
				return policy.Decision{Action: policy.Hold}
			}
			return policy.Decision{}
		}),
		policy.CheckFunc(func(ctx context.Context, t *policy.Transaction) policy.Decision { return before.Decide(ctx, t) }))
	d.lists[mx] = &lists
	converse(t, d, `S: 220 *
C: HELO client.test
S: 250 *
C: MAIL FROM:<s@elsewhere.test>
S: 250 *
C: RCPT TO:<nobody@example.test>
S: 550 *
C: RCPT TO:<alice@example.test>
S: 250 *
C: DATA
S: 354 *
C: .
S: 250 *
C: QUIT
S: 221 *
`)
	if len(b.sent.all) != 1 || b.sent.all[0].Envelope.Hold {
		t.Errorf("%d, held", len(b.sent.all))
	}
}

// TestARefusedCommandWantsNothing: what was wanted at a MAIL or DATA that was refused is for
// nobody, and a HELO that is refused takes nothing from the transaction that is open.
func TestARefusedCommandWantsNothing(t *testing.T) {
	t.Parallel()
	hold := policy.Decision{Action: policy.Hold}
	refuse := policy.Decision{Action: policy.Reject, Err: dsn.New(dsn.Make(5, 7, 1), "Not today")}
	when := func(said func(*policy.Transaction) bool, d policy.Decision) policy.Check {
		return policy.CheckFunc(func(_ context.Context, t *policy.Transaction) policy.Decision {
			if said(t) {
				return d
			}
			return policy.Decision{}
		})
	}
	bad := func(t *policy.Transaction) bool { return t.Sender.Local == "bad" }
	held := func(t *policy.Transaction) bool { return t.Sender.Local == "held" }
	once := 0
	message := "C: RCPT TO:<alice@example.test>\nS: 250 *\n%sC: DATA\nS: 354 *\nC: .\nS: 250 *\n"
	for name, c := range map[string]struct {
		lists func(l *policy.Lists)
		lines string
		held  bool
	}{
		"mail": {func(l *policy.Lists) { l.Sender = policy.NewList(when(bad, hold), when(bad, refuse)) },
			"C: MAIL FROM:<bad@elsewhere.test>\nS: 554 *\nC: RSET\nS: 250 *\nC: MAIL FROM:<s@elsewhere.test>\nS: 250 *\n" + fmt.Sprintf(message, ""), false},
		"helo": {func(l *policy.Lists) {
			l.Sender = policy.NewList(when(held, hold))
			l.Helo = policy.NewList(when(func(t *policy.Transaction) bool { return t.Helo == "bad.test" }, refuse))
		}, "C: MAIL FROM:<held@elsewhere.test>\nS: 250 *\n" + fmt.Sprintf(message, "C: HELO bad.test\nS: 554 *\n"), true},
		"data": {func(l *policy.Lists) {
			l.Data = policy.NewList(when(func(*policy.Transaction) bool { once++; return once == 1 }, hold), when(func(*policy.Transaction) bool { return once == 1 }, refuse))
		}, "C: MAIL FROM:<s@elsewhere.test>\nS: 250 *\n" + fmt.Sprintf(message, "C: DATA\nS: 554 *\n"), false},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			d := daemon(t, b.o)
			lists := *d.lists[mx]
			lists.Delayed = false
			c.lists(&lists)
			d.lists[mx] = &lists
			converse(t, d, "S: 220 *\nC: HELO client.test\nS: 250 *\n"+c.lines+"C: QUIT\nS: 221 *\n")
			if len(b.sent.all) != 1 || b.sent.all[0].Envelope.Hold != c.held {
				t.Errorf("%d messages; the first is held: %v", len(b.sent.all), len(b.sent.all) > 0 && b.sent.all[0].Envelope.Hold)
			}
		})
	}
}

// TestActionsWithoutSense are a temporary failure and a line: the client comes again.
func TestActionsWithoutSense(t *testing.T) {
	t.Parallel()
	for _, d := range []policy.Decision{
		{Action: policy.Prepend}, {Action: policy.Prepend, Arg: "no field"}, {Action: policy.Prepend, Arg: "X A: b"}, {Action: policy.Prepend, Arg: "X-A: b\nX-B: c"}, {Action: policy.Filter}, {Action: policy.Filter, Arg: "no colon"}, {Action: policy.Filter, Arg: ":x"},
		{Action: policy.Redirect}, {Action: policy.Redirect, Arg: "a b"}, {Action: policy.BCC, Arg: "<>"},
	} {
		b := newBed(t)
		var log logtest.Buffer
		b.o.Log = msglog.New(slog.NewTextHandler(&log, nil))
		made := daemon(t, b.o)
		lists := *made.lists[mx]
		lists.Sender, lists.Delayed = wanting(d), false
		made.lists[mx] = &lists
		converse(t, made, "S: 220 *\nC: HELO client.test\nS: 250 *\nC: MAIL FROM:<s@elsewhere.test>\nS: 451 4.3.5 Server configuration error\nC: QUIT\nS: 221 *\n")
		if !strings.Contains(log.String(), "cannot carry out") {
			t.Errorf("%v: %s", d, log.String())
		}
	}
}

func converse(t *testing.T, d *Daemon, lines string) {
	t.Helper()
	address := serve(t, served(d.MX()), nil)
	transcript.Run(t, "talk", lines, transcript.Options{Dial: func(t *testing.T, _ string) net.Conn {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}})
}

// realQueue puts cleanup and a queue behind the port.
func realQueue(t *testing.T, b *bed) *queue.Queue {
	t.Helper()
	config := configs.Default()
	q, err := queue.Open(t.Context(), queue.Options{FS: vfs.OS{}, Dir: t.TempDir(), Config: config.Queue, Clock: clock.System{}, Log: msglog.Discard()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := q.Close(); err != nil {
			t.Error(err)
		}
	})
	b.o.Submitter = cleanup.New(cleanup.Options{Params: config.Cleanup, Hostname: b.o.Hostname, Directory: b.o.Directory, Queue: q, Log: b.o.Log, Clock: clock.System{}})
	return q
}
