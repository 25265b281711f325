package local

import (
	"context"
	"strings"
	"testing"

	"toastmaster/configs"
	"toastmaster/directory/tables"
	"toastmaster/internal/dsn"
	"toastmaster/mta/agent"
)

// next is another transport's agent: it keeps what it was given, and answers.
type next struct {
	got    []agent.Request
	answer agent.Result
	silent bool
}

func (n *next) Deliver(_ context.Context, r *agent.Request, report func(agent.Result)) {
	n.got = append(n.got, *r)
	if one := n.answer; !n.silent {
		one.Recipient = r.Recipients[0]
		report(one)
	}
}

// passing is an agent that hands everything on, or what it does not know.
func passing(t *testing.T, n *next, change func(*configs.Local)) *Agent {
	t.Helper()
	a := made(t, disk(t), &queued{}, "{list = me, ghost} {owner-list = x@far.test} {twice = ghost, later} {later = |exit 75}", change)
	a.o.Agent = func(transport string) agent.Agent {
		if transport == "next" {
			return n
		}
		return nil
	}
	return a
}

// TestPassing: the other agent gets one recipient, and the result is its own, with its relay; what it has taken it does not get
// again while something else waits.
func TestPassing(t *testing.T) {
	t.Parallel()
	n := &next{answer: agent.Result{Action: agent.Relayed, Text: "250 fine", Relay: "next.test", Status: dsn.Make(2, 1, 5)}}
	a := passing(t, n, func(p *configs.Local) {
		p.MailboxTransport, p.FallbackTransport = "next:inet:there", "gone:"
		p.MailboxTransportMaps = []string{"inline:{ {other = nobody: here} }"}
	})
	r := request("x@far.test", "ghost+ext@here.test")
	r.Recipients = []int{1}
	got := deliver(t, r, a)[0]
	if got.Recipient != 1 || got.Err != nil || got.Text != "250 fine" || got.Relay != "next.test" || got.Action != agent.Relayed || got.Status != dsn.Make(2, 1, 5) {
		t.Errorf("%+v", got)
	}
	one := n.got[0]
	if len(one.Envelope.Recipients) != 1 || one.Envelope.Recipients[0].Address.String() != "ghost+ext@here.test" || one.Nexthop != "inet:there" || !one.Chosen || len(r.Envelope.Recipients) != 2 {
		t.Errorf("%+v", one)
	}
	for range 2 { // what waits is tried again, and the other part is not
		if got := deliver(t, request("twice@here.test"), a)[0]; got.Err == nil || !got.Err.Temporary() {
			t.Errorf("%+v", got)
		}
	}
	if len(n.got) != 2 {
		t.Errorf("%d deliveries", len(n.got))
	}
	n.answer = agent.Result{Err: dsn.New(dsn.BadDestMailbox, "not there"), Relay: "next.test", Site: true}
	if got := deliver(t, request("ghost@here.test"), a)[0]; got.Err == nil || got.Err.Text != "not there" || got.Relay != "next.test" || got.Site {
		t.Errorf("%+v", got)
	}
	n.silent = true
	for to, want := range map[string]string{"ghost@here.test": "4.3.0 Temporary failure in the mail system", "other@here.test": "4.3.5 mail transport unavailable"} {
		if got := deliver(t, request(to), a)[0]; got.Err == nil || got.Err.Status.String()+" "+got.Err.Text != want {
			t.Errorf("%s: %+v", to, got)
		}
	}
}

// TestMembersOfAListGoByTheQueue: each as a recipient of his own, for the list's owner.
func TestMembersOfAListGoByTheQueue(t *testing.T) {
	t.Parallel()
	q := &queued{}
	a := made(t, disk(t), q, "{list = me, ghost, me@here.test} {owner-list = x@far.test}", nil)
	if got := deliver(t, request("list@here.test"), a)[0]; got.Err != nil || got.Action != agent.Expanded {
		t.Errorf("%+v", got)
	}
	if len(q.sent) != 1 || q.sent[0].Envelope.Sender.String() != "owner-list@here.test" || len(q.sent[0].Envelope.Recipients) != 2 || q.sent[0].Envelope.Recipients[1].Address.String() != "ghost@here.test" {
		t.Errorf("%+v", q.sent)
	}
}

// TestProbes: what would be done is told, and nothing is done.
func TestProbes(t *testing.T) {
	t.Parallel()
	n := &next{}
	a := passing(t, n, func(p *configs.Local) { p.FallbackTransportMaps = []string{"inline:{ {ghost = next:} }"} })
	for to, want := range map[string]string{
		"me@here.test": "delivers to mailbox", "list@here.test": "aliased to multiple recipients", "later@here.test": "delivers to command", "ghost@here.test": "delivers via next:",
		"nobody-here@here.test": "5.1.1", "down@here.test": "4.3.0", "root@here.test": "4.3.5",
	} {
		var got agent.Result
		a.Probe(t.Context(), request(to), func(r agent.Result) { got = r })
		text := got.Text
		if got.Err != nil {
			text = got.Err.Status.String()
		}
		if text != want {
			t.Errorf("%s: %+v, want %s", to, got, want)
		}
	}
	if len(n.got) > 0 {
		t.Errorf("a probe was delivered: %+v", n.got)
	}
}

// TestNobodyChoosesATransport: tables that decide where mail goes have no parts of the address in their texts.
func TestNobodyChoosesATransport(t *testing.T) {
	t.Parallel()
	set := tables.NewSet(tables.Options{Params: configs.Default().Lookup})
	t.Cleanup(func() { set.Close() })
	for name, change := range map[string]func(*configs.Local, []string){
		"mailbox_transport_maps": func(p *configs.Local, list []string) { p.MailboxTransportMaps = list }, "fallback_transport_maps": func(p *configs.Local, list []string) { p.FallbackTransportMaps = list },
		"mailbox_command_maps": func(p *configs.Local, list []string) { p.MailboxCommandMaps = list },
	} {
		p := configs.Default().Local
		p.DefaultPrivs = "65534:65534"
		change(&p, []string{"pcre:{ {/^(.*)$/ $1:there} }"})
		if _, err := Open(t.Context(), Options{Params: p, Tables: set}); err == nil || !strings.Contains(err.Error(), "$1") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
