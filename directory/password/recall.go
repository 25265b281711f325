package password

import (
	"context"
	"net/netip"
	"time"
)

// LastLogin is a log-in that is kept over a restart.
type LastLogin struct {
	Client netip.Addr // not valid for a unix socket
	At     time.Time
}

// recallTimeout bounds the question that the first log-in to an account asks. It is
// no parameter: without the answer the owner is a stranger for that once.
const recallTimeout = 2 * time.Second

// recall makes known from where the account logged in before this process
// began. Only the first attempt at an account asks, and the others wait for its
// answer; a question without one is asked again by the next attempt. The name
// must be that of a mailbox: names that attackers make up ask nothing.
func (a *Authenticator) recall(ctx context.Context, v *visit) {
	if a.o.LastLogins == nil || v.client.IsZero() {
		return
	}
	g := a.guard
	done, first := g.known.recalling(v.account)
	if !first {
		if done != nil {
			select {
			case <-done:
			case <-ctx.Done():
			}
		}
		return
	}
	defer close(done)
	// A client that hangs up does not end the question that others wait for.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recallTimeout)
	defer cancel()
	last, err := a.o.LastLogins(ctx, v.account)
	if err != nil {
		g.known.unrecalled(v.account)
		a.o.Log.Warn("last log-ins not read: for now the owner is a stranger from everywhere", "mailbox", v.account, "cause", err)
		return
	}
	now := g.clock.Now()
	for _, l := range last {
		at := l.At
		if at.After(now) {
			at = now // the clock was set back
		}
		if l.Client.IsValid() && now.Sub(at) < g.known.life {
			g.known.add(v.account, g.counter.Client(l.Client), at)
			g.known.add(v.account, g.counter.Network(l.Client), at)
		}
	}
}

// recalling says whether the caller is the first to need what is kept of the
// account; then it closes done. Otherwise done is closed by the first, or nil
// where nothing is to be known.
func (k *known) recalling(account string) (done chan struct{}, first bool) {
	if k.life <= 0 || k.perAccount == 0 || k.accountsMost == 0 {
		return nil, false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	p, ok := k.accounts.Get(account)
	if ok && p.recalled != nil {
		return p.recalled, false
	}
	if !ok {
		p = &knownClients{}
	}
	p.recalled = make(chan struct{})
	k.accounts.Put(account, p, k.clock.Now().Add(k.life))
	return p.recalled, true
}

// unrecalled lets the next attempt ask again.
func (k *known) unrecalled(account string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if p, ok := k.accounts.Get(account); ok {
		p.recalled = nil
	}
}
