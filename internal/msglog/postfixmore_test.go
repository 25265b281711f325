package msglog

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"toastmaster/internal/dsn"
)

// TestEventsThatAreRareAsPostfix: what the filters for Postfix's and Dovecot's logs look for in the
// lines that come seldom, and nothing that a peer chose beyond its place.
func TestEventsThatAreRareAsPostfix(t *testing.T) {
	t.Parallel()
	const p, s = "[PID]: ", "[S]: "
	refused := func(status dsn.Status, text string) *dsn.Error { return dsn.New(status, text) }
	lost := func(reason, stats string) Disconnect {
		return Disconnect{Service: "smtpd", Session: "S1", Client: "192.0.2.1", Reason: reason, Stats: stats}
	}
	screened := func(e Screened) Screened {
		e.Session, e.Client, e.Port = "S1", "192.0.2.1", 4711
		return e
	}
	bye := "postfix/smtpd" + s + "disconnect from unknown[192.0.2.1]"
	for name, c := range map[string]struct {
		event Event
		lines []string
	}{
		"LMTP":              {Connect{Service: "lmtpd", Session: "S1", Client: "local"}, []string{"dovecot: lmtp: Connect from local"}},
		"a unix socket":     {Connect{Service: "smtpd", Session: "S1", Client: "local"}, []string{"postfix/smtpd" + s + "connect from unknown[unknown]"}},
		"end of a log-in":   {Disconnect{Service: "imapd", Session: "S1", Client: "192.0.2.1", Reason: "client\nsays", Stats: "in=1 out=2"}, []string{"dovecot: imap: Disconnected: client?says rip=192.0.2.1, session=<S1> in=1 out=2"}},
		"lost, with a word": {lost("connection lost after STARTTLS", "ehlo=1 data=1"), []string{"postfix/smtpd" + s + "lost connection after STARTTLS from unknown[192.0.2.1]", bye + " ehlo=1 data=1"}},
		"lost, no command":  {lost("connection lost in data", "ehlo=1 rcpt=0/1"), []string{"postfix/smtpd" + s + "lost connection after RCPT from unknown[192.0.2.1]", bye + " ehlo=1 rcpt=0/1"}},
		"lost at once":      {lost("connection lost", ""), []string{"postfix/smtpd" + s + "lost connection after CONNECT from unknown[192.0.2.1]", bye}},
		"lost somewhere":    {lost("connection lost at DATA", "mail=1 ehlo=1"), []string{"postfix/smtpd" + s + "lost connection after MAIL from unknown[192.0.2.1]", bye + " mail=1 ehlo=1"}},
		"timeout":           {lost("timed out", "data=1"), []string{"postfix/smtpd" + s + "timeout after DATA from unknown[192.0.2.1]", bye + " data=1"}},
		"too many errors":   {lost("too many errors", "xmail=1"), []string{"postfix/smtpd" + s + "too many errors after CONNECT from unknown[192.0.2.1]", bye + " xmail=1"}},
		"more rejects":      {Rejects{Service: "smtpd", Session: "S1", Client: "192.0.2.1", Count: 7}, []string{"postfix/smtpd" + s + "too many errors after RCPT from unknown[192.0.2.1]: 7 more rejects"}},
		"more, in LMTP":     {Rejects{Service: "lmtpd", Session: "S1", Client: "local", Count: 7}, nil},
		"our fault at AUTH": {Login{Service: "submission", Session: "S1", Client: "192.0.2.1", Login: "a", Mechanism: "LOGIN", Reason: "unavailable"},
			[]string{"postfix/submission/smtpd" + s + "warning: unknown[192.0.2.1]: SASL LOGIN authentication failed: Connection lost to authentication server, sasl_username=a"}},
		"a token":          {Login{Service: "admin", Client: "192.0.2.1", Mechanism: "Bearer"}, nil},
		"insecure":         {Login{Service: "imapd", Session: "S1", Client: "192.0.2.1", Reason: "insecure"}, []string{"dovecot: imap-login: Aborted login (tried to use disallowed plaintext auth): user=<>, rip=192.0.2.1, session=<S1>"}},
		"a strange method": {Login{Service: "imapd", Session: "S1", Client: "192.0.2.1", Login: "a", Mechanism: "X, rip=1\n"}, []string{"dovecot: imap-login: Login: user=<a>, method=X??rip=1?, rip=192.0.2.1, session=<S1>"}},
		"user unknown": {Reject{Service: "smtpd", Session: "S1", Client: "192.0.2.1", Mail: true, To: "d@e", Stage: "rcpt", Err: refused(dsn.BadDestMailbox, "<d@e>: User unknown")},
			[]string{"postfix/smtpd" + s + "NOQUEUE: reject: RCPT from unknown[192.0.2.1]: 550 5.1.1 <d@e>: Recipient address rejected: User unknown: no such mailbox; from=<> to=<d@e> proto=ESMTP"}},
		"moved": {Reject{Service: "smtpd", Session: "S1", Client: "192.0.2.1", Mail: true, To: "d@e", Stage: "rcpt", Err: refused(dsn.MailboxMoved, "gone to >x: y")},
			[]string{"postfix/smtpd" + s + "NOQUEUE: reject: RCPT from unknown[192.0.2.1]: 551 5.1.6 <d@e>: Recipient address rejected: User has moved: gone to >x: y; from=<> to=<d@e> proto=ESMTP"}},
		"a bad sender": {Reject{Service: "smtpd", Session: "S1", Client: "192.0.2.1", Mail: true, From: "b@c", Stage: "mail", Err: refused(dsn.Make(5, 1, 8), "no such domain")},
			[]string{"postfix/smtpd" + s + "NOQUEUE: reject: MAIL from unknown[192.0.2.1]: 550 5.1.8 Sender address rejected: no such domain; from=<b@c> proto=ESMTP"}},
		"a bad recipient": {Reject{Service: "smtpd", Session: "S1", Client: "192.0.2.1", To: "d@e", Stage: "rcpt", Err: refused(dsn.Make(5, 1, 2), "no such domain")},
			[]string{"postfix/smtpd" + s + "NOQUEUE: reject: RCPT from unknown[192.0.2.1]: 550 5.1.2 <d@e>: Recipient address rejected: no such domain; to=<d@e> proto=ESMTP"}},
		"at the start": {Reject{Service: "smtpd", Session: "S1", Client: "192.0.2.1", Stage: "connect", Err: refused(dsn.Policy, "no")},
			[]string{"postfix/smtpd" + s + "NOQUEUE: reject: CONNECT from unknown[192.0.2.1]: 554 5.7.1 Client host rejected: no; proto=ESMTP"}},
		"at HELO": {Reject{Service: "smtpd", Session: "S1", Client: "192.0.2.1", Helo: "a>b\r\nc", Stage: "helo", Err: refused(dsn.Policy, "no")},
			[]string{"postfix/smtpd" + s + "NOQUEUE: reject: EHLO from unknown[192.0.2.1]: 554 5.7.1 Helo command rejected: no; proto=ESMTP helo=<a?b??c>"}},
		"at the end, with a cause": {Reject{Service: "smtpd", Session: "S1", Client: "192.0.2.1", Mail: true, Stage: "eom", Err: dsn.Wrap(dsn.MailSystem, "later", errors.New("disk\nfull"))},
			[]string{"postfix/smtpd" + s + "NOQUEUE: reject: END-OF-MESSAGE from unknown[192.0.2.1]: 451 4.3.0 later; from=<> proto=ESMTP cause=disk?full"}},
		"no relay, no text": {Attempt{ID: "Q1", To: "d@e", Agent: "smtp", DSN: dsn.NoAnswer, Status: "deferred", Err: refused(dsn.NoAnswer, "no answer"), Delay: time.Second},
			[]string{"postfix/smtp" + p + "Q1: to=<d@e>, relay=none, delay=1.00, delays=0/0/0/0, dsn=4.4.1, status=deferred (4.4.1 no answer)"}},
		"a relay with commas":   {Attempt{ID: "Q1", To: "d@e", Agent: "smtp", Relay: "a, status=sent\n", DSN: dsn.OK, Status: "sent", Text: "ok"}, []string{"postfix/smtp" + p + "Q1: to=<d@e>, relay=a? status=sent?, delay=0, delays=0/0/0/0, dsn=2.0.0, status=sent (ok)"}},
		"a report of a delay":   {Notification{ID: "Q1", Report: "Q2", Kind: "delay"}, []string{"postfix/bounce" + p + "Q1: sender delay notification: Q2"}},
		"a report of success":   {Notification{ID: "Q1", Report: "Q2", Kind: "success"}, []string{"postfix/bounce" + p + "Q1: sender delivery status notification: Q2"}},
		"a report of something": {Notification{ID: "Q1", Report: "Q2", Kind: "x"}, []string{"postfix/bounce" + p + "Q1: sender delivery status notification: Q2"}},
		"a client comes":        {screened(Screened{Result: "CONNECT", Text: "[192.0.2.9]:25"}), []string{"postfix/postscreen" + s + "CONNECT from [192.0.2.1]:4711 to [192.0.2.9]:25"}},
		"it passes":             {screened(Screened{Result: "PASS NEW"}), []string{"postfix/postscreen" + s + "PASS NEW [192.0.2.1]:4711"}},
		"it talks":              {screened(Screened{Result: "PREGREET", Octets: 9, Text: `EHLO\r\n`, After: 1500 * time.Millisecond}), []string{"postfix/postscreen" + s + `PREGREET 9 after 1.50 from [192.0.2.1]:4711: EHLO\r\n`}},
		"it hangs up":           {screened(Screened{Result: "HANGUP", Stage: "tests x"}), []string{"postfix/postscreen" + s + "HANGUP after 0 from [192.0.2.1]:4711 in tests x"}},
		"it is listed":          {screened(Screened{Result: "LISTED", List: "bl.test", Text: "127.0.0.2"}), []string{"postfix/dnsblog" + s + "addr 192.0.2.1 listed by domain bl.test as 127.0.0.2"}},
		"it has a rank":         {screened(Screened{Result: "DNSBL", Rank: 7, List: "bl.test"}), []string{"postfix/postscreen" + s + "DNSBL rank 7 for [192.0.2.1]:4711"}},
		"it does not wait":      {screened(Screened{Result: "COMMAND PIPELINING", Stage: "HELO", Text: "MAIL"}), []string{"postfix/postscreen" + s + "COMMAND PIPELINING from [192.0.2.1]:4711 after HELO: MAIL"}},
		"it ends lines badly":   {screened(Screened{Result: "BARE NEWLINE", Stage: "HELO\nx"}), []string{"postfix/postscreen" + s + "BARE NEWLINE from [192.0.2.1]:4711 after HELO?x"}},
		"it is one too many":    {screened(Screened{Result: "BUSY"}), []string{"postfix/postscreen" + s + "NOQUEUE: reject: CONNECT from [192.0.2.1]:4711: all screening ports busy"}},
		"a lookup fails": {Lookup{Service: "proxymap", Session: "S1", Client: "192.0.2.1", Table: "mailboxes", Key: "a@b\n", Result: LookupFailed, Err: errors.New("no disk")},
			[]string{"postfix/proxymap" + s + `warning: mailboxes lookup error for "a@b?": no disk`}},
		"a table is not there": {Lookup{Service: "proxymap", Session: "S1", Client: "192.0.2.1", Table: "x\r", Key: "k", Result: LookupUnknown},
			[]string{"postfix/proxymap" + s + `warning: request for unapproved table: "x?"`}},
		"a request is none": {Lookup{Service: "proxymap", Session: "S1", Client: "192.0.2.1", Result: LookupMalformed},
			[]string{"postfix/proxymap" + s + "warning: malformed request from unknown[192.0.2.1]"}},
		"its recipient": {Reject{Service: "postscreen", Session: "S1", Client: "192.0.2.1", Port: 4711, Mail: true, To: "d@e", Stage: "rcpt", Err: refused(dsn.Policy, "no")},
			[]string{"postfix/postscreen" + s + "NOQUEUE: reject: RCPT from [192.0.2.1]:4711: 554 5.7.1 no; from=<>, to=<d@e>, proto=ESMTP, helo=<>"}},
		"not from a session": {Queued{ID: "Q1", From: "", Size: 1, Recipients: 1}, []string{"postfix/cleanup" + p + "Q1: message-id=", "postfix/qmgr" + p + "Q1: from=<>, size=1, nrcpt=1 (queue active)"}},
	} {
		l, file := open(t, Options{Format: Postfix, Hostname: "mx", Buffer: 1 << 16})
		number := (&postfixLines{}).number("S1")
		l.Event(c.event)
		settled(l)
		var got []string
		for line := range strings.Lines(contents(t, file)) {
			_, line, _ = strings.Cut(strings.TrimSuffix(line, "\n"), " mx ")
			line = strings.ReplaceAll(strings.ReplaceAll(line, "["+itoa(number)+"]: ", s), "["+itoa(int64(os.Getpid()))+"]: ", p)
			got = append(got, line)
		}
		if strings.Join(got, "\n") != strings.Join(c.lines, "\n") {
			t.Errorf("%s:\n got %s\nwant %s", name, strings.Join(got, "\n     "), strings.Join(c.lines, "\n     "))
		}
	}
}
