package postscreen

import (
	"crypto/tls"
	"fmt"
	"strings"
	"testing"
	"time"

	"toastmaster/configs"
)

// withDeep is a rig with the tests after the greeting, all with the given action; "" leaves each its own.
func withDeep(t *testing.T, set func(p *configs.Postscreen)) *rig {
	t.Helper()
	return newRig(t, func(r *rig) {
		r.params.Pipelining.Enable, r.params.NonSMTP.Enable, r.params.BareNewline.Enable = true, true, true
		if set != nil {
			set(&r.params)
		}
	})
}

// TestDeepTests: what each kind of client hears, and what the log says of it.
func TestDeepTests(t *testing.T) {
	t.Parallel()
	const passed, refused = "450 4.3.2 Service currently unavailable", "550 5.5.1 Protocol error"
	rejected := func(reply, helo string) string {
		if helo != "" {
			helo = ", helo=<" + helo + ">"
		}
		return "NOQUEUE: reject: RCPT from CLIENT: " + reply + "; from=<a@x.test>, to=<b@y.test>, proto=ESMTP" + helo
	}
	all := func(a configs.ScreenAction) func(p *configs.Postscreen) {
		return func(p *configs.Postscreen) {
			p.Pipelining.Action, p.NonSMTP.Action, p.BareNewline.Action = a, a, a
		}
	}
	const pipelined = `COMMAND PIPELINING from CLIENT after HELO: MAIL FROM:<a@x.test>\r\nRCPT TO:<b@y.test>\r\n`
	steps := func(texts ...string) []string { return texts }
	for name, c := range map[string]struct {
		set  func(p *configs.Postscreen)
		says []string // in turn what it says and what it hears
		log  []string
		// kept says that it is remembered as somebody who has passed.
		kept bool
	}{
		"a good one":                 {nil, steps("HELO c\r\n", "250", "MAIL FROM:<a@x.test>\r\n", "250", "RCPT TO:<b@y.test>\r\n", passed, "QUIT\r\n", "221", "", ""), []string{rejected(passed, "c"), "PASS NEW CLIENT"}, true},
		"one that hangs up at last":  {nil, steps("HELO c\r\n", "250", "MAIL FROM:<a@x.test>\r\n", "250", "RCPT TO:<b@y.test>\r\n", passed), []string{rejected(passed, "c"), "HANGUP after T from CLIENT in tests after SMTP handshake", "PASS NEW CLIENT"}, true},
		"one that leaves too soon":   {nil, steps("HELO c\r\n", "250", "MAIL FROM:<a@x.test>\r\n", "250", "QUIT\r\n", "221", "", ""), nil, false},
		"one that sends DATA anyway": {nil, steps("HELO c\r\n", "250", "MAIL FROM:<a@x.test>\r\n", "250", "RCPT TO:<b@y.test>\r\n", passed, "DATA\r\n", "554 5.5.1 No valid recipients", "", ""), []string{rejected(passed, "c"), "PASS NEW CLIENT"}, true},
		"DATA without MAIL":          {nil, steps("HELO c\r\n", "250", "DATA\r\n", "503 5.5.1", "RSET\r\n", "250", "NOOP\r\n", "250", "QUIT\r\n", "221", "", ""), nil, false},
		"what is not offered": {nil, steps("HELO c\r\n", "250", "AUTH PLAIN AGEAYg==\r\n", "500 5.5.1", "BDAT 3 LAST\r\n", "500 5.5.1", "HELP\r\n", "500 5.5.1", "VRFY x\r\n", "450 4.3.2", "ETRN x.test\r\n", "458",
			"EXPN x\r\n", "502", "STARTTLS\r\n", "502", "XCLIENT ADDR=1.2.3.4\r\n", "500", "MAIL FROM:<a@x.test>\r\n", "250", "RCPT TO:<b@y.test>\r\n", passed, "QUIT\r\n", "221", "", ""), []string{rejected(passed, "c"), "PASS NEW CLIENT"}, true},
		"pipelining, enforce": {all(configs.ScreenEnforce), steps("HELO c\r\nMAIL FROM:<a@x.test>\r\nRCPT TO:<b@y.test>\r\n", "250", "", "250", "", refused, "QUIT\r\n", "221", "", ""), []string{pipelined, rejected(refused, "c")}, false},
		"pipelining, drop":    {all(configs.ScreenDrop), steps("HELO c\r\nMAIL FROM:<a@x.test>\r\nRCPT TO:<b@y.test>\r\n", "521 5.5.1 Protocol error", "", ""), []string{pipelined}, false},
		"pipelining, ignore":  {all(configs.ScreenIgnore), steps("HELO c\r\nMAIL FROM:<a@x.test>\r\nRCPT TO:<b@y.test>\r\n", "250", "", "250", "", passed, "QUIT\r\n", "221", "", ""), []string{pipelined, rejected(passed, "c"), "PASS NEW CLIENT"}, true},
		"pipelining behind RCPT": {all(configs.ScreenEnforce), steps("HELO c\r\n", "250", "MAIL FROM:<a@x.test>\r\n", "250", "RCPT TO:<b@y.test>\r\nDATA\r\n", refused, "", "554", "", ""),
			[]string{`COMMAND PIPELINING from CLIENT after RCPT: DATA\r\n`, rejected(refused, "c")}, false},
		"a browser": {nil, steps("GET / HTTP/1.1\r\n", "521 5.7.0 ", "", ""), []string{"NON-SMTP COMMAND from CLIENT after CONNECT: GET / HTTP/1.1"}, false},
		"a header":  {all(configs.ScreenEnforce), steps("HELO c\r\n", "250", "Subject: hi\r\n", "500", "MAIL FROM:<a@x.test>\r\n", "250", "RCPT TO:<b@y.test>\r\n", refused, "QUIT\r\n", "221", "", ""), []string{"NON-SMTP COMMAND from CLIENT after HELO: Subject: hi", rejected(refused, "c")}, false},
		"a header that is ignored": {all(configs.ScreenIgnore), steps("HELO c\r\n", "250", "Subject: hi\r\n", "500", "To: you\r\n", "500", "MAIL FROM:<a@x.test>\r\n", "250", "RCPT TO:<b@y.test>\r\n", passed, "QUIT\r\n", "221", "", ""),
			[]string{"NON-SMTP COMMAND from CLIENT after HELO: Subject: hi", rejected(passed, "c"), "PASS NEW CLIENT"}, true},
		"another word": {func(p *configs.Postscreen) { p.ForbiddenCommands = []string{"foo"} }, steps("FOO bar\r\n", "521 5.7.0", "", ""), []string{"NON-SMTP COMMAND from CLIENT after CONNECT: FOO bar"}, false},
		"LF alone":     {all(configs.ScreenIgnore), steps("HELO c\n", "250", "MAIL FROM:<a@x.test>\r\n", "250", "RCPT TO:<b@y.test>\n", passed, "QUIT\r\n", "221", "", ""), []string{"BARE NEWLINE from CLIENT after HELO c", rejected(passed, "c"), "PASS NEW CLIENT"}, true},
		"LF alone, enforce": {all(configs.ScreenEnforce), steps("HELO c\n", "250", "MAIL FROM:<a@x.test>\r\n", "250", "RCPT TO:<b@y.test>\n", refused, "QUIT\r\n", "221", "", ""),
			[]string{"BARE NEWLINE from CLIENT after HELO c", rejected(refused, "c")}, false},
		"LF alone, drop":    {all(configs.ScreenDrop), steps("HELO c\n", "521 5.5.1", "", ""), []string{"BARE NEWLINE from CLIENT after HELO c"}, false},
		"a line too long":   {nil, steps("HELO "+strings.Repeat("x", 3000)+"\r\n", "421 4.7.0 mx.test ", "", ""), []string{"COMMAND LENGTH LIMIT from CLIENT after CONNECT"}, false},
		"too many commands": {func(p *configs.Postscreen) { p.CommandCountLimit = 3 }, steps("RSET\r\n", "250", "HELO c\r\n", "250", "NOOP\r\n", "250", "NOOP\r\n", "421 4.7.0 mx.test ", "", ""), []string{"COMMAND COUNT LIMIT from CLIENT after NOOP"}, false},
		"too slow":          {func(p *configs.Postscreen) { p.CommandTimeLimit = 50 * time.Millisecond }, steps("", "421 4.4.2 mx.test ", "", ""), []string{"COMMAND TIME LIMIT from CLIENT after CONNECT"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := withDeep(t, c.set)
			p := r.greeted("127.0.0.2")
			p.hear("220 mx.test ESMTP")
			for i := 0; i < len(c.says); i += 2 {
				p.ask(c.says[i], c.says[i+1])
			}
			_ = p.Close()
			r.wantLog("127.0.0.2", c.log...)
			q := r.dial("127.0.0.2")
			if !c.kept {
				q.hear("220[ -]mx.test") // with "-" when not even the wait was kept
				return
			}
			q.hear("220 next")
			r.wantLog("127.0.0.2", append(c.log, "PASS OLD CLIENT")...)
		})
	}
}

