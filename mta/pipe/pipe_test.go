package pipe

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"toastmaster/configs"
	"toastmaster/internal/addr"
	"toastmaster/internal/clock"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/hostuser"
	"toastmaster/mta/agent"
	"toastmaster/mta/queue"
)

func params(argv ...string) configs.Transport {
	t := configs.Transport{Name: "p", Command: configs.Command{User: "nobody", Argv: argv, Directory: "/", EOL: `\n`, NullSender: "MAILER-DAEMON", TimeLimit: time.Minute}}
	if os.Geteuid() != 0 {
		u, _ := hostuser.FindID(os.Geteuid())
		t.User = u.Name
	}
	return t
}

func request(sender string, to ...string) *agent.Request {
	e := &envelope.Envelope{ID: "Q1"}
	if sender != "" {
		e.Sender, _ = addr.Parse(sender)
	}
	r := &agent.Request{Envelope: e, Content: envelope.Memory("Subject: x\nDelivered-To: had@y.test\n\ntext\n"), Nexthop: "N.test"}
	for i, text := range to {
		a, err := addr.Parse(text)
		if err != nil {
			panic(err)
		}
		e.Recipients = append(e.Recipients, envelope.Recipient{Address: a, Original: a})
		r.Recipients = append(r.Recipients, i)
	}
	return r
}

func made(t *testing.T, p configs.Transport) *Agent {
	t.Helper()
	a, err := New(Options{Params: p, Delimiters: "+", Clock: clock.System{}})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestArguments: nothing that a stranger chooses becomes an option or another argument.
func TestArguments(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ argv, flags, sender, to, want string }{
		{"${recipient}", "", "s@x.test", `"-f"@y.test`, "5.1.3"},
		{"--to=${recipient}", "", "s@x.test", `"-f"@y.test`, "--to=-f@y.test"},
		{"${extension}", "", "s@x.test", "u+-f@y.test", "5.1.3"},
		{"${sender}", "", `-s@x.test`, "u@y.test", "5.1.7"},
		{"${sender}", "q", `"-s"@x.test`, "u@y.test", "5.1.7"},
		{"${recipient}", "q", "s@x.test", `"-a b"@y.test`, `"-a b"@y.test`},
		{"${client_helo}", "", "s@x.test", "u@y.test", "_oops"},
		{"x${client_helo}", "", "s@x.test", "u@y.test", "x-oops"},
		{"${recipient}", "hu", "s@x.test", "User+E@y.test", "user+e@y.test"},
		{"${nexthop}", "h", "s@x.test", "u@y.test", "n.test"},
		{"${sender}", "", "", "u@y.test", "MAILER-DAEMON"},
	} {
		p := params("/bin/true", c.argv)
		p.Flags = c.flags
		r := request(c.sender, c.to)
		r.Envelope.Origin.Helo = "-oops"
		argv, err := made(t, p).argv(r)
		got := ""
		if err != nil {
			got = err.Status.String()
		} else {
			got = strings.Join(argv[1:], "|")
		}
		if got != c.want {
			t.Errorf("%s of %s to %s: %q, want %q", c.argv, c.sender, c.to, got, c.want)
		}
	}
	argv, err := made(t, params("/bin/true", "-t", "${user}@", "$queue_id", "$extension")).argv(request("s@x.test", "a+b@y.test", "c@y.test"))
	if err != nil || strings.Join(argv, "|") != "/bin/true|-t|a@|c@|Q1|b|" {
		t.Errorf("%q %v", argv, err)
	}
}

// TestEveryRecipientHasTheOutcome, once, and a shutdown is nobody's outcome.
func TestEveryRecipientHasTheOutcome(t *testing.T) {
	t.Parallel()
	deliver := func(ctx context.Context, p configs.Transport, r *agent.Request) (got []agent.Result) {
		made(t, p).Deliver(ctx, r, func(r agent.Result) { got = append(got, r) })
		return got
	}
	r := request("s@x.test", "a@y.test", "b@y.test")
	got := deliver(t.Context(), params("/bin/true"), r)
	if len(got) != 2 || got[1].Recipient != 1 || got[0].Err != nil || got[0].Action != agent.Relayed || got[0].Effect != queue.EffectFinal || got[0].Text != "delivered via p service" || got[0].Relay != "p" {
		t.Errorf("%+v", got)
	}
	p := params("/bin/true")
	p.Flags = "X"
	if got := deliver(t.Context(), p, r); got[0].Action != agent.Sent {
		t.Errorf("%+v", got)
	}
	p = params("/bin/false")
	if got := deliver(t.Context(), p, r); len(got) != 2 || got[0].Err == nil || got[0].Err.Status != dsn.Make(5, 3, 0) {
		t.Errorf("%+v", got)
	}
	p = params("/bin/true")
	p.Flags = "D"
	if got := deliver(t.Context(), p, request("", "HAD@y.test")); len(got) != 1 || got[0].Err == nil || got[0].Err.Status != dsn.LoopDetected {
		t.Errorf("%+v", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	began := filepath.Join(t.TempDir(), "x")
	if os.Geteuid() == 0 {
		began = filepath.Join(os.TempDir(), "tm-pipe-"+t.Name()+time.Now().Format("150405.000000"))
		t.Cleanup(func() { os.Remove(began) })
	}
	go func() {
		for {
			if _, err := os.Stat(began); err == nil {
				cancel()
				return
			}
		}
	}()
	if got := deliver(ctx, params("/bin/sh", "-c", "echo > "+began+"; sleep 600"), r); len(got) != 0 {
		t.Errorf("at the end of the server: %+v", got)
	}
}

// TestWhoCannotRunWaits: a user that this process cannot become is a deferral that names both.
func TestWhoCannotRunWaits(t *testing.T) {
	t.Parallel()
	a := made(t, params("/bin/true"))
	a.user = hostuser.User{Name: "root"}
	_, err := a.run(t.Context(), request("s@x.test", "a@y.test"))
	if err == nil || err.Status != dsn.Misconfigured || !errors.Is(err, hostuser.ErrRoot) || err.Text != "mail system configuration error" {
		t.Error(err)
	}
	for _, bad := range []configs.Transport{params("$nothing"), {Command: configs.Command{User: "root", EOL: `\n`}}, {Command: configs.Command{User: "no-such-user", EOL: `\n`}}} {
		if _, err := New(Options{Params: bad}); err == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
}
