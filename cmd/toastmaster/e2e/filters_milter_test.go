package e2e

import (
	"bufio"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"toastmaster/internal/milter"
	"toastmaster/internal/testkit/miltertest"
	"toastmaster/internal/testkit/peers"
	"toastmaster/internal/testkit/proc"
)

// eicar is the test file that every virus scanner finds. It is put together here, so that none finds this one.
const eicar = `X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR` + `-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*`

// gtube is what every spam filter refuses.
const gtube = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE" + "-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"

// realFilter runs a filter of Debian in a folder of its own until the test ends, once it listens.
func realFilter(t *testing.T, dir, program, debian, listens string, args ...string) *proc.Process {
	t.Helper()
	p, err := proc.Start(proc.Spec{Path: peers.Need(t, program, debian), Args: args, Dir: dir, Log: filepath.Join(dir, program+".out")})
	must(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s says:\n%s", program, p.LogTail(3000))
		}
		p.Kill()
	})
	if network, address, _ := strings.Cut(listens, ":"); network == "unix" {
		eventually(t, func() error {
			c, err := net.Dial(network, address)
			if err == nil {
				err = c.Close()
			}
			return err
		})
	} else {
		must(t, proc.WaitPort(testContext(t), listens, p))
	}
	return p
}

// page is the file that docs/milters.md has under a name, with other text in it.
func page(t *testing.T, name string, replace ...string) string {
	t.Helper()
	_, after, ok := strings.Cut(readFile(t, filepath.Join("..", "..", "..", "docs", "milters.md")), "    # "+name+"\n")
	if !ok {
		t.Fatalf("docs/milters.md has no %s", name)
	}
	var b strings.Builder
	for line := range strings.Lines(after) {
		text, code := strings.CutPrefix(line, "    ")
		if !code || strings.TrimSpace(text) == "" {
			break
		}
		b.WriteString(text)
	}
	text := b.String()
	for i := 0; i < len(replace); i += 2 {
		if !strings.Contains(text, replace[i]) {
			t.Fatalf("%s of docs/milters.md has no %q", name, replace[i])
		}
		text = strings.ReplaceAll(text, replace[i], replace[i+1])
	}
	return text
}

func writeAll(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		must(t, os.WriteFile(path, []byte(text), 0o644))
	}
}

// freePort is an address that nobody listens on until the test ends.
func freePort(t *testing.T) string {
	t.Helper()
	ports, err := proc.Reserve()
	must(t, err)
	t.Cleanup(func() { ports.Close() })
	return ports.Addr(25)
}

// startRspamd starts Debian's rspamd with Debian's configuration, and docs/milters.md's part of it; the header X-Verdict
// says what it thinks of a message.
func startRspamd(t *testing.T, more string) (address string) {
	t.Helper()
	peers.NeedRoot(t, "rspamd")
	dir, address := peers.TempDir(t), freePort(t)
	writeAll(t, dir, map[string]string{
		"local.d/worker-proxy.inc":      page(t, "/etc/rspamd/local.d/worker-proxy.inc", "127.0.0.1:11332", address) + more,
		"local.d/milter_headers.conf":   page(t, "/etc/rspamd/local.d/milter_headers.conf") + "skip_local = false;\n",
		"local.d/worker-normal.inc":     "enabled = false;\n",
		"local.d/worker-controller.inc": "enabled = false;\n",
		// Nobody is asked beyond this host, and the list of domains is short, for which patterns are made.
		"local.d/options.inc":  "gtube_patterns = \"all\";\nlocal_addrs = [];\nurl_tld = \"" + dir + "/tld\";\ndns { nameserver = [\"127.0.0.1:1\"]; timeout = 0.1s; retransmits = 1; }\n",
		"tld":                  "test\nexample\n",
		"local.d/actions.conf": "quarantine = 1000;\n",
		"rspamd.local.lua": `rspamd_config:register_symbol({ name = 'TEST_VERDICT', type = 'prefilter', callback = function(task)
  local verdict = task:get_header('X-Verdict')
  if verdict then task:set_pre_result(verdict, 'as the test wants') end
end })
`,
	})
	uid, gid := idsOfUser(t, "nobody")
	for _, sub := range []string{"db", "run", "log"} {
		must(t, os.Mkdir(filepath.Join(dir, sub), 0o755))
		must(t, os.Chown(filepath.Join(dir, sub), uid, gid))
	}
	realFilter(t, dir, "rspamd", "rspamd", address, "-f", "-u", "nobody", "-g", "nogroup", "-c", "/etc/rspamd/rspamd.conf",
		"--var=LOCAL_CONFDIR="+dir, "--var=DBDIR="+dir+"/db", "--var=RUNDIR="+dir+"/run", "--var=LOGDIR="+dir+"/log")
	return address
}

