package api_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"toastmaster/admin/api"
	"toastmaster/admin/model"
	"toastmaster/directory/gate"
	"toastmaster/directory/password"
	"toastmaster/internal/service"
)

func TestNobodyGetsInWithoutAToken(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	for name, headers := range map[string][]string{
		"nothing": {"Authorization: "}, "wrong": {"Authorization: Bearer tmt_x"}, "basic": {"Authorization: Basic YTpi"},
		"empty": {"Authorization: Bearer  "},
	} {
		for _, path := range []string{"/api/v1/domains", "/api/v1/queue", "/api/v1/status", "/api/v1/tokens", "/api/v1/none"} {
			a := b.ask(t, "GET", path, "", headers...)
			if path == "/api/v1/none" {
				if a.status != 401 && a.status != 404 {
					t.Errorf("%s %s: %d", name, path, a.status)
				}
				continue
			}
			wantProblem(t, name+" "+path, a, 401, "unauthenticated")
			if a.header.Get("WWW-Authenticate") == "" {
				t.Errorf("%s: no WWW-Authenticate", name)
			}
		}
	}
	a := b.askUnix(t, "GET", "/api/v1/domains", "", "Authorization: Bearer wrong")
	wantProblem(t, "a wrong token on the socket", a, 401, "unauthenticated")
	if a := b.askUnix(t, "GET", "/api/v1/domains", ""); a.status != 200 {
		t.Errorf("socket: %d %s", a.status, a.body)
	}
	if a := b.ask(t, "GET", "/api/v1/domains", "", "Authorization: bearer "+b.token); a.status != 200 {
		t.Errorf("scheme in lower case: %d", a.status)
	}
	if strings.Contains(b.log.String(), b.token) {
		t.Error("the token is in the log")
	}
}

// TestWrongTokensAreSlow: a wrong token, and any other Authorization, is told to
// who counts them; too many are 429. A right one and a missing one are not.
func TestWrongTokensAreSlow(t *testing.T) {
	t.Parallel()
	var told, blocked atomic.Int32
	b := newBench(t, func(o *api.Options) {
		o.Gate = &gate.Gate{Service: "admin", SecureNetworks: gate.Loopback(), Log: o.Log, Refused: func(_ context.Context, a password.Attempt) error {
			if !a.Client.IsLoopback() || a.Service != "admin" || a.Mechanism != "Bearer" {
				t.Errorf("attempt %+v", a)
			}
			if told.Add(1) > 2 {
				blocked.Add(1)
				return errors.New("too many")
			}
			return nil
		}}
	})
	for _, c := range []struct {
		header string
		status int
		kind   string
	}{
		{"Bearer " + b.token, 200, ""}, {"", 401, "unauthenticated"}, {"Bearer tmt_x", 401, "unauthenticated"},
		{"Basic YTpi", 401, "unauthenticated"}, {"Bearer tmt_y", 429, "blocked"}, {"Bearer " + b.token, 200, ""},
	} {
		a := b.ask(t, "GET", "/api/v1/domains", "", "Authorization: "+c.header)
		if a.status != c.status {
			t.Errorf("%q: %d", c.header, a.status)
		}
		if c.kind != "" {
			wantProblem(t, c.header, a, c.status, c.kind)
		}
	}
	if told.Load() != 3 || blocked.Load() != 1 {
		t.Errorf("told of %d", told.Load())
	}
}

