package login

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"log/slog"
	"math/big"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"toastmaster/directory"
	"toastmaster/directory/gate"
	"toastmaster/directory/password"
	"toastmaster/internal/addr"
	"toastmaster/internal/anvil"
	"toastmaster/internal/clock"
	"toastmaster/internal/dsn"
	"toastmaster/internal/msglog"
	"toastmaster/mailstore"
)

// peer is a connection from an address of the test's choice.
type peer struct {
	net.Conn
	addr string
}

func (p peer) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(p.addr))
}

func newGate(t *testing.T, log *bytes.Buffer) *Gate {
	t.Helper()
	box, err := addr.Parse("alice@example.test")
	if err != nil {
		t.Fatal(err)
	}
	return &Gate{
		Gate: gate.Gate{
			Service: "testd", SecureNetworks: gate.Loopback(), MaxFailures: 2,
			Log: msglog.New(slog.NewTextHandler(log, nil)),
			Authenticate: func(_ context.Context, a password.Attempt) (directory.Mailbox, error) {
				switch a.Password {
				case "secret":
					return directory.Mailbox{Address: box, Home: "example.test/alice", QuotaBytes: 7, Enabled: true}, nil
				case "outage":
					return directory.Mailbox{}, errors.New("database is down")
				}
				return directory.Mailbox{}, dsn.New(dsn.AuthFailed, "wrong")
			},
		},
		Open: func(_ context.Context, p mailstore.Principal) (*mailstore.Session, error) {
			a := p.Account
			if a.Home != "example.test/alice" || a.QuotaBytes != 7 {
				t.Errorf("account %+v", a)
			}
			return nil, nil
		},
		Timeout: time.Minute,
	}
}

func connect(t *testing.T, g *Gate, from string) *Session {
	t.Helper()
	a, b := net.Pipe()
	t.Cleanup(func() { _ = a.Close(); _ = b.Close() })
	if from == "" {
		return g.Connect(a)
	}
	return g.Connect(peer{a, from})
}

func status(err error) string {
	if err == nil {
		return ""
	}
	return dsn.From(err).Status.String()
}

func TestSecure(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, from string
		plaintext  bool
		networks   []netip.Prefix
		secure     bool
	}{
		{"loopback", "127.0.0.1:9", false, gate.Loopback(), true},
		{"loopback v6", "[::1]:9", false, gate.Loopback(), true},
		{"loopback mapped", "[::ffff:127.0.0.1]:9", false, gate.Loopback(), true},
		{"loopback not trusted", "127.0.0.1:9", false, nil, false},
		{"unix socket", "", false, nil, true},
		{"outside", "192.0.2.1:9", false, gate.Loopback(), false},
		{"outside allowed", "192.0.2.1:9", true, gate.Loopback(), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			g := newGate(t, &bytes.Buffer{})
			g.SecureNetworks, g.Plaintext = c.networks, c.plaintext
			s := connect(t, g, c.from)
			if s.Secure() != c.secure || (len(s.Mechanisms()) > 0) != c.secure {
				t.Errorf("secure %v, mechanisms %v", s.Secure(), s.Mechanisms())
			}
			err := s.Login(t.Context(), "USER", "alice@example.test", "secret")
			if c.secure && err != nil || !c.secure && !errors.Is(err, ErrInsecure) {
				t.Errorf("log-in: %v", err)
			}
			if s.LoggedIn() != c.secure {
				t.Errorf("logged in: %v", s.LoggedIn())
			}
		})
	}
}

func TestAttemptsAreLimited(t *testing.T) {
	t.Parallel()
	g := newGate(t, &bytes.Buffer{})
	s := connect(t, g, "127.0.0.1:9")
	if got := status(s.Login(t.Context(), "USER", "alice", "guess")); got != "5.7.8" {
		t.Errorf("wrong password: %s", got)
	}
	if s.Exhausted() {
		t.Error("exhausted after one")
	}
	if got := status(s.Login(t.Context(), "USER", "alice", "outage")); got != "4.3.0" {
		t.Errorf("outage: %s", got)
	}
	if !s.Exhausted() {
		t.Error("not exhausted after two")
	}
	if got := status(s.Login(t.Context(), "USER", "alice", "secret")); got != "5.7.8" || s.LoggedIn() {
		t.Errorf("the right password after too many: %s", got)
	}
}

func TestSASL(t *testing.T) {
	t.Parallel()
	g := newGate(t, &bytes.Buffer{})
	s := connect(t, g, "127.0.0.1:9")
	if err := s.SASL(t.Context(), "NONE", nil, nil); !errors.Is(err, ErrMechanism) {
		t.Errorf("unknown mechanism: %v", err)
	}
	initial := base64.StdEncoding.AppendEncode(nil, []byte("\x00alice@example.test\x00secret"))
	if err := s.SASL(t.Context(), "PLAIN", initial, nil); err != nil {
		t.Fatal(err)
	}
	if got := s.Account().Address.String(); got != "alice@example.test" || !s.LoggedIn() {
		t.Errorf("logged in as %s", got)
	}
	if got := status(s.SASL(t.Context(), "PLAIN", initial, nil)); got != "5.5.1" {
		t.Errorf("twice: %s", got)
	}
}

