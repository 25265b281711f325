package smtpd

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"toastmaster/configs"
	"toastmaster/directory/tables"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/testkit/filtertest"
)

// proxied is a bed with a filter before the queue, whose answers are on.
func proxied(t *testing.T, on func(string) string) (*bed, *filtertest.Filter) {
	t.Helper()
	f, err := filtertest.Start(filtertest.Options{Name: "filter.test", Keywords: []string{"XFORWARD NAME ADDR"}, On: on})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	b := newBed(t)
	b.o.Params.ProxyFilter, b.o.Params.ProxyTimeout = f.Addr(), time.Minute
	return b, f
}

const proxiedSession = "S: 220 *\nC: EHLO client.test\nS: ...\nS: 250 CHUNKING\nC: MAIL FROM:<x@elsewhere.test>\nS: 250 *\n"

// TestAFilterThatFails: no answer, half of one, one that is none, one without end, and none in its time are one reply to the client,
// who hears nothing of the filter, and a message is nowhere.
func TestAFilterThatFails(t *testing.T) {
	t.Parallel()
	for name, on := range map[string]func(command string) string{
		"garbage": func(c string) string { return map[string]string{".": "what?"}[c] },
		"half":    func(c string) string { return map[string]string{".": "250-half\r\n550 other"}[c] },
		"endless": func(c string) string {
			return map[string]string{".": strings.Repeat("250-more\r\n", 20_000) + "250 end"}[c]
		},
		"a long line": func(c string) string { return map[string]string{".": "250 " + strings.Repeat("x", 100_000)}[c] },
		"closes":      func(c string) string { return map[string]string{".": "close"}[c] },
		"go on":       func(c string) string { return map[string]string{".": "354 more"}[c] },
		"no DATA":     func(c string) string { return map[string]string{"DATA": "250 fine"}[c] },
	} {
		b, _ := proxied(t, on)
		play(t, b, (*Daemon).MX, proxiedSession+`C: RCPT TO:<alice@example.test>
S: 250 *
C: DATA
S: 354 *
C: x
C: .
S: 451 4.3.0 Error: queue file write error
C: MAIL FROM:<x@elsewhere.test>
S: 250 *
C: QUIT
S: 221 *
`)
		if len(b.sent.all) > 0 {
			t.Errorf("%s: it is in the queue", name)
		}
	}
	b, _ := proxied(t, nil)
	l, err := net.Listen("tcp", "127.0.0.1:0") // nobody accepts: a greeting never comes
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	b.o.Params.ProxyFilter, b.o.Params.ProxyTimeout = l.Addr().String(), 10*time.Millisecond
	play(t, b, (*Daemon).MX, proxiedSession+"C: RCPT TO:<alice@example.test>\nS: 451 4.3.0 Error: queue file write error\nC: QUIT\nS: 221 *\n")
}

// TestAFilterThatSaysMuch: what it says is the answer, at whatever length, and in lines of several codes: who has taken a message has it.
func TestAFilterThatSaysMuch(t *testing.T) {
	t.Parallel()
	for said, heard := range map[string]string{
		"250 2.0.0 " + strings.Repeat("x", 9000):                             "S: 250 2.0.0 xxx*\n",
		"250-2.0.0 " + strings.Repeat("x", 3000) + "\r\n251 2.0.0 mine":      "S: 250-2.0.0 xxx*\nS: 250 2.0.0 mine\n",
		strings.Repeat("250-2.0.0 more\r\n", 150) + "250 2.0.0 mine":         "S: ...\nS: 250 2.0.0 mine\n",
		"554-5.7.1 " + strings.Repeat("y", 3000) + "\r\n550 5.7.0 not to me": "S: 550-5.7.0 yyy*\nS: 550 5.7.0 not to me\n",
		"450-no\n450 4.2.0 later\r":                                          "S: 450-4.2.0 no\nS: 450 4.2.0 later\n",
	} {
		b, _ := proxied(t, func(c string) string { return map[string]string{".": said}[c] })
		play(t, b, (*Daemon).MX, proxiedSession+"C: RCPT TO:<alice@example.test>\nS: 250 *\nC: DATA\nS: 354 *\nC: x\nC: .\n"+heard+"C: QUIT\nS: 221 *\n")
	}
}

