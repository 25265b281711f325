package msglog

import (
	"cmp"
	"errors"
	"strconv"
	"strings"
	"time"

	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/printable"
)

// loginService is the name of a service in the lines of Dovecot, "" for those
// of Postfix.
func loginService(service string) string {
	switch service {
	case "imapd":
		return "imap"
	case "pop3d":
		return "pop3"
	case "lmtpd":
		return "lmtp"
	}
	return ""
}

// port is what stands behind a client whose port is logged.
func (f *postfixLines) port(port int) *postfixLines {
	if port == 0 {
		return f
	}
	return f.str(":").num(int64(port))
}

func (e Connect) postfix(f *postfixLines) {
	switch name := loginService(e.Service); {
	case name == "":
		f.daemon(daemonOf(e.Service), e.Session).str("connect from ").client(e.Client).port(e.Port).end()
	case name == "lmtp":
		f.dovecot("lmtp").str("Connect from ").text(e.Client).end()
	}
}

func (e Disconnect) postfix(f *postfixLines) {
	name := loginService(e.Service)
	if name != "" {
		f.dovecot(name).str("Disconnected: ").text(e.Reason).str(" rip=").text(e.Client).str(", session=<").text(e.Session).str("> ").text(e.Stats).end()
		return
	}
	daemon := daemonOf(e.Service)
	for _, kind := range []struct{ ours, theirs string }{
		{"lost", "lost connection"}, {"timeout", "timeout"}, {"timed out", "timeout"}, {"too many errors", "too many errors"},
	} {
		if strings.Contains(e.Reason, kind.ours) {
			f.daemon(daemon, e.Session).str(kind.theirs).str(" after ").str(lastCommand(e)).str(" from ").client(e.Client).end()
			break
		}
	}
	f.daemon(daemon, e.Session).str("disconnect from ").client(e.Client).port(e.Port)
	if e.Stats != "" {
		f.str(" ").text(e.Stats)
	}
	f.end()
}

// lastCommand is the command in the reason of an end ("lost connection in
// DATA"), or else how far the session came.
func lastCommand(e Disconnect) string {
	words := strings.Fields(e.Reason)
	if n := len(words); n > 2 && (words[n-2] == "in" || words[n-2] == "after") && words[n-1] == strings.ToUpper(words[n-1]) {
		return printable.UTF8(words[n-1])
	}
	for _, command := range []string{"data", "bdat", "rcpt", "mail", "auth", "starttls", "ehlo", "helo"} {
		if strings.Contains(" "+e.Stats, " "+command+"=") {
			return strings.ToUpper(command)
		}
	}
	return "CONNECT"
}

func (e Login) postfix(f *postfixLines) {
	name := loginService(e.Service)
	switch {
	case e.Service == "admin":
		e.postfixToken(f)
	case name == "":
		e.postfixSASL(f)
	case e.Reason == "":
		f.dovecot(name + "-login").str("Login: user=")
		e.postfixTail(f)
	default:
		f.dovecot(name + "-login").str(e.refusal()).str(": user=")
		e.postfixTail(f)
	}
}

// refusal is what Dovecot says about a failed attempt. A failure of ours has no
// words that a filter would take for the client's.
func (e Login) refusal() string {
	switch e.Reason {
	case "insecure":
		return "Aborted login (tried to use disallowed plaintext auth)"
	case "unavailable":
		return "Disconnected: Internal login failure"
	}
	return "Aborted login (auth failed, " + strconv.Itoa(max(e.Blocked, 1)) + " attempts)"
}

func (e Login) postfixTail(f *postfixLines) {
	f.address(e.Login)
	if e.Mechanism != "" {
		f.str(", method=").str(method(e.Mechanism))
	}
	f.str(", rip=").text(e.Client).str(", session=<").text(e.Session).str(">").end()
}

// method is a mechanism as one word, whatever a client has sent for it.
func method(mechanism string) string {
	if mechanism == "" {
		return "unknown"
	}
	return strings.NewReplacer(" ", "?", ",", "?").Replace(printable.UTF8(cut(mechanism)))
}