func TestConnectionsPerUserAndAddress(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	g := newGate(t, &log)
	g.PerUser, g.Plaintext = 1, true
	g.Counter = anvil.New(anvil.Options{Exempt: []netip.Prefix{netip.MustParsePrefix("192.0.2.99/32")}, Clock: clock.System{}})
	try := func(from string) (*Session, error) {
		s := connect(t, g, from)
		return s, s.Login(t.Context(), "USER", "alice", "secret")
	}
	first, err := try("192.0.2.1:9")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := try("192.0.2.1:10"); !errors.Is(err, ErrTooMany) {
		t.Errorf("second: %v", err)
	}
	if _, err := try("192.0.2.2:9"); err != nil {
		t.Errorf("other address: %v", err)
	}
	// A host has a /64.
	if _, err := try("[2001:db8::1]:9"); err != nil {
		t.Errorf("IPv6: %v", err)
	}
	if _, err := try("[2001:db8::2]:9"); !errors.Is(err, ErrTooMany) {
		t.Errorf("another address of the same /64: %v", err)
	}
	for range 2 {
		if _, err := try("192.0.2.99:9"); err != nil {
			t.Errorf("trusted: %v", err)
		}
	}
	// The count is of one service.
	other := newGate(t, &bytes.Buffer{})
	other.Service, other.PerUser, other.Plaintext, other.Counter = "otherd", 1, true, g.Counter
	if err := connect(t, other, "192.0.2.1:10").Login(t.Context(), "USER", "alice", "secret"); err != nil {
		t.Errorf("another service: %v", err)
	}
	first.Disconnect("quit", "retr=0")
	if _, err := try("192.0.2.1:11"); err != nil {
		t.Errorf("after the first left: %v", err)
	}
	if text := log.String(); !strings.Contains(text, "reason=quit") || strings.Contains(text, "secret") {
		t.Errorf("log: %s", text)
	}
}

func TestPlaceIsGivenBackWhenTheMailDoesNotOpen(t *testing.T) {
	t.Parallel()
	g := newGate(t, &bytes.Buffer{})
	g.PerUser, g.SecureNetworks, g.Plaintext = 1, nil, true
	g.Counter = anvil.New(anvil.Options{Clock: clock.System{}})
	open := g.Open
	g.Open = func(context.Context, mailstore.Principal) (*mailstore.Session, error) { return nil, errors.New("disk") }
	if got := status(connect(t, g, "192.0.2.1:9").Login(t.Context(), "USER", "alice", "secret")); got != "4.3.0" {
		t.Errorf("status %s", got)
	}
	g.Open = open
	if err := connect(t, g, "192.0.2.1:9").Login(t.Context(), "USER", "alice", "secret"); err != nil {
		t.Error(err)
	}
}

// TestTimeForLogIn: all that is read before the log-in has Timeout together, and
// what is read after it has not.
func TestTimeForLogIn(t *testing.T) {
	t.Parallel()
	g := newGate(t, &bytes.Buffer{})
	g.Timeout = 10 * time.Millisecond
	a, b := net.Pipe()
	defer func() { _ = a.Close(); _ = b.Close() }()
	s := g.Connect(peer{a, "127.0.0.1:9"})
	s.Wire.ReadTimeout = time.Hour
	if _, err := s.Wire.ReadCommand(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("before log-in %v", err)
	}
	if err := s.Login(t.Context(), "USER", "alice", "secret"); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = b.Write([]byte("NOOP\r\n")) }()
	if line, err := s.Wire.ReadCommand(); string(line) != "NOOP" || err != nil {
		t.Errorf("after log-in %q %v", line, err)
	}
}

func TestStartTLS(t *testing.T) {
	t.Parallel()
	g := newGate(t, &bytes.Buffer{})
	g.HandshakeTimeout = time.Minute
	a, b := net.Pipe()
	defer func() { _ = a.Close(); _ = b.Close() }()
	s := g.Connect(peer{a, "192.0.2.1:9"})
	if s.CanStartTLS() || !errors.Is(s.StartTLS(), ErrNoTLS) {
		t.Error("TLS without a certificate")
	}
	g.TLS = serverConfig(t)
	done := make(chan error, 1)
	go func() { done <- tls.Client(b, &tls.Config{InsecureSkipVerify: true}).Handshake() }()
	if err := s.StartTLS(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if !s.Secure() || !s.TLS() || s.CanStartTLS() {
		t.Error("not secure after STARTTLS")
	}
	if _, ok := s.Wire.NetConn().(*tls.Conn); !ok {
		t.Errorf("connection is a %T", s.Wire.NetConn())
	}
}

func TestStartTLSHasADeadline(t *testing.T) {
	t.Parallel()
	g := newGate(t, &bytes.Buffer{})
	g.HandshakeTimeout, g.TLS = 10*time.Millisecond, serverConfig(t)
	if got := status(connect(t, g, "192.0.2.1:9").StartTLS()); got != "4.4.2" {
		t.Errorf("status %s", got)
	}
}

func serverConfig(t *testing.T) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}
