package e2e

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"toastmaster/internal/testkit/peers"
)

// clientCert is a certificate in a file, with its key.
type clientCert struct {
	file, print string
	cert        *x509.Certificate
	key         *ecdsa.PrivateKey
}

// newClientCert makes one that by signs, or with nil one that signs itself and others.
func newClientCert(t *testing.T, dir, name string, by *clientCert) *clientCert {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		BasicConstraintsValid: true, IsCA: by == nil, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	parent, signer := template, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	must(t, err)
	c := &clientCert{file: filepath.Join(dir, name+".pem"), key: key, print: strings.ReplaceAll(fmt.Sprintf("% X", sha256.Sum256(der)), " ", ":")}
	c.cert, err = x509.ParseCertificate(der)
	must(t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	text := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})...)
	must(t, os.WriteFile(c.file, text, 0o644))
	return c
}

// openssl speaks SMTP by openssl s_client, and returns all that was said.
func openssl(t *testing.T, address string, args ...string) string {
	t.Helper()
	path := peers.Need(t, "openssl", "openssl")
	cmd := exec.CommandContext(testContext(t), path, append([]string{"s_client", "-connect", address, "-starttls", "smtp", "-crlf", "-ign_eof"}, args...)...)
	in, err := cmd.StdinPipe()
	must(t, err)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	must(t, cmd.Start())
	_, err = io.WriteString(in, "EHLO client.test\nMAIL FROM:<x@example.net>\nRCPT TO:<y@elsewhere.test>\nQUIT\n")
	must(t, err)
	_ = cmd.Wait() // it is not content with our certificate
	return out.String()
}

// TestCertificatesOfRealClients: openssl, swaks and Debian's Postfix as a sending side relay with a certificate that is listed,
// and nobody does without; an authority that is taken away, with a reload, vouches for nobody in a session that is resumed.
func TestCertificatesOfRealClients(t *testing.T) {
	t.Parallel()
	peers.NeedRoot(t, "Postfix")
	swaks := peers.Need(t, "swaks", "swaks")
	dir := t.TempDir()
	must(t, os.Chmod(dir, 0o755))
	ca := newClientCert(t, dir, "authority.test", nil)
	listed, trusted, other := newClientCert(t, dir, "listed.test", nil), newClientCert(t, dir, "trusted.test", ca), newClientCert(t, dir, "other.test", nil)
	b := serve(t, map[string]string{
		"main.trusted_networks": "[]", "smtpd.tls_ask_ccert": "true", "smtpd.tls_loglevel": "2", "smtpd.tls_ca_file": strconv.Quote(ca.file),
		"smtpd.relay_clientcerts":  `["inline:{ {` + listed.print + ` = listed} }"]`,
		"smtpd.relay_restrictions": `["permit_tls_all_clientcerts", "reject_unauth_destination"]`,
		"smtpd.error_limit":        "1000", "smtpd.forbid_unauth_pipelining": "false", "smtp.relayhost": `"[127.0.0.1]:1"`,
	})
	const taken, refused = "250 2.1.5 ", "554 5.7.1 <y@elsewhere.test>: Relay access denied"
	for _, c := range []struct {
		cert *clientCert
		want string
	}{{listed, taken}, {trusted, taken}, {other, refused}, {nil, refused}} {
		var args, words []string
		if c.cert != nil {
			args, words = []string{"-cert", c.cert.file, "-key", c.cert.file}, []string{"--tls-cert", c.cert.file, "--tls-key", c.cert.file}
		}
		for _, version := range []string{"-tls1_2", "-tls1_3"} {
			if out := openssl(t, b.SMTP(), append(args, version)...); !strings.Contains(out, c.want) {
				t.Errorf("openssl %s with %v: no %q in\n%s", version, c.cert, c.want, out)
			}
		}
		out, _ := exec.CommandContext(testContext(t), swaks, append(words, "--server", b.SMTP(), "--tls", "--quit-after", "RCPT", "--from", "x@example.net", "--to", "y@elsewhere.test")...).CombinedOutput()
		if !strings.Contains(string(out), c.want) {
			t.Errorf("swaks with %v: no %q in\n%s", c.cert, c.want, out)
		}
	}
	for _, line := range []string{"tls service=smtpd .* trust=Untrusted .* subject=listed.test issuer=listed.test fingerprint=" + listed.print, "trust=Trusted .*subject=trusted.test", "trust=Anonymous"} {
		eventually(t, func() error {
			if text := readFile(t, b.LogFile()); !regexp.MustCompile(line).MatchString(text) {
				return fmt.Errorf("no %s in\n%s", line, b.LogTail(3000))
			}
			return nil
		})
	}
	postfixWithCertificate(t, b, listed, true)
	postfixWithCertificate(t, b, other, false)

	session := filepath.Join(dir, "session")
	out := openssl(t, b.SMTP(), "-cert", trusted.file, "-key", trusted.file, "-tls1_2", "-sess_out", session)
	if !strings.Contains(out, taken) {
		t.Fatalf("%s", out)
	}
	resume := func(want string) {
		t.Helper()
		out := openssl(t, b.SMTP(), "-cert", trusted.file, "-key", trusted.file, "-tls1_2", "-sess_in", session)
		if !strings.Contains(out, "Reused, TLS") || !strings.Contains(out, want) {
			t.Errorf("no %q, or not resumed, in\n%s", want, out)
		}
	}
	resume(taken)
	must(t, os.WriteFile(ca.file, []byte("none"), 0o644))
	b.hangup(t, "error reload")
	resume(taken)
	text, err := os.ReadFile(other.file)
	must(t, err)
	must(t, os.WriteFile(ca.file, text, 0o644))
	b.hangup(t, "info reload status=ok")
	resume(refused)
}

