package smtpd

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"toastmaster/configs"
	"toastmaster/directory/tables"
	"toastmaster/internal/msglog"
	"toastmaster/internal/policyclient"
	"toastmaster/internal/testkit/logtest"
	"toastmaster/internal/testkit/peers"
	"toastmaster/internal/tlsconf"
)

// maker makes certificates.
type maker struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// issue makes one that m signs, or with nil one that signs itself.
func (m *maker) issue(t testing.TB, name string, set ...func(*x509.Certificate)) *maker {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name, Organization: []string{"Test & Co."}},
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(24 * time.Hour), BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature,
	}
	for _, f := range set {
		f(template)
	}
	parent, signer := template, key
	if m != nil {
		parent, signer = m.cert, m.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &maker{cert, key}
}

func authority(c *x509.Certificate) {
	c.IsCA, c.KeyUsage = true, x509.KeyUsageCertSign|x509.KeyUsageDigitalSignature
}

func (m *maker) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: m.cert.Raw})
}

func (m *maker) keyPEM(t testing.TB) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(m.key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// shown is the certificate as a client shows it, with those between it and the root.
func (m *maker) shown(between ...*maker) *tls.Certificate {
	c := &tls.Certificate{Certificate: [][]byte{m.cert.Raw}, PrivateKey: m.key}
	for _, b := range between {
		c.Certificate = append(c.Certificate, b.cert.Raw)
	}
	return c
}

// certClient is a client with a certificate, or none.
type certClient struct {
	name string
	cert *tls.Certificate
}

// certHouse has authorities and clients, and files of them.
type certHouse struct {
	dir     string
	root    *maker
	clients []certClient
	listed  *maker // its certificate is in the tables
	byKey   *maker // its key is
}

func newCertHouse(t *testing.T) *certHouse {
	t.Helper()
	dir := peers.TempDir(t)
	h := &certHouse{dir: dir, root: (*maker)(nil).issue(t, "Root + one", authority)}
	middle, deep := h.root.issue(t, "Middle", authority), (*maker)(nil)
	deep = middle.issue(t, "Deep", authority)
	h.listed, h.byKey = (*maker)(nil).issue(t, "listed.test"), h.root.issue(t, "by key=1+x.test")
	h.clients = []certClient{
		{"none", nil}, {"listed", h.listed.shown()}, {"by key", h.byKey.shown()}, {"self-signed", (*maker)(nil).issue(t, "self.test").shown()},
		{"trusted", h.root.issue(t, "trusted.test").shown()}, {"between", middle.issue(t, "between.test").shown(middle)},
		{"too deep", deep.issue(t, "deep.test").shown(deep, middle)}, {"not all shown", middle.issue(t, "lost.test").shown()},
		{"expired", h.root.issue(t, "old.test", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Hour) }).shown()},
		{"for servers", h.root.issue(t, "server.test", func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }).shown()},
		{"no name", h.root.issue(t, "").shown()},
	}
	server := h.root.issue(t, "mx.test", func(c *x509.Certificate) { c.DNSNames = []string{"mx.test"} })
	for name, text := range map[string][]byte{"ca.pem": h.root.pem(), "server.pem": append(server.pem(), server.keyPEM(t)...)} {
		if err := os.WriteFile(filepath.Join(filepath.Dir(dir), filepath.Base(dir)+"."+name), text, 0o644); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.Remove(h.file(name)) })
	}
	return h
}

// file lies beside the folder, which must be empty for Postfix.
func (h *certHouse) file(name string) string {
	return filepath.Join(filepath.Dir(h.dir), filepath.Base(h.dir)+"."+name)
}

// fingerprint is a digest as openssl shows it.
func fingerprint(der []byte, hash crypto.Hash) string {
	sum := hash.New()
	sum.Write(der)
	return strings.ReplaceAll(fmt.Sprintf("% X", sum.Sum(nil)), " ", ":")
}

