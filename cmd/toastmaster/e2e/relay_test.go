package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"toastmaster/internal/testkit/dnstest"
	"toastmaster/internal/testkit/peers"
)

// startPostfix runs a Postfix that hosts the given addresses.
func startPostfix(t *testing.T, hostname, main string, addresses ...string) *peers.Postfix {
	t.Helper()
	peers.NeedRoot(t, "Postfix")
	peers.Need(t, "postfix", "postfix")
	o := peers.PostfixOptions{Dir: peers.TempDir(t), Hostname: hostname, Main: main}
	o.CertFile, o.KeyFile = selfSigned(t, o.Dir, hostname)
	for _, a := range addresses {
		o.Accounts = append(o.Accounts, peers.Account{Address: a})
	}
	p, err := peers.StartPostfix(testContext(t), o)
	must(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("Postfix's log ends:\n%s", p.LogTail(4000))
		}
		p.Stop()
	})
	return p
}

// waitPeerMail waits until virtual(8) has delivered n messages to an address.
func waitPeerMail(t *testing.T, p *peers.Postfix, address string, n int) []string {
	t.Helper()
	var files []string
	eventually(t, func() error {
		files = maildirFiles(t, p.Maildir(address))
		if len(files) != n {
			return fmt.Errorf("%s has %d messages, want %d", address, len(files), n)
		}
		return nil
	})
	return files
}

func selfSigned(t *testing.T, dir, hostname string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: hostname}, DNSNames: []string{hostname},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	must(t, err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	must(t, err)
	cert, key = filepath.Join(dir, "peer.crt"), filepath.Join(dir, "peer.key")
	must(t, os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644))
	must(t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), 0o600))
	return cert, key
}

// TestPostfixIsTheRemoteMX: outside mail goes to the MX with opportunistic TLS;
// an unknown user there is a report here.
func TestPostfixIsTheRemoteMX(t *testing.T) {
	t.Parallel()
	p := startPostfix(t, "mx.remote.example", "", "carol@remote.example")
	dns := dnstest.Start(t, map[string]dnstest.Name{
		"remote.example":    {MX: []net.MX{{Host: "mx.remote.example", Pref: 10}}},
		"mx.remote.example": {Addrs: []string{"127.0.0.1"}},
	})
	b := serve(t, map[string]string{"smtp.port": fmt.Sprint(p.Port25()), "smtp.resolver": fmt.Sprintf("[%q]", dns.Addr)})
	for i := range 10 {
		b.sendOne(t, alice, "carol@remote.example", fmt.Sprintf("outside %d", i))
	}
	b.sendOne(t, alice, "nobody@remote.example", "to nobody")
	b.sendOne(t, alice, "x@no-such-domain.example", "to no domain")

	for _, f := range waitPeerMail(t, p, "carol@remote.example", 10) {
		text := readFile(t, f)
		if !strings.Contains(text, "with ESMTPS id") || !strings.Contains(text, "from mx.example.test ") || !strings.HasPrefix(text, "Return-Path: <alice@example.test>") {
			t.Errorf("%s", text)
		}
	}
	var reports string
	for _, f := range b.waitMail(t, alice, 2) {
		text := readFile(t, f)
		if !strings.Contains(text, "Return-Path: <>") || !strings.Contains(text, "multipart/report") || !strings.Contains(text, "Action: failed") {
			t.Errorf("no report: %s", text)
		}
		reports += text
	}
	for _, want := range []string{"nobody@remote.example", "Status: 5.1.1", "Remote-MTA: dns; mx.remote.example", "Subject: to nobody", "x@no-such-domain.example"} {
		if !strings.Contains(reports, want) {
			t.Errorf("the reports lack %q:\n%s", want, reports)
		}
	}
	b.queueEmpty(t)
}

// TestRemoteTLSIsBroken: a Postfix that offers STARTTLS and has no version of TLS in common with
// us gets the mail in clear, in the first attempt.
func TestRemoteTLSIsBroken(t *testing.T) {
	t.Parallel()
	p := startPostfix(t, "mx.remote.example", "smtpd_tls_protocols = TLSv1", "carol@remote.example")
	dns := dnstest.Start(t, map[string]dnstest.Name{"remote.example": {Addrs: []string{"127.0.0.1"}}})
	b := serve(t, map[string]string{"smtp.port": fmt.Sprint(p.Port25()), "smtp.resolver": fmt.Sprintf("[%q]", dns.Addr), "smtp.tls_protocols": `">=TLSv1.2"`})
	b.sendOne(t, alice, "carol@remote.example", "in clear")
	if text := readFile(t, waitPeerMail(t, p, "carol@remote.example", 1)[0]); !strings.Contains(text, "with ESMTP id") {
		t.Errorf("%s", text)
	}
	eventually(t, func() error { // its log is written by another process
		if log := p.LogTail(1 << 20); !strings.Contains(log, "SSL_accept error") || !strings.Contains(log, "starttls=0/1") {
			return fmt.Errorf("no handshake failed: %s", log)
		}
		return nil
	})
	b.queueEmpty(t)
}

