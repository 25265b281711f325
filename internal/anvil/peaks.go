package anvil

import (
	"sync"
	"time"
)

// Peak is the most of something that one client has done to one service.
type Peak struct {
	// What is "connection", "message", "recipient", "newtls" or "auth"; Open says that it is how many there were at
	// once, and not a rate.
	What string
	Open bool
	// Value is the number, Unit the time in which so many came; 0 with Open.
	Value int
	Unit  time.Duration
	// Service is whose client it was, Client its address, or its network in CIDR form where
	// that counts as one client.
	Service, Client string
	At              time.Time
}

// Peaks are those since they were taken the last time.
type Peaks struct {
	// List has a Peak for each thing that was done at all, in the order of Postfix's anvil.
	List []Peak
	// Keys is the most clients of services that were counted at once, at KeysAt; 0 when none was.
	Keys   int
	KeysAt time.Time
}

// watched are the kinds of which there are peaks, in the order of Postfix: those that are counted by service and
// client.
func watched() []struct {
	kind Kind
	open bool
	what string
} {
	return []struct {
		kind Kind
		open bool
		what string
	}{
		{Connect, false, "connection"}, {Connect, true, "connection"}, {Message, false, "message"}, {Recipient, false, "recipient"},
		{Handshake, false, "newtls"}, {AuthCommand, false, "auth"},
	}
}

// AllPeaks are a Peak of nothing for each thing that Peaks may have.
func AllPeaks() []Peak {
	var all []Peak
	for _, w := range watched() {
		all = append(all, Peak{What: w.what, Open: w.open})
	}
	return all
}

// most is a peak while it grows.
type most struct {
	value int
	who   Key
	at    time.Time
}

// peaks keeps the peaks. Its lock is taken with none of a table held.
type peaks struct {
	mu          sync.Mutex
	rates       [kinds]most
	connections most // at once
	keys        most
}

// rate notes the rate of a client of a service.
func (p *peaks) rate(c *Counter, kind Kind, who Key, value int) {
	switch kind {
	case Connect, Message, Recipient, Handshake, AuthCommand:
		p.note(c, &p.rates[kind], who, value, 0)
	}
}

// open notes how many connections a client of a service has.
func (p *peaks) open(c *Counter, kind Kind, who Key, value int) {
	if kind == Connect {
		p.note(c, &p.connections, who, value, c.tables[Connect].size())
	}
}

// note notes a value, and how many keys there are.
func (p *peaks) note(c *Counter, m *most, who Key, value, size int) {
	if who.name == "" || !who.net.IsValid() || who.network {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if value > m.value {
		*m = most{value, who, c.clock.Now()}
	}
	if size > p.keys.value {
		p.keys = most{value: size, at: c.clock.Now()}
	}
}

// TakePeaks are the peaks since the last call, and begins anew.
func (c *Counter) TakePeaks() Peaks {
	c.peaks.mu.Lock()
	defer c.peaks.mu.Unlock()
	out := Peaks{Keys: c.peaks.keys.value, KeysAt: c.peaks.keys.at}
	for _, w := range watched() {
		m, unit := &c.peaks.rates[w.kind], c.tables[w.kind].unit
		if w.open {
			m, unit = &c.peaks.connections, 0
		}
		if m.value > 0 {
			out.List = append(out.List, Peak{w.what, w.open, m.value, unit, m.who.name, m.who.where(), m.at})
		}
		*m = most{}
	}
	c.peaks.keys = most{}
	return out
}
