package msglog

import (
	"io"
	"sync"
	"time"

	"toastmaster/internal/clock"
)

// aside is where the log says what its file cannot take: standard error, which
// somebody may read, or has stopped reading. One write is under way at a time; when it
// stalls, what comes later is dropped, so that nobody waits for it more than once.
// The goroutine of a stalled write ends with the process, or when somebody reads.
type aside struct {
	out   io.Writer
	clock clock.Clock

	mu sync.Mutex
	// last is closed when the last write has ended; nil before the first.
	last chan struct{}
}

// say writes text, which stays the caller's, and waits for that for at most so long.
// Zero does not wait.
func (a *aside) say(text []byte, wait time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock() // who has last words at the same time has them in turn
	if a.last != nil {
		select {
		case <-a.last:
		default:
			return
		}
	}
	own, done := append([]byte(nil), text...), make(chan struct{})
	a.last = done
	go func() { // no fence: a write to a file is all there is
		defer close(done)
		_, _ = a.out.Write(own)
	}()
	if wait <= 0 {
		return
	}
	timer := a.clock.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C():
	}
}
