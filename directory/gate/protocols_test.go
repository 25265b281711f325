package gate_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"toastmaster/admin/api"
	"toastmaster/admin/model"
	"toastmaster/admin/store"
	"toastmaster/configs"
	"toastmaster/directory"
	"toastmaster/directory/gate"
	"toastmaster/directory/password"
	dirsql "toastmaster/directory/sql"
	"toastmaster/directory/static"
	"toastmaster/internal/anvil"
	"toastmaster/internal/clock"
	"toastmaster/internal/db"
	"toastmaster/internal/msglog"
	"toastmaster/internal/service"
	"toastmaster/internal/testkit/clocktest"
	"toastmaster/internal/testkit/logtest"
	"toastmaster/internal/tlsconf"
	"toastmaster/internal/vfs"
	"toastmaster/mailstore"
	"toastmaster/mailstore/imapd"
	"toastmaster/mailstore/login"
	"toastmaster/mailstore/pop3d"
	"toastmaster/migrations"
	"toastmaster/mta/smtpd"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The answers that a log-in can get, whatever the protocol calls them.
const (
	in       = "in"
	wrong    = "wrong"
	later    = "later"
	insecure = "insecure"
	closed   = "closed"
)

// protocol is one way to log in.
type protocol struct {
	name, service string
	// try logs in on a new connection and says what the answer was.
	try func(c net.Conn, login, secret string) string
	// token: the secret is a token, of nobody in the directory.
	token bool
}

var (
	smtp  = protocol{name: "submission", service: "smtpd", try: trySMTP}
	mx    = protocol{name: "port 25", service: "smtpd", try: trySMTP}
	imap  = protocol{name: "imap", service: "imapd", try: tryIMAP}
	pop3  = protocol{name: "pop3", service: "pop3d", try: tryPOP3}
	admin = protocol{name: "api", service: "admin", try: tryAPI, token: true}
)

func everyProtocol() []protocol { return []protocol{smtp, imap, pop3, admin} }

func plain(login, secret string) string {
	return base64.StdEncoding.EncodeToString([]byte("\x00" + login + "\x00" + secret))
}

// answered looks for what an answer begins with, in order.
func answered(got string, kinds ...[2]string) string {
	for _, k := range kinds {
		if strings.HasPrefix(got, k[0]) {
			return k[1]
		}
	}
	return got
}

func trySMTP(c net.Conn, login, secret string) string {
	r := bufio.NewReader(c)
	reply := func(command string) string {
		if command != "" {
			_, _ = io.WriteString(c, command+"\r\n")
		}
		for {
			line, err := r.ReadString('\n')
			if err != nil || line[3] != '-' {
				return line
			}
		}
	}
	reply("")
	reply("EHLO client.test")
	return answered(reply("AUTH PLAIN "+plain(login, secret)), [2]string{"235 2.7.0", in}, [2]string{"535 5.7.8", wrong},
		[2]string{"454 4.7.0", later}, [2]string{"538 5.7.11", insecure}, [2]string{"502 5.5.1", closed})
}

func tryIMAP(c net.Conn, login, secret string) string {
	r := bufio.NewReader(c)
	_, _ = r.ReadString('\n')
	_, _ = io.WriteString(c, "a AUTHENTICATE PLAIN "+plain(login, secret)+"\r\n")
	line, _ := r.ReadString('\n')
	return answered(line, [2]string{"a OK ", in}, [2]string{"a NO [AUTHENTICATIONFAILED]", wrong},
		[2]string{"a NO [UNAVAILABLE]", later}, [2]string{"a NO [PRIVACYREQUIRED]", insecure})
}

func tryPOP3(c net.Conn, login, secret string) string {
	r := bufio.NewReader(c)
	_, _ = r.ReadString('\n')
	_, _ = io.WriteString(c, "AUTH PLAIN "+plain(login, secret)+"\r\n")
	line, _ := r.ReadString('\n')
	return answered(line, [2]string{"+OK Logged in", in}, [2]string{"-ERR [AUTH]", wrong},
		[2]string{"-ERR [SYS/TEMP]", later}, [2]string{"-ERR " + gate.ErrInsecure.Text, insecure})
}

