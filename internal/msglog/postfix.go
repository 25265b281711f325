package msglog

import (
	"context"
	"hash/fnv"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"toastmaster/internal/clock"
	"toastmaster/internal/printable"
)

// postfixHandler writes lines as Postfix and Dovecot do in the file of syslog, for
// the programs that read those: pflogsumm, fail2ban, logwatch. One event may be
// several lines. What they have no line for has none here.
//
// The number in brackets is a process in Postfix, of which a session has one for
// itself; here it is a number of the session, so that lines belong together for
// those programs.
type postfixHandler struct {
	out   *output
	level slog.Level
	clock clock.Clock
	// host is the name on each line, iso the kind of time stamp.
	host string
	iso  bool
	pid  int
	// given are the attributes of WithAttrs, service the one of that name,
	// prefix the path of WithGroup.
	given   []byte
	service string
	prefix  string
	lines   *sync.Pool // *postfixLines
}

func newPostfixHandler(out *output, o Options) *postfixHandler {
	host := o.Hostname
	if host == "" {
		host = "localhost"
	}
	return &postfixHandler{
		out: out, level: o.Level, clock: o.Clock, host: printable.UTF8(host), iso: o.ISO, pid: os.Getpid(),
		lines: &sync.Pool{},
	}
}

// postfixLines are the lines of one event being made.
type postfixLines struct {
	h   *postfixHandler
	b   []byte
	now time.Time
}

func (h *postfixHandler) get(now time.Time) *postfixLines {
	f, ok := h.lines.Get().(*postfixLines)
	if !ok {
		f = &postfixLines{b: make([]byte, 0, 512)}
	}
	f.h, f.b, f.now = h, f.b[:0], now
	return f
}

func (h *postfixHandler) put(f *postfixLines, urgent bool) {
	if len(f.b) > 0 {
		h.out.add(f.b, urgent)
	}
	if cap(f.b) <= maxLine {
		h.lines.Put(f)
	}
}

func (h *postfixHandler) event(level slog.Level, e Event) {
	f := h.get(h.clock.Now())
	e.postfix(f)
	h.put(f, level >= slog.LevelWarn)
}

// dropped is the line that says how many were dropped.
func (h *postfixHandler) dropped(n int64) []byte {
	f := &postfixLines{h: h, now: h.clock.Now()}
	f.daemon(daemonOf(""), "").str("warning: ").str(droppedText).str(": ").num(n).end()
	return f.b
}

// stamp begins a line: "Jan  2 03:04:05 host ", or the time of RFC 3339.
func (f *postfixLines) stamp() {
	layout := "Jan _2 15:04:05"
	if f.h.iso {
		layout = "2006-01-02T15:04:05.000000-07:00"
	}
	f.b = append(append(append(f.now.Local().AppendFormat(f.b, layout), ' '), f.h.host...), ' ')
}

// daemon begins a line of Postfix; session is "" for what belongs to none.
func (f *postfixLines) daemon(name, session string) *postfixLines {
	f.stamp()
	f.b = append(append(append(f.b, "postfix/"...), name...), '[')
	return f.num(f.number(session)).str("]: ")
}

// dovecot begins a line of Dovecot.
func (f *postfixLines) dovecot(name string) *postfixLines {
	f.stamp()
	return f.str("dovecot: ").str(name).str(": ")
}

// number is the session's, in the range of process ids.
func (f *postfixLines) number(session string) int64 {
	if session == "" {
		return int64(f.h.pid)
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(session))
	return int64(h.Sum32()%4194303) + 1
}

// str appends words of this program, text what may come from elsewhere.
func (f *postfixLines) str(s string) *postfixLines {
	f.b = append(f.b, s...)
	return f
}

func (f *postfixLines) text(s string) *postfixLines { return f.str(printable.UTF8(cut(s))) }

// address appends an address in its brackets, which it cannot leave.
func (f *postfixLines) address(s string) *postfixLines {
	return f.str("<").str(strings.NewReplacer("<", "?", ">", "?").Replace(printable.UTF8(cut(s)))).str(">")
}

func (f *postfixLines) num(n int64) *postfixLines {
	f.b = strconv.AppendInt(f.b, n, 10)
	return f
}

// client appends "unknown[192.0.2.1]". Names of clients are not looked up for
// the log.
func (f *postfixLines) client(address string) *postfixLines {
	if address == "" || address == "local" {
		address = "unknown"
	}
	return f.str("unknown[").text(address).str("]")
}

func (f *postfixLines) end() { f.b = append(f.b, '\n') }

// Enabled says whether a level is written.
func (h *postfixHandler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= h.level
}

// Handle writes a line of diagnostics: "warning: text key=value".
func (h *postfixHandler) Handle(_ context.Context, r slog.Record) error {
	now := r.Time
	if now.IsZero() {
		now = h.clock.Now()
	}
	service, attrs := h.service, append([]byte(nil), h.given...)
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "service" && h.prefix == "" {
			service = a.Value.String()
			return true
		}
		attrs = appendAttr(attrs, h.prefix, a)
		return true
	})
	f := h.get(now)
	f.daemon(daemonOf(service), "")
	switch {
	case r.Level >= slog.LevelError:
		f.str("error: ")
	case r.Level >= slog.LevelWarn:
		f.str("warning: ")
	}
	f.text(r.Message).str(string(attrs)).end()
	h.put(f, r.Level >= slog.LevelWarn)
	return nil
}

// daemonOf is the name of a service in Postfix.
func daemonOf(service string) string {
	switch service {
	case "":
		return "toastmaster"
	case "submission":
		return "submission/smtpd"
	case "submissions":
		return "smtps/smtpd"
	}
	return printable.UTF8(service)
}

// WithAttrs returns a handler that adds attributes to every line.
func (h *postfixHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	n := *h
	n.given = append([]byte(nil), h.given...)
	for _, a := range attrs {
		if a.Key == "service" && h.prefix == "" {
			n.service = a.Value.String()
			continue
		}
		n.given = appendAttr(n.given, h.prefix, a)
	}
	return &n
}

// WithGroup returns a handler whose further keys begin with "name.".
func (h *postfixHandler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	n := *h
	n.prefix += name + "."
	return &n
}
