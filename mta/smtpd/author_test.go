package smtpd

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"toastmaster/internal/anvil"
	"toastmaster/internal/clock"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/msglog"
	"toastmaster/internal/testkit/logtest"
)

// loggedIn is the begin of a dialogue of alice.
const loggedIn = "S: 220 *\nC: EHLO client.test\nS: ...\nS: 250 CHUNKING\nC: AUTH PLAIN AGFsaWNlQGV4YW1wbGUudGVzdABzZWNyZXQ=\nS: 235 2.7.0 *\n"

// TestForeignAuthor: a user may write as somebody at another host, which is a line
// in the log; or not.
func TestForeignAuthor(t *testing.T) {
	t.Parallel()
	const message = "C: MAIL FROM:<alice@example.test>\nS: 250 *\nC: RCPT TO:<x@elsewhere.test>\nS: 250 *\nC: DATA\nS: 354 *\n" +
		"C: From: Me <alice@gmail.example>\nC: \nC: .\n"
	b := newBed(t)
	var log logtest.Buffer
	b.o.Log = msglog.New(slog.NewTextHandler(&log, nil))
	b.pipeline(t)
	play(t, b, (*Daemon).Submission, loggedIn+message+"S: 250 *\nC: QUIT\nS: 221 *\nS: <end>\n")
	if !strings.Contains(log.String(), `msg="foreign author" service=smtpd session=`) || !strings.Contains(log.String(), "login=alice@example.test field=from from=alice@gmail.example") {
		t.Error(log.String())
	}
	b.o.Params.ForeignHeaderFrom = false
	b.pipeline(t)
	play(t, b, (*Daemon).Submission, loggedIn+message+"S: 550 5.7.1 <alice@gmail.example>: From header address is not owned by alice@example.test\nC: QUIT\nS: 221 *\nS: <end>\n")
	b.o.Params.CheckHeaderFrom = false
	play(t, b, (*Daemon).Submission, loggedIn+message+"S: 250 *\nC: QUIT\nS: 221 *\nS: <end>\n")
}

// TestLimitsOfAUser: messages and recipients an hour, over all sessions, and only
// what was taken counts.
func TestLimitsOfAUser(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.o.Params.UserMessageLimit, b.o.Params.UserRecipientLimit = 3, 5
	b.o.Counter = anvil.New(anvil.Options{Unit: time.Hour, Keys: 1000, Clock: clock.System{}})
	mail := func(recipients int, rcpt, end string) string {
		return "C: MAIL FROM:<>\nS: 250 *\n" + strings.Repeat("C: RCPT TO:<x@elsewhere.test>\nS: 250 *\n", recipients) + rcpt + "C: DATA\nS: 354 *\nC: Subject: x\nC: \n" + end
	}
	const over = "S: 450 4.7.1 <alice@example.test>: The limit of %s an hour is reached, try again later\n"
	messages, recipients := strings.Replace(over, "%s", "3 messages", 1), strings.Replace(over, "%s", "5 recipients", 1)
	const good, bye = "C: .\nS: 250 *\n", "C: QUIT\nS: 221 *\nS: <end>\n"
	play(t, b, (*Daemon).Submission, loggedIn+
		mail(1, "", good)+
		mail(1, "", "C: full\nC: .\nS: 452 4.3.1 *\n")+ // not taken, not counted
		mail(4, "C: RCPT TO:<y@elsewhere.test>\n"+recipients, good)+bye)
	play(t, b, (*Daemon).Submission, loggedIn+"C: MAIL FROM:<>\nS: 250 *\nC: RCPT TO:<x@elsewhere.test>\n"+recipients+bye)
	b.o.Params.UserRecipientLimit = 0
	play(t, b, (*Daemon).Submission, loggedIn+mail(9, "", good)+"C: MAIL FROM:<>\n"+messages+bye)
	// Who did not log in is somebody else.
	play(t, b, (*Daemon).MX, "S: 220 *\nC: EHLO c\nS: ...\nS: 250 CHUNKING\n"+strings.Repeat(mail(9, "", good), 5)+bye)
}

