package password

import (
	"context"
	"net/netip"
	"time"

	"toastmaster/configs"
	"toastmaster/internal/anvil"
	"toastmaster/internal/clock"
)

// guard decides how long a log-in has to wait before it is looked at. It counts
// the failures of a client (IPv4 address, IPv6 /64), of its network (/24, /48)
// and at an account, and lets the attempts of each wait in line.
//
// Who has logged in to the account from there lately is no stranger: he waits
// for nobody's failures but those at this account from this place.
type guard struct {
	c       configs.Auth
	clock   clock.Clock
	counter *anvil.Counter
	lanes   *lanes
	known   *known
}

func newGuard(c configs.Auth, counter *anvil.Counter, clk clock.Clock) *guard {
	return &guard{
		c: c, clock: clk, counter: counter,
		lanes: newLanes(c.ClientWaiting),
		known: newKnown(c, clk),
	}
}

// Count makes a counter keep failed log-ins as long and as many as section [auth]
// says.
func Count(o *anvil.Options, c configs.Auth) {
	if o.Units == nil {
		o.Units = map[anvil.Kind]time.Duration{}
	}
	if o.KeysOf == nil {
		o.KeysOf = map[anvil.Kind]int{}
	}
	for _, kind := range []anvil.Kind{anvil.Auth, anvil.AuthUser, anvil.AuthPair, anvil.AuthBlocked} {
		o.Units[kind], o.KeysOf[kind] = c.FailureMemory, c.FailureClients
	}
}

// visit is one attempt on its way through the guard. The zero visit is that of a
// trusted client.
type visit struct {
	guard *guard
	// began is when the work on the attempt began, after all waiting.
	began   time.Time
	account string
	// client and network are the two places that the attempt comes from, user
	// is the account, and the pairs are the account as seen from each place.
	client, network, user   anvil.Key
	clientPair, networkPair anvil.Key
	known                   bool
	lanes                   []laneKey // entered, outermost first
}

func (g *guard) visit(client netip.Addr, account string) *visit {
	v := &visit{guard: g, account: account, began: g.clock.Now()}
	v.client, v.network = g.counter.Client(client), g.counter.Network(client)
	if v.client.IsZero() {
		return v
	}
	v.user = anvil.Name(account)
	v.clientPair, v.networkPair = v.user.From(v.client), v.user.From(v.network)
	return v
}

// enter waits until the attempt may be looked at. leave must follow, whatever
// came of it. The order of the lanes is the same for everybody, so that nobody
// waits for somebody who waits for him.
func (v *visit) enter(ctx context.Context) error {
	if v.client.IsZero() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, v.guard.c.FailureWait)
	defer cancel()
	for _, k := range v.way() {
		if err := v.guard.lanes.enter(ctx, k, v.guard.free(k)); err != nil {
			v.began = v.guard.clock.Now()
			return err
		}
		v.lanes = append(v.lanes, k)
	}
	err := wait(ctx, v.guard.clock, v.delay())
	v.began = v.guard.clock.Now()
	return err
}

// way is which lanes the attempt goes through.
func (v *visit) way() []laneKey {
	g := v.guard
	switch {
	case v.account == "":
		return []laneKey{{anvil.Auth, v.client}}
	case g.known.has(v.account, v.client):
		v.known = true
		return []laneKey{{anvil.AuthPair, v.clientPair}}
	case g.known.has(v.account, v.network):
		v.known = true
		return []laneKey{{anvil.AuthPair, v.networkPair}}
	}
	way := []laneKey{{anvil.Auth, v.client}}
	if g.c.NetworkFailures > 0 {
		way = append(way, laneKey{anvil.Auth, v.network})
	}
	if g.c.AccountFailures > 0 {
		way = append(way, laneKey{anvil.AuthUser, v.user})
	}
	return way
}

// allowed is how many failures a lane has without delay.
func (g *guard) allowed(k laneKey) int {
	switch {
	case k.kind == anvil.AuthUser:
		return g.c.AccountFailures
	case k.kind == anvil.Auth && k.who.IsNetwork():
		return g.c.NetworkFailures
	}
	return 0
}

// free is how many attempts may be in a lane at once.
func (g *guard) free(k laneKey) func() int {
	return func() int { return g.allowed(k) - g.counter.Rate(k.kind, k.who) }
}

// delay is the longest that one of the lanes asks for: failure_delay after the
// first failure that is not allowed, doubled by each further one.
func (v *visit) delay() time.Duration {
	worst := 0
	for _, k := range v.lanes {
		worst = max(worst, v.guard.counter.Rate(k.kind, k.who)-max(v.guard.allowed(k)-1, 0))
	}
	d := time.Duration(0)
	for range min(worst, 32) {
		d = min(max(2*d, v.guard.c.FailureDelay), v.guard.c.FailureDelayMax)
	}
	return d
}

func (v *visit) leave() {
	for i := len(v.lanes) - 1; i >= 0; i-- {
		v.guard.lanes.leave(v.lanes[i], v.guard.free(v.lanes[i]))
	}
	v.lanes = nil
}

// failed counts a guess that was wrong.
func (v *visit) failed() {
	c := v.guard.counter
	c.Add(anvil.Auth, v.client, 1)
	c.Add(anvil.Auth, v.network, 1)
	c.Add(anvil.AuthUser, v.user, 1)
	c.Add(anvil.AuthPair, v.clientPair, 1)
	c.Add(anvil.AuthPair, v.networkPair, 1)
}

// succeeded takes back what this client failed at this account, and nothing
// else: an attacker who logs in to an account of his own between his guesses
// gains nothing.
func (v *visit) succeeded() {
	if v.client.IsZero() {
		return
	}
	c, now := v.guard.counter, v.guard.clock.Now()
	if n := c.Rate(anvil.AuthPair, v.clientPair); n > 0 {
		c.Remove(anvil.Auth, v.client, n)
		c.Remove(anvil.Auth, v.network, n)
		c.Remove(anvil.AuthUser, v.user, n)
		c.Remove(anvil.AuthPair, v.networkPair, n)
		c.Forget(anvil.AuthPair, v.clientPair)
	}
	v.guard.known.add(v.account, v.client, now)
	v.guard.known.add(v.account, v.network, now)
}

// blocked counts an attempt that was refused unseen and says how many those are
// now, 0 for a trusted client.
func (v *visit) blocked() int { return v.guard.counter.Add(anvil.AuthBlocked, v.client, 1) }
