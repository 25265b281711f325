package hostaddr

import (
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"toastmaster/internal/clock"
)

// Listener is where this host takes mail: an address, the zero one for all
// addresses of the host, and a port.
type Listener struct {
	Addr netip.Addr
	Port uint16
}

// Options are what a Host is made of.
type Options struct {
	// Proxy are addresses under which others reach this host, although no
	// interface has them.
	Proxy []netip.Addr
	// Listeners are where we take mail by SMTP.
	Listeners []Listener
	// Interfaces lists the addresses of the interfaces; net.InterfaceAddrs.
	Interfaces func() ([]net.Addr, error)
	Clock      clock.Clock
}

// Host knows the addresses of this host. Safe for concurrent use.
type Host struct {
	o     Options
	proxy []netip.Addr

	mu     sync.Mutex
	local  []netip.Addr // of the interfaces
	readAt time.Time
}

// New makes a Host.
func New(o Options) *Host {
	h := &Host{o: o}
	for _, ip := range o.Proxy {
		h.proxy = append(h.proxy, Plain(ip))
	}
	return h
}

// Has says that ip is an address of this host.
func (h *Host) Has(ip netip.Addr) bool { return h.Proxied(ip) || h.isLocal(ip) }

// Proxied says that ip is one of Options.Proxy.
func (h *Host) Proxied(ip netip.Addr) bool { return slices.Contains(h.proxy, Plain(ip)) }

// HasLiteral says that the domain of a mail address, as in addr.Address, is an
// address literal of this host.
func (h *Host) HasLiteral(domain string) bool {
	inner, ok := strings.CutPrefix(domain, "[")
	if !ok {
		return false
	}
	inner = strings.TrimPrefix(strings.TrimSuffix(inner, "]"), "IPv6:")
	ip, err := netip.ParseAddr(inner)
	return err == nil && h.Has(ip)
}

// Serves says that a connection to ap ends at one of the Listeners.
func (h *Host) Serves(ap netip.AddrPort) bool {
	ip := Plain(ap.Addr())
	for _, l := range h.o.Listeners {
		if l.Port != ap.Port() {
			continue
		}
		at := Plain(l.Addr)
		switch {
		case !l.Addr.IsValid() || at.IsUnspecified():
			if h.isLocal(ip) {
				return true
			}
		case at == ip, ip.IsUnspecified() && at.IsLoopback():
			return true
		}
	}
	return false
}

// Listens says that a Listener has that port, at whichever address.
func (h *Host) Listens(port uint16) bool {
	return slices.ContainsFunc(h.o.Listeners, func(l Listener) bool { return l.Port == port })
}

func (h *Host) isLocal(ip netip.Addr) bool {
	ip = Plain(ip)
	return ReachOf(ip) == Self || slices.Contains(h.interfaces(), ip)
}

// interfaceAge is how long the list of the interfaces is good for. Addresses come
// and go rarely, and reading them is a conversation with the kernel. It is no
// parameter: an address that came a moment ago matters only for mail to ourselves.
const interfaceAge = 30 * time.Second

func (h *Host) interfaces() []netip.Addr {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.o.Clock.Now()
	if age := now.Sub(h.readAt); !h.readAt.IsZero() && age >= 0 && age < interfaceAge {
		return h.local
	}
	list, err := h.o.Interfaces()
	if err != nil {
		return h.local
	}
	var local []netip.Addr
	for _, i := range list {
		if p, err := netip.ParsePrefix(i.String()); err == nil {
			local = append(local, Plain(p.Addr()))
			if b, ok := broadcast(p); ok {
				local = append(local, b)
			}
		}
	}
	h.local, h.readAt = local, now
	return local
}

// broadcast is the last address of an IPv4 network that has one.
func broadcast(p netip.Prefix) (netip.Addr, bool) {
	if !p.Addr().Is4() || p.Bits() > 30 {
		return netip.Addr{}, false
	}
	b := p.Addr().As4()
	for i := p.Bits(); i < 32; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	return netip.AddrFrom4(b), true
}