// TestFallbackRelay: a Postfix gets the mail for a domain that is not found, and for one of which
// the host is down.
func TestFallbackRelay(t *testing.T) {
	t.Parallel()
	p := startPostfix(t, "mx.remote.example", "", "carol@nowhere.example", "carol@down.example")
	dns := dnstest.Start(t, map[string]dnstest.Name{"down.example": {Addrs: []string{"127.0.0.9"}}, "null.example": {MX: []net.MX{{Host: ".", Pref: 0}}}})
	b := serve(t, map[string]string{
		"smtp.port": fmt.Sprint(p.Port25()), "smtp.resolver": fmt.Sprintf("[%q]", dns.Addr),
		"smtp.fallback_relay": fmt.Sprintf(`["[127.0.0.1]:%d"]`, p.Port25()),
	})
	for _, domain := range []string{"nowhere.example", "down.example", "null.example"} {
		b.sendOne(t, alice, "carol@"+domain, "to "+domain)
	}
	waitPeerMail(t, p, "carol@nowhere.example", 1)
	waitPeerMail(t, p, "carol@down.example", 1)
	if text := readFile(t, b.waitMail(t, alice, 1)[0]); !strings.Contains(text, "Status: 5.1.10") || !strings.Contains(text, "carol@null.example") {
		t.Errorf("%s", text)
	}
	b.queueEmpty(t)
}

// TestRemoteMXIsDownForAWhile: the mail waits and goes out later.
func TestRemoteMXIsDownForAWhile(t *testing.T) {
	t.Parallel()
	p := startPostfix(t, "mx.remote.example", "", "carol@remote.example")
	dns := dnstest.Start(t, map[string]dnstest.Name{"remote.example": {Fail: true}})
	b := serve(t, map[string]string{"smtp.port": fmt.Sprint(p.Port25()), "smtp.resolver": fmt.Sprintf("[%q]", dns.Addr)})
	b.sendOne(t, alice, "carol@remote.example", "patience")
	eventually(t, func() error {
		out, err := b.Run(testContext(t), "", "queue", "list", "--json")
		if err == nil && !strings.Contains(out, "deferred") {
			err = fmt.Errorf("not deferred: %s", out)
		}
		return err
	})
	// It survives a crash while it waits.
	b.Kill()
	b.start(t)
	dns.Set("remote.example", dnstest.Name{Addrs: []string{"127.0.0.1"}}) // no MX: the address itself (RFC 5321 5.1)
	b.flushUntilEmpty(t)
	waitPeerMail(t, p, "carol@remote.example", 1)
	if n := len(b.mail(t, alice, "")); n != 0 {
		t.Errorf("%d reports for a delay", n)
	}
}

// TestPostfixRelaysToUs: Postfix as the client of our smtpd, with all it knows
// of pipelining and TLS.
func TestPostfixRelaysToUs(t *testing.T) {
	t.Parallel()
	b := serve(t, nil)
	p := startPostfix(t, "mx.peer.example", "relayhost = [127.0.0.1]:"+portOf(t, b.SMTP()), "dave@peer.example")
	ctx := testContext(t)
	for i := range 20 {
		must(t, p.Submit(ctx, "dave@peer.example", []string{alice, bob}, fmt.Sprintf("From: dave@peer.example\nSubject: relayed %d\n\nText.\n.\n..\n", i)))
	}
	must(t, p.Submit(ctx, "dave@peer.example", []string{alice, "nobody@example.test"}, "Subject: half of it\n\nText.\n"))
	for _, address := range []string{alice, bob} {
		want := 20
		if address == alice {
			want = 21
		}
		for _, f := range b.waitMail(t, address, want) {
			text := readFile(t, f)
			if !strings.Contains(text, "with ESMTPS id") {
				t.Fatalf("no TLS: %s", text)
			}
			if !strings.Contains(text, "half of it") && !strings.HasSuffix(text, "\n\nText.\n.\n..\n") {
				t.Fatalf("%q", text)
			}
		}
	}
	report := readFile(t, waitPeerMail(t, p, "dave@peer.example", 1)[0])
	if !strings.Contains(report, "5.1.1") || !strings.Contains(report, "nobody@example.test") {
		t.Errorf("Postfix reports: %s", report)
	}
}

// TestPostfixDeliversToOurLMTP: the store behind a real Postfix.
func TestPostfixDeliversToOurLMTP(t *testing.T) {
	t.Parallel()
	b := serve(t, nil)
	p := startPostfix(t, "mx.peer.example", "virtual_transport = lmtp:inet:127.0.0.1:"+portOf(t, b.LMTP()), alice, bob, "nobody@example.test")
	ctx := testContext(t)
	for i := range 20 {
		must(t, p.Submit(ctx, "", []string{alice, bob}, fmt.Sprintf("From: dave@peer.example\nSubject: by lmtp %d\n\nText.\n", i)))
	}
	b.waitMail(t, alice, 20)
	b.waitMail(t, bob, 20)
	// Unknown to us, known to Postfix: refused per recipient, at once.
	must(t, p.Submit(ctx, alice, []string{"nobody@example.test"}, "Subject: refused\n\nText.\n"))
	eventually(t, func() error {
		if log := p.LogTail(100 << 10); !strings.Contains(log, "dsn=5.1.1, status=bounced") {
			return fmt.Errorf("no such line in the log")
		}
		return nil
	})
}
