package remote

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"toastmaster/internal/addr"
	"toastmaster/internal/clock"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/mta/agent"
	"toastmaster/mta/queue"
)

// does is an agent that a test writes.
type does func(ctx context.Context, r *agent.Request, report func(agent.Result))

func (f does) Deliver(ctx context.Context, r *agent.Request, report func(agent.Result)) {
	f(ctx, r, report)
}

// outbox is the queue of the asking side.
type outbox struct {
	got     []*envelope.Submission
	content []byte
	err     error
}

func (o *outbox) Submit(_ context.Context, in *envelope.Submission) (envelope.QueueID, error) {
	o.got = append(o.got, in)
	o.content, _ = io.ReadAll(envelope.Reader(in.Content))
	return "NEW", o.err
}

// joined are both sides: an Agent, and a Server with one transport, "there".
func joined(t *testing.T, by agent.Agent, box *outbox, passed agent.Agent) *Agent {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(t.TempDir(), "s"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	s := NewServer(ServerOptions{
		Agent: func(name string) agent.Agent {
			if name != "there" {
				return nil
			}
			return by
		},
		Fenced: func(f func() error) (err error) {
			defer func() {
				if recover() != nil {
					err = errors.New("panic")
				}
			}()
			return f()
		},
		Clock: clock.System{},
	})
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.AcceptUnix()
			if err != nil {
				return
			}
			all.Go(func() { _ = s.Serve(ctx, c) })
		}
	})
	t.Cleanup(func() { cancel(); _ = l.Close(); all.Wait() })
	return New(Options{
		Transport: "there", Relay: "far", Dir: t.TempDir(), Submit: box,
		Dial: func(ctx context.Context) (*net.UnixConn, error) {
			return net.DialUnix("unix", nil, l.Addr().(*net.UnixAddr))
		},
		Passed: func(name string) agent.Agent {
			if name != "lmtp" {
				return nil
			}
			return passed
		},
	})
}

func at(local string) addr.Address { return addr.Address{Local: local, Domain: "local.test"} }

// asked is a request for two of three recipients.
func asked(content string) *agent.Request {
	e := &envelope.Envelope{ID: "Q1", Sender: addr.Address{Local: "a b", Domain: "x.test"}, EnvID: "e", UTF8: true, Hops: 3, Origin: envelope.Origin{Helo: "mx", ClientAddr: "192.0.2.1"}}
	for _, local := range []string{"one", "two", "three"} {
		e.Recipients = append(e.Recipients, envelope.Recipient{Address: at(local), Original: at(local + "+x"), Notify: envelope.NotifySuccess, Refused: dsn.Wrap(dsn.MailSystem, "x", errors.New("y"))})
	}
	return &agent.Request{Envelope: e, Recipients: []int{2, 0}, Content: envelope.Memory(content), Nexthop: "n", Chosen: true, Replay: true, Activated: time.Unix(1e9, 0), Started: time.Unix(1e9, 1)}
}

func collect(t *testing.T, ctx context.Context, a *Agent, r *agent.Request) map[int]agent.Result {
	t.Helper()
	got := map[int]agent.Result{}
	a.Deliver(ctx, r, func(one agent.Result) {
		if _, twice := got[one.Recipient]; twice {
			t.Errorf("recipient %d was reported twice", one.Recipient)
		}
		got[one.Recipient] = one
	})
	return got
}

// TestADeliveryCrosses: what the agent is asked, and what it says, is what it would be in one process, with small and with
// large messages.
func TestADeliveryCrosses(t *testing.T) {
	t.Parallel()
	for _, content := range []string{"Subject: x\n\ny\n", "Subject: x\n\n" + strings.Repeat("0123456789\n", 100_000)} {
		var heard *agent.Request
		var octets []byte
		a := joined(t, does(func(_ context.Context, r *agent.Request, report func(agent.Result)) {
			heard = r
			octets, _ = io.ReadAll(envelope.Reader(r.Content))
			report(agent.Result{Recipient: 1, Relay: "local", Err: dsn.Wrap(dsn.BadDestMailbox, "User unknown", errors.New("deep")), Site: true})
			report(agent.Result{Recipient: 0, Relay: "local", Action: agent.Expanded, Status: dsn.OK, Text: "delivered", Effect: queue.EffectFinal, Connected: time.Unix(1e9, 2)})
		}), &outbox{}, nil)
		r := asked(content)
		got := collect(t, t.Context(), a, r)
		if one := got[2]; len(got) != 2 || one.Err != nil || one.Action != agent.Expanded || one.Status != dsn.OK || one.Text != "delivered" || one.Relay != "local" || one.Effect != queue.EffectFinal || !one.Connected.Equal(time.Unix(1e9, 2)) {
			t.Errorf("%+v", got)
		}
		if one := got[0]; one.Err == nil || one.Err.Status != dsn.BadDestMailbox || one.Err.Text != "User unknown" || one.Err.Cause.Error() != "deep" || !one.Site {
			t.Errorf("%+v", got)
		}
		e := heard.Envelope
		if string(octets) != content || heard.Nexthop != "n" || !heard.Chosen || !heard.Replay || !heard.Started.Equal(r.Started) || len(e.Recipients) != 2 ||
			e.Recipients[0].Address != at("three") || e.Recipients[0].Original != at("three+x") || e.Recipients[1].Address != at("one") ||
			e.ID != "Q1" || e.Sender != r.Envelope.Sender || e.Hops != 3 || e.Origin.ClientAddr != "192.0.2.1" || e.Recipients[0].Notify != envelope.NotifySuccess {
			t.Errorf("%+v %+v", heard, e)
		}
		if r.Envelope.Recipients[0].Refused == nil {
			t.Error("the envelope was changed")
		}
	}
}

