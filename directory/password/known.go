package password

import (
	"sync"
	"time"

	"toastmaster/configs"
	"toastmaster/internal/anvil"
	"toastmaster/internal/clock"
	"toastmaster/internal/ttl"
)

// known remembers from where each account logged in lately. Who knows an
// account's password from a place is no stranger there, whatever others do.
// What it does not know of an account, recall gets once.
//
// Each account has its own few places, the least recently used of which goes
// first: somebody who has one account and many addresses pushes out his own. They are a list
// and no ttl.Map: what recall gets is put in late, and is as old as its log-in.
type known struct {
	perAccount   int
	accountsMost int
	life         time.Duration // auth.known_ttl
	clock        clock.Clock

	mu       sync.Mutex // a list of places is changed in place
	accounts *ttl.Map[string, *knownClients]
}

type knownClients struct {
	list []knownClient
	// recalled is closed when what is kept of the account is in the list, nil
	// when nobody has asked for it.
	recalled chan struct{}
}

type knownClient struct {
	where anvil.Key
	last  time.Time
}

func newKnown(c configs.Auth, clk clock.Clock) *known {
	return &known{
		perAccount: c.KnownNetworks, accountsMost: c.KnownAccounts, life: c.KnownTTL, clock: clk,
		accounts: ttl.NewMap[string, *knownClients](c.KnownAccounts, clk),
	}
}

// has says that the account logged in from there lately.
func (k *known) has(account string, where anvil.Key) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	p, ok := k.accounts.Get(account)
	if !ok {
		return false
	}
	for _, x := range p.list {
		if x.where == where && k.clock.Now().Sub(x.last) < k.life {
			return true
		}
	}
	return false
}

// add notes a log-in that was at that time, now or earlier.
func (k *known) add(account string, where anvil.Key, at time.Time) {
	if where.IsZero() || k.life <= 0 || k.perAccount == 0 {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	p, ok := k.accounts.Get(account)
	if !ok {
		p = &knownClients{}
	}
	p.add(where, at, k.perAccount)
	k.accounts.Put(account, p, k.clock.Now().Add(k.life))
}

// add puts a place into the list; a list that is full loses the oldest.
func (p *knownClients) add(where anvil.Key, at time.Time, most int) {
	oldest := 0
	for i, x := range p.list {
		if x.where == where {
			if at.After(x.last) {
				p.list[i].last = at
			}
			return
		}
		if x.last.Before(p.list[oldest].last) {
			oldest = i
		}
	}
	switch {
	case len(p.list) < most:
		p.list = append(p.list, knownClient{where, at})
	case at.After(p.list[oldest].last):
		p.list[oldest] = knownClient{where, at}
	}
}
