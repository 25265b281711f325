package run

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"toastmaster/admin/client"
	"toastmaster/admin/model"
	"toastmaster/directory"
	"toastmaster/directory/static"
	"toastmaster/directory/tabletest"
	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/run/initial"
	"toastmaster/internal/service"
	"toastmaster/mailstore/plan"
	"toastmaster/mta/agent"
	"toastmaster/mta/virtual"
)

// startService runs a service of an instance until the test ends.
func startService(t *testing.T, i *Instance, open func(*Instance) (service.Service, error)) string {
	t.Helper()
	s, err := open(i)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	known := s.(interface {
		Ready() <-chan struct{}
		Addrs() []string
	})
	<-known.Ready()
	return known.Addrs()[0]
}

// TestEveryCallerDecidesAlike: random hosted data, and everybody in it, asked of
// SMTP and LMTP by their protocols, of the routes, of the delivery, and of the
// administration. They say the same, or what the decision means to them.
func TestEveryCallerDecidesAlike(t *testing.T) {
	t.Parallel()
	c, err := initial.Make(t.Context(), initial.Options{Dir: t.TempDir(), PortBase: 2000, Hostname: "mx.test", Host: "127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	c.SMTPD.Listen, c.LMTPD.Listen, c.Admin.Listen, c.Admin.ListenTLS = []string{"127.0.0.1:0"}, []string{"127.0.0.1:0"}, nil, nil
	c.SMTPD.Postmaster, c.Log.File = "", "log" // a postmaster would stand in for others
	i, err := openInstance(t.Context(), Options{Config: c}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := i.Close(); err != nil {
			t.Error(err)
		}
	}()
	host(t, i, tabletest.Random(rand.New(rand.NewPCG(11, 4))))
	deliver := virtual.New(virtual.Options{Directory: i.directory, Deliverer: noStore{}, Clock: i.clock})
	t.Run("all", func(t *testing.T) {
		smtp, lmtp := startService(t, i, openSMTPD), startService(t, i, openLMTPD)
		startService(t, i, openAdmin)
		api := client.NewUnix(c.Path(c.Admin.Socket))
		defer api.Close()
		seen := map[directory.Verdict]int{}
		universe := tabletest.Universe()
		bySMTP, byLMTP := replies(t, smtp, "EHLO", universe), replies(t, lmtp, "LHLO", universe)
		for n, a := range universe {
			before := i.present.Decide(t.Context(), a)
			after := i.directory.Decide(t.Context(), a, directory.Question{Expanded: true})
			seen[before.Verdict]++
			if got, want := bySMTP[n], code(before); got != want {
				t.Errorf("SMTP about %s: %s, want %s (%s)", a, got, want, before.Verdict)
			}
			to := after
			if after.Verdict == directory.Foreign {
				to = i.directory.Destination(t.Context(), a)
			}
			if got, want := byLMTP[n], code(to); got != want {
				t.Errorf("LMTP about %s: %s, want %s (%s)", a, got, want, to.Verdict)
			}
			if got, want := delivered(t, deliver, a), code(to); got != want {
				t.Errorf("delivery to %s: %s, want %s (%s)", a, got, want, to.Verdict)
			}
			route, err := i.present.Resolve(t.Context(), addr.Address{}, a)
			if err != nil {
				t.Fatal(err)
			}
			want := map[bool]string{true: "virtual 250", false: "error " + code(after)}[after.Verdict == directory.Deliver]
			if after.Verdict == directory.Foreign {
				want = "smtp 250"
			}
			if got := route.Transport + " " + code(directory.Decision{Err: route.Err}); got != want {
				t.Errorf("route of %s: %s, want %s", a, got, want)
			}
			d, err := api.Check(t.Context(), a.String())
			if err != nil || d.Verdict != before.Verdict.String() || d.Taken != before.Taken() || !strings.HasPrefix(d.Reply+" ", strings.TrimPrefix(code(before), "250")) ||
				len(d.Addresses) != len(before.Addresses) {
				t.Errorf("check of %s: %+v, %v; want %s", a, d, err, before.Verdict)
			}
		}
		for _, v := range []directory.Verdict{directory.Foreign, directory.Deliver, directory.Forward, directory.Relocated, directory.Suspended, directory.Unknown} {
			if seen[v] < 3 {
				t.Errorf("%s came %d times", v, seen[v])
			}
		}
	})
}

// host writes data through the store; what that refuses is left out.
func host(t *testing.T, i *Instance, data static.Data) {
	t.Helper()
	ctx := t.Context()
	accept := func(_ any, err error) {
		if err != nil && model.KindOf(err) != model.Invalid && model.KindOf(err) != model.OverLimit {
			t.Fatal(err)
		}
	}
	for _, alias := range []bool{false, true} {
		for _, d := range data.Domains {
			if alias == (d.AliasOf != "") {
				accept(i.adminStore.AddDomain(ctx, "test", model.NewDomain{Name: d.Name, AliasOf: d.AliasOf, DomainChange: model.DomainChange{Enabled: &d.Enabled}}))
			}
		}
	}
	hash := ""
	for _, a := range data.Accounts {
		accept(i.adminStore.AddMailbox(ctx, "test", model.NewMailbox{
			Address: a.Mailbox.Address.String(), MailboxChange: model.MailboxChange{PasswordHash: &hash, Enabled: &a.Mailbox.Enabled},
		}))
	}
	for from, to := range data.Aliases {
		accept(i.adminStore.AddAlias(ctx, "test", model.NewAlias{Address: from, AliasChange: model.AliasChange{Targets: to}}))
	}
	for from, to := range data.Relocated {
		accept(i.adminStore.AddRelocated(ctx, "test", model.NewRelocated{Address: from, RelocatedChange: model.RelocatedChange{MovedTo: to}}))
	}
}

// code is what a decision says to a client: its codes, or 250.
func code(d directory.Decision) string {
	if d.Err == nil {
		return "250"
	}
	return fmt.Sprintf("%d %s", d.Err.Reply(), d.Err.Status)
}

// replies are the codes of RCPT TO for each of all; few in a session, so that the
// limits of one do not answer.
func replies(t *testing.T, address, hello string, all []addr.Address) (out []string) {
	t.Helper()
	var c *textproto.Conn
	ask := func(command string) string {
		if err := c.PrintfLine("%s", command); err != nil {
			t.Fatal(err)
		}
		code, text, err := c.ReadResponse(0)
		if _, failed := err.(*textproto.Error); err != nil && !failed {
			t.Fatal(err)
		}
		if code == 250 {
			return "250"
		}
		status, _, _ := strings.Cut(text, " ")
		return fmt.Sprintf("%d %s", code, status)
	}
	for n, a := range all {
		if n%4 == 0 {
			if c != nil {
				c.Close()
			}
			var err error
			if c, err = textproto.Dial("tcp", address); err != nil {
				t.Fatal(err)
			}
			if _, _, err := c.ReadResponse(220); err != nil {
				t.Fatal(err)
			}
			ask(hello + " test")
		} else {
			ask("RSET")
		}
		if got := ask("MAIL FROM:<>"); got != "250" {
			t.Fatal(got)
		}
		out = append(out, ask("RCPT TO:"+a.Path()))
	}
	return out
}

// noStore takes everything.
type noStore struct{}

func (noStore) Deliver(context.Context, *plan.Message) (*plan.Outcome, *dsn.Error) {
	return &plan.Outcome{Stored: []plan.Stored{{}}}, nil
}

func delivered(t *testing.T, a *virtual.Agent, to addr.Address) string {
	t.Helper()
	var got []agent.Result
	a.Deliver(t.Context(), &agent.Request{
		Envelope:   &envelope.Envelope{ID: "3XyzQueue1", Recipients: []envelope.Recipient{{Address: to}}},
		Recipients: []int{0}, Content: envelope.Memory("x"), Started: time.Unix(0, 0),
	}, func(r agent.Result) { got = append(got, r) })
	if len(got) != 1 {
		t.Fatalf("%s: %d results", to, len(got))
	}
	return code(directory.Decision{Err: got[0].Err})
}
