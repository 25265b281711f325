package anvil

import (
	"cmp"
	"net/netip"
	"sync/atomic"
	"time"

	"toastmaster/internal/clock"
)

// Kind is what is counted. Each kind has keys and a unit of its own, so that a
// flood of one pushes out nobody of another.
type Kind uint8

// The kinds of events. A daemon that counts something new adds a row.
const (
	// Connect: connections of a client (rate and open).
	Connect Kind = iota
	// Message: MAIL commands of a client.
	Message
	// Recipient: RCPT commands of a client.
	Recipient
	// Refused: recipients of a client that were refused.
	Refused
	// Command: commands of a client.
	Command
	// Handshake: TLS sessions of a client that are not resumed.
	Handshake
	// AuthCommand: AUTH commands of a client.
	AuthCommand
	// Auth: failed log-ins of a client or network.
	Auth
	// AuthUser: failed log-ins of strangers at an account.
	AuthUser
	// AuthPair: failed log-ins at an account from one client.
	AuthPair
	// AuthBlocked: log-ins of a client that were refused unseen.
	AuthBlocked
	// Session: sessions of a user from a client (open).
	Session
	// UserMessage and UserRecipient: what a user submits.
	UserMessage
	UserRecipient
	// Turned: connections of a client that were turned away.
	Turned

	kinds
)

// Options are what a Counter is made of.
type Options struct {
	// Unit is the time over which a rate is taken (anvil_rate_time_unit);
	// zero is a minute.
	Unit time.Duration
	// Units are the exceptions to it: an hour for UserMessage.
	Units map[Kind]time.Duration
	// Keys bounds the keys of each kind; zero is DefaultKeys.
	Keys int
	// KeysOf are the exceptions to it.
	KeysOf map[Kind]int
	// IPv4Bits and IPv6Bits are how much of an address is a client; zero is 32 and 64.
	IPv4Bits, IPv6Bits int
	// Exempt are the networks whose clients are not counted.
	Exempt []netip.Prefix
	Clock  clock.Clock
}

// DefaultKeys is Options.Keys when that is zero. A key takes some 200 octets.
const DefaultKeys = 50000

// Counter counts. Safe for concurrent use.
type Counter struct {
	clock  clock.Clock
	began  time.Time
	exempt atomic.Pointer[[]netip.Prefix]
	// bits4 and bits6 are how much of an address is a client.
	bits4, bits6 int
	tables       [kinds]table
	peaks        peaks
}

// New makes a Counter. It starts nothing and needs no Close.
func New(o Options) *Counter {
	if o.Unit <= 0 {
		o.Unit = time.Minute
	}
	if o.Keys <= 0 {
		o.Keys = DefaultKeys
	}
	c := &Counter{
		clock: o.Clock, began: o.Clock.Now(),
		bits4: cmp.Or(o.IPv4Bits, clientBits4), bits6: cmp.Or(o.IPv6Bits, clientBits6),
	}
	c.SetExempt(o.Exempt)
	for i := range c.tables {
		unit := o.Units[Kind(i)]
		if unit <= 0 {
			unit = o.Unit
		}
		keys := o.KeysOf[Kind(i)]
		if keys <= 0 {
			keys = o.Keys
		}
		c.tables[i].unit, c.tables[i].most, c.tables[i].index = unit, keys, map[Key]int{}
	}
	return c
}

// SetExempt gives the Counter other exempt networks. What was counted of their clients goes on until it is over.
func (c *Counter) SetExempt(networks []netip.Prefix) { c.exempt.Store(&networks) }

// Add counts n events and returns the rate with them. For nobody it is 0.
func (c *Counter) Add(kind Kind, who Key, n int) int {
	if who.IsZero() {
		return 0
	}
	rate := c.tables[kind].add(who, n, c.now())
	c.peaks.rate(c, kind, who, rate)
	return rate
}

// Take counts n events if the rate with them is no more than most, and says
// whether it did. What is refused is not counted: a client over its limit gets
// its rate again as time passes, however often it asks. With most below one
// there is no limit, and the events are counted. Nobody may always.
func (c *Counter) Take(kind Kind, who Key, n, most int) bool {
	if who.IsZero() {
		return true
	}
	rate, ok := c.tables[kind].take(who, n, most, c.now())
	c.peaks.rate(c, kind, who, rate)
	return ok
}

// Rate is how many events there were in the last unit of time.
func (c *Counter) Rate(kind Kind, who Key) int {
	if who.IsZero() {
		return 0
	}
	return c.tables[kind].rate(who, c.now())
}

// Remove takes n events back, the newest first.
func (c *Counter) Remove(kind Kind, who Key, n int) {
	if !who.IsZero() && n > 0 {
		c.tables[kind].remove(who, n, c.now())
	}
}

// Forget sets the rate to zero; what is open stays.
func (c *Counter) Forget(kind Kind, who Key) {
	if !who.IsZero() {
		c.tables[kind].forget(who)
	}
}

// Enter counts one more thing as open if there are fewer than most, and says
// whether it did; Leave must follow then. With most below one there is no
// limit. Nobody may always.
func (c *Counter) Enter(kind Kind, who Key, most int) bool {
	if who.IsZero() {
		return true
	}
	open, ok := c.tables[kind].enter(who, most, c.now())
	c.peaks.open(c, kind, who, open)
	return ok
}

// Leave ends what Enter began, with the same key.
func (c *Counter) Leave(kind Kind, who Key) {
	if !who.IsZero() {
		c.tables[kind].leave(who)
	}
}

// Open is how many things are open.
func (c *Counter) Open(kind Kind, who Key) int {
	if who.IsZero() {
		return 0
	}
	return c.tables[kind].opened(who)
}

// Keys is how many keys of a kind are kept.
func (c *Counter) Keys(kind Kind) int { return c.tables[kind].size() }

// Unit is the time over which the rates of a kind are taken.
func (c *Counter) Unit(kind Kind) time.Duration { return c.tables[kind].unit }

// now is the time since New; it never goes back on a machine's clock.
func (c *Counter) now() time.Duration { return max(c.clock.Now().Sub(c.began), 0) }
