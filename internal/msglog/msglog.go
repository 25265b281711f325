package msglog

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"toastmaster/internal/clock"
)

// Log is a logger with mail events. Safe for concurrent use.
type Log struct {
	*slog.Logger

	events  eventHandler // nil with a handler that is not ours, and for JSON
	out     *output      // nil likewise
	metrics *metrics     // nil without a registry
	level   slog.Level
}

// eventHandler writes events without the detour over slog's records.
type eventHandler interface {
	slog.Handler
	event(level slog.Level, e Event)
	// dropped is the line that says how many were dropped. It is called with
	// the output's lock.
	dropped(n int64) []byte
}

// Format is how a line is written.
type Format uint8

// Text is key=value, JSON an object, Postfix lines as Postfix and Dovecot write
// them.
const (
	Text Format = iota
	JSON
	Postfix
)

// Options say where the log goes and how it looks.
type Options struct {
	Format Format
	// Hostname stands on each line of the format Postfix. The time there is as
	// syslog has it, or with ISO as RFC 3339 does.
	Hostname string
	ISO      bool
	// Level is the lowest level that is written. Events are counted at any level.
	Level slog.Level
	// File is a name, "stderr" or "" for standard error.
	File string
	// Buffer is how many octets may wait while the file takes none; lines beyond
	// are dropped. Zero is 64 KiB.
	Buffer int
	// Flush is how long a line below warn may wait to be written with others;
	// zero has each written at once.
	Flush time.Duration
	// CloseTimeout is how long Close and Reopen wait for a file that cannot be
	// written; zero is three seconds.
	CloseTimeout time.Duration
	// Shared makes the file one that its group may write, if the umask lets it: the processes of other
	// users write there, too.
	Shared bool
	// Registry gets the metrics; nil counts nothing.
	Registry prometheus.Registerer
	// Clock is nil for the machine's.
	Clock clock.Clock
}

// Open makes the log of a process. The caller closes it last of all.
func Open(o Options) (*Log, error) {
	l := &Log{level: o.Level}
	if o.Clock == nil {
		o.Clock = clock.System{}
	}
	if o.Registry != nil {
		m, err := newMetrics(o.Registry)
		if err != nil {
			return nil, fmt.Errorf("log: %w", err)
		}
		l.metrics = m
	}
	out, err := openOutput(o, l.metrics)
	if err != nil {
		return nil, fmt.Errorf("log: %w", err)
	}
	l.out = out
	switch o.Format {
	case Text:
		l.events = &textHandler{out: out, level: o.Level, clock: o.Clock}
	case Postfix:
		l.events = newPostfixHandler(out, o)
	case JSON:
		l.Logger = slog.New(urgentHandler{slog.NewJSONHandler(out, &slog.HandlerOptions{Level: o.Level}), out})
		out.setNotice(func(n int64) []byte { return droppedJSON(o.Clock.Now(), n) })
	default:
		_ = out.close()
		return nil, fmt.Errorf("log: unknown format %d", o.Format)
	}
	if l.events != nil {
		l.Logger = slog.New(l.events)
		out.setNotice(l.events.dropped)
	}
	return l, nil
}

// New wraps a slog handler. There are no metrics, and Close and Reopen do
// nothing.
func New(h slog.Handler) *Log { return &Log{Logger: slog.New(h)} }

// Discard logs nothing; for tests.
func Discard() *Log { return New(slog.DiscardHandler) }

// Reopen opens the log file again by its name, after it was rotated.
func (l *Log) Reopen() error {
	if l.out == nil {
		return nil
	}
	return l.out.reopen()
}

// Health says what is wrong with the output: that it cannot be written, or that
// whoever reads it does not.
func (l *Log) Health() error {
	if l.out == nil {
		return nil
	}
	return l.out.health()
}

// Close writes what waits and closes the file, or says within
// Options.CloseTimeout that it cannot. Lines that come later go to standard
// error, unbuffered; whoever reads there has CloseTimeout once.
func (l *Log) Close() error {
	if l.out == nil {
		return nil
	}
	return l.out.close()
}

// Event writes one line for e and counts it.
func (l *Log) Event(e Event) {
	if l.metrics != nil {
		e.count(l.metrics)
	}
	level := e.level()
	if l.events != nil {
		if level >= l.level {
			l.events.event(level, e)
		}
		return
	}
	ctx := context.Background()
	if !l.Enabled(ctx, level) {
		return
	}
	var attrs attrFields
	e.fields(&attrs)
	l.LogAttrs(ctx, level, e.name(), attrs...)
}

// Count counts e without a line, for events that are gathered into one.
func (l *Log) Count(e Event) {
	if l.metrics != nil {
		e.count(l.metrics)
	}
}

// urgentHandler has a line that somebody may wait for written at once.
type urgentHandler struct {
	slog.Handler
	out *output
}

// Handle writes one line.
func (h urgentHandler) Handle(ctx context.Context, r slog.Record) error {
	err := h.Handler.Handle(ctx, r)
	if r.Level >= slog.LevelWarn {
		h.out.urge()
	}
	return err
}

// WithAttrs keeps the flush.
func (h urgentHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return urgentHandler{h.Handler.WithAttrs(attrs), h.out}
}

// WithGroup keeps the flush.
func (h urgentHandler) WithGroup(name string) slog.Handler {
	return urgentHandler{h.Handler.WithGroup(name), h.out}
}

// droppedText is the message of the line that says how many were dropped.
const droppedText = "log lines dropped"

func droppedJSON(t time.Time, n int64) []byte {
	var b bytes.Buffer
	r := slog.NewRecord(t, slog.LevelWarn, droppedText, 0)
	r.AddAttrs(slog.Int64("lines", n))
	_ = slog.NewJSONHandler(&b, nil).Handle(context.Background(), r) // a buffer takes everything
	return b.Bytes()
}

// openFile opens the destination; our says whether to close it. A named pipe
// that nobody reads is an error: the open would wait.
func openFile(name string, shared bool) (f *os.File, our bool, err error) {
	if name == "" || name == "stderr" {
		return os.Stderr, false, nil
	}
	mode := fs.FileMode(0o640)
	if shared {
		mode = 0o660
	}
	f, err = os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND|syscall.O_NONBLOCK, mode)
	return f, err == nil, err
}
