package msglog

import (
	"fmt"
	"log/slog"
	"time"
)

func (Connect) name() string      { return "connect" }
func (Disconnect) name() string   { return "disconnect" }
func (Login) name() string        { return "login" }
func (Reject) name() string       { return "reject" }
func (Queued) name() string       { return "queued" }
func (Attempt) name() string      { return "attempt" }
func (Removed) name() string      { return "removed" }
func (Notification) name() string { return "notification" }
func (Stored) name() string       { return "stored" }

// line drops empty strings: a key that says nothing is not on the line.
func line(level slog.Level, attrs ...slog.Attr) (slog.Level, []slog.Attr) {
	kept := attrs[:0]
	for _, a := range attrs {
		if a.Value.Kind() != slog.KindString || a.Value.String() != "" {
			kept = append(kept, a)
		}
	}
	return level, kept
}

func (e Connect) line() (slog.Level, []slog.Attr) {
	return line(slog.LevelInfo, slog.String("service", e.Service), slog.String("session", e.Session),
		slog.String("client", e.Client), slog.Bool("tls", e.TLS))
}

func (e Disconnect) line() (slog.Level, []slog.Attr) {
	return line(slog.LevelInfo, slog.String("service", e.Service), slog.String("session", e.Session),
		slog.String("client", e.Client), seconds("duration", e.Duration),
		slog.String("reason", e.Reason), slog.String("stats", e.Stats))
}

func (e Login) line() (slog.Level, []slog.Attr) {
	level, status := slog.LevelInfo, "ok"
	if e.Reason != "" {
		level, status = slog.LevelWarn, "failed"
	}
	return line(level, slog.String("service", e.Service), slog.String("session", e.Session),
		slog.String("client", e.Client), slog.String("login", e.Login), slog.String("mechanism", e.Mechanism),
		slog.String("status", status), slog.String("reason", e.Reason))
}

func (e Reject) line() (slog.Level, []slog.Attr) {
	return line(slog.LevelInfo, slog.String("service", e.Service), slog.String("session", e.Session),
		slog.String("client", e.Client), slog.String("helo", e.Helo), slog.String("stage", e.Stage),
		slog.String("from", e.From), slog.String("to", e.To), slog.Int("code", e.Err.Reply()),
		slog.String("dsn", e.Err.Status.String()), slog.String("text", e.Err.Text), cause(e.Err.Cause))
}

func (e Queued) line() (slog.Level, []slog.Attr) {
	return line(slog.LevelInfo, slog.String("id", string(e.ID)), slog.String("session", e.Session),
		slog.String("client", e.Client), slog.String("proto", e.Proto), slog.String("login", e.Login),
		slog.String("from", "<"+e.From+">"), slog.Int64("size", e.Size), slog.Int("nrcpt", e.Recipients),
		slog.String("message_id", e.MessageID))
}

func (e Attempt) line() (slog.Level, []slog.Attr) {
	level := slog.LevelInfo
	if e.Status != "sent" {
		level = slog.LevelWarn
	}
	return line(level, slog.String("id", string(e.ID)), slog.String("to", "<"+e.To+">"),
		slog.String("orig_to", e.OrigTo), slog.String("relay", e.Relay), seconds("delay", e.Delay),
		slog.String("delays", delays(e.Delays)), slog.String("dsn", e.DSN.String()),
		slog.String("status", e.Status), slog.String("text", e.Text), cause(e.Err))
}

func (e Removed) line() (slog.Level, []slog.Attr) {
	return line(slog.LevelInfo, slog.String("id", string(e.ID)), slog.String("reason", e.Reason))
}

func (e Notification) line() (slog.Level, []slog.Attr) {
	return line(slog.LevelInfo, slog.String("id", string(e.ID)), slog.String("report", string(e.Report)),
		slog.String("kind", e.Kind), slog.String("to", "<"+e.To+">"))
}

func (e Stored) line() (slog.Level, []slog.Attr) {
	return line(slog.LevelInfo, slog.String("service", e.Service), slog.String("session", e.Session),
		slog.String("mailbox", e.Mailbox), slog.String("folder", e.Folder), slog.Uint64("uid", uint64(e.UID)),
		slog.Int64("size", e.Size))
}

func cause(err error) slog.Attr {
	if err == nil {
		return slog.String("cause", "")
	}
	return slog.String("cause", err.Error())
}

func seconds(key string, d time.Duration) slog.Attr {
	return slog.String(key, formatSeconds(d))
}

// formatSeconds keeps two significant digits below ten seconds, as Postfix's
// delay= does (delay_logging_resolution_limit).
func formatSeconds(d time.Duration) string {
	switch s := max(d.Seconds(), 0); {
	case s == 0:
		return "0"
	case s < 0.1:
		return fmt.Sprintf("%.3f", s)
	case s < 10:
		return fmt.Sprintf("%.2f", s)
	default:
		return fmt.Sprintf("%.0f", s)
	}
}

func delays(d [4]time.Duration) string {
	return formatSeconds(d[0]) + "/" + formatSeconds(d[1]) + "/" + formatSeconds(d[2]) + "/" + formatSeconds(d[3])
}