// TestRspamd: what rspamd says of a message is what becomes of it: refused, marked, put off, held, with another subject.
func TestRspamd(t *testing.T) {
	t.Parallel()
	address := startRspamd(t, "")
	b := serve(t, map[string]string{
		"smtpd.milters": `["{ inet:` + address + `, default_action=tempfail }"]`, "main.trusted_networks": "[]", "smtpd.recipient_restrictions": `["reject_unlisted_recipient"]`,
	})
	send := func(head, body string) error {
		t.Helper()
		s, err := dialSMTP(b.SMTP(), "EHLO")
		must(t, err)
		defer s.Close()
		_, err = s.send("x@example.net", []string{alice}, "From: <x@example.net>\r\nMessage-ID: <1@example.net>\r\nDate: Fri, 27 Nov 2026 10:00:00 +0000\r\nTo: <"+alice+">\r\n"+head+"\r\n"+body+"\r\n")
		return err
	}
	for _, c := range []struct{ head, body, want string }{
		{"Subject: gtube\r\n", gtube, "554 5.7.1 "},
		{"Subject: refused\r\nX-Verdict: reject\r\n", "text", "554 5.7.1 "},
		{"Subject: later\r\nX-Verdict: soft reject\r\n", "text", "451 4.7.1 "},
	} {
		if err := send(c.head, c.body); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %q", c.head, err, c.want)
		}
	}
	const body = "text\r\n..dot\r\n\r\n  end  "
	for _, head := range []string{
		"Subject: plain\r\n", "Subject: marked\r\nX-Verdict: add header\r\n", "Subject: subject\r\nX-Verdict: rewrite subject\r\n", "Subject: held\r\nX-Verdict: quarantine\r\n",
	} {
		must(t, send(head, body))
	}
	want := map[string][]string{
		"Subject: plain":                {"X-Spamd-Result: "},
		"Subject: marked":               {"X-Spam: Yes\n"},
		"Subject: *** SPAM *** subject": {"X-Spamd-Result: "},
	}
	for _, f := range b.waitMail(t, alice, len(want)) {
		text := readFile(t, f)
		found := false
		for subject, fields := range want {
			if !strings.Contains(text, subject+"\n") {
				continue
			}
			found = true
			for _, field := range fields {
				if !strings.Contains(text, "\n"+field) {
					t.Errorf("%s has no %q: %s", subject, field, text)
				}
			}
		}
		if !found || !strings.HasSuffix(text, "\n\ntext\n.dot\n\n  end  \n") {
			t.Errorf("%s", text)
		}
	}
	eventually(t, func() error {
		out, err := b.Run(testContext(t), "", "queue", "list", "--json", "--place", "hold")
		if err == nil && strings.Count(out, "x@example.net") != 1 {
			err = fmt.Errorf("not one message on hold: %s", out)
		}
		return err
	})
}

// TestRspamdIsGone: a filter that is not there is the default action, and the next message is seen when it is back.
func TestRspamdIsGone(t *testing.T) {
	t.Parallel()
	address := freePort(t)
	b := serve(t, map[string]string{"smtpd.milters": `["{ inet:` + address + `, default_action=tempfail }"]`})
	s, err := dialSMTP(b.SMTP(), "EHLO")
	must(t, err)
	defer s.Close()
	if _, err := s.command("451 4.7.1", "MAIL FROM:<x@example.net>"); err != nil {
		t.Error(err)
	}
}

// dkimKey makes a key, and the files in which opendkim finds both halves.
func dkimKey(t *testing.T, dir string) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	must(t, err)
	private := filepath.Join(dir, "mail.private")
	must(t, os.WriteFile(private, pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "public"), []byte("mail._domainkey.example.test v=DKIM1; k=rsa; p="+base64.StdEncoding.EncodeToString(public)+"\n"), 0o644))
}

