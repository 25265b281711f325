package e2e

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"toastmaster/internal/testkit/peers"
)

// TestPostfixAsksTheDirectory: a Postfix of Debian stands in front, with its domains, mailboxes,
// aliases and relay recipients at proxymap, and hands over by LMTP, as docs/proxymap.md has it. An unknown user is refused
// at RCPT, a known one gets the mail, an alias is expanded; while the directory is down, or Toastmaster is,
// nobody is unknown: 451.
func TestPostfixAsksTheDirectory(t *testing.T) {
	t.Parallel()
	dir := peers.TempDir(t)
	socket := filepath.Join(dir, "proxymap.sock")
	access := filepath.Join(dir, "access")
	must(t, os.WriteFile(access, []byte("bad@elsewhere.example REJECT not from you\n"), 0o644))
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	port := tcp.Addr().String()
	must(t, tcp.Close())
	b := serve(t, map[string]string{
		"proxymap.listen": fmt.Sprintf("[%q, %q]", port, "unix:"+socket), "proxymap.unix_listener_mode": `"0666"`, "directory.cache_entries": "0",
		"proxymap.read_maps": fmt.Sprintf(`["directory:domains", "directory:mailboxes", "directory:aliases", "directory:recipients", "directory:senders", "directory:relocated", "access=hash:%s"]`, access),
	})
	ctx := testContext(t)
	must(t, b.AddAlias(ctx, "sales@example.test", alice, bob))
	must(t, b.AddDomain(ctx, "relay.test"))
	must(t, b.AddMailbox(ctx, "carol@relay.test", "carols word"))
	_, err = b.Run(ctx, "", "relocated", "add", "gone@example.test", "new@elsewhere.example")
	must(t, err)
	p := startPostfix(t, "front.example.net", fmt.Sprintf(`virtual_mailbox_domains = socketmap:inet:%[1]s:domains
virtual_mailbox_maps = proxy:socketmap:unix:%[2]s:mailboxes
virtual_alias_maps = socketmap:inet:%[1]s:aliases
relocated_maps = socketmap:inet:%[1]s:relocated
virtual_transport = lmtp:inet:%[3]s
smtpd_sender_restrictions = check_sender_access socketmap:unix:%[2]s:access
smtpd_delay_reject = yes
smtpd_relay_restrictions = reject_unauth_destination
`, port, socket, b.LMTP()))
	s, err := dialSMTP(p.SMTP(), "EHLO")
	must(t, err)
	defer s.Close()
	says := func(want, format string, args ...any) {
		t.Helper()
		if _, err := s.command(want, format, args...); err != nil {
			t.Errorf("%s: %v", fmt.Sprintf(format, args...), err)
		}
	}
	says("250", "MAIL FROM:<bad@elsewhere.example>")
	says("554 5.7.1", "RCPT TO:<%s>", alice)
	says("250", "RSET")
	says("250", "MAIL FROM:<x@elsewhere.example>")
	says("550 5.1.1", "RCPT TO:<nobody@example.test>")
	says("550 5.1.6", "RCPT TO:<gone@example.test>")
	says("554 5.7.1", "RCPT TO:<x@other.example>") // no relay
	says("250", "RCPT TO:<ALICE+x@Example.test>")
	says("250", "RCPT TO:<sales@example.test>")
	says("250", "RCPT TO:<carol@relay.test>")
	says("354", "DATA")
	says("250", "Subject: by socketmap\r\n\r\ntext\r\n.")
	b.waitMail(t, bob, 1)
	b.waitMail(t, "carol@relay.test", 1)
	eventually(t, func() error {
		if n := len(b.mail(t, alice, "")); n == 0 {
			return fmt.Errorf("alice has no mail")
		}
		return nil
	})
	// Without the database.
	unsure := func(why string) {
		t.Helper()
		says("250", "MAIL FROM:<x@elsewhere.example>")
		for _, to := range []string{alice, "nobody@example.test", "sales@example.test"} {
			if _, err := s.command("451 4.3.", "RCPT TO:<%s>", to); err != nil {
				t.Errorf("%s, %s: %v", why, to, err)
			}
		}
		says("250", "RSET")
	}
	back := setAside(t, filepath.Join(b.Data(), "directory.db"))
	unsure("the database is gone")
	back()
	must(t, b.Stop())
	unsure("Toastmaster is down")
	b.start(t)
	// Its smtpd remembers for a while that it could not know; these it has not asked for.
	says("250", "MAIL FROM:<y@elsewhere.example>")
	says("250", "RCPT TO:<carol@relay.test>")
	says("550 5.1.1", "RCPT TO:<nobody@relay.test>")
	if log := p.LogTail(1 << 20); strings.Contains(log, b.Data()) || !strings.Contains(log, "the lookup failed") {
		t.Errorf("Postfix's log: %s", log)
	}
	if log := b.LogTail(1 << 20); !strings.Contains(log, "lookup service=proxymap") || !strings.Contains(log, "connect service=proxymap") {
		t.Error("no line of proxymap in the log")
	}
	if got := get(t, "http://"+b.Admin()+"/metrics"); !strings.Contains(got, `toastmaster_lookups_total{result="not found",service="proxymap",table="mailboxes"}`) {
		t.Error("nothing is counted")
	}
}

