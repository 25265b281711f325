package smtpd

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"toastmaster/configs"
	"toastmaster/directory"
	"toastmaster/directory/logins"
	"toastmaster/directory/password"
	"toastmaster/directory/static"
	"toastmaster/internal/addr"
	"toastmaster/internal/clock"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/msglog"
	"toastmaster/internal/service"
	"toastmaster/internal/smtpserver"
	"toastmaster/internal/spool"
	"toastmaster/internal/testkit/transcript"
	"toastmaster/internal/vfs"
	"toastmaster/mta/cleanup"
	"toastmaster/mta/queue"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// submitted is an envelope.Submitter that keeps what it gets. A body with the
// word "full" is refused as a full disk.
type submitted struct {
	mu   sync.Mutex
	all  []envelope.Submission
	text []string
}

func (s *submitted) Submit(_ context.Context, sub *envelope.Submission) (envelope.QueueID, error) {
	text, err := io.ReadAll(envelope.Reader(sub.Content))
	if err := errors.Join(err, sub.Content.Close()); err != nil {
		return "", err
	}
	if bytes.Contains(text, []byte("full")) {
		return "", dsn.New(dsn.SystemFull, "Insufficient system storage")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, *sub)
	s.text = append(s.text, string(text))
	return "ABC", nil
}

func (s *submitted) last(t *testing.T) (envelope.Submission, string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.all) == 0 {
		t.Fatal("nothing was submitted")
	}
	return s.all[len(s.all)-1], s.text[len(s.text)-1]
}