// startOpendkim starts Debian's opendkim as docs/milters.md has it, with the key of a folder.
func startOpendkim(t *testing.T, keys, internal string) (address string) {
	t.Helper()
	address = freePort(t)
	host, port, _ := net.SplitHostPort(address)
	dir := peers.TempDir(t)
	writeAll(t, dir, map[string]string{"opendkim.conf": page(t, "/etc/opendkim.conf", "inet:8891@127.0.0.1", "inet:"+port+"@"+host, "example.org", "example.test",
		"/etc/dkimkeys/mail.private", keys+"/mail.private", "InternalHosts   127.0.0.1, ::1", "InternalHosts   "+internal) +
		"TestPublicKeys " + keys + "/public\nSyslog no\nAuthservID mx.example.test\nRequireSafeKeys no\n"})
	realFilter(t, dir, "opendkim", "opendkim", address, "-f", "-x", filepath.Join(dir, "opendkim.conf"))
	return address
}

// TestOpendkim: opendkim signs what a user sends, and another opendkim at the next hop, a Postfix, finds the signature whole to the octet, whatever
// is in the message. What comes back in is verified, and what was changed is found.
func TestOpendkim(t *testing.T) {
	t.Parallel()
	peers.NeedRoot(t, "Postfix")
	keys := peers.TempDir(t)
	dkimKey(t, keys)
	verifier := startOpendkim(t, keys, "192.0.2.1")
	p := startPostfix(t, "mx.remote.example", "smtpd_milters = inet:"+verifier+"\nmilter_default_action = tempfail\nsmtpd_client_connection_count_limit = 0\n", "carol@remote.example")
	out := serve(t, map[string]string{
		"smtpd.milters":  `["{ inet:` + startOpendkim(t, keys, "192.0.2.1") + `, default_action=accept }"]`,
		"smtp.relayhost": fmt.Sprintf(`"[127.0.0.1]:%d"`, p.Port25()),
	})
	bodies := map[string]string{
		"plain": "text\r\n", "empty": "", "dots": ".\r\n..\r\n...x\r\n", "blanks": "one  two\t \r\n \r\n\r\n\r\n", "eight": "gr\xfc\xdfe \xe2\x82\xac\r\n",
		"long": strings.Repeat("0123456789", 99) + "\r\n", "from": "From here\r\n>From there\r\n", "large": strings.Repeat(strings.Repeat("x", 76)+"\r\n", 20_000),
	}
	s, _ := submitter(t, out)
	for name, body := range bodies {
		_, err := s.send(alice, []string{"carol@remote.example"}, "From: Alice <"+alice+">\r\nTo: carol@remote.example,\r\n\tsomebody@remote.example\r\nBcc: dave@remote.example\r\nSubject:  "+name+"  \r\n\r\n"+strings.ReplaceAll("\r\n"+body, "\r\n.", "\r\n..")[2:])
		must(t, err)
	}
	signed := waitPeerMail(t, p, "carol@remote.example", len(bodies))
	in := serve(t, map[string]string{
		"smtpd.milters": `["{ inet:` + verifier + `, default_action=tempfail }"]`, "main.trusted_networks": "[]", "smtpd.recipient_restrictions": `["reject_unlisted_recipient"]`,
	})
	incoming, err := dialSMTP(in.SMTP(), "EHLO")
	must(t, err)
	defer incoming.Close()
	passed := 0
	for _, f := range signed {
		text := readFile(t, f)
		if !strings.Contains(text, "\nDKIM-Signature: ") || !strings.Contains(unfolded(text), "dkim=pass") {
			t.Errorf("not signed, or not whole: %.3000s", text)
			continue
		}
		passed++
		_, message, _ := strings.Cut(text, "\nDKIM-Signature: ")
		message = "DKIM-Signature: " + message
		wire := strings.ReplaceAll(strings.ReplaceAll("\n"+message, "\n.", "\n.."), "\n", "\r\n")[2:]
		_, err := incoming.send("x@example.net", []string{alice}, wire)
		must(t, err)
		if strings.Contains(message, "  plain  ") {
			_, err = incoming.send("x@example.net", []string{bob}, strings.Replace(wire, "\r\n\r\ntext", "\r\n\r\ntext!", 1))
			must(t, err)
		}
	}
	if passed != len(bodies) {
		return
	}
	for _, f := range in.waitMail(t, alice, len(bodies)) {
		if text := unfolded(readFile(t, f)); !strings.Contains(text, "Authentication-Results: mx.example.test; dkim=pass") {
			t.Errorf("%.3000s", text)
		}
	}
	if text := unfolded(readFile(t, in.waitMail(t, bob, 1)[0])); !strings.Contains(text, "Authentication-Results: mx.example.test; dkim=fail") {
		t.Errorf("%.3000s", text)
	}
}

