package password

import (
	"net/netip"
	"sync"
	"time"

	"toastmaster/configs"
	"toastmaster/directory/cache"
)

// penalties remembers who failed. An IPv4 client is its address, an IPv6
// client its /64, because a single host is given that much.
type penalties struct {
	base, most, memory time.Duration
	trusted            []netip.Prefix

	mu       sync.Mutex // makes add's read and write one step
	failures *cache.Map[netip.Prefix, int]
}

func newPenalties(c configs.Auth, trusted []netip.Prefix) *penalties {
	return &penalties{
		base: c.FailureDelay, most: c.FailureDelayMax, memory: c.FailureMemory, trusted: trusted,
		failures: cache.NewMap[netip.Prefix, int](c.FailureClients),
	}
}

// delay is what the client has to wait before its next attempt is looked at:
// base after the first failure, doubled by each further one.
func (p *penalties) delay(client netip.Addr, now time.Time) time.Duration {
	who, ok := p.who(client)
	if !ok {
		return 0
	}
	n, _ := p.failures.Get(who, now)
	if n == 0 {
		return 0
	}
	d := p.base
	for range min(n-1, 30) {
		if d >= p.most {
			break
		}
		d *= 2
	}
	return min(d, p.most)
}

func (p *penalties) add(client netip.Addr, now time.Time) {
	who, ok := p.who(client)
	if !ok {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	n, _ := p.failures.Get(who, now)
	p.failures.Put(who, n+1, now.Add(p.memory))
}

func (p *penalties) forgive(client netip.Addr) {
	if who, ok := p.who(client); ok {
		p.failures.Delete(who)
	}
}

// who is the key of a client; ok is false for one that is never delayed: a
// trusted network, or no address at all (a unix socket).
func (p *penalties) who(client netip.Addr) (netip.Prefix, bool) {
	client = client.Unmap()
	if !client.IsValid() {
		return netip.Prefix{}, false
	}
	for _, t := range p.trusted {
		if t.Contains(client) {
			return netip.Prefix{}, false
		}
	}
	bits := 32
	if client.Is6() {
		bits = 64
	}
	who, err := client.WithZone("").Prefix(bits)
	return who, err == nil
}