func hosted(t testing.TB) *directory.Directory {
	t.Helper()
	full := static.Box("full@example.test", "")
	full.Mailbox.QuotaBytes = 1000
	off := static.Box("off@example.test", "")
	off.Mailbox.Enabled = false
	d, err := static.New(static.Data{
		Domains: append(static.Hosted("example.test"),
			directory.Domain{Name: "alias.test", AliasOf: "example.test", Enabled: true},
			directory.Domain{Name: "closed.test"}),
		Accounts: []directory.Account{static.Box("alice@example.test", ""), static.Box("bob@example.test", ""), static.Box("copied@example.test", ""), full, off},
		Aliases: map[string][]string{
			"sales@example.test":  {"alice@example.test", "x@elsewhere.test"},
			"self@example.test":   {"self@example.test"},
			"gone@example.test":   {"nobody@example.test", "self@example.test", "nobody@alias.test"},
			"half@example.test":   {"nobody@example.test", "alice@example.test"},
			"chain@example.test":  {"sales@example.test"},
			"copied@example.test": {"copied@example.test", "alice@example.test"},
			"away@example.test":   {"x@elsewhere.test"},
			"loop1@example.test":  {"bob@example.test", "loop2@alias.test"},
			"loop2@example.test":  {"loop1@example.test"},
			"many@example.test":   {"1@elsewhere.test", "2@elsewhere.test", "3@elsewhere.test", "4@elsewhere.test", "5@elsewhere.test"},
		},
		Relocated:  map[string]string{"moved@example.test": "new@elsewhere.test", "lost@example.test": "no forwarding address"},
		Delimiters: "+",
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// bed is a Daemon with everything around it.
type bed struct {
	o    Options
	sent *submitted
	tls  *tls.Config // of the client
}

func newBed(t testing.TB) *bed {
	t.Helper()
	b := &bed{sent: &submitted{}}
	server := certificate(t)
	b.tls = &tls.Config{InsecureSkipVerify: true}
	params := configs.Default().SMTPD
	params.MessageSizeLimit = 20_000
	params.ErrorLimit = 200
	params.Postmaster = "alice@example.test"
	b.o = Options{
		Params: params, Hostname: "mx.test", Directory: hosted(t), Aliases: directory.Limits{Depth: 4, Addresses: 4}, Submitter: b.sent,
		Trusted: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		Spool:   &spool.Dir{FS: vfs.OS{}, Path: t.TempDir(), Memory: 4 << 10},
		TLS:     server, HandshakeTimeout: time.Minute,
		Log: msglog.Discard(), Clock: clock.System{},
		Authenticate: func(_ context.Context, a password.Attempt) (directory.Mailbox, error) {
			if a.Login != "alice@example.test" || a.Password != "secret" || a.Service != "smtpd" {
				return directory.Mailbox{}, dsn.New(dsn.AuthFailed, "Authentication failed")
			}
			return static.Box("alice@example.test", "").Mailbox, nil
		},
		Ours: func(domain string) bool { return domain == "[127.0.0.1]" || domain == "[IPv6:::1]" },
		Fits: func(_ context.Context, m directory.Mailbox, size int64) *dsn.Error {
			if size > m.QuotaBytes-900 {
				return dsn.New(dsn.MailboxFull, "Mailbox is full")
			}
			return nil
		},
	}
	return b
}

func certificate(t testing.TB) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"mx.test"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

// served is a handler without limits.
func served(h *smtpserver.Server) *service.Server {
	return &service.Server{Handler: h, Log: msglog.Discard(), Limits: service.Limits{HandshakeTimeout: time.Minute}}
}

// pipeline puts the real cleanup and queue behind the port.
func (b *bed) pipeline(t testing.TB) {
	t.Helper()
	config := configs.Default()
	q, err := queue.Open(context.Background(), queue.Options{
		FS: vfs.OS{}, Dir: t.TempDir(), Config: config.Queue, Clock: clock.System{}, Log: msglog.Discard(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := q.Close(); err != nil {
			t.Error(err)
		}
	})
	b.o.Submitter = abc{cleanup.New(cleanup.Options{
		Params: config.Cleanup, Hostname: b.o.Hostname, Directory: b.o.Directory, Queue: q, Ours: b.o.Ours,
		ForeignAuthors: b.o.Params.ForeignHeaderFrom, Log: b.o.Log, Clock: clock.System{},
	})}
}

// abc names every message ABC.
type abc struct{ envelope.Submitter }

func (s abc) Submit(ctx context.Context, m *envelope.Submission) (envelope.QueueID, error) {
	_, err := s.Submitter.Submit(ctx, m)
	return "ABC", err
}

func daemon(t testing.TB, o Options) *Daemon {
	t.Helper()
	d, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// serve runs s on a port of its own until the test ends; implicit is TLS from the
// first octet.
func serve(t testing.TB, s *service.Server, implicit *tls.Config) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.ServiceName, s.Clock, s.Listeners = "smtpd", clock.System{}, []service.Listener{{Listener: l, TLS: implicit}}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

// TestDialogues runs testdata/<port>/*.txt against that kind of port.
func TestDialogues(t *testing.T) {
	t.Parallel()
	for _, port := range []string{"mx", "outside", "submission", "submissions", "down"} {
		t.Run(port, func(t *testing.T) {
			t.Parallel()
			b := newBed(t)
			if port == "outside" || port == "down" {
				b.o.Trusted = nil
			}
			if port == "down" {
				b.o.Directory = static.Broken{Outcome: directory.Unavailable, Cause: errors.New("connection refused")}.Directory()
			}
			if port == "submission" {
				b.pipeline(t)
			}
			d := daemon(t, b.o)
			h, implicit := d.MX(), (*tls.Config)(nil)
			switch port {
			case "submission":
				h = d.Submission()
			case "submissions":
				h, implicit = d.Submissions(), b.o.TLS
			}
			address := serve(t, served(h), implicit)
			t.Run("all", func(t *testing.T) {
				transcript.RunDir(t, "testdata/"+port, transcript.Options{
					TLS: b.tls,
					Dial: func(t *testing.T, _ string) net.Conn {
						var c net.Conn
						var err error
						if implicit != nil {
							c, err = tls.Dial("tcp", address, b.tls)
						} else {
							c, err = net.Dial("tcp", address)
						}
						if err != nil {
							t.Fatal(err)
						}
						return c
					},
				})
			})
		})
	}
}

// play runs one dialogue, in which only the client's lines matter.
func play(t *testing.T, b *bed, h func(*Daemon) *smtpserver.Server, lines string) {
	t.Helper()
	d := daemon(t, b.o)
	address := serve(t, served(h(d)), nil)
	transcript.Run(t, "play", lines, transcript.Options{TLS: b.tls, Dial: func(t *testing.T, _ string) net.Conn {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}})
}

// TestNoRoom: the announced size counts, and nothing else is asked.
func TestNoRoom(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.o.Room = func(size int64) error {
		if size > 1000 {
			return dsn.New(dsn.SystemFull, "Insufficient system storage")
		}
		return nil
	}
	play(t, b, (*Daemon).MX, `S: 220 *
C: EHLO client.test
S: 250-mx.test
S: ...
S: 250 CHUNKING
C: MAIL FROM:<s@elsewhere.test> SIZE=1001
S: 452 4.3.1 Insufficient system storage
C: RCPT TO:<alice@example.test>
S: 503 *
C: MAIL FROM:<s@elsewhere.test> SIZE=1000
S: 250 2.1.0 Ok
C: RSET
S: 250 *
C: MAIL FROM:<s@elsewhere.test>
S: 250 2.1.0 Ok
C: QUIT
S: 221 *
`)
}

// TestTransactionsEndWithTheLogIn: nobody runs the Watch here, so it is MAIL
// that finds out.
func TestTransactionsEndWithTheLogIn(t *testing.T) {
	t.Parallel()
	away, gone := dsn.New(dsn.AuthUnavailable, "Temporary authentication failure"), dsn.New(dsn.AuthFailed, "gone")
	answers := []*dsn.Error{away, nil, gone}
	b := newBed(t)
	b.o.Logins = logins.NewWatch(logins.WatchOptions{Log: msglog.Discard(), Clock: clock.System{}, Interval: time.Hour,
		Recheck: func(context.Context, directory.Mailbox) error {
			e := answers[0]
			answers = answers[1:]
			b.o.Logins.Changed()
			if e == nil {
				return nil
			}
			return e
		}})
	authenticate := b.o.Authenticate
	b.o.Authenticate = func(ctx context.Context, a password.Attempt) (directory.Mailbox, error) {
		b.o.Logins.Changed()
		return authenticate(ctx, a)
	}
	play(t, b, (*Daemon).Submission, `S: 220 *
C: EHLO client.test
S: 250-mx.test
S: ...
S: 250 CHUNKING
C: AUTH PLAIN AGFsaWNlQGV4YW1wbGUudGVzdABzZWNyZXQ=
S: 235 2.7.0 *
C: MAIL FROM:<alice@example.test>
S: 451 4.7.0 Temporary authentication failure
C: MAIL FROM:<alice@example.test>
S: 250 2.1.0 Ok
C: RSET
S: 250 2.0.0 Ok
C: MAIL FROM:<alice@example.test>
C: RCPT TO:<alice@example.test>
C: NOOP
S: 421 4.7.0 mx.test Mailbox was removed or disabled, has another password, or an administrator ended the session
S: <end>
`)
}

// Postmaster is reached by strangers under its three names, wherever it is.
func TestPostmaster(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		postmaster, to, reply, final string
	}{
		{"alice@example.test", "postmaster", "250 *", "alice@example.test"},
		{"alice@example.test", "Postmaster@mx.test", "250 *", "alice@example.test"},
		{"alice@example.test", "postmaster@alias.test", "250 *", "alice@example.test"},
		{"root@elsewhere.test", "postmaster", "250 *", "root@elsewhere.test"},
		{"root@elsewhere.test", "postmaster@example.test", "250 *", "root@elsewhere.test"},
		{"root@elsewhere.test", "postmaster@elsewhere.test", "554 5.7.1 *", ""},
		{"off@example.test", "postmaster", "550 5.2.1 <postmaster@mx.test>: *", ""},
		{"none@example.test", "postmaster@example.test", "550 5.1.1 <postmaster@example.test>: *", ""},
		{"postmaster@example.test", "postmaster", "550 5.1.1 <postmaster@mx.test>: *", ""},
		{"root@mx.test", "postmaster", "554 5.7.1 *", ""},
		{"postmaster", "postmaster", "554 5.7.1 *", ""},
		{"", "postmaster", "554 5.7.1 *", ""},
	} {
		b := newBed(t)
		b.o.Trusted = nil
		b.o.Params.Postmaster = c.postmaster
		text := "S: 220 *\nC: HELO client.test\nS: 250 *\nC: MAIL FROM:<s@elsewhere.test>\nS: 250 *\nC: RCPT TO:<" + c.to + ">\nS: " + c.reply + "\n"
		if c.final != "" {
			text += "C: DATA\nS: 354 *\nC: x\nC: .\nS: 250 *\n"
		}
		play(t, b, (*Daemon).MX, text+"C: QUIT\nS: 221 *\n")
		if c.final == "" {
			continue
		}
		got, _ := b.sent.last(t)
		if r := got.Envelope.Recipients; len(r) != 1 || r[0].Address.String() != c.final {
			t.Errorf("%s for %s: %+v", c.postmaster, c.to, r)
		}
	}
}

func TestWhatIsSubmitted(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.o.Trusted = nil
	play(t, b, (*Daemon).MX, `S: 220 *
C: EHLO client.test
S: ...
S: 250 CHUNKING
C: STARTTLS
S: 220 *
TLS
C: EHLO client.test
S: ...
S: 250 CHUNKING
C: MAIL FROM:<s@elsewhere.test> BODY=8BITMIME RET=HDRS ENVID=a+2Bb SMTPUTF8
C: RCPT TO:<Alice+x@Alias.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;o+2Bp@elsewhere.test
C: RCPT TO:<postmaster>
C: DATA
S: ...
S: 354 *
C: ..x
C: .
S: 250 2.0.0 queued as ABC
C: QUIT
S: 221 *
`)
	got, text := b.sent.last(t)
	e := got.Envelope
	if text != ".x\n" || got.Complete || e.Sender.String() != "s@elsewhere.test" || e.Body != envelope.Body8BitMIME ||
		e.Return != envelope.ReturnHeaders || e.EnvID != "a+2Bb" || !e.UTF8 || len(e.Recipients) != 2 {
		t.Fatalf("%q %+v", text, e)
	}
	r := e.Recipients[0]
	if r.Address.String() != "Alice+x@alias.test" || r.Original != r.Address || r.ORcpt != "rfc822;o+2Bp@elsewhere.test" ||
		r.Notify != envelope.NotifySuccess|envelope.NotifyDelay {
		t.Errorf("%+v", r)
	}
	if r := e.Recipients[1]; r.Address.String() != "alice@example.test" || r.Original.String() != "postmaster@mx.test" {
		t.Errorf("%+v", r)
	}
	o := e.Origin
	if o.Protocol != "UTF8SMTPS" || o.ClientAddr != "127.0.0.1" || o.ClientName != "localhost" || o.Helo != "client.test" ||
		o.Login != "" || o.Session == "" || !strings.HasPrefix(o.TLS, "TLS 1.3 with cipher TLS_") {
		t.Errorf("%+v", o)
	}
}

func TestSubmissionOfAUser(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	play(t, b, (*Daemon).Submission, `S: 220 *
C: EHLO client.test
S: ...
S: 250 CHUNKING
C: AUTH PLAIN AGFsaWNlQGV4YW1wbGUudGVzdABzZWNyZXQ=
S: 235 *
C: MAIL FROM:<alice@example.test>
C: RCPT TO:<x@elsewhere.test>
C: DATA
S: ...
S: 354 *
C> text\n.\nmore\r\n.\r\n
S: 250 *
C: QUIT
S: 221 *
`)
	got, text := b.sent.last(t)
	// The bare LF is taken because the client is in a trusted network.
	if !got.Complete || got.Envelope.Origin.Login != "alice@example.test" || got.Envelope.Origin.Protocol != "ESMTPA" || text != "text\n.\nmore\n" {
		t.Errorf("%+v %q", got.Envelope, text)
	}
}

// TestAuthOfMail (RFC 4954 section 5): a client is believed about who submitted a
// message as far as it is known itself.
func TestAuthOfMail(t *testing.T) {
	t.Parallel()
	null := addr.Address{}
	other, own := addr.Address{Local: "x+y", Domain: "elsewhere.test"}, addr.Address{Local: "sales", Domain: "example.test"}
	login := "C: AUTH PLAIN AGFsaWNlQGV4YW1wbGUudGVzdABzZWNyZXQ=\nS: 235 *\n"
	for name, c := range map[string]struct {
		trusted bool
		login   string
		param   string
		want    *addr.Address
	}{
		"a stranger":          {false, "", " AUTH=x+2By@elsewhere.test", &null},
		"a stranger, silent":  {false, "", "", nil},
		"trusted":             {true, "", " AUTH=x+2By@elsewhere.test", &other},
		"trusted, of nobody":  {true, "", " AUTH=<>", &null},
		"a user":              {true, login, " AUTH=sales@example.test", &own},
		"a user, of another":  {true, login, " AUTH=bob@example.test", &null},
		"a user, silent":      {true, login, "", nil},
		"a user, of an other": {true, login, " AUTH=x+2By@elsewhere.test", &null},
	} {
		b := newBed(t)
		if !c.trusted {
			b.o.Trusted = nil
		}
		port := (*Daemon).MX
		if c.login != "" {
			port = (*Daemon).Submission
		}
		play(t, b, port, "S: 220 *\nC: EHLO client.test\nS: ...\nS: 250 CHUNKING\n"+c.login+
			"C: MAIL FROM:<alice@example.test>"+c.param+"\nS: 250 *\nC: RCPT TO:<bob@example.test>\nS: 250 *\n"+
			"C: DATA\nS: 354 *\nC: x\nC: .\nS: 250 *\nC: QUIT\nS: 221 *\n")
		got, _ := b.sent.last(t)
		if auth := got.Envelope.Auth; (auth == nil) != (c.want == nil) || auth != nil && *auth != *c.want {
			t.Errorf("%s: %v", name, auth)
		}
	}
}

func TestMailboxSenderCheckCanBeOff(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.o.Params.CheckSenderLogin = false
	play(t, b, (*Daemon).Submission, `S: 220 *
C: EHLO client.test
S: ...
S: 250 CHUNKING
C: AUTH PLAIN AGFsaWNlQGV4YW1wbGUudGVzdABzZWNyZXQ=
S: 235 *
C: MAIL FROM:<bob@example.test>
S: 250 *
C: QUIT
S: 221 *
`)
}

// TestAliasOfNobody: what would only come back is refused while the client can
// still be told.
func TestAliasOfNobody(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	text := "S: 220 *\nC: HELO client.test\nS: 250 *\nC: MAIL FROM:<s@elsewhere.test>\nS: 250 *\n"
	for _, c := range [][2]string{
		{"gone@example.test", "550 5.1.1 <gone@example.test>: User unknown"}, {"gone@alias.test", "550 5.1.1 *"},
		{"self@example.test", "550 5.1.1 *"}, {"half@example.test", "250 *"}, {"away@example.test", "250 *"},
	} {
		text += "C: RCPT TO:<" + c[0] + ">\nS: " + c[1] + "\n"
	}
	play(t, b, (*Daemon).MX, text+"C: QUIT\nS: 221 *\n")
}
