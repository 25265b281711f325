package smtp

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"iter"
	"math/big"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"toastmaster/configs"
	"toastmaster/internal/dsn"
)

// writePEM writes blocks to a file of the test.
func writePEM(t *testing.T, kind string, ders ...[]byte) string {
	t.Helper()
	var b bytes.Buffer
	for _, der := range ders {
		if err := pem.Encode(&b, &pem.Block{Type: kind, Bytes: der}); err != nil {
			t.Fatal(err)
		}
	}
	f, err := os.CreateTemp(t.TempDir(), "*.pem")
	if err == nil {
		_, err = f.Write(b.Bytes())
	}
	if err != nil || f.Close() != nil {
		t.Fatal(err)
	}
	return f.Name()
}

// TestClientCertificate: a host that asks who we are is shown smtp.tls_certificate, of either kind of key.
func TestClientCertificate(t *testing.T) {
	t.Parallel()
	server, _ := certificate(t, "mx.remote.test")
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]any{"rsa": rsaKey, "ec": ecKey} {
		template := &x509.Certificate{SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour)}
		public := any(&rsaKey.PublicKey)
		if name == "ec" {
			public = &ecKey.PublicKey
		}
		der, err := x509.CreateCertificate(rand.Reader, template, template, public, key)
		if err != nil {
			t.Fatal(err)
		}
		private, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		var shown atomic.Pointer[string]
		p := newPeer(t, "127.0.0.1:0")
		p.ehlo = []string{"STARTTLS"}
		p.tls = &tls.Config{Certificates: []tls.Certificate{server}, ClientAuth: tls.RequireAnyClientCert, VerifyConnection: func(s tls.ConnectionState) error {
			shown.Store(&s.PeerCertificates[0].Subject.CommonName)
			return nil
		}}
		pair := writePEM(t, "CERTIFICATE", der) + "," + writePEM(t, "PRIVATE KEY", private)
		r := newRig(t, p.start().port, one(), func(c *configs.SMTP, _ *Options) { c.TLSCertificate, c.TLSLevel = pair, configs.TLSEncrypt })
		r.want(r.deliver(request("remote.test", hello, "a@remote.test")), dsn.OK)
		if s := shown.Load(); s == nil || *s != name {
			t.Errorf("%s: %v", name, s)
		}
	}
}

// TestTrustAnchor: smtp.tls_ca_file may have an authority that another one vouches for, and trusts nobody else.
func TestTrustAnchor(t *testing.T) {
	t.Parallel()
	type signer struct {
		cert *x509.Certificate
		key  *ecdsa.PrivateKey
	}
	issue := func(name string, ca bool, by *signer) *signer {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		template := &x509.Certificate{
			SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
			IsCA: ca, BasicConstraintsValid: true, DNSNames: []string{name},
		}
		parent, signing := template, key
		if by != nil {
			parent, signing = by.cert, by.key
		}
		der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signing)
		if err != nil {
			t.Fatal(err)
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		return &signer{cert, key}
	}
	root := issue("root", true, nil)
	middle := issue("middle", true, root)
	other := issue("other", true, root)
	leaf := issue("mx.remote.test", false, middle)
	for anchor, want := range map[*signer]dsn.Status{middle: dsn.OK, root: dsn.OK, other: tlsFailed} {
		p := newPeer(t, "127.0.0.1:0")
		p.ehlo = []string{"STARTTLS"}
		p.tls = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{leaf.cert.Raw, middle.cert.Raw}, PrivateKey: leaf.key}}}
		file := writePEM(t, "CERTIFICATE", anchor.cert.Raw)
		r := newRig(t, p.start().port, one(), func(c *configs.SMTP, _ *Options) { c.TLSCAFile, c.TLSLevel = file, configs.TLSVerify })
		r.want(r.deliver(request("remote.test", hello, "a@remote.test")), want)
	}
}

// TestKeptWithTLS: a connection with TLS is used again, too.
func TestKeptWithTLS(t *testing.T) {
	t.Parallel()
	cert, _ := certificate(t, "mx.remote.test")
	for _, highest := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		p := newPeer(t, "127.0.0.1:0")
		p.ehlo, p.underTLS, p.tls = []string{"STARTTLS"}, []string{"PIPELINING"}, &tls.Config{Certificates: []tls.Certificate{cert}, MaxVersion: highest}
		r := newRig(t, p.start().port, nil, func(c *configs.SMTP, _ *Options) { c.TLSLevel, c.CacheTime = configs.TLSEncrypt, time.Hour })
		for range 3 {
			r.want(r.deliver(request(p.nexthop(), hello, "a@remote.test")), dsn.OK)
		}
		if sessions, messages := p.count(); sessions != 1 || messages != 3 {
			t.Errorf("%d sessions, %d messages", sessions, messages)
		}
	}
}

// FuzzFolded: no line is longer than the limit, and the message is the same but for the cuts.
func FuzzFolded(f *testing.F) {
	f.Add("a\n"+strings.Repeat("b", 30)+"\n\n"+strings.Repeat("c", 10), uint8(10), uint8(7))
	f.Add(strings.Repeat("x", 100), uint8(2), uint8(1))
	f.Fuzz(func(t *testing.T, text string, limit, size uint8) {
		if len(text) > 2000 {
			return // the check copies
		}
		most := int(limit)%60 + 2
		var pieces iter.Seq2[[]byte, error] = func(yield func([]byte, error) bool) {
			for p := range slices.Chunk([]byte(text), int(size)+1) {
				if !yield(p, nil) {
					return
				}
			}
		}
		var out bytes.Buffer
		for p, err := range folded(pieces, most) {
			if err != nil {
				t.Fatal(err)
			}
			out.Write(p)
		}
		// What a cut has added is taken out line by line of the text.
		got := out.String()
		for line := range strings.SplitAfterSeq(text, "\n") {
			for end := strings.TrimSuffix(line, "\n"); len(end) > most; {
				if !strings.HasPrefix(got, end[:most]+"\n ") {
					t.Fatalf("%q does not begin with %q", got, end[:most])
				}
				got = got[most+1:]
				end = " " + end[most:]
				line = " " + line[most:]
			}
			if !strings.HasPrefix(got, line) {
				t.Fatalf("%q does not begin with %q", got, line)
			}
			got = got[len(line):]
		}
		if got != "" {
			t.Fatalf("%q is left", got)
		}
	})
}

// TestFoldedStops: who wants no more of a message gets no more, and an error of reading comes through.
func TestFoldedStops(t *testing.T) {
	t.Parallel()
	failed := os.ErrClosed
	var pieces iter.Seq2[[]byte, error] = func(yield func([]byte, error) bool) {
		for _, p := range []string{strings.Repeat("x", 25), "y\n", "z"} {
			if !yield([]byte(p), nil) {
				return
			}
		}
		yield(nil, failed)
	}
	n := 0
	for _, err := range folded(pieces, 10) {
		if n++; err != nil {
			if err != failed {
				t.Error(err)
			}
			break
		}
	}
	for stop := range n {
		seen := 0
		for range folded(pieces, 10) {
			if seen++; seen > stop {
				break
			}
		}
		if seen != stop+1 {
			t.Errorf("%d pieces after a stop at %d", seen, stop)
		}
	}
}
