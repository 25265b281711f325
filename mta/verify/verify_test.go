package verify

import (
	"context"
	"net/netip"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"toastmaster/configs"
	"toastmaster/directory"
	"toastmaster/directory/static"
	"toastmaster/internal/addr"
	"toastmaster/internal/diskcache"
	"toastmaster/internal/dsn"
	"toastmaster/internal/msglog"
	"toastmaster/internal/testkit/clocktest"
	"toastmaster/internal/testkit/faultfs"
	"toastmaster/internal/vfs"
	"toastmaster/mta/agent"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a Verifier whose agent answers what the test says.
type rig struct {
	t      *testing.T
	clock  *clocktest.Clock
	disk   vfs.FS
	params configs.Verify
	*Verifier

	mu     sync.Mutex
	probes map[string]int
	errs   map[string]*dsn.Error
	// hold keeps probes waiting until it is closed, or their end.
	hold chan struct{}
	// plain takes the agent for one without probes.
	plain bool
	stop  func()
}

func newRig(t *testing.T) *rig {
	r := &rig{
		t: t, clock: clocktest.New(time.Unix(1_800_000_000, 0)), disk: faultfs.NewDisk(), params: configs.Default().Verify,
		probes: map[string]int{}, errs: map[string]*dsn.Error{},
	}
	t.Cleanup(func() { r.stop() })
	return r
}

// start makes the Verifier, as a restart does when there was one.
func (r *rig) start() *rig {
	r.t.Helper()
	if r.stop != nil {
		r.stop()
	}
	cache, err := diskcache.Open(diskcache.Options{Path: "/verify_cache", Limit: 100, FS: r.disk, Clock: r.clock, Log: msglog.Discard()})
	if err != nil {
		r.t.Fatal(err)
	}
	d, err := static.New(static.Data{
		Domains: static.Hosted("example.test"), Accounts: []directory.Account{static.Box("alice@example.test", "")},
		Aliases: map[string][]string{
			"one@example.test": {"far@remote.test"}, "two@example.test": {"far@remote.test", "gone@remote.test"}, "near@example.test": {"alice@example.test"},
		},
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.Verifier = New(Options{
		Params: r.params, Directory: d, Aliases: directory.LimitsOf(configs.Default().Cleanup), Resolver: r, Agent: func(name string) agent.Agent {
			switch {
			case name != "smtp":
				return nil
			case r.plain:
				return plainAgent{}
			}
			return r
		}, Cache: cache, Log: msglog.Discard(), Clock: r.clock,
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			r.t.Error(err)
		}
	})
	return r
}

// Resolve is the resolver.
func (r *rig) Resolve(_ context.Context, _, a addr.Address) (agent.Route, error) {
	if a.Domain == "lost.test" {
		return agent.Route{Transport: "no such"}, nil
	}
	// The operator has named the way to one domain.
	return agent.Route{Transport: "smtp", Nexthop: a.Domain, Chosen: a.Domain == "inner.test"}, nil
}

type plainAgent struct{}

// Deliver must not be called.
func (plainAgent) Deliver(context.Context, *agent.Request, func(agent.Result)) { panic("delivered") }

// Deliver must not be called.
func (r *rig) Deliver(context.Context, *agent.Request, func(agent.Result)) { panic("delivered") }

// Probe answers with what the test says.
func (r *rig) Probe(ctx context.Context, q *agent.Request, report func(agent.Result)) {
	to := q.Envelope.Recipients[0].Address.String()
	r.mu.Lock()
	r.probes[to]++
	if inner := q.Envelope.Recipients[0].Address.Domain == "inner.test"; q.Chosen != inner {
		r.t.Errorf("%s: the nexthop was chosen: %v", to, q.Chosen)
	}
	hold, err := r.hold, r.errs[to]
	r.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return
		}
	}
	report(agent.Result{Err: err, Text: "250 2.1.5 Ok", Relay: "mx.remote.test"})
}

func (r *rig) says(address string, err *dsn.Error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.errs[address] = err
}

func (r *rig) asked(address string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.probes[address]
}