// TestWhatIsSentOnCrossesBack: a submission has the message with fields before it, and its ID, or why not, comes back; a
// recipient that is handed to another transport gets its result.
func TestWhatIsSentOnCrossesBack(t *testing.T) {
	t.Parallel()
	box := &outbox{}
	passed := does(func(_ context.Context, r *agent.Request, report func(agent.Result)) {
		text, _ := io.ReadAll(envelope.Reader(r.Content))
		report(agent.Result{Recipient: 0, Relay: "store", Action: agent.Sent, Text: r.Nexthop + " " + r.Envelope.Recipients[0].Address.Local + " " + string(text)})
	})
	var id envelope.QueueID
	var refused error
	var mu sync.Mutex
	a := joined(t, does(func(ctx context.Context, r *agent.Request, report func(agent.Result)) {
		mu.Lock()
		defer mu.Unlock()
		in := &envelope.Submission{
			Envelope: &envelope.Envelope{Sender: r.Envelope.Sender, Recipients: []envelope.Recipient{{Address: at("elsewhere")}}, Origin: envelope.Origin{Protocol: "redirect"}},
			Content:  &prefixed{[]byte("Delivered-To: me\n"), r.Content},
		}
		id, _ = Submitter{}.Submit(ctx, in)
		box.err = dsn.Wrap(dsn.Unroutable, "No route", errors.New("deep"))
		_, refused = Submitter{}.Submit(ctx, in)
		one := *r
		one.Nexthop = "unix:x"
		Passed{"lmtp"}.Deliver(ctx, &one, report)
		_, err := Submitter{}.Submit(t.Context(), in)
		if err == nil {
			t.Error("outside of a delivery")
		}
	}), box, passed)
	got := collect(t, t.Context(), a, asked("Subject: x\n\ny\n"))
	mu.Lock()
	if id != "NEW" || len(box.got) != 2 || string(box.content) != "Delivered-To: me\nSubject: x\n\ny\n" || box.got[0].Envelope.Recipients[0].Address != at("elsewhere") {
		t.Errorf("%q %+v %q", id, box.got, box.content)
	}
	if e := dsn.From(refused); e.Status != dsn.Unroutable || e.Text != "No route" {
		t.Errorf("%v", refused)
	}
	if len(got) != 2 || got[2].Text != "unix:x three Subject: x\n\ny\n" || got[0].Relay != "store" {
		t.Errorf("%+v", got)
	}
	mu.Unlock()
	a.o.Passed = func(string) agent.Agent { return nil }
	box.err = nil
	if got := collect(t, t.Context(), a, asked("x\n")); got[0].Err == nil || got[0].Err.Status != dsn.Misconfigured {
		t.Errorf("%+v", got)
	}
}

// TestTheEndOfAContextCrosses: the agent's context ends with the caller's, and what was done by then is told.
func TestTheEndOfAContextCrosses(t *testing.T) {
	t.Parallel()
	begun := make(chan struct{})
	a := joined(t, does(func(ctx context.Context, r *agent.Request, report func(agent.Result)) {
		close(begun)
		<-ctx.Done()
		report(agent.Result{Recipient: 0, Relay: "local", Action: agent.Sent})
	}), &outbox{}, nil)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-begun; cancel() }()
	got := collect(t, ctx, a, asked("x\n"))
	if len(got) != 1 || got[2].Err != nil || got[2].Relay != "local" {
		t.Errorf("%+v", got)
	}
}

