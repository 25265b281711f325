package msglog

import (
	"bytes"
	"fmt"
	"os"
	"sync"
	"time"

	"toastmaster/internal/clock"
)

// output gathers lines and writes them with one call.
type output struct {
	name    string
	limit   int
	delay   time.Duration
	clock   clock.Clock
	metrics *metrics

	mu     sync.Mutex
	buf    []byte
	closed bool // nothing waits any more

	// writing guards file and the order of writes. It is taken before mu, so
	// that lines can be added while others are written.
	writing sync.Mutex
	file    *os.File
	our     bool
	spare   []byte
	failing bool

	wake chan struct{}
	stop chan struct{}
	done chan struct{}
}

func openOutput(o Options, m *metrics) (*output, error) {
	f, our, err := openFile(o.File)
	if err != nil {
		return nil, err
	}
	out := &output{
		name: o.File, limit: o.Buffer, delay: o.Flush, clock: o.Clock, metrics: m, file: f, our: our,
		wake: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}),
	}
	go out.flushLate()
	return out, nil
}

// flushLate is the one goroutine of an output. It has no timer while no line
// waits.
func (o *output) flushLate() {
	defer close(o.done)
	for {
		select {
		case <-o.stop:
			return
		case <-o.wake:
		}
		timer := o.clock.NewTimer(o.delay)
		select {
		case <-timer.C():
		case <-o.stop:
			timer.Stop()
			return
		}
		o.flush()
	}
}

// Write adds one line for handlers that know only io.Writer.
func (o *output) Write(line []byte) (int, error) {
	o.add(line, false)
	return len(line), nil
}

// add adds one line; urgent writes it at once.
func (o *output) add(line []byte, urgent bool) {
	o.mu.Lock()
	for len(o.buf) > 0 && len(o.buf)+len(line) > o.limit {
		o.mu.Unlock()
		o.flush()
		o.mu.Lock()
	}
	first := len(o.buf) == 0
	o.buf = append(o.buf, line...)
	urgent = urgent || o.closed || len(o.buf) > o.limit
	o.mu.Unlock()
	switch {
	case urgent:
		o.flush()
	case first:
		select {
		case o.wake <- struct{}{}:
		default:
		}
	}
}

// flush writes what waits.
func (o *output) flush() {
	o.writing.Lock()
	defer o.writing.Unlock()
	o.flushLocked()
}

func (o *output) flushLocked() {
	o.mu.Lock()
	lines := o.buf
	o.buf = o.spare[:0]
	o.mu.Unlock()
	o.spare = lines
	if cap(o.spare) > o.limit+maxKept {
		o.spare = nil
	}
	if len(lines) == 0 {
		return
	}
	n, err := o.file.Write(lines)
	if err != nil {
		o.lost(lines[n:], err)
		return
	}
	o.failing = false
}

// maxKept is how much larger than its limit a buffer may have grown for one
// long line and still be kept.
const maxKept = 64 << 10

// lost counts lines that could not be written, and says so once until the
// next success.
func (o *output) lost(lines []byte, err error) {
	if o.metrics != nil {
		o.metrics.lost.Add(float64(bytes.Count(lines, []byte{'\n'})))
	}
	if !o.failing && o.our {
		fmt.Fprintln(os.Stderr, "toastmaster: log lines are lost:", err)
	}
	o.failing = true
}

func (o *output) reopen() error {
	if !o.our {
		return nil
	}
	f, our, err := openFile(o.name)
	if err != nil {
		return fmt.Errorf("log: %w", err)
	}
	o.writing.Lock()
	defer o.writing.Unlock()
	o.flushLocked()
	old := o.file
	o.file, o.our = f, our
	return old.Close()
}

func (o *output) close() error {
	o.mu.Lock()
	already := o.closed
	o.closed = true
	o.mu.Unlock()
	if already {
		return nil
	}
	close(o.stop)
	<-o.done
	o.writing.Lock()
	defer o.writing.Unlock()
	o.flushLocked()
	if !o.our {
		return nil
	}
	err := o.file.Close()
	o.file, o.our = os.Stderr, false
	return err
}
