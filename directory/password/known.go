package password

import (
	"sync"
	"time"

	"toastmaster/directory/cache"
	"toastmaster/internal/anvil"
)

// known remembers from where each account logged in lately. Who knows an
// account's password from a place is no stranger there, whatever others do.
//
// Each account has its own few places, the least recently used of which goes
// first: somebody who has one account and many addresses pushes out his own.
type known struct {
	perAccount int
	ttl        time.Duration

	mu       sync.Mutex // a list of places is changed in place
	accounts *cache.Map[string, *places]
}

type places struct{ list []place }

type place struct {
	where anvil.Key
	last  time.Time
}

func newKnown(accounts, perAccount int, ttl time.Duration) *known {
	return &known{perAccount: perAccount, ttl: ttl, accounts: cache.NewMap[string, *places](accounts)}
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

// add notes a log-in.
func (k *known) add(account string, where anvil.Key, now time.Time) {
	if where.IsZero() || k.ttl <= 0 || k.perAccount == 0 {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	p, ok := k.accounts.Get(account, now)
	if !ok {
		p = &places{}
	}
	oldest, at := 0, -1
	for i, x := range p.list {
		if x.where == where {
			at = i
		}
		if x.last.Before(p.list[oldest].last) {
			oldest = i
		}
	}
	switch {
	case at >= 0:
		p.list[at].last = now
	case len(p.list) < k.perAccount:
		p.list = append(p.list, place{where, now})
	default:
		p.list[oldest] = place{where, now}
	}
	k.accounts.Put(account, p, now.Add(k.ttl))
}
