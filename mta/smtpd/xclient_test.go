package smtpd

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"toastmaster/configs"
	"toastmaster/directory/tables"
	"toastmaster/internal/testkit/peers"
)

// The dialogues of hosts that speak for others. What stands behind "!" is our reply where it is another one.
func impersonations() [][]string {
	const message = "Subject: told\r\n\r\ntext\r\n."
	return [][]string{
		{"EHLO c", "XCLIENT", "XCLIENT FOO", "XCLIENT FOO=bar", "XCLIENT ADDR=x", "XCLIENT PROTO=FOO", "XCLIENT NAME=x..y", "XCLIENT NAME=-x-", "XCLIENT NAME=bad+XX", "QUIT"},
		// The told client is in a trusted network, and may not go on telling.
		{"EHLO c", "XCLIENT NAME=spike.test ADDR=192.0.2.7 PORT=99 PROTO=SMTP HELO=told.test", "MAIL FROM:<a@x.test>", "RCPT TO:<b@elsewhere.test>",
			"RCPT TO:<alice@example.test>", "XCLIENT NAME=x.test", "RSET", "XCLIENT ADDR=127.0.0.1", "EHLO again", "QUIT"},
		// The told client is refused; what follows is not Postfix's: we hang up.
		{"XCLIENT NAME=spike.test ADDR=198.51.100.9"},
		{"EHLO c", "XCLIENT NAME=other.test ADDR=198.51.100.7", "EHLO x", "MAIL FROM:<a@x.test>", "RCPT TO:<b@elsewhere.test>", "RCPT TO:<alice@example.test>", "QUIT"},
		{"EHLO c", "XCLIENT NAME=[TEMPUNAVAIL] ADDR=[unavailable] PORT=[UNAVAILABLE]", "EHLO x", "XCLIENT ADDR=127.0.0.1", "MAIL FROM:<a@x.test>",
			"RCPT TO:<b@elsewhere.test>", "RCPT TO:<alice@example.test>", "DATA", message, "QUIT"},
		{"EHLO c", "XFORWARD", "XFORWARD FOO=x", "XFORWARD ADDR=xx", "XFORWARD SOURCE=x", "XFORWARD NAME=spike.test ADDR=192.0.2.7 PORT=44 PROTO=ESMTP HELO=told.test SOURCE=REMOTE IDENT=A+2B1",
			"XFORWARD PROTO=a+20b", "MAIL FROM:<a@x.test>", "XFORWARD NAME=x.test", "RCPT TO:<alice@example.test>", "DATA", message, "MAIL FROM:<a@x.test>", "RCPT TO:<alice@example.test>", "DATA", message, "QUIT"},
		{"HELO c", "XFORWARD NAME=[UNAVAILABLE] SOURCE=LOCAL", "XFORWARD name=x.test", "QUIT"},
		{"EHLO c", "XCLIENT HELO=told+2Etest PROTO=ESMTP DESTADDR=192.0.2.250 DESTPORT=26", "MAIL FROM:<a@x.test>", "RCPT TO:<b@elsewhere.test>", "RCPT TO:<alice@example.test>", "QUIT"},
	}
}

// spoken are the replies to a dialogue: code, status, and what EHLO announces about it.
func spoken(t *testing.T, server string, dialogue []string) []string {
	t.Helper()
	c := dialFrom(t, server, "127.0.0.1")
	defer c.Close()
	var out []string
	for _, command := range append([]string{""}, dialogue...) {
		if command != "" {
			fmt.Fprintf(c, "%s\r\n", command)
		}
		c.SetDeadline(time.Now().Add(time.Minute))
		for {
			line, err := c.in.ReadString('\n')
			if err != nil {
				t.Fatalf("%q: %v", command, err)
			}
			line = strings.TrimRight(line, "\r\n")
			if word := line[4:]; strings.HasPrefix(word, "XCLIENT ") || strings.HasPrefix(word, "XFORWARD ") {
				out = append(out, "announced: "+word)
			}
			if line[3] == '-' {
				continue
			}
			verb, _, _ := strings.Cut(command, " ")
			said := regexp.MustCompile(`^\d{3}( \d\.\d\.\d)?`).FindString(line)
			if strings.HasPrefix(verb, "X") {
				said = strings.TrimSuffix(strings.Replace(line, "Postfix (Debian/GNU)", "ready", 1), " ESMTP ready")
			}
			out = append(out, command[:min(len(command), 40)]+" -> "+said)
			break
		}
	}
	return out
}