// TestWhatIsAnnounced: no PIPELINING, no AUTH, no CHUNKING; STARTTLS where there is a certificate,
// not twice.
func TestWhatIsAnnounced(t *testing.T) {
	t.Parallel()
	r := withDeep(t, nil)
	r.screen.engine.TLS = certificate(t)
	p := r.greeted("127.0.0.2")
	p.hear("220 mx.test")
	const want = "250-mx.test\r\n250-SIZE 10240000\r\n250-STARTTLS\r\n250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n250-DSN\r\n250 SMTPUTF8\r\n"
	if got := p.ehlo(); got != want {
		t.Errorf("%q", got)
	}
	p.ask("STARTTLS\r\n", "220 2.0.0")
	secured := tls.Client(p.Conn, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // the certificate is the test's own
	must(t, secured.Handshake())
	p.Conn = secured
	p.in.Reset(secured)
	if got := p.ehlo(); got != strings.Replace(want, "250-STARTTLS\r\n", "", 1) {
		t.Errorf("%q", got)
	}
	// The test is made inside TLS, too.
	p.ask("MAIL FROM:<a@x.test>\r\nRCPT TO:<b@y.test>\r\n", "250", "550 5.5.1")
	p.ask("QUIT\r\n", "221", "")
	r.wantLog("127.0.0.2", `COMMAND PIPELINING from CLIENT after MAIL: RCPT TO:<b@y.test>\r\n`,
		"NOQUEUE: reject: RCPT from CLIENT: 550 5.5.1 Protocol error; from=<a@x.test>, to=<b@y.test>, proto=ESMTP, helo=<client.test>")
}

// TestHowLongDeepTestsCount: each its own time; one that failed and is ignored, until another test
// is due.
func TestHowLongDeepTestsCount(t *testing.T) {
	t.Parallel()
	r := withDeep(t, func(p *configs.Postscreen) {
		p.Pipelining.TTL, p.NonSMTP.TTL, p.BareNewline.TTL = 10*24*time.Hour, 20*24*time.Hour, 30*24*time.Hour
	})
	p := r.greeted("127.0.0.2")
	p.hear("220 mx.test")
	p.ask("HELO c\n", "250")
	p.ask("MAIL FROM:<>\r\n", "250")
	p.ask("RCPT TO:<b@y.test>\r\n", "450")
	p.ask("QUIT\r\n", "221", "")
	r.wantLog("127.0.0.2", "BARE NEWLINE from CLIENT after HELO c", "NOQUEUE: reject: RCPT from CLIENT: 450 4.3.2 Service currently unavailable; from=<>, to=<b@y.test>, proto=ESMTP, helo=<c>", "PASS NEW CLIENT")
	at := func(d time.Duration) int64 { return r.clock.Now().Add(d).Unix() }
	day := 24 * time.Hour
	want := fmt.Sprintf("%d;0;%d;%d;%d", at(day), at(10*day), at(20*day), at(day))
	if got, _ := r.cache.Get("127.0.0.2"); got != want {
		t.Errorf("%s, not %s", got, want)
	}
	// When the greeting is due again only that is tested, and the LF.
	r.clock.Advance(day)
	p = r.greeted("127.0.0.2")
	p.hear("220 mx.test")
	p.ask("HELO c\r\n", "250")
	p.ask("MAIL FROM:<>\r\n", "250")
	p.ask("RCPT TO:<b@y.test>\r\n", "450")
	_ = p.Close()
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		got, _ := r.cache.Get("127.0.0.2")
		if want = fmt.Sprintf("%d;0;%d;%d;%d", at(day), at(10*day), at(20*day), at(30*day)); got == want {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%s, not %s", got, want)
		}
	}
}