func parse(t *testing.T, s string) addr.Address {
	t.Helper()
	a, err := addr.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

var client = netip.MustParseAddr("192.0.2.1")

// want asks, and compares the state and how often a probe was made until then.
func (r *rig) want(address string, state State, probes int) Answer {
	r.t.Helper()
	got := r.Verify(r.t.Context(), parse(r.t, address), client)
	if got.State != state || r.asked(address) != probes {
		r.t.Errorf("%s: %s (%s) after %d probes; want %s after %d", address, got.State.word(), got.Text, r.asked(address), state.word(), probes)
	}
	return got
}

// settled waits until no probe is on its way.
func (r *rig) settled() {
	r.t.Helper()
	r.Verifier.mu.Lock()
	var running []*probe
	for _, p := range r.running {
		running = append(running, p)
	}
	r.Verifier.mu.Unlock()
	for _, p := range running {
		<-p.done
	}
	// Who closes done holds the lock until the probe is counted off.
	r.Verifier.mu.Lock()
	defer r.Verifier.mu.Unlock()
	if len(r.running) > 0 {
		r.t.Errorf("%d probes are still running", len(r.running))
	}
}

// TestAProbeGoesWhereMailWould: a way that the operator has named is his word for a probe, too. Without it the agent goes to no
// private network, and every address behind such a relay would be undeliverable.
func TestAProbeGoesWhereMailWould(t *testing.T) {
	t.Parallel()
	r := newRig(t).start()
	r.want("one@inner.test", Deliverable, 1)
	r.want("one@far.test", Deliverable, 1)
}

func refused() *dsn.Error { return dsn.New(dsn.BadDestMailbox, "no such user") }

func TestResultsAreRememberedForTheirTime(t *testing.T) {
	t.Parallel()
	r := newRig(t).start()
	r.says("gone@remote.test", refused())
	r.says("later@remote.test", dsn.New(dsn.Make(4, 2, 0), "greylisted"))
	for range 3 {
		r.want("ok@remote.test", Deliverable, 1)
		if got := r.want("gone@remote.test", Undeliverable, 1); got.Text != "no such user" {
			t.Error(got.Text)
		}
		r.want("later@remote.test", Deferred, 1)
	}
	// A restart.
	r.start()
	r.want("ok@remote.test", Deliverable, 1)
	r.want("gone@remote.test", Undeliverable, 1)
	// Time to ask again: the old answer counts until the new one is there.
	r.clock.Advance(3 * time.Hour)
	r.says("gone@remote.test", nil)
	if got := r.Verify(t.Context(), parse(t, "gone@remote.test"), client); got.State != Undeliverable {
		t.Error(got)
	}
	r.settled()
	r.want("gone@remote.test", Deliverable, 2)
	r.want("ok@remote.test", Deliverable, 1)
	// A failure does not take the place of a success, and is not asked for again at once.
	r.clock.Advance(7 * 24 * time.Hour)
	r.says("ok@remote.test", refused())
	for range 3 {
		if got := r.Verify(t.Context(), parse(t, "ok@remote.test"), client); got.State != Deliverable {
			t.Error(got)
		}
		r.settled()
	}
	r.want("ok@remote.test", Deliverable, 2)
	r.clock.Advance(probeTTL)
	if got := r.Verify(t.Context(), parse(t, "ok@remote.test"), client); got.State != Deliverable {
		t.Error(got)
	}
	r.settled()
	r.want("ok@remote.test", Deliverable, 3)
	// Its time is over.
	r.clock.Advance(24 * 24 * time.Hour)
	r.want("ok@remote.test", Undeliverable, 4)
}

func TestNegativeCacheIsOff(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.params.NegativeCache = false
	r.start()
	r.says("gone@remote.test", refused())
	r.want("gone@remote.test", Undeliverable, 1)
	r.settled()
	r.want("gone@remote.test", Undeliverable, 2)
	r.says("gone@remote.test", nil)
	r.settled()
	r.want("gone@remote.test", Deliverable, 3)
	r.want("gone@remote.test", Deliverable, 3)
}

func TestHostedAddressesNeedNoProbe(t *testing.T) {
	t.Parallel()
	r := newRig(t).start()
	r.says("far@remote.test", refused())
	for address, want := range map[string]State{
		"alice@example.test": Deliverable, "nobody@example.test": Undeliverable, "two@example.test": Deliverable, "near@example.test": Deliverable,
		"one@example.test": Undeliverable, // the one address that it stands for
		"x@lost.test":      Deferred,      // a transport that there is not
	} {
		r.want(address, want, 0)
	}
	if n := r.asked("far@remote.test"); n != 1 {
		t.Errorf("%d probes of an alias's address", n)
	}
	r.plain = true
	r.want("y@remote.test", Deliverable, 0)
}

// TestWaitingIsBounded: who asks waits for the poll time and not longer, two wait for one probe, and
// its answer is there for the next.
func TestWaitingIsBounded(t *testing.T) {
	t.Parallel()
	r := newRig(t).start()
	r.hold = make(chan struct{})
	answers := make(chan Answer, 2)
	for range 2 {
		go func() { answers <- r.Verify(t.Context(), parse(t, "slow@remote.test"), client) }()
	}
	if err := r.clock.WaitTimers(t.Context(), 3); err != nil { // one is the cache's
		t.Fatal(err)
	}
	r.clock.Advance(6 * time.Second)
	for range 2 {
		if got := <-answers; got.State != Unknown || got.Text != inProgress {
			t.Error(got)
		}
	}
	close(r.hold)
	r.settled()
	r.want("slow@remote.test", Deliverable, 1)
}

// TestProbesAreBounded: for a client, for a domain, and in all; who is beyond has no answer, and
// there is room again afterwards.
func TestProbesAreBounded(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		limit         func(*configs.Verify)
		first, second string
		other         netip.Addr
		refused       bool
	}{
		"client":         {func(p *configs.Verify) { p.ClientPending = 1 }, "a@a.test", "b@b.test", client, true},
		"another client": {func(p *configs.Verify) { p.ClientPending = 1 }, "a@a.test", "b@b.test", netip.MustParseAddr("192.0.2.2"), false},
		"domain":         {func(p *configs.Verify) { p.DestinationPending = 1 }, "a@a.test", "b@a.test", netip.MustParseAddr("192.0.2.2"), true},
		"in all":         {func(p *configs.Verify) { p.PendingLimit = 1 }, "a@a.test", "b@b.test", netip.MustParseAddr("192.0.2.2"), true},
		"unix sockets":   {func(p *configs.Verify) { p.ClientPending = 1 }, "a@a.test", "b@b.test", netip.Addr{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			c.limit(&r.params)
			r.params.PollCount = 1 // nobody waits
			r.start()
			r.hold = make(chan struct{})
			r.Verify(t.Context(), parse(t, c.first), client)
			got := r.Verify(t.Context(), parse(t, c.second), c.other)
			if refused := got.Text != inProgress; got.State != Unknown || refused != c.refused {
				t.Errorf("%+v", got)
			}
			close(r.hold)
			r.settled()
			r.Verify(t.Context(), parse(t, c.second), c.other)
			r.settled()
			r.want(c.second, Deliverable, 1)
			if len(r.clients)+len(r.domains) != 0 {
				t.Errorf("still counted: %v %v", r.clients, r.domains)
			}
		})
	}
}

// TestTheEndDoesNotWaitForProbes: and nothing of them is kept.
func TestTheEndDoesNotWaitForProbes(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.params.PollCount = 1
	r.start()
	r.hold = make(chan struct{})
	r.want0("a@remote.test")
	r.stop()
	r.want0("b@remote.test")
	r.hold = nil
	r.params.PollCount = 3
	r.start()
	r.Verify(t.Context(), parse(t, "a@remote.test"), client)
	if got := r.Verify(t.Context(), parse(t, "a@remote.test"), client); got.State != Deliverable {
		t.Error(got)
	}
}

func (r *rig) want0(address string) {
	r.t.Helper()
	if got := r.Verify(r.t.Context(), parse(r.t, address), client); got.State != Unknown {
		r.t.Errorf("%s: %+v", address, got)
	}
}