// unfolded is a text with fields in one line.
func unfolded(text string) string {
	return strings.ReplaceAll(strings.ReplaceAll(text, "\n\t", " "), "\n ", " ")
}

// TestClamav: clamav-milter finds a virus, and lets the rest through with a field; without clamd, which it asks, it puts mail
// off. clamd has one signature, because Debian's database is loaded from elsewhere.
func TestClamav(t *testing.T) {
	t.Parallel()
	peers.NeedRoot(t, "clamd")
	dir := peers.TempDir(t)
	address := freePort(t)
	host, port, _ := net.SplitHostPort(address)
	writeAll(t, dir, map[string]string{
		"db/test.ndb": "Eicar.Test:0:*:" + hex.EncodeToString([]byte(eicar)) + "\n",
		"clamd.conf":  "LocalSocket " + dir + "/clamd.ctl\nDatabaseDirectory " + dir + "/db\nForeground yes\nUser root\n",
		"clamav-milter.conf": page(t, "/etc/clamav/clamav-milter.conf", "inet:7357@127.0.0.1", "inet:"+port+"@"+host, "/run/clamav/clamd.ctl", dir+"/clamd.ctl") +
			"Foreground yes\nUser root\nTemporaryDirectory " + dir + "\n",
	})
	clamd := realFilter(t, dir, "clamd", "clamav-daemon", "unix:"+dir+"/clamd.ctl", "-c", dir+"/clamd.conf")
	realFilter(t, dir, "clamav-milter", "clamav-milter", address, "-c", dir+"/clamav-milter.conf")
	b := serve(t, map[string]string{"smtpd.milters": `["{ inet:` + address + `, content_timeout=5m, default_action=tempfail }"]`})
	s, err := dialSMTP(b.SMTP(), "EHLO")
	must(t, err)
	defer s.Close()
	part := "MIME-Version: 1.0\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.StdEncoding.EncodeToString([]byte(eicar)) + "\r\n"
	send := func(text string) error {
		_, err := s.send("x@example.net", []string{alice}, "From: <x@example.net>\r\n"+text)
		if err != nil {
			_, reset := s.command("250", "RSET")
			must(t, reset)
		}
		return err
	}
	if err := send("Subject: virus\r\n" + part); err == nil || !strings.Contains(err.Error(), "550 5.7.1 Infected: Eicar.Test") {
		t.Errorf("%v", err)
	}
	must(t, send("Subject: none\r\n\r\ntext\r\n"))
	if text := readFile(t, b.waitMail(t, alice, 1)[0]); !strings.Contains(text, "\nX-Virus-Status: Clean\n") {
		t.Errorf("%s", text)
	}
	clamd.Kill()
	if err := send("Subject: nobody looks\r\n\r\ntext\r\n"); err == nil || !strings.Contains(err.Error(), "451 4.7.1") {
		t.Errorf("%v", err)
	}
}