func tryAPI(c net.Conn, _, secret string) string {
	_, _ = io.WriteString(c, "GET /api/v1/domains HTTP/1.1\r\nHost: mx.test\r\nAuthorization: Bearer "+secret+"\r\nConnection: close\r\n\r\n")
	answer, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return err.Error()
	}
	_, _ = io.Copy(io.Discard, answer.Body)
	_ = answer.Body.Close()
	return answered(strconv.Itoa(answer.StatusCode), [2]string{"200", in}, [2]string{"401", wrong},
		[2]string{"429", later}, [2]string{"503", later}, [2]string{"308", insecure}, [2]string{"403", insecure})
}

// masked is a listener whose clients come from where the test says.
type masked struct {
	net.Listener
	from *atomic.Pointer[net.TCPAddr]
}

type maskedConn struct {
	net.Conn
	from net.Addr
}

func (l masked) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return maskedConn{c, l.from.Load()}, nil
}

func (c maskedConn) RemoteAddr() net.Addr { return c.from }
func (c maskedConn) NetConn() net.Conn    { return c.Conn }

// house is a host with every service, one authenticator and one counter.
type house struct {
	t       *testing.T
	clock   *clocktest.Clock // of the authenticator; nil for the machine's
	log     *logtest.Buffer
	counter *anvil.Counter
	from    atomic.Pointer[net.TCPAddr]
	// addresses are the ports without and with TLS.
	addresses map[string][2]string
	token     string
	expired   string
}

// options of a house.
type options struct {
	auth    func(*configs.Auth)
	backend *directory.Directory // nil is one that answers
	down    bool                 // the database of the tokens
	clock   *clocktest.Clock
}

