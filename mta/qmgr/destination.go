package qmgr

import (
	"time"

	"toastmaster/configs"
	"toastmaster/internal/dsn"
)

// destination is what was learnt of one nexthop of a transport, or of one mailbox. The
// transport's lock guards it.
type destination struct {
	key string
	// initial and limit are the first and the highest concurrency.
	initial, limit int
	busy, waiting  int // jobs
	// window is how many jobs may run at once; 0 means dead since and until
	// these times, because of why.
	window       int
	since, until time.Time
	why          *dsn.Error
	// warned is when the log was last told that it takes up much of the window.
	warned time.Time
	// resting: destination_rate_delay is not over.
	resting bool
	// gain and loss are the fractions of the next step up and down, cohorts
	// the rounds of failures without a success.
	gain, loss, cohorts float64
}

// clogPart is the part of the active window from which on a destination clogs it, as in Postfix.
const clogPart = 4

// clogs says that the log is to be told that much of the active window waits for d.
func (d *destination) clogs(now time.Time, c *configs.Qmgr) bool {
	if c.ClogWarnTime == 0 || d.waiting+d.busy <= c.ActiveLimit/clogPart || !d.warned.IsZero() && !now.Before(d.warned) && now.Sub(d.warned) < c.ClogWarnTime {
		return false
	}
	d.warned = now
	return true
}

// room is how many jobs may run at once now.
func (d *destination) room(l *Limits) int {
	switch {
	case d.resting:
		return 0
	case l.DestinationDelay > 0:
		return min(d.window, 1)
	}
	return d.window
}

// dead says why nothing is tried now, nil if it is. A destination gets one
// chance with a window of one when its time is over, or when the message was
// flushed after it was found dead: a flush of a thousand messages tries a site
// that is still down once, not a thousand times. When its time is further away than
// it can have been set, the clock was set back, and it is over.
func (d *destination) dead(now, flushed time.Time, longest time.Duration) *dsn.Error {
	if d.window > 0 {
		return nil
	}
	if now.Before(d.until) && d.until.Sub(now) <= longest && !flushed.After(d.since) {
		return d.why
	}
	d.window, d.gain, d.loss, d.cohorts = 1, 0, 0, 0
	return nil
}

// success raises the window by the positive feedback, but not beyond what is used: a
// destination with one job after the other does not need a window of twenty.
func (d *destination) success(l *Limits) {
	d.cohorts = 0
	if d.window == 0 { // begun before it was found dead, and it lives
		d.window = 1
		return
	}
	if d.window >= d.limit || d.window >= d.busy+d.initial {
		return
	}
	d.gain += l.Positive.Of(d.window)
	for d.gain >= almost && d.window < d.limit {
		d.window++
		d.gain, d.loss = max(d.gain-1, 0), 0
	}
}

// almost is one: a sum of n times 1/n may be a little less.
const almost = 0.999

// failure lowers the window by the negative feedback. A round of as many failures as the
// window is large is a cohort; after the limit of them the destination is dead.
func (d *destination) failure(l *Limits) {
	if d.window == 0 {
		return
	}
	d.cohorts += 1 / float64(d.window)
	if d.cohorts >= float64(l.Cohorts)*almost {
		d.window = 0
		return
	}
	d.gain = 0
	d.loss += l.Negative.Of(d.window)
	for d.loss >= almost && d.window > 1 {
		d.window--
		d.loss = max(d.loss-1, 0)
	}
}
