package e2e

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"toastmaster/internal/testkit/dnstest"
	"toastmaster/internal/testkit/peers"
)

// addTables stops the program, appends tables to its configuration and starts it again.
func addTables(t *testing.T, b *box, tables string) {
	t.Helper()
	must(t, b.Stop())
	f, err := os.OpenFile(b.ConfigFile(), os.O_APPEND|os.O_WRONLY, 0)
	must(t, err)
	_, err = f.WriteString(tables)
	must(t, err)
	must(t, f.Close())
	b.start(t)
}

// TestLMTPToDovecot: mail for a domain leaves to a Dovecot by LMTP; what it says of each recipient
// is each one's fate.
func TestLMTPToDovecot(t *testing.T) {
	t.Parallel()
	d, err := peers.StartDovecot(testContext(t), peers.DovecotOptions{Dir: peers.TempDir(t), Accounts: []peers.Account{{Address: "a@store.example", Password: "x"}, {Address: "b@store.example", Password: "x"}}})
	must(t, err)
	t.Cleanup(d.Stop)
	b := serve(t, nil)
	addTables(t, b, fmt.Sprintf("\n[[transport]]\nname = \"store\"\nagent = \"lmtp\"\ndomains = [\"store.example\"]\nnexthop = \"inet:%s\"\n", d.LMTP()))
	s, err := dialSMTP(b.SMTP(), "EHLO")
	must(t, err)
	defer s.Close()
	for i := range 3 {
		_, err = s.send(alice, []string{"a@store.example", "b@store.example", "nobody@store.example"}, fmt.Sprintf("From: <%s>\r\nSubject: to a store %d\r\n\r\n..text\r\n", alice, i))
		must(t, err)
	}
	for _, to := range []string{"a@store.example", "b@store.example"} {
		eventually(t, func() error {
			files, err := filepath.Glob(filepath.Join(d.Maildir(to), "new", "*"))
			if err != nil || len(files) != 3 {
				return fmt.Errorf("%s has %d messages (%v): %s", to, len(files), err, d.LogTail(2000))
			}
			for _, f := range files {
				if text := readFile(t, f); !strings.Contains(text, "\n\n.text\n") {
					t.Errorf("%s", text)
				}
			}
			return nil
		})
	}
	for _, f := range b.waitMail(t, alice, 3) {
		if text := readFile(t, f); !strings.Contains(text, "Final-Recipient: rfc822; nobody@store.example") || !strings.Contains(text, "Status: 5.1.1") || strings.Contains(text, "a@store.example\n") {
			t.Errorf("%s", text)
		}
	}
	b.queueEmpty(t)
}

// TestChunkingToPostfix: a Postfix, which offers CHUNKING, gets mail of all sizes by BDAT, as it was.
func TestChunkingToPostfix(t *testing.T) {
	t.Parallel()
	p := startPostfix(t, "mx.remote.example", "", "carol@remote.example")
	dns := dnstest.Start(t, map[string]dnstest.Name{"remote.example": {MX: []net.MX{{Host: "mx.remote.example", Pref: 10}}}, "mx.remote.example": {Addrs: []string{"127.0.0.1"}}})
	b := serve(t, map[string]string{"smtp.port": fmt.Sprint(p.Port25()), "smtp.resolver": fmt.Sprintf("[%q]", dns.Addr)})
	s, err := dialSMTP(b.SMTP(), "EHLO")
	must(t, err)
	defer s.Close()
	bodies := map[string]string{"small": ".dot\n..\n", "large": strings.Repeat(strings.Repeat("x", 70)+"\n.\n", 9000)}
	for name, body := range bodies {
		wire := strings.ReplaceAll(strings.ReplaceAll("\n"+body, "\n.", "\n.."), "\n", "\r\n")
		_, err = s.send(alice, []string{"carol@remote.example"}, "From: <"+alice+">\r\nSubject: "+name+"\r\n"+wire)
		must(t, err)
	}
	for _, f := range waitPeerMail(t, p, "carol@remote.example", 2) {
		text := readFile(t, f)
		name := "small"
		if strings.Contains(text, "Subject: large") {
			name = "large"
		}
		if _, got, _ := strings.Cut(text, "\n\n"); got != bodies[name] {
			t.Errorf("%s: %d octets: %.200q", name, len(got), got)
		}
	}
	eventually(t, func() error { // its log is written by another process
		if log := p.LogTail(1 << 22); !strings.Contains(log, " bdat=") || strings.Contains(log, " data=") {
			return fmt.Errorf("no BDAT in %d octets of log", len(log))
		}
		return nil
	})
	b.queueEmpty(t)
}

// TestTLSPolicyMaps: a table says what TLS has to be for a destination; Postfix says what it was.
// Without the right certificate nothing leaves.
func TestTLSPolicyMaps(t *testing.T) {
	t.Parallel()
	p := startPostfix(t, "mx.remote.example", "", "carol@clear.example", "carol@tls.example", "carol@pinned.example")
	dns := dnstest.Start(t, map[string]dnstest.Name{
		"clear.example": {Addrs: []string{"127.0.0.1"}}, "tls.example": {Addrs: []string{"127.0.0.1"}}, "pinned.example": {Addrs: []string{"127.0.0.1"}},
	})
	policies := filepath.Join(t.TempDir(), "policies")
	must(t, os.WriteFile(policies, []byte("clear.example none\npinned.example fingerprint match="+strings.Repeat("00", 32)+"\n"), 0o644))
	b := serve(t, map[string]string{
		"smtp.port": fmt.Sprint(p.Port25()), "smtp.resolver": fmt.Sprintf("[%q]", dns.Addr),
		"smtp.tls_policy_maps": fmt.Sprintf("[%q]", "texthash:"+policies), "smtp.tls_level": `"encrypt"`,
	})
	for _, domain := range []string{"pinned.example", "clear.example", "tls.example"} {
		b.sendOne(t, alice, "carol@"+domain, "to "+domain)
	}
	for domain, want := range map[string]string{"clear.example": "with ESMTP id", "tls.example": "with ESMTPS id"} {
		if text := readFile(t, waitPeerMail(t, p, "carol@"+domain, 1)[0]); !strings.Contains(text, want) {
			t.Errorf("%s: %s", domain, text)
		}
	}
	eventually(t, func() error {
		out, err := b.Run(testContext(t), "", "queue", "list")
		if must(t, err); !strings.Contains(out, "TLS handshake with") || !strings.Contains(out, "carol@pinned.example") {
			return fmt.Errorf("%s", out)
		}
		return nil
	})
}
