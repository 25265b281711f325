// Package clock is where time comes from. Everything that waits or stamps
// takes a [Clock]; the real one is [System], tests use testkit's fake.
package clock

import "time"

// Clock tells the time and makes timers.
type Clock interface {
	Now() time.Time
	// NewTimer fires once after d, as time.NewTimer does.
	NewTimer(d time.Duration) Timer
}

// Timer is the part of time.Timer that waiting code needs.
type Timer interface {
	C() <-chan time.Time
	// Stop and Reset have the meaning of time.Timer since Go 1.23: no stale
	// value is received after they return.
	Stop() bool
	Reset(d time.Duration) bool
}

// System is the clock of the machine.
type System struct{}

// Now is time.Now.
func (System) Now() time.Time { return time.Now() }

// NewTimer is time.NewTimer.
func (System) NewTimer(d time.Duration) Timer { return systemTimer{time.NewTimer(d)} }

type systemTimer struct{ t *time.Timer }

func (s systemTimer) C() <-chan time.Time        { return s.t.C }
func (s systemTimer) Stop() bool                 { return s.t.Stop() }
func (s systemTimer) Reset(d time.Duration) bool { return s.t.Reset(d) }