// TestAnEndInTheMiddle: what was reported stays; the rest is a temporary failure, whether the other side panics, leaves
// somebody out, has another configuration, or is not there.
func TestAnEndInTheMiddle(t *testing.T) {
	t.Parallel()
	first := func(report func(agent.Result)) {
		report(agent.Result{Recipient: 0, Relay: "local", Action: agent.Sent})
	}
	for name, by := range map[string]does{
		"leaves one out": func(_ context.Context, _ *agent.Request, report func(agent.Result)) { first(report) },
		"panics":         func(_ context.Context, _ *agent.Request, report func(agent.Result)) { first(report); panic("x") },
		"has ended": func(ctx context.Context, _ *agent.Request, report func(agent.Result)) {
			first(report)
			_ = ctx.Value(deliveryKey{}).(*delivery).conn.Close()
		},
	} {
		a := joined(t, by, &outbox{}, nil)
		got := collect(t, t.Context(), a, asked("x\n"))
		if len(got) != 2 || got[2].Err != nil || got[0].Err == nil || !got[0].Err.Temporary() || got[0].Relay != "far" || got[0].Err.Cause == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
	a := joined(t, nil, &outbox{}, nil)
	a.o.Transport = "other"
	if got := collect(t, t.Context(), a, asked("x\n")); len(got) != 2 || !strings.Contains(got[0].Err.Cause.Error(), `no transport "other"`) {
		t.Errorf("%+v", got)
	}
	a.o.Dial = func(context.Context) (*net.UnixConn, error) { return nil, errors.New("nobody") }
	if got := collect(t, t.Context(), a, asked("x\n")); len(got) != 2 || !got[2].Err.Temporary() {
		t.Errorf("%+v", got)
	}
}

// TestProbe: an agent that can be asked is, and one that cannot would deliver.
func TestProbe(t *testing.T) {
	t.Parallel()
	r := asked("x\n")
	r.Recipients = []int{1}
	a := joined(t, does(nil), &outbox{}, nil)
	var got []agent.Result
	a.Probe(t.Context(), r, func(one agent.Result) { got = append(got, one) })
	if len(got) != 1 || got[0].Recipient != 1 || got[0].Err != nil {
		t.Errorf("%+v", got)
	}
}

// TestWhatNoQueueHas: a request with what no address has is refused before any agent sees it.
func TestWhatNoQueueHas(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*agent.Request){
		"line in a recipient": func(r *agent.Request) { r.Envelope.Recipients[0].Address.Local = "a\nb" },
		"NUL in the nexthop":  func(r *agent.Request) { r.Nexthop = "a\x00b" },
		"a path as an ID":     func(r *agent.Request) { r.Envelope.ID = "../x" },
		"no address":          func(r *agent.Request) { r.Envelope.Recipients[0].Address = addr.Address{} },
		"a line in HELO":      func(r *agent.Request) { r.Envelope.Origin.Helo = "a\r\nb" },
	} {
		a := joined(t, does(func(context.Context, *agent.Request, func(agent.Result)) { t.Error(name + ": it came through") }), &outbox{}, nil)
		r := asked("x\n")
		spoil(r)
		if got := collect(t, t.Context(), a, r); len(got) != 2 || !got[0].Err.Temporary() {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// FuzzRequest: whatever comes in the place of a request ends the connection in order.
func FuzzRequest(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 2, '{', '}'})
	f.Add(append([]byte{0, 0, 0, 0, 0, 0, 0, 90}, []byte(`{"Transport":"there","Envelope":{"ID":"Q","Recipients":[{"Address":{"Local":"a"}}]}}       `)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		ours, theirs := pairOf(t)
		s := NewServer(ServerOptions{Agent: func(string) agent.Agent { return nil }, Fenced: func(f func() error) error { return f() }, Clock: clock.System{}})
		ended := make(chan error, 1)
		go func() { ended <- s.Serve(t.Context(), theirs) }()
		_, _ = io.Copy(ours, bytes.NewReader(b))
		_ = ours.CloseWrite()
		_, _ = io.Copy(io.Discard, ours)
		_ = ours.Close()
		<-ended
	})
}

func pairOf(t *testing.T) (ours, theirs *net.UnixConn) {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(t.TempDir(), "s"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if ours, err = net.DialUnix("unix", nil, l.Addr().(*net.UnixAddr)); err != nil {
		t.Fatal(err)
	}
	if theirs, err = l.AcceptUnix(); err != nil {
		t.Fatal(err)
	}
	return ours, theirs
}
