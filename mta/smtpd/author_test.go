package smtpd

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"toastmaster/internal/anvil"
	"toastmaster/internal/clock"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/msglog"
)

// loggedIn is the begin of a dialogue of alice.
const loggedIn = "S: 220 *\nC: EHLO client.test\nS: ...\nS: 250 CHUNKING\nC: AUTH PLAIN AGFsaWNlQGV4YW1wbGUudGVzdABzZWNyZXQ=\nS: 235 2.7.0 *\n"

// lockedLog is a log that a test reads while sessions write it.
type lockedLog struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// TestForeignAuthor: a user may write as somebody at another host, which is a line
// in the log; or not.
func TestForeignAuthor(t *testing.T) {
	t.Parallel()
	const message = "C: MAIL FROM:<alice@example.test>\nS: 250 *\nC: RCPT TO:<x@elsewhere.test>\nS: 250 *\nC: DATA\nS: 354 *\n" +
		"C: From: Me <alice@gmail.example>\nC: \nC: .\n"
	b := newBed(t)
	var log lockedLog
	b.o.Log = msglog.New(slog.NewTextHandler(&log, nil))
	play(t, b, (*Daemon).Submission, loggedIn+message+"S: 250 *\nC: QUIT\nS: 221 *\nS: <end>\n")
	if !strings.Contains(log.String(), `msg="foreign author" service=smtpd session=`) || !strings.Contains(log.String(), "login=alice@example.test field=from from=alice@gmail.example") {
		t.Error(log.String())
	}
	b.o.Params.ForeignHeaderFrom = false
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
	d := New(b.o)
	taken := 0
	for range 10 {
		s := &session{d: d, env: &envelope.Envelope{Recipients: make([]envelope.Recipient, 1)}}
		s.user.Address.Local, s.user.Address.Domain = "Alice", "example.test"
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

// FuzzAuthorFields: nothing in a header makes the search fail, or find what is
// behind its end.
func FuzzAuthorFields(f *testing.F) {
	for _, s := range []string{"From: a@b\n c\n\nFrom: d", "fr\x00om:\r\n\n", "From:\r\rSender: <x>\n", " From: x\n", "From"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, header string) {
		if strings.Contains(header, "\n\n") || strings.HasPrefix(header, "\n") {
			return
		}
		before, err := authorFields(envelope.Memory(header))
		after, err2 := authorFields(envelope.Memory(strings.TrimSuffix(header, "\n") + "\n\nFrom: body@example.test\n"))
		if (err == nil) != (err2 == nil) || len(before) != len(after) {
			t.Errorf("%q: %v %v, %v %v", header, before, err, after, err2)
		}
		for _, field := range before {
			shownAddresses(field.value)
		}
	})
}
