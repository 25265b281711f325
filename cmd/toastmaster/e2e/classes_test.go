package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"toastmaster/internal/testkit/peers"
)

// classParams are the classes of addresses of the tests, ours and Postfix's.
const (
	virtualTable = "inline:{ {ali.example=x}, {team@ali.example=alice@example.test, carol@remote.example}, {loop@ali.example=pool@ali.example}, {pool@ali.example=loop@ali.example}, {gone@example.test=bob@example.test}, {stands@relay.example=alice@example.test}, {far@elsewhere.example=bob@example.test} }"
	relayTable   = "inline:{ {carol@remote.example=x}, {dave@relay.example=x} }"
)

// TestAddressClassesAsPostfix: strangers may write to the same recipients of each class as with Debian's Postfix, and the others
// hear the same reply; who may relay may write to all who are somebody.
func TestAddressClassesAsPostfix(t *testing.T) {
	t.Parallel()
	p := startPostfixWith(t, "mx.example.test", "mynetworks = 192.0.2.0/24\nmydestination = local.example\nlocal_recipient_maps = inline:{ {known=x} }\nlocal_transport = discard:\ndefault_transport = discard:\nrelay_transport = discard:\n"+
		"virtual_alias_domains = $virtual_alias_maps other.example\nvirtual_alias_maps = "+virtualTable+"\nrelay_domains = remote.example relay.example open.example\nrelay_recipient_maps = "+relayTable+" inline:{{@open.example=x}}\n"+
		"virtual_mailbox_domains = example.test\nvirtual_mailbox_maps = inline:{ {alice@example.test=x}, {bob@example.test=x} }\nsmtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination\nsmtpd_sender_restrictions = reject_unlisted_sender\n"+
		"smtpd_error_sleep_time = 0\nsmtpd_soft_error_limit = 1000\nsmtpd_hard_error_limit = 1000\nparent_domain_matches_subdomains = relay_domains\n", "")
	b := serve(t, map[string]string{
		"main.trusted_networks": `["192.0.2.0/24"]`, "rewrite.mydestination": `["local.example"]`, "local.recipient_maps": `["inline:{ {known=x} }"]`, "rewrite.local_transport": `"discard"`,
		"rewrite.default_transport": `"discard"`, "rewrite.relay_transport": `"discard"`, "rewrite.virtual_alias_domains": `["$virtual_alias_maps", "other.example"]`, "cleanup.virtual_alias_maps": `["` + virtualTable + `"]`,
		"rewrite.relay_domains": `["remote.example", "relay.example", "open.example"]`, "rewrite.relay_recipient_maps": `["` + relayTable + `", "inline:{{@open.example=x}}"]`, "smtpd.sender_restrictions": `["reject_unlisted_sender"]`, "smtpd.error_limit": "1000", "smtpd.soft_error_limit": "1000",
	})
	ours, err := dialSMTP(b.SMTP(), "EHLO")
	must(t, err)
	defer ours.Close()
	theirs, err := dialSMTP(p.SMTP(), "EHLO")
	must(t, err)
	defer theirs.Close()
	say := func(s *smtpConn, line string) string {
		_, err := fmt.Fprintf(s.Conn, "%s\r\n", line)
		must(t, err)
		reply, err := s.reply()
		must(t, err)
		return reply
	}
	short := func(reply string) string { // code, status, and the words that are Postfix's
		code := reply[:min(len(reply), 9)]
		for _, text := range []string{"User unknown in virtual alias table", "User unknown in local recipient table", "User unknown in relay recipient table", "Relay access denied"} {
			if strings.Contains(reply, text) {
				code += " " + text
			}
		}
		return code
	}
	for _, from := range []string{"x@elsewhere.example", "known@local.example", "other@local.example", "nobody@ali.example", "team@ali.example", "loop@ali.example", "other@relay.example", "dave@relay.example", alice, "nobody@example.test", "gone@example.test", ""} {
		var got [2]string
		for i, s := range []*smtpConn{ours, theirs} {
			say(s, "RSET")
			say(s, "MAIL FROM:<"+from+">")
			got[i] = short(say(s, "RCPT TO:<"+alice+">"))
		}
		if got[0] != got[1] {
			t.Errorf("from %s:\n  ours    %s\n  Postfix %s", from, got[0], got[1])
		}
	}
	for _, to := range []string{
		"known@local.example", "known+x@local.example", "other@local.example", "team@ali.example", "team+x@ali.example", "nobody@ali.example", "x@other.example", "x@sub.ali.example", "carol@remote.example", "other@remote.example", "dave@relay.example", "dave+x@relay.example",
		"dave@sub.relay.example", "stands@relay.example", "any@open.example", "any@sub.open.example", alice, "nobody@example.test", "gone@example.test", "far@elsewhere.example", "x@elsewhere.example", "x@local.example.elsewhere.example",
	} {
		var got [2]string
		for i, s := range []*smtpConn{ours, theirs} {
			say(s, "RSET")
			say(s, "MAIL FROM:<x@elsewhere.example>")
			got[i] = say(s, "RCPT TO:<"+to+">")
		}
		if to == "nobody@example.test" { // the directory has a word of its own
			got[0] = strings.Replace(got[0], "User unknown", "User unknown in virtual mailbox table", 1)
		}
		if short(got[0]) != short(got[1]) {
			t.Errorf("to %s:\n  ours    %s\n  Postfix %s", to, got[0], got[1])
		}
	}
	// A loop is our own affair: it is refused at once, where Postfix says try again for days.
	say(ours, "RSET")
	say(ours, "MAIL FROM:<x@elsewhere.example>")
	if reply := say(ours, "RCPT TO:<loop@ali.example>"); !strings.HasPrefix(reply, "554 5.4.6") {
		t.Error(reply)
	}
}

