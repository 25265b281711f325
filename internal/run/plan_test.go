package run

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"toastmaster/directory"
	"toastmaster/directory/static"
	"toastmaster/internal/addr"
	"toastmaster/internal/envelope"
	"toastmaster/internal/run/initial"
	"toastmaster/internal/service"
	"toastmaster/mailstore"
	"toastmaster/mailstore/plan"
)

// TestRedirectionsGoThroughTheQueue: what a plan sends on is mail as all mail. Everybody
// here keeps a copy and sends one to the other: each gets it once, because the queue
// finds the loop, and that is no report to anybody.
func TestRedirectionsGoThroughTheQueue(t *testing.T) {
	t.Parallel()
	c, err := initial.Make(t.Context(), initial.Options{Dir: t.TempDir(), PortBase: 2000, Hostname: "mx.test", Host: "127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	c.Log.File, c.SMTPD.Postmaster = "log", ""
	i, err := openInstance(t.Context(), Options{Config: c}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // after the services
		if err := i.Close(); err != nil {
			t.Error(err)
		}
	})
	host(t, i, static.Data{
		Domains:  static.Hosted("example.test"),
		Accounts: []directory.Account{static.Box("alice@example.test", ""), static.Box("bob@example.test", ""), static.Box("sender@example.test", "")},
	})
	other := map[string]string{"alice": "bob@example.test", "bob": "alice@example.test"}
	i.deliverer = plan.New(plan.Options{
		Store: i.mail, Params: c.Store, Submit: i.present, Spool: i.queue.Spool(), Log: i.log,
		Plan: func(_ context.Context, m *plan.Message) ([]plan.Action, error) {
			if to := other[m.To.Local]; to != "" {
				return []plan.Action{plan.Keep{}, plan.Redirect{To: parsed(t, to)}}, nil
			}
			return plan.ToInbox(t.Context(), m)
		},
	})
	if err := i.present.get().openTransports(t.Context()); err != nil { // virtual delivers by it
		t.Fatal(err)
	}
	run(t, i, openStoreService, openQueueService, openQmgr)
	const text = "Subject: on its way\nMessage-ID: <1@example.test>\n\nbody\n"
	alice := parsed(t, "alice@example.test")
	submitted := &envelope.Submission{
		Envelope: &envelope.Envelope{Sender: parsed(t, "sender@example.test"), Recipients: []envelope.Recipient{{Address: alice, Original: alice}}},
		Content:  envelope.Memory(text),
	}
	if _, err := i.present.Submit(t.Context(), submitted); err != nil {
		t.Fatal(err)
	}
	first, second := i.await(t, "alice", 1)[0], i.await(t, "bob", 1)[0]
	if !strings.HasPrefix(first, "Return-Path: <sender@example.test>\nDelivered-To: alice@example.test\n") || !strings.HasSuffix(first, text) {
		t.Errorf("%s", first)
	}
	head, rest, _ := strings.Cut(second, "\nDelivered-To: alice@example.test\n")
	if !strings.HasPrefix(head, "Return-Path: <sender@example.test>\nDelivered-To: bob@example.test\nReceived: by mx.test (Toastmaster, from redirect) id ") ||
		strings.Contains(rest, "Return-Path") || !strings.HasSuffix(rest, text) {
		t.Errorf("%s", second)
	}
	// One more for each in whom the loop could end.
	for name := range other {
		to := parsed(t, name+"@example.test")
		if _, err := i.present.Submit(t.Context(), &envelope.Submission{
			Envelope: &envelope.Envelope{Recipients: []envelope.Recipient{{Address: to, Original: to}}},
			Content:  envelope.Memory("Delivered-To: " + other[name] + "\nSubject: last\n\n"),
		}); err != nil {
			t.Fatal(err)
		}
		if all := i.await(t, name, 2); len(all) != 2 || !strings.HasSuffix(all[1], "Subject: last\n\n") {
			t.Errorf("%s has %q", name, all)
		}
	}
	if all := i.await(t, "sender", 0); len(all) > 0 {
		t.Errorf("the sender has reports: %q", all)
	}
}

func parsed(t *testing.T, s string) addr.Address {
	t.Helper()
	a, err := addr.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// run runs services in their order, and ends them in the other one when the test does.
func run(t *testing.T, i *Instance, all ...func(*Instance) (service.Service, error)) {
	t.Helper()
	for _, open := range all {
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
	}
}

// await waits until somebody's INBOX has n messages, and reads them all.
func (i *Instance) await(t *testing.T, name string, n int) (all []string) {
	t.Helper()
	u, err := i.mail.User(t.Context(), mailstore.Account{Address: parsed(t, name+"@example.test"), Home: "example.test/" + name})
	if err != nil {
		t.Fatal(err)
	}
	v, err := u.Open(t.Context(), "INBOX", true)
	if err != nil {
		t.Fatal(err)
	}
	for v.Len() < n {
		<-v.Changed()
		if _, err := v.Update(t.Context(), true); err != nil {
			t.Fatal(err)
		}
	}
	for seq := range v.Len() {
		c, err := v.Read(t.Context(), uint32(seq+1))
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(envelope.Reader(c))
		if err := errors.Join(err, c.Close()); err != nil {
			t.Fatal(err)
		}
		all = append(all, string(text))
	}
	if err := errors.Join(v.Close(), u.Close()); err != nil {
		t.Fatal(err)
	}
	return all
}
