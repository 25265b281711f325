package msglog

import (
	"errors"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
)

// postfixExamples are events and their lines, without time and host. PID is the
// process, S the number of the session S1.
func postfixExamples() []struct {
	event Event
	lines []string
} {
	const p, s = "[PID]: ", "[S]: "
	refused := func(status dsn.Status, text string) *dsn.Error { return dsn.New(status, text) }
	return []struct {
		event Event
		lines []string
	}{
		{Connect{Service: "smtpd", Session: "S1", Client: "192.0.2.1"}, []string{"postfix/smtpd" + s + "connect from unknown[192.0.2.1]"}},
		{Connect{Service: "submission", Session: "S1", Client: "2001:db8::1"}, []string{"postfix/submission/smtpd" + s + "connect from unknown[2001:db8::1]"}},
		{Connect{Service: "imapd", Session: "S1", Client: "192.0.2.1"}, nil},
		{Disconnect{Service: "smtpd", Session: "S1", Client: "192.0.2.1", Reason: "quit", Stats: "ehlo=1 quit=1"},
			[]string{"postfix/smtpd" + s + "disconnect from unknown[192.0.2.1] ehlo=1 quit=1"}},
		{Disconnect{Service: "smtpd", Session: "S1", Client: "192.0.2.1", Reason: "connection lost in DATA"}, []string{
			"postfix/smtpd" + s + "lost connection after DATA from unknown[192.0.2.1]", "postfix/smtpd" + s + "disconnect from unknown[192.0.2.1]"}},
		{Login{Service: "imapd", Session: "S1", Client: "192.0.2.1", Login: "alice@example.test", Mechanism: "PLAIN"},
			[]string{"dovecot: imap-login: Login: user=<alice@example.test>, method=PLAIN, rip=192.0.2.1, session=<S1>"}},
		{Login{Service: "pop3d", Session: "S1", Client: "192.0.2.1", Login: "eve>, rip=203.0.113.9\nx", Mechanism: "USER", Reason: "mismatch"},
			[]string{"dovecot: pop3-login: Aborted login (auth failed, 1 attempts): user=<eve?, rip=203.0.113.9?x>, method=USER, rip=192.0.2.1, session=<S1>"}},
		{Login{Service: "imapd", Session: "S1", Client: "192.0.2.1", Login: "a", Mechanism: "PLAIN", Reason: "rate", Blocked: 64},
			[]string{"dovecot: imap-login: Aborted login (auth failed, 64 attempts): user=<a>, method=PLAIN, rip=192.0.2.1, session=<S1>"}},
		{Login{Service: "imapd", Session: "S1", Client: "192.0.2.1", Login: "a", Mechanism: "PLAIN", Reason: "unavailable"},
			[]string{"dovecot: imap-login: Disconnected: Internal login failure: user=<a>, method=PLAIN, rip=192.0.2.1, session=<S1>"}},
		{Login{Service: "smtpd", Session: "S1", Client: "192.0.2.1", Login: "a", Mechanism: "PLAIN", Reason: "unknown"},
			[]string{"postfix/smtpd" + s + "warning: unknown[192.0.2.1]: SASL PLAIN authentication failed: authentication failure, sasl_username=a"}},
		{Login{Service: "smtpd", Session: "S1", Client: "192.0.2.1", Login: "a", Mechanism: "PLAIN"}, nil},
		{Login{Service: "smtpd", Session: "S1", Client: "192.0.2.1", Mechanism: "PLAIN", Reason: "insecure"}, nil},
		{Login{Service: "smtpd", Session: "S1", Client: "192.0.2.1", Mechanism: "PLAIN", Reason: "closed"}, nil},
		{Login{Service: "admin", Client: "192.0.2.1", Mechanism: "Bearer", Reason: "unavailable"}, []string{"dovecot: auth: token(,192.0.2.1): internal failure"}},
		{Login{Service: "admin", Client: "192.0.2.1", Mechanism: "Bearer", Reason: "insecure"}, []string{"dovecot: auth: token(,192.0.2.1): refused without TLS"}},
		{Login{Service: "admin", Client: "192.0.2.1", Mechanism: "Bearer", Reason: "mismatch"}, []string{"dovecot: auth: token(,192.0.2.1): invalid credentials"}},
		{Reject{Service: "smtpd", Session: "S1", Client: "192.0.2.1", Helo: "a", Mail: true, To: "d@e", Stage: "rcpt", Err: refused(dsn.BadDestMailbox, "<d@e>: No such user")},
			[]string{"postfix/smtpd" + s + "NOQUEUE: reject: RCPT from unknown[192.0.2.1]: 550 5.1.1 <d@e>: Recipient address rejected: User unknown: No such user; from=<> to=<d@e> proto=ESMTP helo=<a>"}},
		{Reject{Service: "smtpd", Session: "S1", Client: "192.0.2.1", Mail: true, From: "b@c", To: "d@e", Stage: "rcpt", Err: refused(dsn.Policy, "<d@e>: Relay access denied")},
			[]string{"postfix/smtpd" + s + "NOQUEUE: reject: RCPT from unknown[192.0.2.1]: 554 5.7.1 <d@e>: Relay access denied; from=<b@c> to=<d@e> proto=ESMTP"}},
		{Reject{Service: "lmtpd", Session: "S1", Client: "local", Stage: "rcpt", To: "d@e", Err: dsn.Wrap(dsn.MailSystem, "Later", errors.New("disk"))},
			[]string{"dovecot: lmtp: Rejected: rcpt: Later rip=local, session=<S1> to=<d@e> cause=disk"}},
		{Queued{ID: "Q1", Session: "S1", Client: "127.0.0.1", Forwarded: &envelope.Forwarded{Ident: "Q0", Addr: "192.0.2.1", Name: "c.test"}, From: "a@b", Size: 99, Recipients: 1, MessageID: "<m@x>"}, []string{
			"postfix/smtpd" + s + "Q1: client=unknown[127.0.0.1], orig_queue_id=Q0, orig_client=c.test[192.0.2.1]",
			"postfix/cleanup" + s + "Q1: message-id=<m@x>", "postfix/qmgr" + p + "Q1: from=<a@b>, size=99, nrcpt=1 (queue active)",
		}},
		{Queued{ID: "Q1", Session: "S1", Client: "192.0.2.1", Login: "a@b", Mechanism: "LOGIN", From: "a@b", Size: 99, Recipients: 2, MessageID: "<m@x>"}, []string{
			"postfix/smtpd" + s + "Q1: client=unknown[192.0.2.1], sasl_method=LOGIN, sasl_username=a@b", "postfix/cleanup" + s + "Q1: message-id=<m@x>",
			"postfix/qmgr" + p + "Q1: from=<a@b>, size=99, nrcpt=2 (queue active)"}},
		{Attempt{ID: "Q1", From: "b@c", To: "d@e", OrigTo: "x@e", Agent: "virtual", Relay: "virtual", Delay: 40 * time.Millisecond, Delays: [4]time.Duration{1e6, 0, 12e9, 1e9}, DSN: dsn.OK, Status: "sent", Text: "delivered to maildir"},
			[]string{"postfix/virtual" + p + "Q1: to=<d@e>, orig_to=<x@e>, relay=virtual, delay=0.040, delays=0.001/0/12/1.00, dsn=2.0.0, status=sent (delivered to maildir)"}},
		{Attempt{ID: "Q1", From: "b@c", To: "d@e", Agent: "smtp", Relay: "mx.e[192.0.2.9]:25", DSN: dsn.Expired, Status: "expired", Text: "time\r\nup"}, []string{
			"postfix/smtp" + p + "Q1: to=<d@e>, relay=mx.e[192.0.2.9]:25, delay=0, delays=0/0/0/0, dsn=4.4.7, status=bounced (time??up)",
			"postfix/qmgr" + p + "Q1: from=<b@c>, status=expired, returned to sender"}},
		{Attempt{ID: "Q1", To: "list@e", Relay: "none", DSN: dsn.OK, Status: "expanded", Text: "alias expanded"},
			[]string{"postfix/local" + p + "Q1: to=<list@e>, relay=none, delay=0, delays=0/0/0/0, dsn=2.0.0, status=sent (forwarded as Q1)"}},
		{Attempt{ID: "Q1", To: "d@e", Agent: "discard", Relay: "none", DSN: dsn.OK, Status: "sent", Text: "trap"},
			[]string{"postfix/discard" + p + "Q1: to=<d@e>, relay=none, delay=0, delays=0/0/0/0, dsn=2.0.0, status=sent (trap)"}},
		{Attempt{ID: "Q1", To: "d@e", Agent: "error", Relay: "none", DSN: dsn.MailboxMoved, Status: "bounced", Text: "moved"},
			[]string{"postfix/error" + p + "Q1: to=<d@e>, relay=none, delay=0, delays=0/0/0/0, dsn=5.1.6, status=bounced (moved)"}},
		{Attempt{ID: "Q1", To: "d@e", Agent: "retry", Relay: "none", DSN: dsn.MailSystem, Status: "deferred", Text: "later"},
			[]string{"postfix/error" + p + "Q1: to=<d@e>, relay=none, delay=0, delays=0/0/0/0, dsn=4.3.0, status=deferred (later)"}},
		{Attempt{ID: "Q1", To: "d@e", Agent: "local", Relay: "local", DSN: dsn.Misconfigured, Status: "deferred", Text: "mail system configuration error", Err: errors.New("become carol\n: not root")},
			[]string{"postfix/local" + p + "Q1: to=<d@e>, relay=local, delay=0, delays=0/0/0/0, dsn=4.3.5, status=deferred (mail system configuration error) cause=become carol?: not root"}},
		{Attempt{ID: "Q1", To: "d@e", Agent: "smtp", Relay: "none", DSN: dsn.NoAnswer, Status: "deferred", Text: "Cannot connect to mx: Connection refused", Err: errors.New("dial tcp")},
			[]string{"postfix/smtp" + p + "Q1: to=<d@e>, relay=none, delay=0, delays=0/0/0/0, dsn=4.4.1, status=deferred (Cannot connect to mx: Connection refused)"}},
		{Attempt{ID: "Q1", To: "d@e", Relay: "none", DSN: dsn.NoAnswer, Status: "deferred", Text: "suspended"},
			[]string{"postfix/error" + p + "Q1: to=<d@e>, relay=none, delay=0, delays=0/0/0/0, dsn=4.4.1, status=deferred (suspended)"}},
		{Removed{ID: "Q1", Reason: "done"}, []string{"postfix/qmgr" + p + "Q1: removed"}},
		{Removed{ID: "Q1", Reason: "deleted"}, []string{"postfix/postsuper" + p + "Q1: removed"}},
		{Notification{ID: "Q1", Report: "Q2", Kind: "failure", To: "b@c"}, []string{"postfix/bounce" + p + "Q1: sender non-delivery notification: Q2"}},
		{Stored{Service: "lmtpd", Session: "S1", Mailbox: "d@e", Folder: "INBOX", MessageID: "<m@x>\n", UID: 7, Size: 99}, []string{"dovecot: lmtp(d@e)<S1>: msgid=<m@x>?: saved mail to INBOX, uid=7, size=99"}},
	}
}