// TestAllowlistInterfaces: on an address of ours that lets nobody pass a new client is tested,
// hears 450 and is not remembered; one that has passed elsewhere is served.
func TestAllowlistInterfaces(t *testing.T) {
	t.Parallel()
	for list, want := range map[string]bool{"static:all": true, "!127.0.0.1 static:all": false, "127.0.0.0/8": true, "192.0.2.1": false, "!127.0.0.0/8 127.0.0.1": false, "": false} {
		r := newRig(t, func(r *rig) { r.params.AllowlistInterfaces = strings.Fields(list) })
		p := r.greeted("127.0.0.2")
		if want {
			p.hear("220 next")
			r.wantLog("127.0.0.2", "PASS NEW CLIENT")
		} else {
			p.hear("220 mx.test")
			p.ask("HELO c\r\n", "250")
			p.ask("MAIL FROM:<>\r\n", "250")
			p.ask("RCPT TO:<b@y.test>\r\n", "450 4.3.2")
			p.ask("QUIT\r\n", "221", "")
			r.wantLog("127.0.0.2", "ALLOWLIST VETO CLIENT", "NOQUEUE: reject: RCPT from CLIENT: 450 4.3.2 Service currently unavailable; from=<>, to=<b@y.test>, proto=ESMTP, helo=<c>")
			if r.cache.Len() != 0 {
				t.Error("it is remembered")
			}
			r.cache.Put("127.0.0.2", fmt.Sprint(r.clock.Now().Add(time.Hour).Unix()), r.clock.Now().Add(time.Hour))
			r.dial("127.0.0.2").hear("220 next")
		}
		must(t, r.stop())
	}
}

// TestDrainOfTheEngine: a conversation that is no conversation ends with the service.
func TestDrainOfTheEngine(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(r *rig) { r.limits.DrainTimeout, r.params.Pipelining.Enable = time.Hour, true })
	p := r.greeted("127.0.0.2")
	p.hear("220 mx.test")
	p.ask("HELO c\r\n", "250")
	must(t, r.stop())
	p.hear("421 4.3.2 ", "")
}