// postfixSASL is the line of smtpd; a log-in that succeeded is in the line
// "client=" of its messages, and one that was not looked at in that of the command that was
// refused.
func (e Login) postfixSASL(f *postfixLines) {
	if e.Reason == "" || e.Reason == "insecure" || e.Reason == "closed" {
		return
	}
	reason := "authentication failure"
	if e.Reason == "unavailable" {
		reason = "Connection lost to authentication server"
	}
	f.daemon(daemonOf(e.Service), e.Session).str("warning: ").client(e.Client).str(": SASL ").text(e.Mechanism).
		str(" authentication failed: ").str(reason).str(", sasl_username=").text(e.Login).end()
}

// postfixToken is a line that the filter of Dovecot reads, unless the client did
// nothing that it should be kept out for.
func (e Login) postfixToken(f *postfixLines) {
	what := "invalid credentials"
	switch e.Reason {
	case "":
		return
	case "unavailable":
		what = "internal failure"
	case "insecure":
		what = "refused without TLS"
	}
	f.dovecot("auth").str("token(,").text(e.Client).str("): ").str(what).end()
}

func (e Screened) postfix(f *postfixLines) {
	if e.Result == "LISTED" {
		f.daemon("dnsblog", e.Session).str("addr ").text(e.Client).str(" listed by domain ").text(e.List).str(" as ").text(e.Text).end()
		return
	}
	f.daemon("postscreen", e.Session)
	client := func() *postfixLines { return f.str("[").text(e.Client).str("]:").num(int64(e.Port)) }
	switch e.Result {
	case "PREGREET":
		f.str("PREGREET ").num(int64(e.Octets)).str(" after ")
		f.b = appendSeconds(f.b, e.After)
		f.str(" from ")
		client().str(": ").text(e.Text)
	case "HANGUP":
		f.str("HANGUP after ")
		f.b = appendSeconds(f.b, e.After)
		f.str(" from ")
		client().str(" in ").str(e.Stage)
	case "BUSY":
		f.str("NOQUEUE: reject: CONNECT from ")
		client().str(": all screening ports busy")
	case "DNSBL":
		f.str("DNSBL rank ").num(int64(e.Rank)).str(" for ")
		client()
	case "COMMAND PIPELINING", "NON-SMTP COMMAND", "BARE NEWLINE", "COMMAND COUNT LIMIT", "COMMAND TIME LIMIT", "COMMAND LENGTH LIMIT":
		f.str(e.Result).str(" from ")
		client().str(" after ").text(e.Stage)
		if e.Text != "" {
			f.str(": ").text(e.Text)
		}
	case "CONNECT":
		f.str("CONNECT from ")
		client().str(" to ").text(e.Text)
	default:
		f.str(e.Result).str(" ")
		client()
	}
	f.end()
}

func (e Lookup) postfix(f *postfixLines) {
	f.daemon(daemonOf(e.Service), e.Session).str("warning: ")
	switch e.Result {
	case LookupUnknown:
		f.str("request for unapproved table: \"").text(e.Table).str("\"")
	case LookupMalformed:
		f.str("malformed request from ").client(e.Client)
	default:
		f.text(e.Table).str(" lookup error for \"").text(e.Key).str("\"")
	}
	if e.Err != nil {
		f.str(": ").text(e.Err.Error())
	}
	f.end()
}