func TestEventsAsPostfix(t *testing.T) {
	t.Parallel()
	for _, stamps := range []struct {
		iso    bool
		layout string
	}{{false, "Jan  2 15:04:05"}, {true, "2006-01-02T15:04:05.000000-07:00"}} {
		l, file := open(t, Options{Format: Postfix, ISO: stamps.iso, Hostname: "mx.example.test", Buffer: 1 << 16})
		stamp := fixed{}.Now().Local().Format(stamps.layout) + " mx.example.test "
		number := (&postfixLines{}).number("S1")
		var want []string
		for _, e := range postfixExamples() {
			l.Event(e.event)
			for _, line := range e.lines {
				line = strings.ReplaceAll(strings.ReplaceAll(line, "[S]", "["+itoa(number)+"]"), "[PID]", "["+itoa(int64(os.Getpid()))+"]")
				want = append(want, stamp+line)
			}
		}
		settled(l)
		got := strings.Split(contents(t, file), "\n")
		for i, line := range want {
			if i >= len(got) || got[i] != line {
				t.Fatalf("line %d of %d\n got %s\nwant %s", i, len(got), got[min(i, len(got)-1)], line)
			}
		}
	}
}

func itoa(n int64) string { return slog.Int64Value(n).String() }

func TestDiagnosticsAsPostfix(t *testing.T) {
	t.Parallel()
	l, file := open(t, Options{Format: Postfix})
	l.With("service", "qmgr", "a", 1).WithGroup("g").Warn("two\nwords", "n", 7)
	l.Info("plain", "service", "imapd", "x", "y z")
	l.Debug("hidden")
	settled(l)
	got := contents(t, file)
	for _, want := range []string{" localhost postfix/qmgr[", "]: warning: two?words a=1 g.n=7\n", " localhost postfix/imapd[", "]: plain x=\"y z\"\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in\n%s", want, got)
		}
	}
	if strings.Count(got, "\n") != 2 {
		t.Errorf("%s", got)
	}
}
