package tlsconf

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"toastmaster/internal/clock"
	"toastmaster/internal/msglog"
	"toastmaster/internal/testkit/clocktest"
)

// makePair makes a self-signed pair for host.
func makePair(t *testing.T, host string) Pair {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "tls")
	p := Pair{Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}
	if err := SelfSigned(p, host, time.Now()); err != nil {
		t.Fatal(err)
	}
	return p
}

func load(t *testing.T, o Options) *Certificates {
	t.Helper()
	if o.Log == nil {
		o.Log = msglog.Discard()
	}
	if o.Clock == nil {
		o.Clock = clock.System{}
	}
	c, err := Load(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// offered makes a handshake and returns the certificate that the server showed.
func offered(t *testing.T, c *Certificates, client *tls.Config) (*x509.Certificate, error) {
	t.Helper()
	a, b := net.Pipe()
	defer func() { _ = a.Close(); _ = b.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	go func() { _ = tls.Server(a, c.Config()).HandshakeContext(ctx) }()
	conn := tls.Client(b, client)
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	return conn.ConnectionState().PeerCertificates[0], nil
}

func nameFor(t *testing.T, c *Certificates, sni string) string {
	t.Helper()
	cert, err := offered(t, c, &tls.Config{ServerName: sni, InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	return cert.Subject.CommonName
}

func TestCertificateByName(t *testing.T) {
	t.Parallel()
	c := load(t, Options{Pairs: []Pair{makePair(t, "mail.example.test"), makePair(t, "other.example"), makePair(t, "*.wild.example")}})
	for sni, want := range map[string]string{
		"mail.example.test": "mail.example.test",
		"other.example":     "other.example",
		"OTHER.example":     "other.example",
		"a.wild.example":    "*.wild.example",
		"a.b.wild.example":  "mail.example.test",
		"unknown.example":   "mail.example.test",
		"":                  "mail.example.test",
		"localhost":         "mail.example.test",
	} {
		if got := nameFor(t, c, sni); got != want {
			t.Errorf("for %q: %s, want %s", sni, got, want)
		}
	}
}

func TestSelfSignedIsTrustedByItself(t *testing.T) {
	t.Parallel()
	p := makePair(t, "mail.example.test")
	c := load(t, Options{Pairs: []Pair{p}})
	pem, err := os.ReadFile(p.Cert)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	for _, name := range []string{"mail.example.test", "localhost", "127.0.0.1", "::1"} {
		cert, err := offered(t, c, &tls.Config{ServerName: name, RootCAs: roots})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if years := time.Until(cert.NotAfter).Hours() / 24 / 365; years < 9.9 || years > 10.1 {
			t.Errorf("%v years", years)
		}
	}
	info, err := os.Stat(p.Key)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("key mode %v %v", info.Mode(), err)
	}
	if err := SelfSigned(p, "x", time.Now()); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a key was replaced: %v", err)
	}
}

// TestLeavesFollowTheFiles: what is measured is what is served.
func TestLeavesFollowTheFiles(t *testing.T) {
	a, b := makePair(t, "a.example"), makePair(t, "b.example")
	c := load(t, Options{Pairs: []Pair{a, b}})
	names := func() (all []string) {
		for _, leaf := range c.Leaves() {
			all = append(all, leaf.DNSNames[0])
		}
		return all
	}
	if got := names(); !slices.Equal(got, []string{"a.example", "b.example"}) {
		t.Fatal(got)
	}
	replace(t, b, makePair(t, "new.example"))
	if err := c.Reload(); err != nil {
		t.Fatal(err)
	}
	if got := names(); !slices.Equal(got, []string{"a.example", "new.example"}) {
		t.Fatal(got)
	}
}

func TestMinimumVersion(t *testing.T) {
	t.Parallel()
	p := makePair(t, "a")
	for _, v := range []struct {
		least, client uint16
		ok            bool
	}{
		{0, tls.VersionTLS11, false},
		{tls.VersionTLS10, tls.VersionTLS11, false},
		{0, tls.VersionTLS12, true},
		{tls.VersionTLS13, tls.VersionTLS12, false},
		{tls.VersionTLS13, tls.VersionTLS13, true},
	} {
		c := load(t, Options{Pairs: []Pair{p}, MinVersion: v.least})
		_, err := offered(t, c, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: v.client})
		if (err == nil) != v.ok {
			t.Errorf("%+v: %v", v, err)
		}
	}
}

// replace puts the files of one pair in the place of another's, by rename as
// ACME clients do.
func replace(t *testing.T, old, by Pair) {
	t.Helper()
	if err := os.Rename(by.Key, old.Key); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(by.Cert, old.Cert); err != nil {
		t.Fatal(err)
	}
}

func TestChangedFilesAreReadAgain(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	c := clocktest.New(time.Now())
	p := makePair(t, "old.example")
	certs := load(t, Options{Pairs: []Pair{p}, Check: time.Minute, Clock: c, Log: msglog.New(slog.NewTextHandler(&log, nil))})
	replace(t, p, makePair(t, "new.example"))
	if got := nameFor(t, certs, ""); got != "old.example" {
		t.Errorf("looked before it was time: %s", got)
	}
	c.Advance(time.Minute)
	if got := nameFor(t, certs, ""); got != "new.example" {
		t.Errorf("after a minute: %s", got)
	}
	// A broken file changes nothing but the log.
	if err := os.WriteFile(p.Cert, []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.Advance(time.Minute)
	if got := nameFor(t, certs, ""); got != "new.example" {
		t.Errorf("after a broken file: %s", got)
	}
	if !strings.Contains(log.String(), "not reloaded") || !strings.Contains(log.String(), p.Cert) {
		t.Errorf("log: %s", log.String())
	}
	if err := certs.Reload(); err == nil {
		t.Error("Reload of a broken file")
	}
	if err := os.Remove(p.Cert); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(p.Key); err != nil {
		t.Fatal(err)
	}
	if err := SelfSigned(p, "third.example", time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := certs.Reload(); err != nil {
		t.Fatal(err)
	}
	if got := nameFor(t, certs, ""); got != "third.example" {
		t.Errorf("after Reload: %s", got)
	}
}

func TestErrorsNameTheFile(t *testing.T) {
	t.Parallel()
	a, b := makePair(t, "a"), makePair(t, "b")
	broken := filepath.Join(t.TempDir(), "broken.pem")
	if err := os.WriteFile(broken, []byte("no PEM"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		pairs []Pair
		want  string
	}{
		{nil, "no certificate"},
		{[]Pair{{"/missing.pem", a.Key}}, "/missing.pem"},
		{[]Pair{{a.Cert, "/missing.key"}}, "/missing.key"},
		{[]Pair{a, {broken, a.Key}}, broken},
		{[]Pair{{a.Cert, b.Key}}, b.Key},
	} {
		_, err := Load(Options{Pairs: c.pairs, Log: msglog.Discard(), Clock: clock.System{}})
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("error %v, want one line with %s", err, c.want)
		}
	}
}

func TestExpiredIsAWarning(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	p := makePair(t, "a")
	load(t, Options{Pairs: []Pair{p}, Log: msglog.New(slog.NewTextHandler(&log, nil)), Clock: clocktest.New(time.Now().AddDate(11, 0, 0))})
	if !strings.Contains(log.String(), "expired") || !strings.Contains(log.String(), p.Cert) {
		t.Errorf("log: %s", log.String())
	}
}
