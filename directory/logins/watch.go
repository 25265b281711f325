package logins

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"toastmaster/directory"
	"toastmaster/internal/clock"
	"toastmaster/internal/dsn"
	"toastmaster/internal/msglog"
)

// ErrRevoked ends a session whose log-in is not good any more. Its text is for
// the client.
var ErrRevoked = dsn.New(dsn.MailboxDisabled, "Mailbox was removed or disabled, has another password, or an administrator ended the session")

// rest is the shortest time between two rounds of a Watch: a change ends sessions
// well within a second, and thousands of changes cost few rounds. It is no
// parameter: it is far below what anybody notices, and the load of the rounds is
// bounded by their own time.
const rest = 200 * time.Millisecond

// WatchOptions are what a Watch is made of.
type WatchOptions struct {
	// Recheck is (*password.Authenticator).Recheck.
	Recheck func(ctx context.Context, box directory.Mailbox) error
	// Interval is the longest time between two rounds, for changes that
	// Changed is not called for: directory.cache_ttl, because answers are
	// believed that long anyway. At least a second.
	Interval time.Duration
	// Keep writes down the last log-ins, at most every Interval and when Run ends;
	// nil keeps none.
	Keep  func(ctx context.Context, last []Last) error
	Log   *msglog.Log
	Clock clock.Clock
}

// Watch knows the sessions that are logged in and ends those whose log-in
// would not succeed any more. One serves all protocols. Safe for concurrent
// use. A nil Watch ends none.
type Watch struct {
	o WatchOptions
	// epoch counts the changes of the directory.
	epoch atomic.Uint64
	wake  chan struct{}

	mu     sync.Mutex
	logins map[*Login]struct{}
	// last are the log-ins that are not written down yet, keeping those that are being
	// written down.
	last, keeping map[lastKey]Last
}

// NewWatch makes a Watch. The owner runs Run.
func NewWatch(o WatchOptions) *Watch {
	o.Interval = max(o.Interval, time.Second)
	return &Watch{o: o, wake: make(chan struct{}, 1), logins: map[*Login]struct{}{}, last: map[lastKey]Last{}}
}

// Changed says that the directory gives other answers from now on. No session
// begins a command after it returns without having been checked again.
func (w *Watch) Changed() {
	w.epoch.Add(1)
	w.hurry()
}

func (w *Watch) hurry() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// Run checks all sessions after a change, and every Interval, until ctx is
// cancelled.
func (w *Watch) Run(ctx context.Context) error {
	defer func() {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepTimeout)
		defer cancel()
		w.keep(last)
	}()
	for w.wait(ctx, w.o.Interval, w.wake) {
		began := w.o.Clock.Now()
		w.round(ctx)
		w.keep(ctx)
		took := w.o.Clock.Now().Sub(began)
		// A round is never more than a fifth of the time.
		if !w.wait(ctx, max(rest, 4*took), nil) {
			break
		}
	}
	return nil
}

// wait is false when ctx ended it.
func (w *Watch) wait(ctx context.Context, d time.Duration, wake <-chan struct{}) bool {
	timer := w.o.Clock.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-wake:
	case <-timer.C():
	}
	return true
}

// round checks every mailbox once, however many log-ins it has.
func (w *Watch) round(ctx context.Context) {
	for box, logins := range w.byMailbox() {
		epoch := w.epoch.Load()
		err := w.o.Recheck(ctx, box)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			for _, l := range logins {
				l.checked.Store(epoch)
			}
		case !dsn.From(err).Temporary():
			for _, l := range logins {
				l.revoke()
			}
		default:
			// Who is logged in reads on while the directory is away; after a
			// change, commands ask for themselves.
			w.o.Log.Warn("sessions not checked", "mailbox", box.Address.String(), "cause", err.Error())
			return
		}
	}
}

func (w *Watch) byMailbox() map[directory.Mailbox][]*Login {
	w.mu.Lock()
	defer w.mu.Unlock()
	boxes := map[directory.Mailbox][]*Login{}
	for l := range w.logins {
		boxes[l.box] = append(boxes[l.box], l)
	}
	return boxes
}