func newHouse(t *testing.T, o options) *house {
	t.Helper()
	c := configs.Default()
	c.Auth.Argon2Memory, c.Auth.Argon2Time = 64<<10, 1
	c.Auth.FailureAnswer, c.Auth.FailureDelay = 0, 0
	if o.auth != nil {
		o.auth(&c.Auth)
	}
	h := &house{t: t, clock: o.clock, log: &logtest.Buffer{}, addresses: map[string][2]string{}}
	log := msglog.New(slog.NewTextHandler(h.log, &slog.HandlerOptions{Level: slog.LevelInfo}))
	var watch clock.Clock = clock.System{}
	if o.clock != nil {
		watch = o.clock
	}
	count := anvil.Options{Clock: watch}
	password.Count(&count, c.Auth)
	h.counter = anvil.New(count)
	hosted := o.backend
	if hosted == nil {
		off := static.Box("off@example.test", "{PLAIN}secret")
		off.Mailbox.Enabled = false
		var err error
		hosted, err = static.New(static.Data{
			Domains: append(static.Hosted("example.test"), directory.Domain{Name: "off.test"}),
			Accounts: []directory.Account{
				static.Box("alice@example.test", "{PLAIN}secret"), static.Box("carol@off.test", "{PLAIN}secret"), off,
			},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	auth := password.New(password.Options{Directory: hosted, Params: c.Auth, Counter: h.counter, Log: log, Clock: watch})
	h.serve(c, auth, hosted, log, o.down)
	return h
}

// serve starts the services.
func (h *house) serve(c *configs.Config, auth *password.Authenticator, hosted *directory.Directory, log *msglog.Log, down bool) {
	t := h.t
	dir := t.TempDir()
	mail, err := mailstore.Open(t.Context(), mailstore.Options{
		Root: filepath.Join(dir, "mail"), FS: vfs.OS{}, Clock: clock.System{}, Log: log, Hostname: "mx.test", Store: c.Store,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := mail.Close(); err != nil {
			t.Error(err)
		}
	})
	pair := tlsconf.Pair{Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}
	if err := tlsconf.SelfSigned(pair, "mx.test", time.Now()); err != nil {
		t.Fatal(err)
	}
	certificates, err := tlsconf.Load(tlsconf.Options{Pairs: []tlsconf.Pair{pair}, Log: msglog.Discard(), Clock: clock.System{}})
	if err != nil {
		t.Fatal(err)
	}
	secure := certificates.Config()
	daemon, err := smtpd.New(smtpd.Options{
		Params: c.SMTPD, Hostname: "mx.test", Directory: hosted, Authenticate: auth.Authenticate, Counter: h.counter, Log: log, Clock: clock.System{},
	})
	if err != nil {
		t.Fatal(err)
	}
	pop, err := pop3d.New(pop3d.Options{Config: c.POP3D, Hostname: "mx.test", Log: log, Gate: &login.Gate{
		Gate: gate.Gate{Service: "pop3d", Authenticate: auth.Authenticate, SecureNetworks: gate.Loopback(), MaxFailures: 3, Counter: h.counter, Log: log},
		Open: mail.Session, Timeout: time.Minute,
	}})
	if err != nil {
		t.Fatal(err)
	}
	for name, handler := range map[string]service.Handler{
		smtp.name: daemon.Submission(), mx.name: daemon.MX(), pop3.name: pop,
		imap.name: imapd.New(imapd.Options{Config: c.IMAPD, Store: mail, Auth: auth, Hostname: "mx.test", Counter: h.counter, Log: log, Clock: clock.System{}}),
	} {
		s := &service.Server{ServiceName: name, Handler: handler, Log: msglog.Discard(), Clock: clock.System{}, Listeners: h.listeners(name, secure)}
		s.Limits.HandshakeTimeout, s.Limits.DrainTimeout = time.Minute, time.Minute
		h.run(s)
	}
	server, err := api.New(api.Options{
		Params: c.Admin, Hostname: "mx.test", Store: h.tokens(c, dir, down), Listeners: h.listeners(admin.name, secure),
		Gate: &gate.Gate{Service: "admin", Refused: auth.Refused, SecureNetworks: gate.Loopback(), Log: log},
		Log:  log, Clock: clock.System{},
	})
	if err != nil {
		t.Fatal(err)
	}
	h.run(server)
}

func (h *house) listeners(name string, secure *tls.Config) []service.Listener {
	var both []service.Listener
	var addresses [2]string
	for i, config := range []*tls.Config{nil, secure} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			h.t.Fatal(err)
		}
		addresses[i] = l.Addr().String()
		both = append(both, service.Listener{Listener: masked{l, &h.from}, TLS: config})
	}
	h.addresses[name] = addresses
	return both
}

func (h *house) run(s interface {
	Run(context.Context) error
	Ready() <-chan struct{}
}) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	<-s.Ready()
	h.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			h.t.Error(err)
		}
	})
}