// postfixWithCertificate sends a message by Debian's Postfix, which shows a certificate to us, and waits until it is taken or refused.
func postfixWithCertificate(t *testing.T, b *box, c *clientCert, taken bool) {
	t.Helper()
	p, err := peers.StartPostfix(testContext(t), peers.PostfixOptions{
		Dir: peers.TempDir(t), Hostname: "relay.test",
		Main: "relayhost = [127.0.0.1]:" + b.SMTP()[strings.LastIndexByte(b.SMTP(), ':')+1:] + "\nsmtp_tls_cert_file = " + c.file + "\nsmtp_tls_key_file = " + c.file +
			"\nsmtp_tls_security_level = encrypt\nsmtp_tls_session_cache_database =\n",
	})
	must(t, err)
	defer p.Stop()
	must(t, p.Submit(testContext(t), "x@example.net", []string{"y@elsewhere.test"}, "Subject: certificate\n\ntext\n"))
	want := "status=bounced"
	if taken {
		want = "status=sent (250 2.0.0 queued as "
	}
	eventually(t, func() error {
		if log := p.LogTail(1 << 20); !strings.Contains(log, want) {
			return fmt.Errorf("no %q in\n%s", want, log)
		}
		return nil
	})
}

// TestStatisticsOfAnvil: the log has what clients did at most, in Postfix's words, and so have the metrics; nothing is said when nobody
// came.
func TestStatisticsOfAnvil(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "mail.log")
	b := serve(t, map[string]string{
		"log.format": `"postfix"`, "log.file": strconv.Quote(file), "log.flush": `"0s"`, "main.trusted_networks": `["127.0.0.1/32"]`, "anvil.status_update_time": `"1s"`, "anvil.rate_time_unit": `"1h"`,
	})
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP("127.66.0.1")}}
	c, err := dialer.DialContext(testContext(t), "tcp", b.SMTP())
	must(t, err)
	defer c.Close()
	d := &dialogue{c, bufio.NewReader(c)}
	d.say(t, "", "220")
	d.say(t, "EHLO client.test\r\n", "250 ")
	for range 3 {
		d.say(t, "MAIL FROM:<x@example.net>\r\n", "250")
		d.say(t, "RCPT TO:<"+alice+">\r\n", "250")
		d.say(t, "RSET\r\n", "250")
	}
	for _, line := range []string{
		`statistics: max connection rate \d+/3600s for \(smtpd:127\.66\.0\.1\)`, `statistics: max connection count \d+ for \(smtpd:127\.66\.0\.1\)`,
		`statistics: max message rate 3/3600s for \(smtpd:127\.66\.0\.1\)`, `statistics: max recipient rate 3/3600s for \(smtpd:127\.66\.0\.1\)`, `statistics: max cache size \d+`,
	} {
		line = `postfix/anvil\[\d+\]: ` + line + ` at [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d\n`
		eventually(t, func() error {
			if text := readFile(t, file); !regexp.MustCompile(line).MatchString(text) {
				return fmt.Errorf("no %s in\n%s", line, text)
			}
			return nil
		})
	}
	// After the last line about messages nothing came of them: the metric is back at 0, and no line more.
	page := func(what string) string {
		out := get(t, "http://"+b.Admin()+"/metrics")
		m := regexp.MustCompile(`toastmaster_client_peak\{what="` + what + `"\} (\S+)`).FindStringSubmatch(out)
		if m == nil {
			t.Fatalf("no peak of %s in\n%s", what, out)
		}
		return m[1]
	}
	eventually(t, func() error {
		if got := page("message rate"); got != "0" {
			return fmt.Errorf("message rate %s", got)
		}
		return nil
	})
	if n := strings.Count(readFile(t, file), "max message rate"); n != 1 {
		t.Errorf("%d lines", n)
	}
}