func (e Reject) postfix(f *postfixLines) {
	if name := loginService(e.Service); name != "" {
		f.dovecot(name).str("Rejected: ").text(e.Stage).str(": ").text(e.Err.Text).str(" rip=").text(e.Client).
			str(", session=<").text(e.Session).str(">")
		if e.To != "" {
			f.str(" to=").address(e.To)
		}
		e.postfixCause(f)
		f.end()
		return
	}
	if over := (*Exceeded)(nil); errors.As(e.Err.Cause, &over) {
		f.daemon(daemonOf(e.Service), e.Session).str("warning: ").str(over.said()).str(" from ").client(e.Client).
			str(" for service ").str(over.Service).end()
		return
	}
	f.daemon(daemonOf(e.Service), e.Session).str("NOQUEUE: reject: ").str(stageOf(e.Stage)).str(" from ")
	if e.Port != 0 {
		f.str("[").text(e.Client).str("]:").num(int64(e.Port))
	} else {
		f.client(e.Client).port(e.ClientPort)
	}
	f.str(": ").num(int64(e.Err.Reply())).str(" ").str(e.Err.Status.String()).str(" ")
	if e.To != "" && e.Port == 0 {
		f.address(e.To).str(": ")
	}
	text := e.Err.Text
	if _, rest, ok := strings.Cut(text, ">: "); ok && strings.HasPrefix(text, "<") {
		text = rest // it names the address that stands before it
	}
	if text == "User unknown" && e.Err.Status == dsn.BadDestMailbox {
		text = "no such mailbox" // said already
	}
	f.str(why(e)).text(text).str(";")
	between := " "
	if e.Port != 0 {
		between = ", " // postscreen(8), not smtpd(8)
	}
	if e.Mail {
		f.str(" from=").address(e.From)
	}
	if e.To != "" {
		f.str(between + "to=").address(e.To)
	}
	f.str(between + "proto=ESMTP")
	if e.Helo != "" || e.Port != 0 {
		f.str(between + "helo=").address(e.Helo)
	}
	e.postfixCause(f)
	f.end()
}

func (e Reject) postfixCause(f *postfixLines) {
	if e.Err.Cause != nil {
		f.str(" cause=").text(e.Err.Cause.Error())
	}
}

// stageOf is the command in Postfix's words.
func stageOf(stage string) string {
	switch stage {
	case "helo":
		return "EHLO"
	case "message", "content", "eom":
		return "END-OF-MESSAGE"
	}
	return strings.ToUpper(strings.ReplaceAll(printable.UTF8(stage), " ", "-"))
}

// why are the words by which Postfix names the kinds of refusal that filters
// look for. Our own text follows.
func why(e Reject) string {
	switch s := e.Err.Status; {
	case s == dsn.BadDestMailbox:
		return "Recipient address rejected: User unknown: "
	case s == dsn.MailboxMoved:
		return "Recipient address rejected: User has moved: "
	case e.Stage == "rcpt" && s.Subject() == dsn.BadDestMailbox.Subject():
		return "Recipient address rejected: "
	case e.Stage == "mail" && s.Subject() == dsn.BadDestMailbox.Subject():
		return "Sender address rejected: "
	case e.Stage == "connect":
		return "Client host rejected: "
	case e.Stage == "helo":
		return "Helo command rejected: "
	}
	return ""
}

func (e Rejects) postfix(f *postfixLines) {
	if loginService(e.Service) == "" {
		f.daemon(daemonOf(e.Service), e.Session).str("too many errors after RCPT from ").client(e.Client).str(": ").num(int64(e.Count)).str(" more rejects").end()
	}
}

// postfix is a line of anvil(8).
func (e Statistic) postfix(f *postfixLines) {
	f.daemon("anvil", "").str("statistics: max ").str(e.what()).str(" ").num(int64(e.Value))
	if e.Unit > 0 {
		f.str("/").num(int64(e.Unit / time.Second)).str("s")
	}
	if e.What != "cache" {
		f.str(" for (").text(e.Service).str(":").text(e.Client).str(")")
	}
	f.str(" at ")
	f.b = e.At.Local().AppendFormat(f.b, "Jan _2 15:04:05")
	f.end()
}

func (e Encrypted) postfix(f *postfixLines) {
	if loginService(e.Service) != "" {
		return // Dovecot says nothing
	}
	daemon := daemonOf(e.Service)
	if e.Details && e.Fingerprint != "" {
		f.daemon(daemon, e.Session).client(e.Client).str(": subject_CN=").text(e.Subject).str(", issuer_CN=").text(e.Issuer).
			str(", fingerprint=").str(e.Fingerprint).str(", pkey_fingerprint=").str(e.PubkeyFingerprint).end()
	}
	how := "established"
	if e.Resumed {
		how = "reused"
	}
	bits := int64(e.Bits)
	f.daemon(daemon, e.Session).str(e.Trust).str(" TLS connection ").str(how).str(" from ").client(e.Client).str(": ").str(e.Version).
		str(" with cipher ").str(e.Cipher).str(" (").num(bits).str("/").num(bits).str(" bits)").end()
}

