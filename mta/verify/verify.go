package verify

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"toastmaster/configs"
	"toastmaster/directory"
	"toastmaster/internal/addr"
	"toastmaster/internal/clock"
	"toastmaster/internal/diskcache"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/msglog"
	"toastmaster/internal/service"
	"toastmaster/mta/agent"
)

// State is what is known of an address.
type State uint8

// The states.
const (
	// Unknown: a probe is on its way, or there is no room for one.
	Unknown State = iota
	Deliverable
	// Deferred: the last probe met a temporary failure.
	Deferred
	Undeliverable
)

// word is the state as the cache and the log write it.
func (s State) word() string {
	return [...]string{"unknown", "deliverable", "deferred", "undeliverable"}[s]
}

// Answer is a state, and the reply of the host behind it, for the log and for who asks.
type Answer struct {
	State State
	Text  string
}

// Options are what a Verifier is made of.
type Options struct {
	Params    configs.Verify
	Directory *directory.Directory
	// Aliases are the limits of an alias's expansion.
	Aliases  directory.Limits
	Resolver agent.Resolver
	// Agent is that of a transport, nil when there is none of the name. It is asked when a
	// probe is made.
	Agent func(transport string) agent.Agent
	Cache *diskcache.Cache
	Log   *msglog.Log
	Clock clock.Clock
}

// Verifier answers. It is a service.Service.
type Verifier struct {
	o      Options
	now    atomic.Pointer[settings]
	ctx    context.Context
	cancel context.CancelFunc
	probes sync.WaitGroup

	mu      sync.Mutex
	stopped bool
	// running are the probes on their way, by address; clients and domains count them.
	running map[string]*probe
	clients map[netip.Prefix]int
	domains map[string]int
}

// settings are what Renew changes.
type settings struct {
	configs.Verify
	aliases directory.Limits
	sender  addr.Address
}

// probe is one on its way. answer is set when done is closed.
type probe struct {
	done   chan struct{}
	answer Answer
}

// New makes a Verifier.
func New(o Options) *Verifier {
	v := &Verifier{o: o, running: map[string]*probe{}, clients: map[netip.Prefix]int{}, domains: map[string]int{}}
	v.Renew(o.Params, o.Aliases)
	v.ctx, v.cancel = context.WithCancel(context.Background())
	return v
}

// Renew gives it other parameters, for the questions that come then. Probes on their way go on, and what is remembered stays.
func (v *Verifier) Renew(c configs.Verify, aliases directory.Limits) {
	now := &settings{Verify: c, aliases: aliases}
	if a, err := addr.Parse(c.Sender); err == nil {
		now.sender = a
	}
	v.now.Store(now)
}

// Name is "verify".
func (v *Verifier) Name() string { return "verify" }

// Run keeps the cache until ctx ends, and ends the probes.
func (v *Verifier) Run(ctx context.Context) error {
	err := v.o.Cache.Run(ctx)
	v.mu.Lock()
	v.stopped = true
	v.mu.Unlock()
	v.cancel()
	v.probes.Wait()
	return err
}

// Verify says what is known of an address, and waits a while for a probe when nothing is.
// client is who wants to know, zero for a unix socket. It never is an error: what cannot
// be found out is Unknown or Deferred.
func (v *Verifier) Verify(ctx context.Context, a addr.Address, client netip.Addr) Answer {
	if answer, here := v.hosted(ctx, &a); here {
		return answer
	}
	known, refresh := v.recall(a)
	if known.State != Unknown && !refresh {
		return known
	}
	p := v.start(a, client)
	if p == nil || known.State != Unknown {
		if known.State == Unknown {
			known.Text = "Too many address verifications in progress"
		}
		return known
	}
	return v.await(ctx, p)
}

// inProgress is what is said of an address whose probe has no answer yet.
const inProgress = "Address verification in progress"

func (v *Verifier) await(ctx context.Context, p *probe) Answer {
	now := v.now.Load()
	wait := v.o.Clock.NewTimer(time.Duration(now.PollCount-1) * now.PollDelay)
	defer wait.Stop()
	select {
	case <-p.done:
		return p.answer
	case <-wait.C():
	case <-ctx.Done():
	}
	select {
	case <-p.done:
		return p.answer
	default:
		return Answer{Unknown, inProgress}
	}
}

// hosted decides what the directory knows. An alias for one address becomes that address.
func (v *Verifier) hosted(ctx context.Context, a *addr.Address) (Answer, bool) {
	switch d := v.o.Directory.Decide(ctx, *a, directory.Question{Aliases: v.now.Load().aliases}); d.Verdict {
	case directory.Foreign:
		return Answer{}, false
	case directory.Deliver:
		return Answer{Deliverable, "delivered here"}, true
	case directory.Forward:
		if len(d.Addresses) != 1 {
			return Answer{Deliverable, "aliased to multiple recipients"}, true
		}
		*a = d.Addresses[0]
		if to := v.o.Directory.Decide(ctx, *a, directory.Question{Expanded: true}); to.Verdict == directory.Deliver {
			return Answer{Deliverable, "delivered here"}, true
		}
		return Answer{}, false
	default:
		return answerOf(d.Err), true
	}
}

