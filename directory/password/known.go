package password

import (
	"sync"
	"time"

	"toastmaster/directory/cache"
	"toastmaster/internal/anvil"
)

// known remembers from where each account logged in lately. Who knows an
// account's password from a place is no stranger there, whatever others do.
// What it does not know of an account, recall gets once.
//
// Each account has its own few places, the least recently used of which goes
// first: somebody who has one account and many addresses pushes out his own.
type known struct {
	perAccount   int
	accountsMost int
	ttl          time.Duration

	mu       sync.Mutex // a list of places is changed in place
	accounts *cache.Map[string, *knownClients]
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

func newKnown(accounts, perAccount int, ttl time.Duration) *known {
	return &known{perAccount: perAccount, accountsMost: accounts, ttl: ttl, accounts: cache.NewMap[string, *knownClients](accounts)}
}

// has says that the account logged in from there lately.
func (k *known) has(account string, where anvil.Key, now time.Time) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	p, ok := k.accounts.Get(account, now)
	if !ok {
		return false
	}
	for _, x := range p.list {
		if x.where == where && now.Sub(x.last) < k.ttl {
			return true
		}
	}
	return false
}

// add notes a log-in that was at that time, now or earlier.
func (k *known) add(account string, where anvil.Key, at, now time.Time) {
	if where.IsZero() || k.ttl <= 0 || k.perAccount == 0 {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	p, ok := k.accounts.Get(account, now)
	if !ok {
		p = &knownClients{}
	}
	p.add(where, at, k.perAccount)
	k.accounts.Put(account, p, now.Add(k.ttl))
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