func (e Queued) postfix(f *postfixLines) {
	id := string(e.ID)
	if e.Session != "" {
		daemon := "smtpd"
		if e.Proto == envelope.SourceQMQP.String() {
			daemon = "qmqpd"
		}
		f.daemon(daemon, e.Session).str(id).str(": client=").client(e.Client)
		if e.Login != "" {
			f.str(", sasl_method=").str(method(e.Mechanism)).str(", sasl_username=").text(e.Login)
		}
		if o := e.Forwarded; o != nil {
			if o.Ident != "" {
				f.str(", orig_queue_id=").text(o.Ident)
			}
			f.str(", orig_client=").text(cmp.Or(o.Name, "unknown")).str("[").text(cmp.Or(o.Addr, "unknown")).str("]")
		}
		f.end()
	}
	if e.UserID != "" {
		f.daemon("pickup", "").str(id).str(": uid=").text(e.UserID).str(" from=").address(e.From).end()
	}
	f.daemon("cleanup", e.Session).str(id).str(": message-id=").text(e.MessageID).end()
	f.daemon("qmgr", "").str(id).str(": from=").address(e.From).str(", size=").num(e.Size).
		str(", nrcpt=").num(int64(e.Recipients)).str(" (queue active)").end()
}

func (e Attempt) postfix(f *postfixLines) {
	f.daemon(agentOf(e), "").str(string(e.ID)).str(": to=").address(e.To)
	if e.OrigTo != "" {
		f.str(", orig_to=").address(e.OrigTo)
	}
	relay := strings.ReplaceAll(printable.UTF8(e.Relay), ",", "?")
	if relay == "" {
		relay = "none"
	}
	f.str(", relay=").str(relay).str(", delay=")
	f.b = appendSeconds(f.b, e.Delay)
	f.str(", delays=")
	f.b = appendDelays(f.b, e.Delays)
	f.str(", dsn=")
	f.b = appendStatus(f.b, e.DSN)
	status, text := e.Status, e.Text
	switch status {
	case "expanded":
		// Counted as forwarded, not as one more delivery.
		status, text = "sent", "forwarded as "+string(e.ID)
	case "expired":
		status = "bounced"
	}
	if text == "" && e.Err != nil {
		text = e.Err.Error()
	}
	f.str(", status=").text(status).str(" (").text(text).str(")")
	if e.Err != nil && text != e.Err.Error() && e.DSN.Subject() == dsn.MailSystem.Subject() {
		f.str(" cause=").text(e.Err.Error()) // what is wrong here is not in what the sender is told
	}
	f.end()
	if e.Status == "expired" {
		f.daemon("qmgr", "").str(string(e.ID)).str(": from=").address(e.From).str(", status=expired, returned to sender").end()
	}
}

// agentOf is the daemon that Postfix would name. error(8) is also the program of the
// transport retry, by which its qmgr defers what it does not try.
func agentOf(e Attempt) string {
	switch e.Agent {
	case "error", "retry":
		return "error"
	case "":
		if e.Status == "expanded" {
			return "local"
		}
		return "error"
	}
	return e.Agent
}

func (e Removed) postfix(f *postfixLines) {
	daemon := "qmgr"
	if e.Reason == "deleted" {
		daemon = "postsuper"
	}
	f.daemon(daemon, "").str(string(e.ID)).str(": removed").end()
}

func (e Notification) postfix(f *postfixLines) {
	kind := map[string]string{"failure": "non-delivery", "delay": "delay", "success": "delivery status"}[e.Kind]
	if kind == "" {
		kind = "delivery status"
	}
	f.daemon("bounce", "").str(string(e.ID)).str(": sender ").str(kind).str(" notification: ").str(string(e.Report)).end()
}

func (e Stored) postfix(f *postfixLines) {
	f.dovecot(loginService(e.Service) + "(" + printable.UTF8(e.Mailbox) + ")<" + printable.UTF8(e.Session) + ">").
		str("msgid=").text(e.MessageID).str(": saved mail to ").text(e.Folder).str(", uid=").num(int64(e.UID)).str(", size=").num(e.Size).end()
}
