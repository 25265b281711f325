package msglog

import (
	"bytes"
	"fmt"
	"os"
	"sync"
	"time"

	"toastmaster/internal/clock"
)

// output gathers lines in a bounded buffer, from which one goroutine writes. Who
// adds a line never waits for the file: mail must not stand still because a
// reader of the log does.
type output struct {
	name         string
	shared       bool
	limit        int
	delay        time.Duration
	closeTimeout time.Duration
	clock        clock.Clock
	metrics      *metrics
	aside        *aside
	// notice makes the line that says how many were dropped.
	notice func(n int64) []byte

	mu  sync.Mutex
	buf []byte
	// dropped are the lines of which no notice was added yet; cause is the
	// last error of a write, nil after one that succeeded.
	dropped int64
	cause   error
	// noticed are the dropped lines that a notice in buf tells of, and flying
	// those of one that is being written: it may fail.
	noticed, flying int64
	// flight is what is being written, since when.
	flight []byte
	since  time.Time
	// closed says that nothing waits any more; orphan that there is no file.
	closed, orphan bool
	// changed is closed and replaced when something was written.
	changed chan struct{}
	writer  *writer
}

// writer is one file and the goroutine that writes to it. It is left alone when
// the file is changed or the log closed while it cannot write; it ends by itself
// when it can.
type writer struct {
	o    *output
	file *os.File
	our  bool
	// spare is memory for more lines.
	spare []byte

	wake, now, stop chan struct{}
	done            chan struct{}
}

// stallTime is how long a write may take before the log counts as stalled. It
// is for people who look, so it is no parameter.
const stallTime = 3 * time.Second

// defaultBuffer is Options.Buffer when that is zero.
const defaultBuffer = 64 << 10

// defaultCloseTimeout is Options.CloseTimeout when that is zero.
const defaultCloseTimeout = 3 * time.Second

func openOutput(o Options, m *metrics) (*output, error) {
	f, our, err := openFile(o.File, o.Shared)
	if err != nil {
		return nil, err
	}
	out := &output{
		name: o.File, shared: o.Shared, limit: o.Buffer, delay: o.Flush, closeTimeout: o.CloseTimeout, clock: o.Clock, metrics: m,
		changed: make(chan struct{}), notice: func(int64) []byte { return nil },
		aside: &aside{out: os.Stderr, clock: o.Clock},
	}
	if out.limit <= 0 {
		out.limit = defaultBuffer
	}
	if out.closeTimeout <= 0 {
		out.closeTimeout = defaultCloseTimeout
	}
	out.writer = out.newWriter(f, our)
	return out, nil
}

func (o *output) newWriter(f *os.File, our bool) *writer {
	w := &writer{
		o: o, file: f, our: our,
		wake: make(chan struct{}, 1), now: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}),
	}
	go w.run()
	return w
}

// run writes what waits: at once when asked to, else when it has waited for the
// flush time. There is no timer while no line waits.
func (w *writer) run() {
	defer close(w.done)
	for {
		select {
		case <-w.stop:
			w.drain()
			return
		case <-w.now:
		case <-w.wake:
			w.linger()
		}
		w.drain()
	}
}

func (w *writer) linger() {
	timer := w.o.clock.NewTimer(w.o.delay)
	defer timer.Stop()
	select {
	case <-timer.C():
	case <-w.now:
	case <-w.stop:
	}
}

// drain writes until nothing waits, or until it is not the output's writer any
// more; then it closes its file.
func (w *writer) drain() {
	for {
		lines, ok := w.o.take(w)
		if !ok {
			if w.our {
				_ = w.file.Close()
			}
			return
		}
		if len(lines) == 0 {
			return
		}
		n, err := w.file.Write(lines)
		if first := w.o.wrote(w, lines[n:], err); first && w.our {
			w.o.aside.say(fmt.Appendln(nil, "toastmaster: log lines are lost:", err), 0)
		}
		if w.spare = lines; cap(lines) > maxKept {
			w.spare = nil
		}
	}
}

// maxKept is up to which size the memory of written lines is kept for more. It is
// no parameter: it bounds nothing but what is not given back, beside log.buffer.
const maxKept = 256 << 10

// take hands all waiting lines to w.
func (o *output) take(w *writer) (lines []byte, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.writer != w {
		return nil, false
	}
	o.noticeDropped()
	lines, o.buf, w.spare = o.buf, w.spare[:0], nil
	o.flying, o.noticed = o.noticed, 0
	if o.flight = lines; len(lines) > 0 {
		o.since = o.clock.Now()
	}
	return lines, true
}

// wrote ends a write; rest could not be written. It says whether this is the
// first write to fail.
func (o *output) wrote(w *writer, rest []byte, err error) (first bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.writer != w {
		return false // what was in hand was counted when the writer was left
	}
	first = err != nil && o.cause == nil
	o.flight, o.cause = nil, err
	if err != nil {
		o.dropped += o.flying
		o.drop(int64(bytes.Count(rest, []byte{'\n'})))
	}
	close(o.changed)
	o.changed = make(chan struct{})
	return first
}