// TestPostfixRelaysToTheDirectory: a Postfix in front that relays to port 25 asks for recipients, aliases
// included, and refuses the others.
func TestPostfixRelaysToTheDirectory(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(peers.TempDir(t), "s")
	b := serve(t, map[string]string{"proxymap.listen": fmt.Sprintf("[%q]", "unix:"+socket), "proxymap.unix_listener_mode": `"0666"`})
	ctx := testContext(t)
	must(t, b.AddAlias(ctx, "sales@example.test", bob))
	must(t, b.AddAlias(ctx, "dead@example.test", "nobody@example.test"))
	p := startPostfix(t, "front.example.net", fmt.Sprintf(`relay_domains = socketmap:unix:%[1]s:domains
relay_recipient_maps = socketmap:unix:%[1]s:recipients
relay_transport = smtp:[127.0.0.1]:%[2]s
smtpd_relay_restrictions = reject_unauth_destination
`, socket, portOf(t, b.SMTP())))
	s, err := dialSMTP(p.SMTP(), "EHLO")
	must(t, err)
	defer s.Close()
	for _, c := range []struct{ want, line string }{
		{"250", "MAIL FROM:<x@elsewhere.example>"}, {"550 5.1.1", "RCPT TO:<nobody@example.test>"}, {"550 5.1.1", "RCPT TO:<dead@example.test>"},
		{"554 5.7.1", "RCPT TO:<x@other.example>"}, {"250", "RCPT TO:<sales@example.test>"}, {"250", "RCPT TO:<alice+x@example.test>"},
		{"354", "DATA"}, {"250", "Subject: relayed\r\n\r\ntext\r\n."},
	} {
		if _, err := s.command(c.want, "%s", c.line); err != nil {
			t.Errorf("%s: %v", c.line, err)
		}
	}
	b.waitMail(t, bob, 1)
	b.waitMail(t, alice, 1)
}

// TestProxymapIsOff by default, its socket is for its group, and what nobody declared is not served.
func TestProxymapIsOff(t *testing.T) {
	t.Parallel()
	b := serve(t, nil)
	if out, err := b.Run(testContext(t), "", "status", "--alive"); err != nil || strings.Contains(out, "proxymap") {
		t.Errorf("%v %s", err, out)
	}
	set := func(want, param string, values ...string) {
		t.Helper()
		out, err := b.Run(testContext(t), "", append([]string{"config", "set", param}, values...)...)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s = %q: %v %s, want %q", param, values, err, out, want)
		}
	}
	set("no group", "proxymap.unix_listener_group", "nosuchgroup")
	set("is everybody", "proxymap.trusted_networks", "0.0.0.0/0")
	set("needs a name", "proxymap.read_maps", "hash:/etc/passwd")
	set("is the name of another table already", "proxymap.read_maps", "domains=static:x", "directory:domains")
	set("", "proxymap.listen", "unix:proxymap.sock")
	must(t, b.Stop())
	b.start(t)
	info, err := os.Stat(filepath.Join(b.Data(), "proxymap.sock"))
	must(t, err)
	if info.Mode().Perm() != 0o660 {
		t.Errorf("mode %o", info.Mode().Perm())
	}
	out, err := b.Run(testContext(t), "", "postmap", "-q", alice, "socketmap:unix:"+filepath.Join(b.Data(), "proxymap.sock")+":mailboxes")
	if must(t, err); out != "example.test/alice/\n" {
		t.Errorf("%q", out)
	}
	if out, err := b.Run(testContext(t), "", "postmap", "-q", "root", "socketmap:unix:"+filepath.Join(b.Data(), "proxymap.sock")+":texthash"); err == nil {
		t.Errorf("%q", out)
	}
}