// submitter is alice, who has logged in over TLS.
func submitter(t *testing.T, b *box) (*smtpConn, tls.ConnectionState) {
	t.Helper()
	c, err := tls.Dial("tcp", b.Submissions(), &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // a certificate of the test's
	must(t, err)
	t.Cleanup(func() { c.Close() })
	s := &smtpConn{c, bufio.NewReader(c)}
	_, err = s.expect("220")
	must(t, err)
	_, err = s.command("250", "EHLO client.example.net")
	must(t, err)
	_, err = s.command("235", "AUTH PLAIN %s", base64.StdEncoding.EncodeToString([]byte("\x00"+alice+"\x00"+alicesWord)))
	must(t, err)
	return s, c.ConnectionState()
}

// scripted is a filter with a script.
func scripted(t *testing.T, s miltertest.Script) *miltertest.Filter {
	t.Helper()
	f, err := miltertest.Start("tcp", "127.0.0.1:0", s)
	must(t, err)
	t.Cleanup(f.Close)
	return f
}

// told waits until a session of a filter is over, and is what it was told.
func told(t *testing.T, f *miltertest.Filter, n int) string {
	t.Helper()
	if !f.Wait(testContext(t).Done(), func(all [][]string) bool { return len(all) > n && all[n][len(all[n])-1] == "closed" }) {
		t.Fatalf("the filter has %q", f.Sessions())
	}
	return strings.Join(f.Sessions()[n], "\n")
}

// TestMilterMacros: what a filter is told of TLS, of the log-in, and by parameters, at each stage.
func TestMilterMacros(t *testing.T) {
	t.Parallel()
	f := scripted(t, miltertest.Script{})
	b := serve(t, map[string]string{
		"smtpd.milters": `["` + f.Name() + `"]`, "milter.macro_daemon_name": `"ORIGINATING"`, "milter.macro_v": `"Version 9"`, "milter.macro_defaults": `["{if_name}=eth0", "extra = value"]`,
		"milter.connect_macros": `["j", "{daemon_name}", "v", "{if_name}", "{client_addr}", "{nothing}"]`, "milter.data_macros": `["i", "extra"]`, "milter.end_of_header_macros": `["{client_name}"]`,
		"milter.unknown_command_macros": `["v"]`, "milter.mail_macros": `["{auth_type}", "{auth_authen}", "{auth_author}", "{mail_addr}"]`, "milter.rcpt_macros": `["i", "{rcpt_addr}"]`,
		"milter.end_of_data_macros": `["i", "{daemon_port}"]`, "milter.helo_macros": `["{tls_version}", "{cipher}", "{cipher_bits}"]`,
	})
	s, state := submitter(t, b)
	_, err := s.command("", "FOO")
	must(t, err)
	_, err = s.send(alice, []string{bob}, "From: <"+alice+">\r\nSubject: macros\r\n\r\ntext\r\n")
	must(t, err)
	_, err = s.command("221", "QUIT")
	must(t, err)
	bits := "128"
	if !strings.Contains(tls.CipherSuiteName(state.CipherSuite), "AES_128") {
		bits = "256"
	}
	version := strings.Replace(tls.VersionName(state.Version), "TLS 1.", "TLSv1.", 1)
	all := queueID.ReplaceAllString(told(t, f, 0), `$1"ID"`)
	for _, want := range []string{
		`D for C j="mx.example.test" {daemon_name}="ORIGINATING" v="Version 9" {if_name}="eth0" {client_addr}="127.0.0.1"`,
		`D for H {tls_version}="` + version + `" {cipher}="` + tls.CipherSuiteName(state.CipherSuite) + `" {cipher_bits}="` + bits + `"`,
		`D for M {auth_type}="PLAIN" {auth_authen}="` + alice + `" {mail_addr}="` + alice + `"`,
		`D for R {rcpt_addr}="` + bob + `"`, `D for T i="ID" extra="value"`, `D for L {client_name}="localhost"`, `D for U v="Version 9"`, `D for E i="ID" {daemon_port}="` + portOf(t, b.Submissions()) + `"`,
	} {
		if !strings.Contains(all, want+"\n") {
			t.Errorf("no %s in\n%s", want, all)
		}
	}
}

// TestMilterMaps: a table says which filters hear of a client; a table without an answer lets nobody in for now.
func TestMilterMaps(t *testing.T) {
	t.Parallel()
	usual, other := scripted(t, miltertest.Script{}), scripted(t, on(milter.Mail, milter.Reject))
	b := serve(t, map[string]string{
		"smtpd.milters": `["` + usual.Name() + `"]`, "smtpd.authorized_xclient_hosts": `["127.0.0.1/32"]`,
		"smtpd.milter_maps": `["inline:{ {127.0.0.1 = DISABLE} {192.0.2.9 = ` + other.Name() + `} {192.0.2.10 = garbage} }"]`,
	})
	say := func(address string) (replies string) {
		t.Helper()
		s, err := dialSMTP(b.SMTP(), "EHLO")
		must(t, err)
		defer s.Close()
		if address != "" {
			reply, err := s.command("", "XCLIENT ADDR=%s NAME=client.example.net", address)
			if must(t, err); !strings.HasPrefix(reply, "220") {
				return reply
			}
			_, err = s.command("250", "EHLO client.example.net")
			must(t, err)
		}
		reply, err := s.command("", "MAIL FROM:<x@example.net>")
		must(t, err)
		return reply
	}
	for address, want := range map[string]string{"": "250 ", "192.0.2.9": "550 5.7.1 ", "192.0.2.10": "421 ", "192.0.2.11": "250 "} {
		if got := say(address); !strings.HasPrefix(got, want) {
			t.Errorf("%q: %s, want %s", address, got, want)
		}
	}
	if all := told(t, usual, 0); !strings.Contains(all, `C "client.example.net" 4`) || !strings.Contains(all, `192.0.2.11`) || len(usual.Sessions()) != 1 {
		t.Errorf("%q", usual.Sessions())
	}
}

// TestMilterHeaderChecks: fields that a filter adds are looked up in milter.header_checks and nowhere else, and those that the message had
// are not.
func TestMilterHeaderChecks(t *testing.T) {
	t.Parallel()
	f := scripted(t, miltertest.Script{})
	b := serve(t, map[string]string{
		"smtpd.milters":         `["` + f.Name() + `"]`,
		"milter.header_checks":  `['pcre:{ {/^X-Add: bad/ REJECT not with that} {/^X-Add: hold/ HOLD} {/^X-Add: gone/ IGNORE} {/^X-Add: (.*)/ REPLACE X-New: $1} {/^Subject:/ REJECT} }']`,
		"cleanup.header_checks": `['pcre:{ {/^X-New:/ REJECT} {/^X-Add:/ REJECT} }']`,
	})
	s, err := dialSMTP(b.SMTP(), "EHLO")
	must(t, err)
	defer s.Close()
	for _, c := range []struct{ value, err, in, notIn string }{
		{"bad", "550 5.7.1 not with that", "", ""}, {"hold", "", "", ""}, {"gone", "", "Subject: s gone\n", "X-Add"}, {"other", "", "X-New: other\n", "X-Add"},
	} {
		f.Play(atEnd(miltertest.Answer(milter.AddHeader, "X-Add", c.value)))
		s, err := dialSMTP(b.SMTP(), "EHLO")
		must(t, err)
		_, err = s.send("x@example.net", []string{alice}, "Subject: s "+c.value+"\r\n\r\ntext\r\n")
		s.Close()
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: %v", c.value, err)
			}
			continue
		}
		must(t, err)
		if c.in == "" {
			continue
		}
		eventually(t, func() error {
			for _, file := range b.mail(t, alice, "") {
				if text := readFile(t, file); strings.Contains(text, "Subject: s "+c.value+"\n") {
					if !strings.Contains(text, c.in) || strings.Contains(text, c.notIn) {
						t.Errorf("%s: %s", c.value, text)
					}
					return nil
				}
			}
			return fmt.Errorf("no message %s", c.value)
		})
	}
	out, err := b.Run(testContext(t), "", "queue", "list", "--json", "--place", "hold")
	if must(t, err); strings.Count(out, "x@example.net") != 1 {
		t.Errorf("not one message on hold: %s", out)
	}
}