// TestLimitsHoldAtTheEndOfTheData: sessions that began below the limit do not
// pass it together.
func TestLimitsHoldAtTheEndOfTheData(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.o.Params.UserMessageLimit = 3
	b.o.Counter = anvil.New(anvil.Options{Unit: time.Hour, Keys: 1000, Clock: clock.System{}})
	d := daemon(t, b.o)
	taken := 0
	for range 10 {
		s := &session{d: d, env: &envelope.Envelope{Recipients: make([]envelope.Recipient, 1)}}
		s.known.User.Address.Local, s.known.User.Address.Domain = "Alice", "example.test"
		if _, err := s.takeLimits(); err == nil {
			taken++
		} else if e := dsn.From(err); e.Status != dsn.PolicyLater || e.Reply() != 450 {
			t.Error(err)
		}
	}
	if taken != 3 {
		t.Errorf("%d of 3 messages", taken)
	}
}

// TestHiddenAuthor: no way of writing a field hides from the check what a mail
// program shows of it.
func TestHiddenAuthor(t *testing.T) {
	t.Parallel()
	long := strings.Repeat(" ", 16<<10)
	const refused = "S: 550 5.7.1 <bob@example.test>: From header address is not owned by alice@example.test\n"
	const me = " <alice@example.test>"
	for name, test := range map[string]struct{ header, reply string }{
		"behind what is kept":    {"From: alice@example.test" + long + ", bob@example.test", "S: 550 5.6.0 A From or Sender field of the header is too long\n"},
		"as much of a sender":    {"From: alice@example.test\nC: Sender: alice@example.test" + long + ", bob@example.test", "S: 550 5.6.0 A From or Sender field of the header is too long\n"},
		"a padded name":          {"Subject: x\nC: From" + strings.Repeat(" ", 2000) + ": bob@example.test", refused},
		"a name padded for long": {"Subject: x\nC: From" + long + ": bob@example.test", "S: 550 5.6.0 A From or Sender field of the header is too long\n"},
		"a quoted pair":          {`From: "bob\@example.test"` + me, refused},
		"all quoted pairs":       {`From: "\b\o\b\@\e\x\a\m\p\l\e\.\t\e\s\t"` + me, refused},
		"a quoted pair, comment": {`From: alice@example.test (bob\@example.test)`, refused},
		"base64 not padded":      {"From: =?utf-8?B?Ym9iQGV4YW1wbGUudGVzdA?=" + me, refused},
		"base64 with blanks":     {`From: "=?utf-8?B?Ym9i QGV4 YW1wbGUudGVzdA?="` + me, refused},
		"a word with blanks":     {`From: "=?utf-8?q?The bob=40example.test?="` + me, refused},
		"a word with a language": {"From: =?utf-8*en?q?bob=40example.test?=" + me, refused},
		"split words":            {"From: =?utf-8?q?bob=EF=BC?= =?utf-8?q?=A0example.test?=" + me, refused},
		"UTF-7":                  {"From: =?utf-7?Q?bob+AEA-example.test?=" + me, refused},
		"behind many":            {`From: "` + strings.Repeat("x@elsewhere.test ", 50+1) + `bob@example.test"` + me, refused},
		"too many":               {`From: "` + strings.Repeat("x@elsewhere.test ", 50) + "a@b.test " + strings.Join(manyAddresses(50), " ") + ` bob@example.test"` + me, "S: 550 5.6.0 The From field of the header has too many addresses\n"},
		"nothing to hide":        {`From: "=?utf-8?B?QWxpY2U?= \"Al\" =?x?q?=3d=?="` + me, "S: 250 *\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// A dialogue has escapes of its own.
			test.header = strings.ReplaceAll(test.header, `\`, `\\`)
			b := newBed(t)
			b.pipeline(t)
			play(t, b, (*Daemon).Submission, loggedIn+"C: MAIL FROM:<alice@example.test>\nS: 250 *\nC: RCPT TO:<x@elsewhere.test>\nS: 250 *\nC: DATA\nS: 354 *\n"+
				"C: "+test.header+"\nC: \nC: .\n"+test.reply+"C: QUIT\nS: 221 *\nS: <end>\n")
		})
	}
}

// manyAddresses are n addresses of another host.
func manyAddresses(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("u%d@elsewhere.test", i)
	}
	return list
}
