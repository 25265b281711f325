package e2e

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"toastmaster/internal/testkit/dnstest"
	"toastmaster/internal/testkit/peers"
)

// talkAtOnce sends all at once and returns what came until the end, without what each server says of itself.
func talkAtOnce(t *testing.T, address, text string) []string {
	t.Helper()
	c, err := net.DialTimeout("tcp", address, time.Minute)
	must(t, err)
	defer c.Close()
	must(t, c.SetDeadline(time.Now().Add(time.Minute)))
	_, err = io.WriteString(c, text)
	must(t, err)
	said, err := io.ReadAll(c)
	if err != nil && !errors.Is(err, syscall.ECONNRESET) { // who hangs up may not have read all
		t.Fatalf("%q, %v", said, err)
	}
	return strings.Split(strings.TrimSuffix(string(said), "\r\n"), "\r\n")
}

// TestCommandFilterBetweenChunksAsPostfix: smtpd_command_filter sees each command of a client that pipelines, those behind chunks of BDAT, too, and nothing of a
// content, by BDAT and by DATA.
func TestCommandFilterBetweenChunksAsPostfix(t *testing.T) {
	t.Parallel()
	const filter = `/^PLEASE (.*)/ %s1`
	b := serve(t, map[string]string{"smtpd.command_filter": "[" + strconv.Quote("pcre:{ {"+fmt.Sprintf(filter, "$")+"} }") + "]"})
	p := startPostfix(t, "mx.example.test", "smtpd_command_filter = pcre:{ {"+fmt.Sprintf(filter, "$$")+"} }\nsmtpd_forbid_bare_newline = no\n", alice)
	const part = "Subject: chunks\r\n\r\nPLEASE QUIT\r\n"
	chunk := func(command, text string) string { return fmt.Sprintf(command, len(text)) + "\r\n" + text }
	text := "EHLO c\r\nPLEASE MAIL FROM:<x@sender.example>\r\nPLEASE RCPT TO:<" + alice + ">\r\n" + chunk("PLEASE BDAT %d", part) + chunk("PLEASE BDAT %d", "PLEASE NOOP\r\n") + chunk("PLEASE BDAT %d LAST", "PLEASE RSET\r\n") +
		"PLEASE MAIL FROM:<x@sender.example>\r\nPLEASE RCPT TO:<" + alice + ">\r\nPLEASE DATA\r\nSubject: data\r\n\r\nPLEASE NOOP\r\n.\r\nPLEASE NOOP\r\nPLEASE QUIT\r\n"
	codes := func(lines []string) (codes []string) {
		for _, line := range lines {
			if len(line) > 3 && line[3] == ' ' {
				codes = append(codes, line[:3])
			}
		}
		return codes
	}
	ours, theirs := talkAtOnce(t, b.SMTP(), text), talkAtOnce(t, p.SMTP(), text)
	want := []string{"220", "250", "250", "250", "250", "250", "250", "250", "250", "354", "250", "250", "221"}
	if !slices.Equal(codes(ours), want) || !slices.Equal(codes(theirs), want) {
		t.Errorf("ours    %q\nPostfix %q", ours, theirs)
	}
	mine, his := headersBySubject(t, b.waitMail(t, alice, 2)), headersBySubject(t, waitPeerMail(t, p, alice, 2))
	for subject, body := range map[string]string{"chunks": "PLEASE QUIT\nPLEASE NOOP\nPLEASE RSET\n", "data": "PLEASE NOOP\n"} {
		if !strings.HasSuffix(mine[subject], "\n\n"+body) || !strings.HasSuffix(his[subject], "\n\n"+body) {
			t.Errorf("ours    %q\nPostfix %q", mine[subject], his[subject])
		}
	}
}

