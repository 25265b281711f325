package smtpserver

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"toastmaster/internal/addr"
	"toastmaster/internal/clock"
	"toastmaster/internal/dsn"
	"toastmaster/internal/msglog"
	"toastmaster/internal/sasl"
	"toastmaster/internal/service"
	"toastmaster/internal/testkit/transcript"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// message is what the backend of these tests was given.
type message struct {
	mail Mail
	rcpt []Rcpt
	text string
}

// mailbag is a backend that keeps what it gets. Addresses decide:
// "refused@..." 550, "later@..." 451, "moved@..." 551, "lmtpfail@..." accepted
// at RCPT and refused after DATA.
type mailbag struct {
	mu   sync.Mutex
	mail []message
	// lf takes contents through WriteLF.
	lf bool
	// needTLS wants TLS for AUTH.
	needTLS bool
}

func (b *mailbag) take() []message {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.mail
}

type bagSession struct {
	bag *mailbag
	msg message
}

func (b *mailbag) NewSession(c *Conn) Session {
	return struct {
		*bagSession
		bagAuth
	}{&bagSession{bag: b}, bagAuth{c, b.needTLS}}
}

func (s *bagSession) Reset() { s.msg = message{} }

func (s *bagSession) Mail(_ context.Context, m Mail) *dsn.Error {
	m.Raw = "" // what others who speak the protocol do not give
	s.msg = message{mail: m}
	return verdict(m.From)
}

func (s *bagSession) Rcpt(_ context.Context, r Rcpt) *dsn.Error {
	if e := verdict(r.To); e != nil {
		return e
	}
	r.Raw = ""
	s.msg.rcpt = append(s.msg.rcpt, r)
	return nil
}

func verdict(a addr.Address) *dsn.Error {
	switch address := a.Local; {
	case strings.HasPrefix(address, "refused"):
		return dsn.New(dsn.BadDestMailbox, "User unknown")
	case strings.HasPrefix(address, "later"):
		return dsn.New(dsn.MailSystem, "Try again later")
	case strings.HasPrefix(address, "moved"):
		return dsn.New(dsn.MailboxMoved, "User has moved, try <new@example.test>")
	case strings.HasPrefix(address, "theirs"):
		return dsn.New(dsn.Make(4, 2, 0), "Busy").WithCode(450)
	case address == "strange":
		return dsn.From(io.ErrClosedPipe)
	}
	return nil
}

// Data refuses lmtpfail after the message, and accepts the others.
func (s *bagSession) Data(_ context.Context, r io.Reader) (Accepted, *dsn.Error) {
	if strings.HasPrefix(s.msg.mail.From.Local, "early") {
		return Accepted{Text: "not read"}, nil // a session that gives up without a word
	}
	var text bytes.Buffer
	var err error
	if s.bag.lf {
		err = WriteLF(&text, r)
	} else {
		_, err = io.Copy(&text, r)
	}
	if err != nil && strings.HasPrefix(s.msg.mail.From.Local, "opaque") {
		err = errors.New("could not read") // a session that hides the cause
	}
	if err != nil {
		return Accepted{}, dsn.From(err)
	}
	if strings.Contains(text.String(), "virus") {
		return Accepted{}, dsn.New(dsn.Policy, "No")
	}
	s.msg.text = text.String()
	s.bag.mu.Lock()
	defer s.bag.mu.Unlock()
	s.bag.mail = append(s.bag.mail, s.msg)
	each := make([]*dsn.Error, len(s.msg.rcpt))
	for i, r := range s.msg.rcpt {
		if strings.HasPrefix(r.To.Local, "lmtpfail") {
			each[i] = dsn.New(dsn.MailboxFull, "Mailbox is full")
		}
	}
	return Accepted{Text: "queued as ABC", Each: each}, nil
}

// bagAuth accepts alice with the password secret.
type bagAuth struct {
	c       *Conn
	needTLS bool
}

func (b bagAuth) Mechanisms() []string {
	if b.MayAuth("") != nil {
		return nil
	}
	return sasl.Names()
}

func (b bagAuth) MayAuth(string) *dsn.Error {
	if b.needTLS && b.c.TLS() == nil {
		return dsn.New(dsn.EncryptionNeeded, "Encryption is needed").WithCode(538)
	}
	return nil
}

func (bagAuth) Authenticate(ctx context.Context, mechanism string, initial []byte, ask func([]byte) ([]byte, error)) error {
	m, ok := sasl.New(ctx, mechanism, func(_ context.Context, _, _, name, password string) error {
		if name != "alice" || password != "secret" {
			return dsn.New(dsn.AuthFailed, "Authentication failed")
		}
		return nil
	})
	if !ok {
		return dsn.New(dsn.InvalidArguments, "Authentication mechanism not supported").WithCode(504)
	}
	return sasl.Exchange(m, initial, ask)
}

// testServer is a server with small limits.
func testServer(bag *mailbag) *Server {
	return &Server{
		Service: "smtpd", Hostname: "mx.test", Backend: bag,
		MaxMessageBytes: 20_000, MaxRecipients: 3, MaxErrors: 8, MaxJunk: 10,
		Timeout: time.Minute, HandshakeTimeout: time.Minute,
		Log: msglog.Discard(), Clock: clock.System{},
	}
}

// serve runs s on loopback until the test ends.
func serve(t testing.TB, s *Server) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &service.Server{
		ServiceName: s.Service, Handler: s, Log: s.Log, Clock: s.Clock,
		Listeners: []service.Listener{{Listener: l}},
		Limits:    service.Limits{DrainTimeout: time.Minute},
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("server: %v", err)
		}
	})
	return l.Addr().String()
}

func dial(t testing.TB, address string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// selfSigned makes a certificate for the test's host name.
func selfSigned(t testing.TB) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mx.test"}, DNSNames: []string{"mx.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	server = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	return server, &tls.Config{InsecureSkipVerify: true, ServerName: "mx.test"}
}

func TestDialogues(t *testing.T) {
	t.Parallel()
	serverTLS, clientTLS := selfSigned(t)
	for _, protocol := range []string{"smtp", "lmtp"} {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			s := testServer(&mailbag{lf: true})
			s.TLS = serverTLS
			s.LMTP = protocol == "lmtp"
			address := serve(t, s)
			t.Run("all", func(t *testing.T) {
				transcript.RunDir(t, "testdata/"+protocol, transcript.Options{
					TLS:  clientTLS,
					Dial: func(t *testing.T, _ string) net.Conn { return dial(t, address) },
				})
			})
		})
	}
}