// tokens is a database with two of them; down takes it away again.
func (h *house) tokens(c *configs.Config, dir string, down bool) *store.Store {
	t, ctx := h.t, context.Background()
	path := filepath.Join(dir, "x.db")
	if err := dirsql.Create(path); err != nil {
		t.Fatal(err)
	}
	w, err := dirsql.OpenWriter(ctx, dirsql.Options{Source: path, Params: c.Directory})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	if err := migrations.For(db.SQLite{}).Up(ctx, w); err != nil {
		t.Fatal(err)
	}
	r, err := dirsql.OpenReader(dirsql.Options{Source: path, Params: c.Directory})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	now := clocktest.New(time.Now())
	s, err := store.New(store.Options{Writer: w, Reader: r, Hasher: password.NewHasher(c.Auth), Clock: now, Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	soon := now.Now().Add(time.Hour)
	good, err := s.AddToken(ctx, "test", model.NewToken{Name: "good", Role: "superadmin"})
	old, err2 := s.AddToken(ctx, "test", model.NewToken{Name: "old", Role: "superadmin", Expires: &soon})
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	now.Advance(2 * time.Hour)
	h.token, h.expired = good.Secret, old.Secret
	if down {
		if err := os.Rename(path, path+".away"); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// try logs in from an address.
func (h *house) try(p protocol, from string, encrypted bool, user, secret string) string {
	h.t.Helper()
	h.from.Store(net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(from), 9)))
	port := 0
	if encrypted {
		port = 1
	}
	c, err := net.Dial("tcp", h.addresses[p.name][port])
	if err != nil {
		h.t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if encrypted {
		c = tls.Client(c, &tls.Config{InsecureSkipVerify: true})
	}
	return p.try(c, user, secret)
}

// line is the one line about a log-in from this address with this reason.
func (h *house) line(from, reason string) map[string]string {
	h.t.Helper()
	var found []map[string]string
	for text := range strings.Lines(h.log.String()) {
		f := map[string]string{}
		for _, word := range strings.Fields(text) {
			if k, v, ok := strings.Cut(word, "="); ok {
				f[k] = v
			}
		}
		if f["msg"] == "login" && f["client"] == from && f["reason"] == reason {
			found = append(found, f)
		}
	}
	if len(found) != 1 {
		h.t.Errorf("%d lines of a log-in from %s for %q:\n%s", len(found), from, reason, h.log.String())
		return nil
	}
	return found[0]
}

// guesses is what is counted against an address.
func (h *house) guesses(from string) int {
	return h.counter.Rate(anvil.Auth, h.counter.AnyClient(netip.MustParseAddr(from)))
}

// TestOneGateForAllProtocols: the same attempt has the same answer, the same line
// in the log and the same count, whatever it is made with.
func TestOneGateForAllProtocols(t *testing.T) {
	t.Parallel()
	broken := static.Broken{Outcome: directory.Unavailable, Cause: errors.New("disk I/O error")}.Directory()
	for _, c := range []struct {
		name      string
		options   options
		protocols []protocol
		clear     bool // without TLS
		before    bool // after a wrong password by another protocol
		login     string
		secret    string
		token     string // "" is that the case is none of tokens
		answer    string
		reason    string
		guesses   int
	}{
		{name: "right", login: "alice@example.test", secret: "secret", token: "good", answer: in},
		{name: "wrong password", login: "alice@example.test", secret: "guess", token: "guess", answer: wrong, reason: "mismatch", guesses: 1},
		{name: "unknown user", login: "bob@example.test", secret: "secret", answer: wrong, reason: "unknown", guesses: 1},
		{name: "unknown domain", login: "bob@elsewhere.test", secret: "secret", answer: wrong, reason: "unknown", guesses: 1},
		{name: "disabled", login: "off@example.test", secret: "secret", answer: wrong, reason: "disabled", guesses: 1},
		{name: "expired token", token: "expired", answer: wrong, reason: "mismatch", guesses: 1},
		{name: "disabled domain", login: "carol@off.test", secret: "secret", answer: wrong, reason: "disabled", guesses: 1},
		{name: "right, without TLS", clear: true, login: "alice@example.test", secret: "secret", token: "good", answer: insecure, reason: "insecure"},
		{name: "wrong, without TLS", clear: true, login: "alice@example.test", secret: "guess", token: "guess", answer: insecure, reason: "insecure"},
		{name: "service without log-in", protocols: []protocol{mx}, login: "alice@example.test", secret: "secret", answer: closed, reason: "closed"},
		{name: "directory down", options: options{backend: broken, down: true}, login: "alice@example.test", secret: "secret", token: "good", answer: later, reason: "unavailable"},
		{name: "too many guesses", before: true, options: options{auth: func(c *configs.Auth) {
			c.FailureDelay, c.FailureDelayMax, c.FailureWait = time.Hour, time.Hour, time.Millisecond
		}},
			login: "alice@example.test", secret: "another guess", token: "another", answer: later, reason: "rate", guesses: 1},
		{name: "too many at once", options: options{auth: func(c *configs.Auth) { c.Verifications, c.Waiting = 0, 0 }},
			login: "alice@example.test", secret: "secret", answer: later, reason: "rate"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, c.options)
			protocols := c.protocols
			if protocols == nil {
				protocols = everyProtocol()
			}
			for i, p := range protocols {
				secret := c.secret
				if p.token {
					secret = map[string]string{"good": h.token, "expired": h.expired}[c.token]
					if secret == "" {
						secret = c.token
					}
				}
				if p.token && c.token == "" || !p.token && c.login == "" {
					continue
				}
				from := fmt.Sprintf("192.0.%d.1", i+1)
				if c.before {
					h.try(protocols[(i+1)%len(protocols)], from, true, c.login, "first"+p.name)
				}
				if !p.token && c.answer == wrong {
					secret += p.name // the same mistake is one mistake
					if c.reason == "disabled" {
						secret = c.secret
					}
				}
				if got := h.try(p, from, !c.clear, c.login, secret); got != c.answer {
					t.Errorf("%s: %q", p.name, got)
				}
				if got := h.guesses(from); got != c.guesses && (c.reason != "disabled" || i == 0) {
					t.Errorf("%s: %d guesses are counted", p.name, got)
				}
				h.checkLine(p, from, c.reason, c.login)
			}
			if text := h.log.String(); strings.Contains(text, "secret") || strings.Contains(text, "guess") || strings.Contains(text, h.token) {
				t.Errorf("a secret is in the log:\n%s", text)
			}
		})
	}
}

// checkLine: the line has the same keys in all protocols; a token has no login.
func (h *house) checkLine(p protocol, from, reason, user string) {
	h.t.Helper()
	if reason == "" && p.token {
		return // the line of the request says who
	}
	line := h.line(from, reason)
	want := map[string]string{"service": p.service, "client": from, "mechanism": "PLAIN", "status": "failed", "reason": reason, "login": user}
	if reason == "" {
		want["status"] = "ok"
	}
	if p.token {
		want["mechanism"] = "Bearer"
	}
	if p.token || reason == "insecure" || reason == "closed" { // it was not read
		want["login"] = ""
	}
	for k, v := range want {
		if line[k] != v {
			h.t.Errorf("%s: %s=%q, want %q", p.name, k, line[k], v)
		}
	}
	if len(line["session"]) != 12 {
		h.t.Errorf("%s: session %q", p.name, line["session"])
	}
	for k := range line {
		if _, ok := want[k]; !ok && !strings.Contains(" time level msg session blocked ", " "+k+" ") {
			h.t.Errorf("%s: key %q", p.name, k)
		}
	}
}

// TestOneCounterForAllProtocols: guesses by one protocol count for the others.
func TestOneCounterForAllProtocols(t *testing.T) {
	t.Parallel()
	h := newHouse(t, options{})
	for i, p := range everyProtocol() {
		h.try(p, "192.0.2.1", true, "alice@example.test", "guess by "+p.service)
		if got := h.guesses("192.0.2.1"); got != i+1 {
			t.Errorf("after %s: %d", p.name, got)
		}
	}
	if got := h.counter.Rate(anvil.AuthUser, anvil.Name("alice@example.test")); got != 3 {
		t.Errorf("%d at the account", got)
	}
}

// TestTheTimeTellsNothing: in every protocol an unknown user, a wrong password, a
// disabled mailbox and a wrong token are answered when auth.failure_answer is over, and not before.
func TestTheTimeTellsNothing(t *testing.T) {
	t.Parallel()
	now := clocktest.New(time.Unix(1_800_000_000, 0))
	h := newHouse(t, options{clock: now, auth: func(c *configs.Auth) { c.FailureAnswer = time.Second }})
	for i, p := range everyProtocol() {
		for j, user := range []string{"alice@example.test", "bob@example.test", "bob@elsewhere.test", "off@example.test"} {
			answer := make(chan string, 1)
			ctx, answered := context.WithCancel(t.Context())
			go func() {
				defer answered()
				answer <- h.try(p, fmt.Sprintf("192.0.%d.1", 10*i+j), true, user, "guess")
			}()
			if now.WaitTimers(ctx, 1) != nil {
				t.Errorf("%s, %s: answered at once: %q", p.name, user, <-answer)
				continue
			}
			now.Advance(time.Second - 1)
			if now.Timers() != 1 {
				t.Errorf("%s, %s: answered early", p.name, user)
			}
			now.Advance(1)
			if got := <-answer; got != wrong {
				t.Errorf("%s, %s: %q", p.name, user, got)
			}
		}
	}
}