// TestNonSMTPDMilters: mail without a client is seen by the filters for it: reports, where that is wanted. What comes by SMTP is not, nor what
// an alias sends on of it.
func TestNonSMTPDMilters(t *testing.T) {
	t.Parallel()
	f := scripted(t, atEnd(miltertest.Answer(milter.AddHeader, "X-Seen", "yes")))
	dir := withUsers(t)
	b, _ := localInstance(t, dir, map[string]string{
		"cleanup.non_smtpd_milters": `["` + f.Name() + `"]`, "cleanup.internal_mail_filter_classes": `["bounce"]`,
	})
	sendTo(t, b.SMTP(), bob, []string{"fwd@local.example"})
	// It is a stranger's mail: who signs what this host sends must not sign it.
	if text := readFile(t, b.waitMail(t, alice, 1)[0]); strings.Contains(text, "X-Seen") {
		t.Errorf("what an alias sends on was shown as mail of this host: %s", text)
	}
	sendTo(t, b.SMTP(), bob, []string{"no-such-user@local.example"})
	text := readFile(t, b.waitMail(t, bob, 1)[0])
	all := told(t, f, 0)
	for _, want := range []string{`C "localhost" 4`, `"127.0.0.1\x00"`, `H ["localhost"]`, `M [""]`, `R ["` + bob + `"]`} {
		if !strings.Contains(all, want) {
			t.Errorf("no %s in\n%s", want, all)
		}
	}
	if !strings.Contains(text, "\nX-Seen: yes\n") {
		t.Errorf("%s\n%q", text, f.Sessions())
	}
	sendTo(t, b.SMTP(), bob, []string{alice})
	for _, file := range b.waitMail(t, alice, 2) {
		if text := readFile(t, file); !strings.Contains(text, "fwd@local.example") && strings.Contains(text, "X-Seen") {
			t.Errorf("%s", text)
		}
	}
}
