package msglog

import (
	"log/slog"
	"time"

	"toastmaster/internal/dsn"
)

// Event is one of the event types of this package.
type Event interface {
	name() string
	level() slog.Level
	fields(f fields)
	// postfix makes the lines of the format postfix, or none.
	postfix(f *postfixLines)
	count(m *metrics)
}

// fields takes the keys and values of an event, in order. There are two: for
// the text and for any slog handler.
type fields interface {
	// str is left out when value is "".
	str(key, value string)
	// address is written in angle brackets, also when it is the null sender.
	address(key, value string)
	num(key string, value int64)
	flag(key string, value bool)
	seconds(key string, value time.Duration)
	delays(key string, value [4]time.Duration)
	status(key string, value dsn.Status)
	// cause is left out when err is nil.
	cause(err error)
}

func (Connect) name() string      { return "connect" }
func (Disconnect) name() string   { return "disconnect" }
func (Login) name() string        { return "login" }
func (Screened) name() string     { return "screened" }
func (Lookup) name() string       { return "lookup" }
func (Reject) name() string       { return "reject" }
func (Rejects) name() string      { return "rejects" }
func (Statistic) name() string    { return "statistic" }
func (Encrypted) name() string    { return "tls" }
func (Queued) name() string       { return "queued" }
func (Attempt) name() string      { return "attempt" }
func (Removed) name() string      { return "removed" }
func (Notification) name() string { return "notification" }
func (Stored) name() string       { return "stored" }

func (Connect) level() slog.Level      { return slog.LevelInfo }
func (Disconnect) level() slog.Level   { return slog.LevelInfo }
func (Screened) level() slog.Level     { return slog.LevelInfo }
func (Lookup) level() slog.Level       { return slog.LevelWarn }
func (Rejects) level() slog.Level      { return slog.LevelInfo }
func (Statistic) level() slog.Level    { return slog.LevelInfo }
func (Encrypted) level() slog.Level    { return slog.LevelInfo }
func (Queued) level() slog.Level       { return slog.LevelInfo }
func (Removed) level() slog.Level      { return slog.LevelInfo }
func (Notification) level() slog.Level { return slog.LevelInfo }
func (Stored) level() slog.Level       { return slog.LevelInfo }