func TestProblems(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	for name, c := range map[string]struct {
		method, path, body string
		status             int
		kind               string
	}{
		"unknown domain":  {"GET", "/api/v1/domains/none.test", "", 404, "not-found"},
		"no domain name":  {"GET", "/api/v1/domains/a..b", "", 404, "not-found"},
		"no address":      {"GET", "/api/v1/mailboxes/nonsense", "", 404, "not-found"},
		"no route":        {"GET", "/api/v1/none", "", 404, ""},
		"no method":       {"PUT", "/api/v1/domains", "", 405, ""},
		"broken JSON":     {"POST", "/api/v1/domains", "{", 400, ""},
		"unknown field":   {"POST", "/api/v1/domains", `{"name":"a.test","colour":"red"}`, 422, ""},
		"missing field":   {"POST", "/api/v1/domains", `{}`, 422, ""},
		"wrong type":      {"POST", "/api/v1/domains", `{"name":5}`, 422, ""},
		"bad name":        {"POST", "/api/v1/domains", `{"name":"a..b"}`, 422, "invalid"},
		"not hosted":      {"POST", "/api/v1/mailboxes", `{"address":"a@b.test"}`, 422, "invalid"},
		"bad enum":        {"GET", "/api/v1/queue?place=moon", "", 422, ""},
		"bad boolean":     {"GET", "/api/v1/mailboxes?enabled=perhaps", "", 422, ""},
		"unknown message": {"GET", "/api/v1/queue/3X", "", 404, "not-found"},
		"no such token":   {"DELETE", "/api/v1/tokens/none", "", 404, "not-found"},
	} {
		wantProblem(t, name, b.ask(t, c.method, c.path, c.body), c.status, c.kind)
	}
	p := wantProblem(t, "fields", b.ask(t, "POST", "/api/v1/domains", `{"name":"a..b","alias_of":"-"}`), 422, "invalid")
	if len(p.Errors) != 2 || p.Errors[0].Location != "body.name" || p.Errors[1].Location != "body.alias_of" {
		t.Errorf("%+v", p)
	}
	// With keep-alive the server takes the rest of a small body before it
	// answers, so that the client is not cut off while it writes.
	small := newBench(t, func(o *api.Options) { o.Params.BodyLimit = 64 << 10 })
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	for _, path := range []string{"/api/v1/domains", "/api/v1/mailboxes/bulk"} {
		body := `{"name":"` + strings.Repeat("a", 65<<10) + `"}`
		wantProblem(t, "too large", ask(t, transport, "POST", small.url+path, body, "Authorization: Bearer "+small.token), 413, "")
	}
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	for _, path := range []string{"/", "/api/v1/domains", "/api/v1/openapi.json", "/none"} {
		a := b.ask(t, "GET", path, "")
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer",
			"Content-Security-Policy": "default-src 'none'",
		} {
			if !strings.HasPrefix(a.header.Get(name), want) {
				t.Errorf("%s: %s is %q", path, name, a.header.Get(name))
			}
		}
		if strings.Contains(a.header.Get("Content-Security-Policy"), "unsafe") {
			t.Errorf("%s: unsafe policy", path)
		}
	}
	if a := b.ask(t, "GET", "/api/v1/domains", ""); a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("the API's answers may be cached: %v", a.header)
	}
	if a := b.ask(t, "GET", "/panel.js", "", "Authorization: "); a.status != 200 || a.body != "panel /panel.js" {
		t.Errorf("panel: %d %q", a.status, a.body)
	}
	if a := b.ask(t, "GET", "/api/v1/domains", "", "X-Forwarded-For: 203.0.113.9"); a.status != 200 || strings.Contains(b.log.String(), "203.0.113.9") {
		t.Error("X-Forwarded-For is believed")
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	wantProblem(t, "no token", b.ask(t, "GET", "/metrics", "", "Authorization: "), 401, "unauthenticated")
	if a := b.ask(t, "GET", "/metrics", ""); a.status != 200 || a.body != "up 1\n" {
		t.Errorf("with a token: %d %q", a.status, a.body)
	}
	b = newBench(t, func(o *api.Options) {
		o.Trusted = func() []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} }
	})
	if a := b.ask(t, "GET", "/metrics", "", "Authorization: "); a.status != 200 {
		t.Errorf("trusted network: %d", a.status)
	}
	wantProblem(t, "trusted network elsewhere", b.ask(t, "GET", "/api/v1/domains", "", "Authorization: "), 401, "unauthenticated")
}

// TestOpenAPI: the document is there without a token, is valid as far as
// references and operations go, and names every route.
func TestOpenAPI(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	a := b.ask(t, "GET", "/api/v1/openapi.json", "", "Authorization: ")
	var doc struct {
		OpenAPI string
		Info    struct{ Title, Version string }
		Paths   map[string]map[string]struct {
			OperationID string `json:"operationId"`
			Summary     string
			Responses   map[string]any
		}
		Components struct{ Schemas, SecuritySchemes map[string]any }
	}
	if err := json.Unmarshal([]byte(a.body), &doc); err != nil || a.status != 200 {
		t.Fatalf("%d %v", a.status, err)
	}
	if !strings.HasPrefix(doc.OpenAPI, "3.1") || doc.Info.Title == "" || doc.Info.Version == "" || doc.Components.SecuritySchemes["token"] == nil {
		t.Errorf("%s %+v", doc.OpenAPI, doc.Info)
	}
	seen := map[string]bool{}
	for path, item := range doc.Paths {
		for method, op := range item {
			if op.OperationID == "" || op.Summary == "" || len(op.Responses) == 0 || seen[op.OperationID] {
				t.Errorf("%s %s: operation %+v", method, path, op)
			}
			seen[op.OperationID] = true
		}
	}
	if len(seen) != 47 {
		t.Errorf("%d operations", len(seen))
	}
	for _, ref := range regexp.MustCompile(`"\$ref":"#/components/schemas/([^"]+)"`).FindAllStringSubmatch(a.body, -1) {
		if doc.Components.Schemas[ref[1]] == nil {
			t.Errorf("%s is not defined", ref[0])
		}
	}
}

// elsewhere is a listener whose clients seem to come from another machine.
type elsewhere struct{ net.Listener }

func (l elsewhere) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return elsewhereConn{c}, nil
}

type elsewhereConn struct{ net.Conn }

func (elsewhereConn) RemoteAddr() net.Addr {
	return &net.TCPAddr{IP: net.ParseIP("192.0.2.7"), Port: 4711}
}