// clientsOf is how ours looks at certificates.
func (h *certHouse) clientsOf(t *testing.T, set func(*tlsconf.ClientOptions)) *tlsconf.Clients {
	t.Helper()
	o := tlsconf.ClientOptions{Ask: true, CAFile: h.file("ca.pem"), Depth: 0, Digest: crypto.SHA256}
	if set != nil {
		set(&o)
	}
	c, err := tlsconf.LoadClients(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// starttls begins TLS with a client's certificate, and says EHLO.
func starttls(t *testing.T, server string, config *tls.Config) dialled {
	t.Helper()
	c := dialFrom(t, server, "127.66.0.1")
	c.reply(t, "greeting")
	for _, command := range []string{"EHLO client.test", "STARTTLS"} {
		fmt.Fprintf(c, "%s\r\n", command)
		if reply := c.reply(t, command); reply[0] != '2' {
			t.Fatalf("%s: %s", command, reply)
		}
	}
	secured := tls.Client(c.Conn, config)
	if err := secured.Handshake(); err != nil {
		t.Fatal(err)
	}
	c.Conn = secured
	c.in.Reset(secured)
	return c
}

// say are the last lines of the replies to commands; after a 421 nothing follows.
func (c dialled) say(t *testing.T, commands ...string) []string {
	t.Helper()
	var all []string
	for _, command := range commands {
		fmt.Fprintf(c, "%s\r\n", command)
		reply := c.reply(t, command)
		if all = append(all, reply); strings.HasPrefix(reply, "421") {
			break
		}
	}
	return all
}

func (c *certClient) config(cache tls.ClientSessionCache) *tls.Config {
	config := &tls.Config{InsecureSkipVerify: true, ClientSessionCache: cache, ServerName: "mx.test"}
	if c.cert != nil {
		// Whatever authorities the server names: what it says to others is to be seen.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return c.cert, nil }
	}
	return config
}

// TestClientCertificatesAsPostfix: whatever certificate a client shows, each restriction about it has the answer of Debian's
// Postfix; policy services are told the same, Received says the same, and the log calls it the same. A session that is resumed is worth
// the same.
func TestClientCertificatesAsPostfix(t *testing.T) {
	t.Parallel()
	peers.NeedRoot(t, "Postfix")
	peers.Need(t, "postfix", "postfix")
	h := newCertHouse(t)
	server := startPolicyServer(t)
	listed, key := fingerprint(h.listed.cert.Raw, crypto.SHA256), fingerprint(h.byKey.cert.RawSubjectPublicKeyInfo, crypto.SHA256)
	whole := fingerprint(h.byKey.cert.Raw, crypto.SHA256)
	lists := []string{
		"permit_tls_clientcerts, reject", "permit_tls_all_clientcerts, reject",
		"check_ccert_access inline:{ {" + listed + " = REJECT no you} {" + key + " = OK} }, reject",
		"check_ccert_access { inline:{ {" + key + " = 450 4.7.99 by key} {" + whole + " = 450 4.7.98 whole} }, { search_order = pubkey_fingerprint, cert_fingerprint } }",
		"check_ccert_access { inline:{ {" + key + " = 450 4.7.99 by key} {" + whole + " = 450 4.7.98 whole} } { search_order = cert_fingerprint pubkey_fingerprint } }",
		"check_ccert_access { inline:{ {" + whole + " = reject_unauth_destination} {" + listed + " = permit_tls_clientcerts, reject} }, { search_order = cert_fingerprint } }, reject",
		"check_policy_service inet:" + server.Addr().String() + ", reject",
	}
	classes, names, access, commands := "", []string{}, "", []string{"EHLO client.test", "MAIL FROM:<x@good.test>"}
	ourClasses := map[string][]string{}
	items := func(list string) (out []string) {
		depth, start := 0, 0
		for i, r := range list + "," {
			switch {
			case r == '{':
				depth++
			case r == '}':
				depth--
			case r == ',' && depth == 0:
				out = append(out, strings.TrimSpace(list[start:i]))
				start = i + 1
			}
		}
		return out
	}
	for i, list := range lists {
		name := fmt.Sprintf("list%d", i)
		classes += name + " = " + list + "\n"
		names = append(names, name)
		access += fmt.Sprintf(" {r%d@example.test = %s}", i, name)
		commands = append(commands, fmt.Sprintf("RCPT TO:<r%d@example.test>", i))
		ourClasses[name] = items(list)
	}
	relay := "inline:{ {" + listed + " = x} {" + key + " = y} }"
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	p, err := peers.StartPostfix(ctx, peers.PostfixOptions{
		Dir: h.dir, Hostname: "mx.test", Accounts: []peers.Account{{Address: "alice@example.test"}}, CertFile: h.file("server.pem"), KeyFile: h.file("server.pem"),
		Main: "smtpd_tls_ask_ccert = yes\nsmtpd_tls_CAfile = " + h.file("ca.pem") + "\nsmtpd_tls_ccert_verifydepth = 0\nsmtpd_tls_received_header = yes\nsmtpd_tls_loglevel = 2\n" +
			"relay_clientcerts = " + relay + "\nsmtpd_restriction_classes = " + strings.Join(names, ", ") + "\n" + classes +
			"mynetworks =\nsmtpd_reject_unlisted_recipient = no\nsmtpd_peername_lookup = no\nsmtpd_relay_restrictions = reject_unauth_destination\n" +
			"smtpd_recipient_restrictions = check_recipient_access inline:{" + access + " }, permit\n",
	})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Stop()
	set := tables.NewSet(tables.Options{Params: configs.Default().Lookup})
	t.Cleanup(func() { set.Close() })
	b := newBed(t)
	log := &logtest.Buffer{}
	services := &policyclient.Set{}
	t.Cleanup(func() { services.Close() })
	b.o.Trusted, b.o.Tables, b.o.Classes, b.o.Clients, b.o.Services = nil, set, ourClasses, h.clientsOf(t, nil), services
	b.o.Log = msglog.New(slog.NewTextHandler(log, nil))
	maps, _, err := set.OpenAll(ctx, []string{relay})
	if err != nil {
		t.Fatal(err)
	}
	b.o.RelayClientCerts, b.o.Params.AskCert, b.o.Params.TLSLogLevel = maps, true, 2
	b.o.Params.Restrictions.Relay = []string{"reject_unauth_destination"}
	b.o.Params.Restrictions.Recipient = []string{"check_recipient_access inline:{" + access + " }"}
	ours := serve(t, served(daemon(t, b.o).MX()), nil)
	encryption := regexp.MustCompile(`(?m)^(encryption_.*|size=0)\n?`)
	for _, client := range h.clients {
		caches := [2]tls.ClientSessionCache{tls.NewLRUClientSessionCache(1), tls.NewLRUClientSessionCache(1)}
		for _, time := range []string{"first", "resumed"} {
			about := func(address string, cache tls.ClientSessionCache) (replies, asked []string) {
				c := starttls(t, address, client.config(cache))
				defer c.Close()
				replies = c.say(t, commands...)
				if resumed := c.Conn.(*tls.Conn).ConnectionState().DidResume; resumed != (time == "resumed") && client.name != "expired" { // Go does not resume that
					t.Errorf("%s, %s, at %s: resumed %v", client.name, time, address, resumed)
				}
				c.say(t, "QUIT")
				for _, a := range server.take() {
					asked = append(asked, encryption.ReplaceAllString(a, ""))
				}
				return replies[1:], asked
			}
			theirReplies, theirs := about(p.SMTP(), caches[0])
			ourReplies, asked := about(ours, caches[1])
			for i, reply := range ourReplies {
				if their := theirReplies[i]; reply != their && (reply[0] != '2' || their[0] != '2') {
					t.Errorf("%s, %s: %s\nours    %s\nPostfix %s", client.name, time, (commands[1:])[i], reply, their)
				}
			}
			if !slices.Equal(asked, theirs) {
				t.Errorf("%s, %s: asked\n%s\nPostfix\n%s", client.name, time, asked, theirs)
			}
		}
	}
	trust := regexp.MustCompile(`(?:trust=|: )(Anonymous|Untrusted|Trusted)\b`)
	words := func(text string, line string) (out []string) {
		for l := range strings.Lines(text) {
			if m := trust.FindStringSubmatch(l); m != nil && strings.Contains(l, line) {
				out = append(out, m[1])
			}
		}
		return out
	}
	if mine, theirs := words(log.String(), "msg=tls"), words(p.LogTail(1<<20), "TLS connection"); !slices.Equal(mine, theirs) || len(mine) != 2*len(h.clients) {
		t.Errorf("ours   %q\nPostfix %q", mine, theirs)
	}
	if t.Failed() {
		t.Log(p.LogTail(5000))
	}
	// Received, of a message to alice.
	field := regexp.MustCompile(`(?s)\n\t(\((?:Client|No client)[^\n]*\))\n`)
	for _, client := range h.clients {
		send := []string{"EHLO client.test", "MAIL FROM:<x@good.test>", "RCPT TO:<alice@example.test>", "DATA", "Subject: " + client.name + "\r\n\r\ntext\r\n.", "QUIT"}
		for _, address := range []string{p.SMTP(), ours} {
			c := starttls(t, address, client.config(nil))
			if replies := c.say(t, send...); replies[4][:3] != "250" {
				t.Fatalf("%q", replies)
			}
			c.Close()
		}
		sub, _ := b.sent.last(t)
		mine := receivedOf(sub.Envelope.Origin)
		text := waitFor(t, p.Maildir("alice@example.test"), "Subject: "+client.name+"\n")
		if m := field.FindStringSubmatch(text); m == nil || !strings.Contains(mine, "\n\t"+m[1]+"\n") {
			t.Errorf("%s: Postfix has %q, ours is\n%s", client.name, m, mine)
		}
	}
}

// TestRequiredCertificatesAsPostfix: where TLS and a certificate are required, what is refused before TLS, and who after it, is the
// same.
func TestRequiredCertificatesAsPostfix(t *testing.T) {
	t.Parallel()
	peers.NeedRoot(t, "Postfix")
	peers.Need(t, "postfix", "postfix")
	h := newCertHouse(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	p, err := peers.StartPostfix(ctx, peers.PostfixOptions{
		Dir: h.dir, Hostname: "mx.test", Accounts: []peers.Account{{Address: "alice@example.test"}}, CertFile: h.file("server.pem"), KeyFile: h.file("server.pem"),
		Main: "smtpd_tls_security_level = encrypt\nsmtpd_tls_req_ccert = yes\nsmtpd_tls_CAfile = " + h.file("ca.pem") + "\nsmtpd_tls_ccert_verifydepth = 0\nmynetworks =\n",
	})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Stop()
	b := newBed(t)
	b.o.Trusted, b.o.Clients = nil, h.clientsOf(t, nil)
	b.o.Params.RequireCert, b.o.Params.TLSLevel = true, configs.TLSEncrypt
	ours := serve(t, served(daemon(t, b.o).MX()), nil)
	clear := func(address string) string {
		c := dialFrom(t, address, "127.66.0.1")
		defer c.Close()
		c.reply(t, "greeting")
		var all []string
		for _, command := range []string{"MAIL FROM:<x@good.test>", "NOOP", "EHLO client.test", "MAIL FROM:<x@good.test>", "RCPT TO:<alice@example.test>", "DATA", "RSET", "VRFY alice",
			"AUTH PLAIN AGEAYg==", "ETRN example.test", "BDAT 0", "NOOP", "HELO client.test", "MAIL FROM:<x@good.test>", "QUIT"} {
			fmt.Fprintf(c, "%s\r\n", command)
			reply := c.reply(t, command)
			if reply[0] == '2' {
				reply = reply[:3]
			}
			all = append(all, command+" -> "+reply)
		}
		return strings.Join(all, "\n")
	}
	// BDAT without a message is answered, and its size obeyed.
	if mine, theirs := clear(ours), clear(p.SMTP()); mine != theirs {
		t.Errorf("ours\n%s\nPostfix\n%s", mine, theirs)
	}
	for _, client := range h.clients {
		say := func(address string) string {
			c := starttls(t, address, client.config(nil))
			defer c.Close()
			replies := c.say(t, "EHLO client.test", "MAIL FROM:<x@good.test>", "RCPT TO:<alice@example.test>")
			for i, r := range replies {
				if r[0] == '2' {
					replies[i] = r[:3]
				}
			}
			return strings.Join(replies, "\n")
		}
		if mine, theirs := say(ours), say(p.SMTP()); mine != theirs {
			t.Errorf("%s\nours    %s\nPostfix %s", client.name, mine, theirs)
		}
	}
	// Without encrypt it is not required on port 25, and is on the ports for users.
	b.o.Params.TLSLevel = configs.TLSMay
	d := daemon(t, b.o)
	optional, users := serve(t, served(d.MX()), nil), serve(t, served(d.Submissions()), d.TLS())
	if replies := starttls(t, optional, h.clients[0].config(nil)).say(t, "EHLO client.test"); replies[0][:3] != "250" {
		t.Errorf("%q", replies)
	}
	for i, want := range map[int]string{0: "421 4.7.1 Error: No client certificate presented", 3: "421 4.7.1 Error: Client certificate not trusted", 4: "220 mx.test ESMTP ready"} {
		c, err := tls.Dial("tcp", users, h.clients[i].config(nil))
		if err != nil {
			t.Fatal(err)
		}
		line := make([]byte, 200)
		n, err := c.Read(line)
		if got := strings.TrimSpace(string(line[:n])); err != nil || got != want {
			t.Errorf("%s on 465: %q, %v", h.clients[i].name, got, err)
		}
		c.Close()
	}
}

// TestTrustEndsWithTheAuthority: once an authority is not believed any more, a session that is resumed is not trusted, and
// neither is one that goes on; a certificate that is not there or broken leaves those from before.
func TestTrustEndsWithTheAuthority(t *testing.T) {
	t.Parallel()
	h := newCertHouse(t)
	clients := h.clientsOf(t, nil)
	b := newBed(t)
	b.o.Trusted, b.o.Clients, b.o.Params.AskCert = nil, clients, true
	b.o.Params.Restrictions.Recipient = []string{"permit_tls_all_clientcerts", "reject"}
	address := serve(t, served(daemon(t, b.o).MX()), nil)
	trusted := h.clients[4]
	config := trusted.config(tls.NewLRUClientSessionCache(1))
	transaction := []string{"EHLO client.test", "MAIL FROM:<x@good.test>", "RCPT TO:<alice@example.test>"}
	before := starttls(t, address, config)
	defer before.Close()
	if replies := before.say(t, transaction...); replies[2][:3] != "250" {
		t.Fatalf("%q", replies)
	}
	ca, err := os.ReadFile(h.file("ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	write := func(text []byte) error {
		if err := os.WriteFile(h.file("ca.pem"), text, 0o644); err != nil {
			t.Fatal(err)
		}
		return clients.Reload()
	}
	for _, broken := range [][]byte{nil, []byte("x"), bytes.Replace(ca, []byte("MII"), []byte("MIX"), 1)} {
		if err := write(broken); err == nil || !strings.Contains(err.Error(), "ca.pem") {
			t.Errorf("%v", err)
		}
	}
	if replies := before.say(t, transaction...); replies[2][:3] != "250" {
		t.Errorf("a mistake took the trust: %q", replies)
	}
	if err := write((*maker)(nil).issue(t, "Another", authority).pem()); err != nil {
		t.Fatal(err)
	}
	if replies := before.say(t, transaction...); replies[2][:3] != "554" {
		t.Errorf("a session that goes on: %q", replies)
	}
	resumed := starttls(t, address, config)
	defer resumed.Close()
	if replies := resumed.say(t, transaction...); replies[2][:3] != "554" || !resumed.Conn.(*tls.Conn).ConnectionState().DidResume {
		t.Errorf("a session that is resumed: %q", replies)
	}
	if err := write(ca); err != nil {
		t.Fatal(err)
	}
	if replies := resumed.say(t, transaction...); replies[2][:3] != "250" {
		t.Errorf("believed again: %q", replies)
	}
}

// TestAuthoritiesInAFolder: files of certificates without the names of hashes, beside others; and what is told to clients is
// the file alone.
func TestAuthoritiesInAFolder(t *testing.T) {
	t.Parallel()
	h := newCertHouse(t)
	dir := t.TempDir()
	for name, text := range map[string][]byte{"one.pem": h.root.pem(), "key.pem": h.root.keyPEM(t), "README": []byte("text")} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "folder"), 0o755); err != nil {
		t.Fatal(err)
	}
	clients := h.clientsOf(t, func(o *tlsconf.ClientOptions) { o.CAFile, o.CAPath = "", dir })
	b := newBed(t)
	b.o.Trusted, b.o.Clients, b.o.Params.AskCert = nil, clients, true
	b.o.Params.Restrictions.Recipient = []string{"permit_tls_all_clientcerts", "reject"}
	address := serve(t, served(daemon(t, b.o).MX()), nil)
	config := h.clients[4].config(nil)
	named := -1
	config.GetClientCertificate = func(r *tls.CertificateRequestInfo) (*tls.Certificate, error) {
		named = len(r.AcceptableCAs)
		return h.clients[4].cert, nil
	}
	if replies := starttls(t, address, config).say(t, "EHLO client.test", "MAIL FROM:<x@good.test>", "RCPT TO:<alice@example.test>"); replies[2][:3] != "250" || named != 0 {
		t.Errorf("%q, %d authorities named", replies, named)
	}
	if _, err := tlsconf.LoadClients(tlsconf.ClientOptions{CAPath: dir + "/none", Digest: crypto.SHA256}); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("no folder: %v", err)
	}
}

// TestMistakesAboutCertificates: what check_ccert_access does not take.
func TestMistakesAboutCertificates(t *testing.T) {
	t.Parallel()
	set := tables.NewSet(tables.Options{Params: configs.Default().Lookup})
	t.Cleanup(func() { set.Close() })
	for _, item := range []string{
		"check_ccert_access", "check_ccert_access { static:OK", "check_ccert_access { static:OK, { search_order = subject } }", "check_ccert_access { static:OK, { search_order = } }",
		"check_ccert_access { static:OK, { order = cert_fingerprint } }", "check_ccert_access { static:OK, cert_fingerprint }", "check_ccert_access none:x", "permit_tls_clientcerts x",
	} {
		b := newBed(t)
		b.o.Tables, b.o.Params.Restrictions.Client = set, []string{item}
		if _, err := New(b.o); err == nil {
			t.Errorf("%s is taken", item)
		}
	}
}

// TestATableOfCertificatesThatFails lets nobody pass, and refuses nobody for good.
func TestATableOfCertificatesThatFails(t *testing.T) {
	t.Parallel()
	h := newCertHouse(t)
	set := tables.NewSet(tables.Options{Params: configs.Default().Lookup})
	t.Cleanup(func() { set.Close() })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone := "tcp:" + l.Addr().String()
	l.Close()
	maps, _, err := set.OpenAll(t.Context(), []string{gone})
	if err != nil {
		t.Fatal(err)
	}
	b := newBed(t)
	b.o.Trusted, b.o.Tables, b.o.Clients, b.o.RelayClientCerts, b.o.Params.AskCert = nil, set, h.clientsOf(t, nil), maps, true
	b.o.Params.Restrictions.Recipient = []string{"permit_tls_clientcerts", "reject"}
	address := serve(t, served(daemon(t, b.o).MX()), nil)
	transaction := []string{"EHLO client.test", "MAIL FROM:<x@good.test>", "RCPT TO:<alice@example.test>"}
	if replies := starttls(t, address, h.clients[1].config(nil)).say(t, transaction...); !strings.HasPrefix(replies[2], "451 4.3.5 ") {
		t.Errorf("%q", replies)
	}
	if replies := starttls(t, address, h.clients[0].config(nil)).say(t, transaction...); !strings.HasPrefix(replies[2], "554 5.7.1 ") {
		t.Errorf("nobody to ask about: %q", replies)
	}
}