// TestPostscreenFooterAsPostfix: smtpd_reject_footer stands behind what postscreen says, where it ends the connection at once, too.
func TestPostscreenFooterAsPostfix(t *testing.T) {
	t.Parallel()
	peers.NeedRoot(t, "Postfix")
	peers.Need(t, "postfix", "postfix")
	names := dnstest.StartForSystem(t, nil)
	const footer = `\c; ask $server_name of $client_address`
	for _, kind := range []struct{ name, denied, deny, greet string }{
		{"denied", "127.0.0.1=reject", "drop", "ignore"}, {"early", "127.0.0.9=reject", "ignore", "drop"}, {"early, later", "127.0.0.9=reject", "ignore", "enforce"},
	} {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			p, err := peers.StartPostfix(testContext(t), peers.PostfixOptions{
				Dir: peers.TempDir(t), Hostname: "mx.example.test", Postscreen: true, NameServer: names.Addr, Accounts: []peers.Account{{Address: alice}},
				Main: "postscreen_access_list = inline:{{" + kind.denied + "}}\npostscreen_greet_wait = 2s\npostscreen_denylist_action = " + kind.deny + "\npostscreen_greet_action = " + kind.greet + "\n" +
					"smtpd_reject_footer = \\c; ask $server_name of $client_address\n",
			})
			must(t, err)
			t.Cleanup(p.Stop)
			b := serve(t, map[string]string{
				"main.trusted_networks": "[]", "smtp.resolver": fmt.Sprintf("[%q]", names.Addr), "postscreen.enable": "true", "postscreen.access_list": fmt.Sprintf("[%q]", "inline:{{"+kind.denied+"}}"),
				"postscreen.greet_wait": `"2s"`, "postscreen.denylist_action": strconv.Quote(kind.deny), "postscreen.greet_action": strconv.Quote(kind.greet), "smtpd.reject_footer": "'" + footer + "'",
			})
			text := "HELO c\r\nMAIL FROM:<x@sender.example>\r\nRCPT TO:<" + alice + ">\r\nQUIT\r\n"
			if kind.name == "denied" {
				text = "" // it is told before it speaks
			}
			refused := func(lines []string) (kept []string) {
				for _, line := range lines {
					if line[0] == '4' || line[0] == '5' {
						kept = append(kept, line)
					}
				}
				return kept
			}
			ours, theirs := refused(talkAtOnce(t, b.SMTP(), text)), refused(talkAtOnce(t, p.SMTP(), text))
			if !slices.Equal(ours, theirs) || len(ours) == 0 || !strings.HasSuffix(ours[0], "; ask mx.example.test of 127.0.0.1") {
				t.Errorf("ours    %q\nPostfix %q", ours, theirs)
			}
		})
	}
}

// TestRelayDomainsAndMXBackupAsPostfix: which recipients are taken, and what the others hear, with relay_domains, permit_mx_backup, and both.
func TestRelayDomainsAndMXBackupAsPostfix(t *testing.T) {
	t.Parallel()
	mx := func(hosts ...string) (n dnstest.Name) {
		for i, h := range hosts {
			n.MX = append(n.MX, net.MX{Host: h, Pref: uint16(10 * (i + 1))})
		}
		return n
	}
	names := dnstest.StartForSystem(t, map[string]dnstest.Name{
		"relay.test": mx("better.test", "here.test"), "elsewhere.test": mx("better.test"), "sub.relay.test": mx("better.test", "here.test"), "backup.test": mx("better.test", "here.test"),
		"primary.test": mx("here.test", "better.test"), "alone.test": mx("here.test"), "bare.test": {Addrs: []string{"203.0.113.5"}}, "broken.test": {Fail: true},
		"better.test": {Addrs: []string{"192.0.2.9"}}, "here.test": {Addrs: []string{"203.0.113.5"}},
	})
	domains := []string{"relay.test", "elsewhere.test", "sub.relay.test", "backup.test", "primary.test", "alone.test", "bare.test", "broken.test", "nowhere.test"}
	said := regexp.MustCompile(`^(\d{3} \d\.\d+\.\d+) (.*)$`)
	for _, both := range []bool{true, false} {
		restrictions, relay := []string{"permit_mx_backup", "reject_unauth_destination"}, "relay.test, elsewhere.test"
		if !both {
			restrictions = restrictions[1:]
		}
		p, err := peers.StartPostfix(testContext(t), peers.PostfixOptions{
			Dir: peers.TempDir(t), Hostname: "mx.example.test", NameServer: names.Addr, Accounts: []peers.Account{{Address: alice}},
			Main: "proxy_interfaces = 203.0.113.5\nmynetworks = 192.0.2.0/24\nrelay_domains = " + relay + "\nsmtpd_relay_restrictions = " + strings.Join(restrictions, ", ") + "\nsmtpd_recipient_restrictions =\nsmtpd_error_sleep_time = 0\nsmtpd_hard_error_limit = 100\n",
		})
		must(t, err)
		b := serve(t, map[string]string{
			"main.trusted_networks": "[]", "smtp.resolver": fmt.Sprintf("[%q]", names.Addr), "smtp.own_addresses": `["203.0.113.5"]`, "rewrite.relay_domains": `["relay.test", "elsewhere.test"]`,
			"smtpd.relay_restrictions": `["` + strings.Join(restrictions, `", "`) + `"]`, "smtpd.recipient_restrictions": "[]", "smtpd.error_limit": "1000", "dns.timeout": `"1s"`, "dns.attempts": "1",
		})
		answers := func(address string) map[string]string {
			s, err := dialSMTP(address, "EHLO")
			must(t, err)
			defer s.Close()
			_, err = s.command("250", "MAIL FROM:<x@sender.test>")
			must(t, err)
			got := map[string]string{}
			for _, d := range domains {
				text, _ := s.command("", "RCPT TO:<y@%s>", d)
				if m := said.FindStringSubmatch(text); m != nil {
					if got[d] = m[1]; text[0] != '2' {
						got[d] += " " + m[2]
					}
				}
			}
			return got
		}
		ours, theirs := answers(b.SMTP()), answers(p.SMTP())
		for _, d := range domains {
			theirs[d] = strings.TrimSuffix(theirs[d], ": Host not found, try again")
			if ours[d] != theirs[d] || ours[d] == "" {
				t.Errorf("with permit_mx_backup %v, %s:\n  ours    %s\n  Postfix %s", both, d, ours[d], theirs[d])
			}
		}
		p.Stop()
		must(t, b.Stop())
	}
}