func TestOtherMachinesAreSentToHTTPS(t *testing.T) {
	t.Parallel()
	port := ""
	b := newBench(t, func(o *api.Options) {
		o.Listeners[0].Listener = elsewhere{o.Listeners[0].Listener}
		secure, err := service.Listen("127.0.0.1:0", 0)
		if err != nil {
			t.Fatal(err)
		}
		_, port, _ = net.SplitHostPort(secure.Addr().String())
		o.Listeners = append(o.Listeners, service.Listener{Listener: secure, TLS: certificate(t)})
	})
	a := b.ask(t, "GET", "/api/v1/domains?limit=5", "", "Host: mx.example.test:8080")
	if want := "https://mx.example.test:" + port + "/api/v1/domains?limit=5"; a.status != 308 || a.header.Get("Location") != want {
		t.Errorf("%d to %q, want %q", a.status, a.header.Get("Location"), want)
	}
	wantProblem(t, "hostile Host", b.ask(t, "GET", "/", "", "Host: a@evil.test"), 403, "forbidden")
	transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	secure := ask(t, transport, "GET", "https://127.0.0.1:"+port+"/api/v1/domains", "", "Authorization: Bearer "+b.token)
	if secure.status != 200 || secure.header.Get("Strict-Transport-Security") == "" {
		t.Errorf("HTTPS: %d %v", secure.status, secure.header)
	}
}

func TestConnectionLimits(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(o *api.Options) { o.Params.MaxClient = 2 })
	address := strings.TrimPrefix(b.url, "http://")
	var open []net.Conn
	for range 3 {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		open = append(open, c)
	}
	if err := open[2].SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := open[2].Read(make([]byte, 1)); err == nil || isTimeout(err) {
		t.Errorf("the third connection: %v", err)
	}
	if _, err := b.unix.Status(t.Context()); err != nil {
		t.Errorf("the socket is limited, too: %v", err)
	}
}

func isTimeout(err error) bool {
	t, ok := err.(net.Error)
	return ok && t.Timeout()
}

// TestStop: a request that is being served is finished, one that never ends is
// cut off after the drain time.
func TestStop(t *testing.T) {
	t.Parallel()
	for name, finishes := range map[string]bool{"finishes": true, "never ends": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, nil)
			l, err := service.Listen("127.0.0.1:0", 0)
			if err != nil {
				t.Fatal(err)
			}
			entered, leave := make(chan struct{}), make(chan struct{})
			o := api.Options{
				Params: b.params(), Store: b.store, Listeners: []service.Listener{{Listener: l}}, Log: b.discard(), Clock: b.clock(),
				Panel: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					close(entered)
					select {
					case <-leave:
					case <-r.Context().Done():
					}
				}),
			}
			if !finishes {
				o.Params.DrainTimeout = 10 * time.Millisecond
			}
			s, err := api.New(o)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(context.Background())
			done := make(chan error, 1)
			go func() { done <- s.Run(ctx) }()
			got := make(chan error, 1)
			go func() {
				transport := &http.Transport{DisableKeepAlives: true}
				req, err := http.NewRequest(http.MethodGet, "http://"+l.Addr().String()+"/", nil)
				if err == nil {
					var res *http.Response
					if res, err = transport.RoundTrip(req); err == nil {
						err = res.Body.Close()
					}
				}
				got <- err
			}()
			<-entered
			if s.Sessions() != 1 {
				t.Errorf("%d sessions", s.Sessions())
			}
			cancel()
			if finishes {
				close(leave)
			}
			if err := <-done; err != nil {
				t.Errorf("Run: %v", err)
			}
			if err := <-got; finishes && err != nil {
				t.Errorf("the request was cut off: %v", err)
			}
		})
	}
}

func TestAPanicIsA500(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(o *api.Options) {
		o.Services = func() []model.Service { panic("boom at 0xdead") }
	})
	p := wantProblem(t, "panic", b.ask(t, "GET", "/api/v1/status", ""), 500, "internal")
	if strings.Contains(p.Detail, "boom") || !strings.Contains(b.log.String(), "boom") {
		t.Errorf("detail %q", p.Detail)
	}
	if a := b.ask(t, "GET", "/api/v1/domains", ""); a.status != 200 {
		t.Errorf("after a panic: %d", a.status)
	}
}

// TestHealth is for everybody, and says no while any service does not run.
func TestHealth(t *testing.T) {
	t.Parallel()
	state := "running"
	var mu sync.Mutex
	b := newBench(t, func(o *api.Options) {
		o.Services = func() []model.Service {
			mu.Lock()
			defer mu.Unlock()
			return []model.Service{{Name: "smtpd", State: "running"}, {Name: "store", State: state}}
		}
	})
	for _, c := range []struct {
		state, body string
		status      int
	}{{"running", "ready\n", 200}, {"starting", "store: starting\n", 503}, {"failed", "store: failed\n", 503}, {"degraded", "degraded: store\n", 200}, {"running", "ready\n", 200}} {
		mu.Lock()
		state = c.state
		mu.Unlock()
		if a := b.ask(t, "GET", "/healthz", "", "Authorization: "); a.status != c.status || a.body != c.body {
			t.Errorf("%s: %d %q", c.state, a.status, a.body)
		}
	}
}