// A refusal for a reason of this system (4.3.z: no space, no directory, too much
// mail) wants somebody's attention; one while it stops does not.
func (e Reject) level() slog.Level {
	s := e.Err.Status
	if s.Temporary() && s.Subject() == dsn.MailSystem.Subject() && s != dsn.ShuttingDown {
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

func (e Login) level() slog.Level {
	if e.Reason != "" {
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

func (e Attempt) level() slog.Level {
	if e.Status != "sent" && e.Status != "expanded" {
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

func (e Connect) fields(f fields) {
	f.str("service", e.Service)
	f.str("session", e.Session)
	f.str("client", e.Client)
	if e.Port != 0 {
		f.num("port", int64(e.Port))
	}
	f.flag("tls", e.TLS)
}

func (e Disconnect) fields(f fields) {
	f.str("service", e.Service)
	f.str("session", e.Session)
	f.str("client", e.Client)
	if e.Port != 0 {
		f.num("port", int64(e.Port))
	}
	f.seconds("duration", e.Duration)
	f.str("reason", e.Reason)
	f.str("stats", e.Stats)
}

func (e Login) fields(f fields) {
	f.str("service", e.Service)
	f.str("session", e.Session)
	f.str("client", e.Client)
	f.str("login", e.Login)
	f.str("mechanism", e.Mechanism)
	f.str("status", e.result())
	f.str("reason", e.Reason)
	if e.Blocked > 0 {
		f.num("blocked", int64(e.Blocked))
	}
}

func (e Login) result() string {
	if e.Reason != "" {
		return "failed"
	}
	return "ok"
}

func (e Screened) fields(f fields) {
	f.str("service", "postscreen")
	f.str("session", e.Session)
	f.str("client", e.Client)
	f.num("port", int64(e.Port))
	f.str("result", e.Result)
	f.str("action", e.Action)
	if e.Result != "LISTED" {
		f.seconds("after", e.After)
	}
	if e.Octets > 0 {
		f.num("octets", int64(e.Octets))
	}
	if e.Result == "DNSBL" {
		f.num("rank", int64(e.Rank))
	}
	f.str("list", e.List)
	f.str("stage", e.Stage)
	f.str("text", e.Text)
}

func (e Lookup) fields(f fields) {
	f.str("service", e.Service)
	f.str("session", e.Session)
	f.str("client", e.Client)
	f.str("table", e.Table)
	f.str("key", e.Key)
	f.str("result", string(e.Result))
	f.cause(e.Err)
}

func (e Reject) fields(f fields) {
	f.str("service", e.Service)
	f.str("session", e.Session)
	f.str("client", e.Client)
	if e.ClientPort != 0 {
		f.num("port", int64(e.ClientPort))
	}
	f.str("helo", e.Helo)
	f.str("stage", e.Stage)
	if e.Mail {
		f.address("from", e.From)
	}
	if e.To != "" {
		f.address("to", e.To)
	}
	f.num("code", int64(e.Err.Reply()))
	f.status("dsn", e.Err.Status)
	f.str("text", e.Err.Text)
	f.cause(e.Err.Cause)
}

func (e Rejects) fields(f fields) {
	f.str("service", e.Service)
	f.str("session", e.Session)
	f.str("client", e.Client)
	f.num("more", int64(e.Count))
}

func (e Statistic) fields(f fields) {
	f.str("what", e.what())
	f.num("max", int64(e.Value))
	if e.Unit > 0 {
		f.seconds("unit", e.Unit)
	}
	f.str("service", e.Service)
	f.str("client", e.Client)
	f.str("at", e.At.UTC().Format(time.RFC3339))
}

// what is the name of the number in Postfix's words.
func (e Statistic) what() string {
	switch {
	case e.What == "cache":
		return "cache size"
	case e.Unit > 0:
		return e.What + " rate"
	}
	return e.What + " count"
}

func (e Encrypted) fields(f fields) {
	f.str("service", e.Service)
	f.str("session", e.Session)
	f.str("client", e.Client)
	f.str("trust", e.Trust)
	f.str("version", e.Version)
	f.str("cipher", e.Cipher)
	f.num("bits", int64(e.Bits))
	f.flag("resumed", e.Resumed)
	if e.Details && e.Fingerprint != "" {
		f.str("subject", e.Subject)
		f.str("issuer", e.Issuer)
		f.str("fingerprint", e.Fingerprint)
		f.str("pubkey_fingerprint", e.PubkeyFingerprint)
	}
}

func (e Queued) fields(f fields) {
	f.str("id", string(e.ID))
	f.str("session", e.Session)
	f.str("client", e.Client)
	if o := e.Forwarded; o != nil {
		f.str("orig_id", o.Ident)
		f.str("orig_client", o.Addr)
		f.str("orig_name", o.Name)
	}
	f.str("proto", e.Proto)
	f.str("login", e.Login)
	f.str("mechanism", e.Mechanism)
	f.str("uid", e.UserID)
	f.address("from", e.From)
	f.num("size", e.Size)
	f.num("nrcpt", int64(e.Recipients))
	f.str("message_id", e.MessageID)
}

func (e Attempt) fields(f fields) {
	f.str("id", string(e.ID))
	f.address("from", e.From)
	f.address("to", e.To)
	f.str("orig_to", e.OrigTo)
	f.str("agent", e.Agent)
	f.str("relay", e.Relay)
	f.seconds("delay", e.Delay)
	f.delays("delays", e.Delays)
	f.status("dsn", e.DSN)
	f.str("status", e.Status)
	f.str("text", e.Text)
	f.cause(e.Err)
}

func (e Removed) fields(f fields) {
	f.str("id", string(e.ID))
	f.str("reason", e.Reason)
}

func (e Notification) fields(f fields) {
	f.str("id", string(e.ID))
	f.str("report", string(e.Report))
	f.str("kind", e.Kind)
	f.address("to", e.To)
}

func (e Stored) fields(f fields) {
	f.str("service", e.Service)
	f.str("session", e.Session)
	f.str("mailbox", e.Mailbox)
	f.str("folder", e.Folder)
	f.num("uid", int64(e.UID))
	f.num("size", e.Size)
	f.str("message_id", e.MessageID)
}