// TestAliasesThatAreRefusedTakeNoRoom: what the members of an alias count is counted once it is a recipient, not when a filter refuses it.
func TestAliasesThatAreRefusedTakeNoRoom(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	b, _ := proxied(t, func(c string) string {
		if strings.HasPrefix(c, "RCPT TO:<sales@") && asked.Add(1) < 3 {
			return "550 5.7.1 not now"
		}
		return ""
	})
	play(t, b, (*Daemon).MX, proxiedSession+`C: RCPT TO:<alice@example.test>
S: 250 *
C: RCPT TO:<sales@example.test>
S: 550 5.7.1 not now
C: RCPT TO:<sales@example.test>
S: 550 5.7.1 not now
C: RCPT TO:<bob@example.test>
S: 250 *
C: RCPT TO:<sales@example.test>
S: 250 *
C: RCPT TO:<sales@alias.test>
S: 452 4.5.3 Too many recipients
C: QUIT
S: 221 *
`)
}

// TestWhatAFilterGets: fields that restrictions want, our Received, and the message, by BDAT, too; nothing of what is discarded.
func TestWhatAFilterGets(t *testing.T) {
	t.Parallel()
	b, f := proxied(t, nil)
	b.o.Params.Restrictions.Data = []string{"check_sender_access inline:{ {x@elsewhere.test = PREPEND X-Seen: yes}, {hold@elsewhere.test = HOLD}, {gone@elsewhere.test = DISCARD} }"}
	set := tables.NewSet(tables.Options{Params: configs.Default().Lookup})
	t.Cleanup(func() { set.Close() })
	b.o.Tables = set
	play(t, b, (*Daemon).MX, proxiedSession+`C: RCPT TO:<alice@example.test>
S: 250 *
C: BDAT 6
C> A: b\r\n
S: 250 *
C: BDAT 6 LAST
C> text\r\n
S: 250 2.0.0 Ok
C: MAIL FROM:<hold@elsewhere.test>
S: 250 *
C: RCPT TO:<alice@example.test>
S: 250 *
C: DATA
S: 354 *
C: held
C: .
S: 250 2.0.0 Ok
C: MAIL FROM:<gone@elsewhere.test>
S: 250 *
C: RCPT TO:<alice@example.test>
S: 250 *
C: DATA
S: 354 *
C: gone
C: .
S: 250 *
C: QUIT
S: 221 *
`)
	all := f.Messages()
	if len(all) != 2 || !strings.HasPrefix(all[0].Text, "X-Seen: yes\nReceived: from client.test (localhost [127.0.0.1])\n\tby mx.test (Toastmaster) with ESMTP id ") ||
		!strings.Contains(all[0].Text, "\n\tfor <alice@example.test>; ") || !strings.HasSuffix(all[0].Text, "\nA: b\ntext\n") || !strings.HasSuffix(all[1].Text, "\nheld\n") {
		t.Errorf("%+v", all)
	}
}

// TestAuthorsBeforeTheFilter: a user who writes as somebody else is refused before the filter has the message: behind it nobody knows the log-in.
func TestAuthorsBeforeTheFilter(t *testing.T) {
	t.Parallel()
	b, f := proxied(t, nil)
	b.o.Trusted = []netip.Prefix{}
	b.o.CheckAuthor = func(_ context.Context, s *envelope.Submission) error {
		if s.Author.String() != "alice@example.test" || s.Content.Size() == 0 {
			t.Errorf("%+v", s)
		}
		return dsn.New(dsn.Policy, "not yours").WithCode(550)
	}
	play(t, b, (*Daemon).Submission, "S: 220 *\nC: EHLO client.test\nS: ...\nS: 250 CHUNKING\nC: AUTH PLAIN AGFsaWNlQGV4YW1wbGUudGVzdABzZWNyZXQ=\nS: 235 *\n"+`C: MAIL FROM:<alice@example.test>
S: 250 *
C: RCPT TO:<bob@example.test>
S: 250 *
C: DATA
S: 354 *
C: From: bob@example.test
C: .
S: 550 5.7.1 not yours
C: QUIT
S: 221 *
`)
	if len(f.Messages()) > 0 {
		t.Error("the filter has it")
	}
}