// TestVirtualAliasesAndRelayDomains: mail for an alias comes to a mailbox of the directory and to another host, that of a relay
// domain goes on whoever sends it, of a mailbox served elsewhere by virtual_transport; a file of aliases that changes counts at once.
func TestVirtualAliasesAndRelayDomains(t *testing.T) {
	t.Parallel()
	p := startPostfix(t, "mx.remote.example", "", "carol@remote.example", "erin@relay.example")
	dir := peers.TempDir(t)
	file := filepath.Join(dir, "virtual")
	must(t, os.WriteFile(file, []byte("ali.example x\nteam@ali.example alice@example.test, carol@remote.example\n"), 0o644))
	hop := fmt.Sprintf("[127.0.0.1]:%d", p.Port25())
	b := serve(t, map[string]string{
		"main.trusted_networks": `["192.0.2.0/24"]`, "cleanup.virtual_alias_maps": `["texthash:` + file + `"]`, "rewrite.relay_domains": `["relay.example"]`,
		"rewrite.relay_transport": `"smtp:` + hop + `"`, "rewrite.default_transport": `"smtp:` + hop + `"`,
	})
	s, err := dialSMTP(b.SMTP(), "EHLO")
	must(t, err)
	defer s.Close()
	_, err = s.send("x@elsewhere.example", []string{"team+tag@ali.example"}, "Subject: team\r\n\r\nx\r\n")
	must(t, err)
	_, err = s.send("x@elsewhere.example", []string{"erin@relay.example"}, "Subject: relay\r\n\r\nx\r\n")
	must(t, err)
	if text := readFile(t, b.waitMail(t, alice, 1)[0]); !strings.Contains(text, "X-Original-To: team+tag@ali.example") && !strings.Contains(text, "Delivered-To: alice") {
		t.Error(text)
	}
	waitPeerMail(t, p, "carol@remote.example", 1)
	waitPeerMail(t, p, "erin@relay.example", 1)
	if _, err = s.send("x@elsewhere.example", []string{"new@ali.example"}, "Subject: new\r\n\r\nx\r\n"); err == nil || !strings.Contains(err.Error(), "550 5.1.1") {
		t.Error(err)
	}
	must(t, os.WriteFile(file+"~", []byte("ali.example x\nnew@ali.example bob@example.test\n"), 0o644))
	must(t, os.Rename(file+"~", file))
	eventually(t, func() error {
		if _, err := s.command("250", "RSET"); err != nil {
			return err
		}
		_, err := s.send("x@elsewhere.example", []string{"new@ali.example"}, "Subject: new\r\n\r\nx\r\n")
		return err
	})
	b.waitMail(t, bob, 1)
	b.queueEmpty(t)
}

// TestVirtualTransportIsAnotherStore: mailboxes of the directory are served elsewhere, who is one is asked here, and a quota here, of which
// nothing is used up by them, holds up nothing.
func TestVirtualTransportIsAnotherStore(t *testing.T) {
	t.Parallel()
	p := startPostfix(t, "mx.store.example", "", alice, bob)
	b := serve(t, map[string]string{"rewrite.virtual_transport": fmt.Sprintf(`"smtp:[127.0.0.1]:%d"`, p.Port25()), "store.quota_grace": "0"})
	_, err := b.Run(testContext(t), "", "mailbox", "set", bob, "--quota", "5000")
	must(t, err)
	s, err := dialSMTP(b.SMTP(), "EHLO")
	must(t, err)
	defer s.Close()
	for range 3 {
		_, err = s.send("x@elsewhere.example", []string{bob}, "Subject: x\r\n\r\n"+strings.Repeat("0123456789\r\n", 300))
		must(t, err)
	}
	waitPeerMail(t, p, bob, 3)
	if _, err := s.send("x@elsewhere.example", []string{"nobody@example.test"}, "Subject: x\r\n\r\nx\r\n"); err == nil || !strings.Contains(err.Error(), "550 5.1.1") {
		t.Error(err)
	}
	b.queueEmpty(t)
}
