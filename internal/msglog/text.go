package msglog

import (
	"context"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"toastmaster/internal/clock"
	"toastmaster/internal/dsn"
)

// textHandler is the slog.Handler of the text format. Events do not pass
// through slog: its records cost an allocation for more than five attributes.
type textHandler struct {
	out   *output
	level slog.Level
	clock clock.Clock
	// given are the attributes of WithAttrs, ready to append; prefix is the
	// path of WithGroup, "group.".
	given  []byte
	prefix string
	lines  sync.Pool // *textFields
}

// textFields is a line being made.
type textFields struct{ b []byte }

// maxLine is the size up to which the memory of a line is kept. It is no parameter:
// it bounds memory that is kept, and no line.
const maxLine = 8 << 10

func (h *textHandler) get() *textFields {
	if f, ok := h.lines.Get().(*textFields); ok {
		return f
	}
	return &textFields{b: make([]byte, 0, 512)}
}

func (h *textHandler) put(f *textFields) {
	if cap(f.b) <= maxLine {
		h.lines.Put(f)
	}
}

// event writes an event.
func (h *textHandler) event(level slog.Level, e Event) {
	f := h.get()
	f.begin(h.clock.Now(), level, e.name())
	e.fields(f)
	f.b = append(f.b, '\n')
	h.out.add(f.b, level >= slog.LevelWarn)
	h.put(f)
}

// dropped is the line that says how many were dropped.
func (h *textHandler) dropped(n int64) []byte {
	var f textFields
	f.begin(h.clock.Now(), slog.LevelWarn, droppedText)
	f.num("lines", n)
	return append(f.b, '\n')
}

func (f *textFields) begin(t time.Time, level slog.Level, what string) {
	f.b = append(appendTime(f.b[:0], t), ' ')
	switch level {
	case slog.LevelDebug:
		f.b = append(f.b, "debug "...)
	case slog.LevelInfo:
		f.b = append(f.b, "info "...)
	case slog.LevelWarn:
		f.b = append(f.b, "warn "...)
	case slog.LevelError:
		f.b = append(f.b, "error "...)
	default:
		f.b = append(append(f.b, level.String()...), ' ')
	}
	f.b = appendText(f.b, what)
}

func (f *textFields) key(key string) {
	f.b = append(append(append(f.b, ' '), key...), '=')
}

func (f *textFields) str(key, value string) {
	if value != "" {
		f.key(key)
		f.b = appendText(f.b, cut(value))
	}
}

func (f *textFields) address(key, value string) {
	f.key(key)
	value = cut(value)
	if value != "" && needsQuotes(value) {
		f.b = strconv.AppendQuote(f.b, "<"+value+">")
		return
	}
	f.b = append(append(append(f.b, '<'), value...), '>')
}

func (f *textFields) num(key string, value int64) {
	f.key(key)
	f.b = strconv.AppendInt(f.b, value, 10)
}

func (f *textFields) flag(key string, value bool) {
	f.key(key)
	f.b = strconv.AppendBool(f.b, value)
}

func (f *textFields) seconds(key string, value time.Duration) {
	f.key(key)
	f.b = appendSeconds(f.b, value)
}

func (f *textFields) delays(key string, value [4]time.Duration) {
	f.key(key)
	f.b = appendDelays(f.b, value)
}

func (f *textFields) status(key string, value dsn.Status) {
	f.key(key)
	f.b = appendStatus(f.b, value)
}

func (f *textFields) cause(err error) {
	if err != nil {
		f.str("cause", err.Error())
	}
}

// Enabled says whether a level is written.
func (h *textHandler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= h.level
}

// Handle writes a line of diagnostics.
func (h *textHandler) Handle(_ context.Context, r slog.Record) error {
	f := h.get()
	t := r.Time
	if t.IsZero() {
		t = h.clock.Now()
	}
	f.begin(t, r.Level, r.Message)
	f.b = append(f.b, h.given...)
	r.Attrs(func(a slog.Attr) bool {
		f.b = appendAttr(f.b, h.prefix, a)
		return true
	})
	f.b = append(f.b, '\n')
	h.out.add(f.b, r.Level >= slog.LevelWarn)
	h.put(f)
	return nil
}

// WithAttrs returns a handler that adds attributes to every line.
func (h *textHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	given := append([]byte(nil), h.given...)
	for _, a := range attrs {
		given = appendAttr(given, h.prefix, a)
	}
	return &textHandler{out: h.out, level: h.level, clock: h.clock, given: given, prefix: h.prefix}
}

// WithGroup returns a handler whose further keys begin with "name.".
func (h *textHandler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return &textHandler{out: h.out, level: h.level, clock: h.clock, given: h.given, prefix: h.prefix + name + "."}
}

func appendAttr(b []byte, prefix string, a slog.Attr) []byte {
	v := a.Value.Resolve()
	if a.Equal(slog.Attr{}) {
		return b
	}
	if v.Kind() == slog.KindGroup {
		if a.Key != "" {
			prefix += a.Key + "."
		}
		for _, inner := range v.Group() {
			b = appendAttr(b, prefix, inner)
		}
		return b
	}
	b = append(append(append(append(b, ' '), prefix...), a.Key...), '=')
	switch v.Kind() {
	case slog.KindInt64:
		return strconv.AppendInt(b, v.Int64(), 10)
	case slog.KindUint64:
		return strconv.AppendUint(b, v.Uint64(), 10)
	case slog.KindBool:
		return strconv.AppendBool(b, v.Bool())
	case slog.KindTime:
		return appendTime(b, v.Time())
	}
	return appendText(b, v.String())
}