// answerOf is what an error says of an address.
func answerOf(err *dsn.Error) Answer {
	switch {
	case err == nil:
		return Answer{Undeliverable, "User unknown"}
	case err.Temporary():
		return Answer{Deferred, err.Text}
	}
	return Answer{Undeliverable, err.Text}
}

// start makes a probe, or finds the one that is on its way; nil says that there is no room.
func (v *Verifier) start(a addr.Address, client netip.Addr) *probe {
	key, who := a.String(), networkOf(client)
	v.mu.Lock()
	defer v.mu.Unlock()
	if p := v.running[key]; p != nil {
		return p
	}
	limits := v.now.Load()
	if v.stopped || len(v.running) >= limits.PendingLimit || v.domains[a.Domain] >= limits.DestinationPending ||
		who.IsValid() && v.clients[who] >= limits.ClientPending {
		return nil
	}
	p := &probe{done: make(chan struct{})}
	v.running[key] = p
	v.domains[a.Domain]++
	if who.IsValid() {
		v.clients[who]++
	}
	v.probes.Go(func() {
		answer := Answer{Deferred, "Temporary failure in the mail system"}
		_ = service.Fenced(v.o.Log, func() error {
			answer = v.probe(a)
			return nil
		}, "service", "verify", "to", key)
		v.mu.Lock()
		defer v.mu.Unlock()
		p.answer = answer
		close(p.done)
		delete(v.running, key)
		if v.domains[a.Domain]--; v.domains[a.Domain] == 0 {
			delete(v.domains, a.Domain)
		}
		if who.IsValid() {
			if v.clients[who]--; v.clients[who] == 0 {
				delete(v.clients, who)
			}
		}
	})
	return p
}

// networkOf is what counts as one client: an IPv4 address or an IPv6 /64.
func networkOf(client netip.Addr) netip.Prefix {
	client = client.Unmap()
	bits := 64
	if client.Is4() {
		bits = 32
	}
	p, err := client.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}

// probe asks, and remembers what it found.
func (v *Verifier) probe(a addr.Address) Answer {
	result, ok := v.ask(a)
	if !ok {
		return Answer{Unknown, inProgress} // the shutdown is the reason
	}
	answer := Answer{Deliverable, result.Text}
	if result.Err != nil {
		answer = answerOf(result.Err)
	}
	v.remember(a, answer)
	fields := []any{"to", a.String(), "relay", result.Relay, "status", answer.State.word(), "text", answer.Text}
	if result.Err != nil && result.Err.Cause != nil {
		fields = append(fields, "cause", result.Err.Cause)
	}
	v.o.Log.Info("verify", fields...)
	return answer
}

// content is what a probe would send.
const content = "Subject: Address verification\n\nThis message is never sent.\n"

// ask resolves the way of mail for the address, and asks its agent; false says that
// there was no answer before the end.
func (v *Verifier) ask(a addr.Address) (result agent.Result, ok bool) {
	route, err := v.o.Resolver.Resolve(v.ctx, addr.Address{}, a)
	if err != nil {
		return agent.Result{Err: dsn.From(err), Relay: "none"}, v.ctx.Err() == nil
	}
	deliverer := v.o.Agent(route.Transport)
	switch {
	case deliverer == nil && route.Err != nil:
		return agent.Result{Err: route.Err, Relay: "none"}, true
	case deliverer == nil:
		failed := dsn.New(dsn.Misconfigured, "Mail transport unavailable")
		failed.Cause = errors.New("no transport " + route.Transport)
		return agent.Result{Err: failed, Relay: "none"}, true
	}
	prober, can := deliverer.(agent.Prober)
	if !can {
		return agent.Result{Text: "delivers via " + route.Transport, Relay: "none"}, true
	}
	now := v.o.Clock.Now()
	prober.Probe(v.ctx, &agent.Request{
		Envelope: &envelope.Envelope{
			Sender: v.now.Load().sender, Arrived: now, UTF8: !a.IsASCII(),
			Recipients: []envelope.Recipient{{Address: a, Original: a, Notify: envelope.NotifyNever}},
			Origin:     envelope.Origin{Source: envelope.SourceVerify},
		},
		Recipients: []int{0}, Content: envelope.Memory(content), Nexthop: route.Nexthop, Chosen: route.Chosen, Err: route.Err, Activated: now, Started: now,
	}, func(r agent.Result) { result, ok = r, true })
	return result, ok
}