// TestXClientAndXForwardAsPostfix: the same dialogue, the same answers, and the same about the client in the log and in
// what is accepted.
func TestXClientAndXForwardAsPostfix(t *testing.T) {
	t.Parallel()
	peers.NeedRoot(t, "Postfix")
	peers.Need(t, "postfix", "postfix")
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	p, err := peers.StartPostfix(ctx, peers.PostfixOptions{
		Dir: peers.TempDir(t), Hostname: "mx.test", Accounts: []peers.Account{{Address: "alice@example.test"}},
		Main: `smtpd_authorized_xclient_hosts = 127.0.0.0/8
smtpd_authorized_xforward_hosts = 127.0.0.0/8
mynetworks = 192.0.2.0/24
smtpd_client_restrictions = check_client_access inline:{ {198.51.100.9 = REJECT} }
smtpd_delay_reject = no
smtpd_recipient_restrictions =
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
`,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Stop)
	set := tables.NewSet(tables.Options{Params: configs.Default().Lookup})
	t.Cleanup(func() { set.Close() })
	b := newBed(t)
	b.o.Trusted, b.o.Tables = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, set
	b.o.Params.XClientHosts, b.o.Params.XForwardHosts = []string{"127.0.0.0/8"}, []string{"127.0.0.0/8"}
	b.o.Params.Restrictions.Client, b.o.Params.Restrictions.Delay = []string{"check_client_access inline:{ {198.51.100.9 = REJECT} }"}, false
	ours := serve(t, served(daemon(t, b.o).MX()), nil)
	for _, dialogue := range impersonations() {
		theirs, mine := spoken(t, p.SMTP(), dialogue), spoken(t, ours, dialogue)
		if a, b := strings.Join(theirs, "\n"), strings.Join(mine, "\n"); a != b {
			t.Errorf("%q\n--- ours\n%s\n--- Postfix\n%s", dialogue, b, a)
		}
	}
	b.sent.mu.Lock()
	defer b.sent.mu.Unlock()
	if len(b.sent.all) != 3 {
		t.Fatalf("%d messages", len(b.sent.all))
	}
	unknown, forwarded, after := b.sent.all[0].Envelope.Origin, b.sent.all[1].Envelope.Origin, b.sent.all[2].Envelope.Origin
	if unknown.ClientAddr != "unknown" || unknown.ClientName != "unknown" {
		t.Errorf("%+v", unknown)
	}
	if f := forwarded.Forwarded; f == nil || f.Name != "spike.test" || f.Addr != "192.0.2.7" || f.Port != "44" || f.Proto != "a?b" || f.Helo != "told.test" || f.Source != "REMOTE" || f.Ident != "A+1" ||
		forwarded.ClientAddr != "127.0.0.1" {
		t.Errorf("%+v, %+v", forwarded, forwarded.Forwarded)
	}
	if after.Forwarded != nil {
		t.Error("the next message has it, too")
	}
}

// TestXClientLogin: who was vouched for is that user, an unknown or disabled one is nobody.
func TestXClientLogin(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.o.Trusted, b.o.Params.XClientHosts = nil, []string{"127.0.0.0/8"}
	play(t, b, (*Daemon).Submission, `S: 220 *
C: XCLIENT ADDR=192.0.2.99 HELO=phone.test LOGIN=alice@example.test
S: 220 *
C: AUTH PLAIN AA==
S: 503 5.5.1 Already authenticated
C: MAIL FROM:<bob@example.test>
S: 553 5.7.1 *
C: MAIL FROM:<alice@example.test>
S: 250 *
C: RCPT TO:<x@elsewhere.test>
S: 250 *
C: DATA
S: 354 *
C: Subject: x
C:
C: .
S: 250 *
C: QUIT
S: 221 *
`)
	sub, _ := b.sent.last(t)
	if o := sub.Envelope.Origin; o.Login != "alice@example.test" || o.Mechanism != "XCLIENT" || o.ClientAddr != "192.0.2.99" || o.Helo != "phone.test" || o.Protocol != "SMTPA" {
		t.Errorf("%+v", o)
	}
	for _, login := range []string{"nobody@example.test", "off@example.test", "alice"} {
		play(t, b, (*Daemon).Submission, "S: 220 *\nC: XCLIENT LOGIN="+login+"\nS: 535 5.7.8 Authentication failed\n")
	}
}

// TestThePortOfAClientIsKept: that of the connection, or what XCLIENT has told, or none.
func TestThePortOfAClientIsKept(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.o.Trusted, b.o.Params.XClientHosts = nil, []string{"127.0.0.0/8"}
	address := serve(t, served(daemon(t, b.o).MX()), nil)
	for told, want := range map[string]int{"": -1, "XCLIENT ADDR=192.0.2.7 PORT=4711": 4711, "XCLIENT ADDR=192.0.2.7": 0} {
		c := dialFrom(t, address, "127.0.0.1")
		c.reply(t, "greeting")
		commands := []string{"EHLO c.test", "MAIL FROM:<a@x.test>", "RCPT TO:<alice@example.test>", "DATA", "Subject: port\r\n\r\ntext\r\n.", "QUIT"}
		if told != "" {
			commands = append([]string{told}, commands...)
		}
		c.say(t, commands...)
		if want < 0 {
			want = c.LocalAddr().(*net.TCPAddr).Port
		}
		c.Close()
		if sent, _ := b.sent.last(t); int(sent.Envelope.Origin.ClientPort) != want {
			t.Errorf("%q: port %d, want %d", told, sent.Envelope.Origin.ClientPort, want)
		}
	}
}
