package smtpd

import (
	"bufio"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"toastmaster/configs"
	"toastmaster/directory/tables"
	"toastmaster/internal/msglog"
	"toastmaster/internal/netstring"
	"toastmaster/internal/testkit/logtest"
	"toastmaster/internal/testkit/transcript"
)

// wordy is a bed with parameters, tables and a log.
func wordy(t *testing.T, set func(*configs.SMTPD)) (*bed, *logtest.Buffer) {
	t.Helper()
	b := newBed(t)
	b.o.Trusted = nil
	set(&b.o.Params)
	tabs := tables.NewSet(tables.Options{Params: configs.Default().Lookup})
	t.Cleanup(func() { tabs.Close() })
	log := &logtest.Buffer{}
	b.o.Tables, b.o.Log = tabs, msglog.New(slog.NewTextHandler(log, nil))
	return b, log
}

const wordyHello = "S: 220 *\nC: EHLO client.test\nS: ...\nS: 250 CHUNKING\nC: MAIL FROM:<x@elsewhere.test>\nS: 250 *\n"

// TestRejectFooter: behind each refusal, with its code and status, on lines of its own or behind the text; a table has others. What a client
// says comes into it with harmless characters alone.
func TestRejectFooter(t *testing.T) {
	t.Parallel()
	for footer, says := range map[string]string{
		`call 555, $client_address at $server_name`: "S: 550-5.1.1 <nobody@example.test>: User unknown\nS: 550 5.1.1 call 555, 127.0.0.1 at mx.test\n",
		`\c; see $client`:       "S: 550 5.1.1 <nobody@example.test>: User unknown; see localhost[127.0.0.1]\n",
		`one\ntwo\n`:            "S: 550-5.1.1 <nobody@example.test>: User unknown\nS: 550-5.1.1 one\nS: 550 5.1.1 two\n",
		`${client_port?port}$$`: "S: 550-5.1.1 <nobody@example.test>: User unknown\nS: 550 5.1.1 port$\n",
	} {
		b, _ := wordy(t, func(p *configs.SMTPD) { p.Footer.Text = footer })
		play(t, b, (*Daemon).MX, wordyHello+"C: RCPT TO:<nobody@example.test>\n"+says+"C: RCPT TO:<alice@example.test>\nS: 250 2.1.5 Ok\nC: QUIT\nS: 221 *\n")
	}
	b, _ := wordy(t, func(p *configs.SMTPD) {
		p.Footer.Text, p.Footer.Maps = "usual", []string{`regexp:{ {/User unknown/ \c, sorry} }`}
		p.ExpansionFilter = "abc"
	})
	play(t, b, (*Daemon).MX, wordyHello+"C: RCPT TO:<nobody@example.test>\nS: 550 5.1.1 <nobody@example.test>: User unknown, sorry\nC: FOO\nS: 500-5.5.1 Command not recognized\nS: 500 5.5.1 usual\nC: QUIT\nS: 221 *\n")
	for _, bad := range []string{"$nobody", "${client", "$", "a\nb"} {
		if configs.CheckFooter(bad) == nil {
			t.Errorf("%q is taken", bad)
		}
	}
	b.o.Params.ExpansionFilter = "127.0"
	if got := b.o.Params.Filtered("<a>127.0.0.1"); got != "___127.0.0.1" {
		t.Error(got)
	}
}

// TestCommandsInThePlaceOfOthers: a table mends what a client says; one that cannot answer is a reply for later, and no command is run.
func TestCommandsInThePlaceOfOthers(t *testing.T) {
	t.Parallel()
	b, log := wordy(t, func(p *configs.SMTPD) {
		p.CommandFilter = []string{`pcre:{ {/^RCPT\s+TO:\s*<'([^']+)'>(.*)/ RCPT TO:<$1>$2}, {/^(AUTH PLAIN) .*/ NOOP} }`}
	})
	play(t, b, (*Daemon).MX, wordyHello+"C: RCPT TO:<'alice@example.test'>\nS: 250 *\nC: AUTH PLAIN c2VjcmV0\nS: 250 *\nC: QUIT\nS: 221 *\n")
	if text := log.String(); !strings.Contains(text, "was=RCPT is=RCPT") || strings.Contains(text, "c2VjcmV0") {
		t.Error(text)
	}
	b, _ = wordy(t, func(p *configs.SMTPD) { p.CommandFilter = []string{"fail:nothing"} })
	play(t, b, (*Daemon).MX, "S: 220 *\nC: EHLO client.test\nS: 451 4.3.0 Temporary lookup failure\n")
}