// drop counts lines that nobody will read.
func (o *output) drop(n int64) {
	if n == 0 {
		return
	}
	o.dropped += n
	if o.metrics != nil {
		o.metrics.lost.Add(float64(n))
	}
}

// noticeDropped adds the line about what was dropped, where it would have been.
// After a failed write it waits for lines that show whether it still fails.
func (o *output) noticeDropped() {
	if o.dropped == 0 || o.cause != nil && len(o.buf) == 0 {
		return
	}
	o.buf = append(o.buf, o.notice(o.dropped)...)
	o.noticed += o.dropped
	o.dropped = 0
}

// setNotice says how to make the line about dropped lines.
func (o *output) setNotice(f func(n int64) []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.notice = f
}

// Write adds one line for handlers that know only io.Writer.
func (o *output) Write(line []byte) (int, error) {
	o.add(line, false)
	return len(line), nil
}

// add adds one line, or drops it when the buffer is full; urgent has it written
// at once.
func (o *output) add(line []byte, urgent bool) {
	o.mu.Lock()
	if o.closed {
		orphan := o.orphan
		o.mu.Unlock()
		if !orphan {
			o.aside.say(line, o.closeTimeout) // the last words of a process
		}
		return
	}
	defer o.mu.Unlock()
	full := len(o.buf)+len(line) > o.limit
	if len(line) > o.limit { // a stack; it fits nowhere else
		full = len(o.buf) > o.limit
	}
	if full && len(o.buf) > 0 {
		o.drop(int64(bytes.Count(line, []byte{'\n'})))
		o.writer.prod(true)
		return
	}
	o.noticeDropped()
	first := len(o.buf) == 0
	o.buf = append(o.buf, line...)
	switch {
	case urgent, 2*len(o.buf) > o.limit, o.delay == 0:
		o.writer.prod(true)
	case first:
		o.writer.prod(false)
	}
}

// prod has the writer write, now or after the flush time.
func (w *writer) prod(now bool) {
	c := w.wake
	if now {
		c = w.now
	}
	select {
	case c <- struct{}{}:
	default:
	}
}

// urge has what waits written soon; it does not wait for that.
func (o *output) urge() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.writer.prod(true)
}

// health says what is wrong with the log.
func (o *output) health() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	took := time.Duration(0)
	if len(o.flight) > 0 {
		took = o.clock.Now().Sub(o.since)
	}
	switch {
	case o.cause != nil:
		return fmt.Errorf("the log cannot be written, %d lines dropped: %w", o.dropped, o.cause)
	case o.dropped > 0:
		return fmt.Errorf("whoever reads the log is too slow, %d lines dropped", o.dropped)
	case took >= stallTime:
		return fmt.Errorf("whoever reads the log has stalled for %v", took.Round(time.Second))
	}
	return nil
}

// settle waits until all lines are written, for at most the close timeout. It
// is called with the lock and returns with it.
func (o *output) settle() (left int) {
	timer := o.clock.NewTimer(o.closeTimeout)
	defer timer.Stop()
	for len(o.buf)+len(o.flight) > 0 {
		o.writer.prod(true)
		changed := o.changed
		o.mu.Unlock()
		late := false
		select {
		case <-changed:
		case <-timer.C():
			late = true
		}
		o.mu.Lock()
		if late {
			break
		}
	}
	return len(o.buf) + len(o.flight)
}

// reopen opens the file again by its name. A writer that cannot write is left
// behind: what it has in hand counts as dropped, what waits goes to the new file.
func (o *output) reopen() error {
	o.mu.Lock()
	our := o.writer.our
	o.mu.Unlock()
	if !our {
		return nil
	}
	f, our, err := openFile(o.name, o.shared)
	if err != nil {
		return fmt.Errorf("log: %w", err)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return f.Close()
	}
	if o.settle() > 0 {
		o.dropped += o.flying
		o.drop(int64(bytes.Count(o.flight, []byte{'\n'})))
		o.flight = nil
	}
	old := o.writer
	o.writer, o.cause = o.newWriter(f, our), nil
	old.prod(true) // to close its file
	close(old.stop)
	if len(o.buf) > 0 || o.dropped > 0 {
		o.writer.prod(true)
	}
	return nil
}

func (o *output) close() error {
	o.mu.Lock()
	if o.closed {
		o.mu.Unlock()
		return nil
	}
	left := o.settle()
	o.closed = true
	w := o.writer
	close(w.stop)
	if left > 0 {
		o.orphan = true
		o.mu.Unlock()
		return fmt.Errorf("log: %d octets were not written within %v", left, o.closeTimeout)
	}
	o.mu.Unlock()
	<-w.done
	if w.our {
		return w.file.Close()
	}
	return nil
}