// TestAuthRateAsPostfix: a client that logs in too often has the answer of Debian's Postfix, which asks a Dovecot; so has the client with the right password, and another client goes on.
func TestAuthRateAsPostfix(t *testing.T) {
	t.Parallel()
	peers.NeedRoot(t, "Dovecot")
	peers.Need(t, "dovecot", "dovecot-core")
	dir := peers.TempDir(t)
	socket := filepath.Join(dir, "a")
	d, err := peers.StartDovecot(testContext(t), peers.DovecotOptions{
		Dir: peers.TempDir(t), Accounts: []peers.Account{{Address: alice, Password: alicesWord}}, Conf: "auth_mechanisms = plain login\nservice auth {\n  unix_listener " + socket + " {\n    mode = 0666\n  }\n}\nauth_failure_delay = 0\n",
	})
	must(t, err)
	t.Cleanup(d.Stop)
	p := startPostfix(t, "mx.example.test", "smtpd_sasl_auth_enable = yes\nsmtpd_sasl_type = dovecot\nsmtpd_sasl_path = "+socket+"\nsmtpd_tls_auth_only = no\nsmtpd_client_auth_rate_limit = 2\nsmtpd_client_event_limit_exceptions =\nsmtpd_error_sleep_time = 0\n", alice)
	b := serve(t, map[string]string{"smtpd.client_auth_rate_limit": "2", "main.trusted_networks": "[]"})
	plain := func(word string) string {
		return base64.StdEncoding.EncodeToString([]byte("\x00" + alice + "\x00" + word))
	}
	talk := func(address string) (all []string) {
		for _, word := range []string{alicesWord, "wrong", alicesWord, alicesWord} {
			s, err := dialSMTP(address, "EHLO")
			must(t, err)
			text, _ := s.command("", "AUTH PLAIN %s", plain(word))
			all = append(all, text)
			s.Close()
		}
		return all
	}
	ours, theirs := talk(b.Submission()), talk(p.SMTP())
	for i := range theirs {
		if ours[i] != theirs[i] && (i >= 2 || ours[i][:3] != theirs[i][:3]) {
			t.Errorf("log-in %d:\n  ours    %s\n  Postfix %s", i, ours[i], theirs[i])
		}
	}
	if theirs[2][0] != '4' {
		t.Errorf("Postfix %q", theirs)
	}
}
