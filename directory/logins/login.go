package logins

import (
	"context"
	"sync/atomic"

	"toastmaster/directory"
	"toastmaster/internal/dsn"
)

// Login is one session's. Its methods belong to the goroutine of the session;
// only Revoked may be called by others.
type Login struct {
	watch    *Watch
	onRevoke func()
	// box is what the log-in was good for, checked the Watch's epoch in which
	// that was known last.
	box     directory.Mailbox
	good    bool
	session Session
	checked atomic.Uint64
	revoked atomic.Bool
}

// Begin comes before the password is verified: what changes from here on is
// not missed. onRevoke is called from another goroutine when the log-in is not
// good any more, perhaps more than once: it ends the session's wait
// (wire.Link.Cut) and must not wait itself. w may be nil.
func (w *Watch) Begin(onRevoke func()) *Login {
	l := &Login{watch: w, onRevoke: onRevoke}
	if w != nil {
		l.checked.Store(w.epoch.Load())
	}
	return l
}

// Of says which session it is, for Sessions; before Confirm.
func (l *Login) Of(s Session) *Login {
	l.session = s
	return l
}

// Confirm says that the password was right, and for whom. The log-in is
// watched until End.
func (l *Login) Confirm(box directory.Mailbox) {
	l.box, l.good = box, true
	w := l.watch
	if w == nil {
		return
	}
	w.mu.Lock()
	l.session.Since = w.o.Clock.Now()
	w.logins[l] = struct{}{}
	w.remember(box.Address.String(), l.session)
	w.mu.Unlock()
	if l.checked.Load() != w.epoch.Load() {
		w.hurry()
	}
}

// End forgets the log-in. It may be called without Confirm.
func (l *Login) End() {
	if w := l.watch; w != nil {
		w.mu.Lock()
		delete(w.logins, l)
		w.mu.Unlock()
	}
}

// Check says whether the session may go on: it comes before every command and
// costs nothing while the directory does not change. ErrRevoked is final; an
// error that is temporary refuses this command only.
func (l *Login) Check(ctx context.Context) error {
	switch {
	case l.revoked.Load():
		return ErrRevoked
	case l.watch == nil || !l.good:
		return nil
	}
	epoch := l.watch.epoch.Load()
	if l.checked.Load() == epoch {
		return nil
	}
	err := l.watch.o.Recheck(ctx, l.box)
	switch {
	case err == nil:
		l.checked.Store(epoch)
		return nil
	case dsn.From(err).Temporary():
		return dsn.From(err)
	}
	l.revoked.Store(true)
	return ErrRevoked
}

// Revoked says that the log-in is known not to be good any more.
func (l *Login) Revoked() bool { return l.revoked.Load() }

func (l *Login) revoke() {
	l.revoked.Store(true)
	if l.onRevoke != nil {
		l.onRevoke()
	}
}
