package logins

import (
	"context"
	"slices"
	"strings"
	"time"
)

// Session says which session a log-in belongs to.
type Session struct {
	// Service is "imapd", "pop3d", "smtpd"; ID is that of the log.
	Service, ID string
	// Client is the peer's address, "" for a unix socket.
	Client string
	TLS    bool
	// Since is when it logged in; Confirm sets it.
	Since time.Time
}

// Open is a session that is logged in.
type Open struct {
	Mailbox string
	Session
}

// Last is the last log-in of a mailbox by a service.
type Last struct {
	Mailbox, Service, Client string
	At                       time.Time
}

type lastKey struct{ mailbox, service string }

// maxLast bounds the log-ins that wait to be written down. Beyond it a new mailbox
// is not remembered. It is no parameter: when half of it waits they are written
// down at once, so it is reached only by a database that cannot be written.
const maxLast = 100000

// keepTimeout bounds the last writing, of a process that ends. It is no parameter: a
// database that takes longer is not there, and what is lost is a date.
const keepTimeout = 5 * time.Second

// remember notes a log-in; w.mu is held.
func (w *Watch) remember(mailbox string, s Session) {
	k := lastKey{mailbox, s.Service}
	if _, known := w.last[k]; w.o.Keep == nil || !known && len(w.last) >= maxLast {
		return
	}
	w.last[k] = Last{mailbox, s.Service, s.Client, s.Since}
	if len(w.last) == maxLast/2 {
		w.hurry()
	}
}

// keep writes down the last log-ins. What cannot be written waits.
func (w *Watch) keep(ctx context.Context) {
	if w.o.Keep == nil {
		return
	}
	w.mu.Lock()
	last := w.last
	w.last, w.keeping = map[lastKey]Last{}, last
	w.mu.Unlock()
	if len(last) == 0 {
		return
	}
	all := make([]Last, 0, len(last))
	for _, l := range last {
		all = append(all, l)
	}
	err := w.o.Keep(ctx, all)
	if err != nil && ctx.Err() == nil {
		w.o.Log.Warn("last log-ins not written", "cause", err.Error())
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.keeping = nil
	if err == nil {
		return
	}
	// Also when the server stops, which writes once more.
	for k, l := range last {
		if _, newer := w.last[k]; !newer && len(w.last) < maxLast {
			w.last[k] = l
		}
	}
}

// Sessions lists those that are logged in, of one mailbox or, for "", of all, by
// mailbox and time.
func (w *Watch) Sessions(mailbox string) []Open {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []Open
	for l := range w.logins {
		if a := l.box.Address.String(); (mailbox == "" || a == mailbox) && !l.Revoked() {
			all = append(all, Open{a, l.session})
		}
	}
	slices.SortFunc(all, func(a, b Open) int {
		if c := strings.Compare(a.Mailbox, b.Mailbox); c != 0 {
			return c
		}
		return a.Since.Compare(b.Since)
	})
	return all
}

// LastOf are the log-ins of a mailbox that are not written down yet. Who wants all asks
// here first, and then where they are written: one that is written in between is in both.
func (w *Watch) LastOf(mailbox string) []Last {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []Last
	for k, l := range w.last {
		if k.mailbox == mailbox {
			all = append(all, l)
		}
	}
	for k, l := range w.keeping {
		if _, newer := w.last[k]; k.mailbox == mailbox && !newer {
			all = append(all, l)
		}
	}
	return all
}

// Kick ends the sessions of a mailbox, or the one with this ID when it is not "",
// and counts them. They may log in again.
func (w *Watch) Kick(mailbox, id string) int {
	w.mu.Lock()
	var end []*Login
	for l := range w.logins {
		if (mailbox == "" || l.box.Address.String() == mailbox) && (id == "" || l.session.ID == id) && !l.Revoked() {
			end = append(end, l)
		}
	}
	w.mu.Unlock()
	for _, l := range end {
		l.revoke()
	}
	return len(end)
}