// TestForbiddenCommands: words of the list and of tables end the session, in any case of letters; commands that there are do not, and an empty
// list forbids nothing.
func TestForbiddenCommands(t *testing.T) {
	t.Parallel()
	for line, says := range map[string]string{"get / HTTP/1.1": "521 5.7.1 This is a mail server", "Host: x": "521 *", "FOO": "500 *", "MAIL FROM:<a@b.test>": "503 *"} {
		b, _ := wordy(t, func(p *configs.SMTPD) {
			p.ForbiddenCommands = append(p.ForbiddenCommands, "MAIL", "regexp:{ {/:$/ it is a header} }")
		})
		play(t, b, (*Daemon).MX, "S: 220 *\nC: "+line+"\nS: "+says+"\n")
	}
	b, _ := wordy(t, func(p *configs.SMTPD) { p.ForbiddenCommands = nil })
	play(t, b, (*Daemon).MX, "S: 220 *\nC: GET / HTTP/1.1\nS: 500 *\nC: QUIT\nS: 221 *\n")
}

// TestPermitsAreLogged: of the restrictions that are named, or are in a table, and not of those with ! before them. The port of a client is
// in the log where that is wanted.
func TestPermitsAreLogged(t *testing.T) {
	t.Parallel()
	for names, want := range map[string]bool{"permit": true, "static:all": true, "!permit static:all": false, "permit_mynetworks": false, "": false,
		"inline:{permit=x}": true, "!inline:{permit=x} static:all": false, "inline:{other=x} permit": true,
	} {
		b, log := wordy(t, func(p *configs.SMTPD) {
			p.LogPermits, p.PortLogging = strings.Fields(names), true
			p.Restrictions.Recipient = []string{"permit"}
		})
		play(t, b, (*Daemon).MX, wordyHello+"C: RCPT TO:<alice@example.test>\nS: 250 *\nC: QUIT\nS: 221 *\n")
		if text := log.String(); strings.Contains(text, "msg=permit") != want || !strings.Contains(text, " port=") {
			t.Errorf("%q: %s", names, text)
		}
	}
}

// TestAPermitListThatCannotAnswer: a table of log_access_permit_actions that has no answer is heard of, and asked again when there is something
// to log, without a reload.
func TestAPermitListThatCannotAnswer(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "s")
	b, log := wordy(t, func(p *configs.SMTPD) {
		p.LogPermits = []string{"socketmap:unix:" + path + ":permits"}
		p.Restrictions.Recipient = []string{"permit"}
	})
	address := serve(t, served(daemon(t, b.o).MX()), nil)
	session := func() string {
		before := len(log.String())
		transcript.Run(t, "session", wordyHello+"C: RCPT TO:<alice@example.test>\nS: 250 *\nC: QUIT\nS: 221 *\n", transcript.Options{Dial: func(t *testing.T, _ string) net.Conn {
			c, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			return c
		}})
		return log.String()[before:]
	}
	if text := session(); !strings.Contains(text, "log_access_permit_actions") || strings.Contains(text, "msg=permit ") {
		t.Error(text)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	var server sync.WaitGroup
	server.Go(func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		for in := bufio.NewReader(c); ; {
			if _, err := netstring.Read(in, 1000); err != nil {
				return
			}
			_, _ = c.Write(netstring.Append(nil, "OK yes"))
		}
	})
	t.Cleanup(func() {
		_ = b.o.Tables.(*tables.Set).Close()
		l.Close()
		server.Wait()
	})
	if text := session(); strings.Contains(text, "log_access_permit_actions") || !strings.Contains(text, "msg=permit ") {
		t.Error(text)
	}
}
