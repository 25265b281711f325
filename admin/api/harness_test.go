package api_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"math/big"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"toastmaster/admin/api"
	"toastmaster/admin/client"
	"toastmaster/admin/model"
	"toastmaster/admin/store"
	"toastmaster/admin/store/storetest"
	"toastmaster/configs"
	"toastmaster/directory"
	"toastmaster/internal/clock"
	"toastmaster/internal/msglog"
	"toastmaster/internal/service"
	"toastmaster/internal/testkit/logtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bench is a running service on a real database, a TCP port and a unix socket.
type bench struct {
	store  *store.Store
	queue  *queue
	log    *logtest.Buffer
	socket string
	// url is "http://127.0.0.1:port".
	url   string
	token string
	// unix and tcp are clients over both ways.
	unix, tcp *client.Client

	mu     sync.Mutex
	purged []string
	refuse error // what Purge answers
}

// newBench starts a service; change may alter its options.
func newBench(t *testing.T, change func(*api.Options)) *bench {
	t.Helper()
	c := storetest.Config()
	b := &bench{store: storetest.Open(t, c, nil).Store, queue: newQueue(), log: &logtest.Buffer{}, socket: filepath.Join(t.TempDir(), "s")}
	tcp, err := service.Listen("127.0.0.1:0", 0)
	if err != nil {
		t.Fatal(err)
	}
	unix, err := service.Listen("unix:"+b.socket, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	o := api.Options{
		Params: c.Admin, Hostname: "mx.example.test", Version: "v1", Store: b.store, Queue: b.queue, Clock: clock.System{},
		Listeners: []service.Listener{{Listener: tcp}, {Listener: unix}},
		Log:       msglog.New(slog.NewTextHandler(b.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Services: func() []model.Service {
			return []model.Service{{Name: "smtpd", State: "running", Listeners: []string{":25"}, Sessions: 3, UptimeSeconds: 60}}
		},
		Purge: b.purge,
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "up 1\n")
		}),
		Panel: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "panel "+r.URL.Path)
		}),
	}
	if change != nil {
		change(&o)
	}
	b.url = "http://" + o.Listeners[0].Addr().String()
	start(t, o)
	secret, err := b.store.AddToken(context.Background(), "test", model.NewToken{Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	b.token = secret.Secret
	b.unix = client.NewUnix(b.socket)
	b.tcp, err = client.New(client.Options{URL: b.url, Token: b.token})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.unix.Close)
	t.Cleanup(b.tcp.Close)
	return b
}

// start runs a service until the test ends.
func start(t *testing.T, o api.Options) *api.Server {
	t.Helper()
	s, err := api.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	<-s.Ready()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(time.Minute):
			t.Error("Run did not return")
		}
	})
	return s
}

func (b *bench) purge(_ context.Context, m directory.Mailbox) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.refuse == nil {
		b.purged = append(b.purged, m.Home)
	}
	return b.refuse
}

// answer is a raw HTTP answer.
type answer struct {
	status int
	header http.Header
	body   string
}

// ask makes a raw request over TCP with the bench's token; headers are
// "Name: value", and an empty Authorization takes the token away.
func (b *bench) ask(t *testing.T, method, path, body string, headers ...string) answer {
	t.Helper()
	transport := &http.Transport{DisableKeepAlives: true}
	return ask(t, transport, method, b.url+path, body, append([]string{"Authorization: Bearer " + b.token}, headers...)...)
}

// askUnix is ask over the socket, without a token.
func (b *bench) askUnix(t *testing.T, method, path, body string, headers ...string) answer {
	t.Helper()
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", b.socket)
	}}
	return ask(t, transport, method, "http://localhost"+path, body, headers...)
}

func ask(t *testing.T, transport http.RoundTripper, method, url, body string, headers ...string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		switch {
		case value == "":
			req.Header.Del(strings.TrimSuffix(name, ":"))
		case name == "Host":
			req.Host = value
		default:
			req.Header.Set(name, value)
		}
	}
	res, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, string(text)}
}

// problem is the body of a refused request.
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	Errors []struct {
		Message, Location string
	} `json:"errors"`
}

// wantProblem checks that a is a well-formed problem of a kind.
func wantProblem(t *testing.T, what string, a answer, status int, kind string) problem {
	t.Helper()
	var p problem
	if err := json.Unmarshal([]byte(a.body), &p); err != nil {
		t.Errorf("%s: %v in %q", what, err, a.body)
	}
	if a.status != status || p.Status != status || a.header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("%s: status %d (%s), want %d; %s", what, a.status, a.header.Get("Content-Type"), status, a.body)
	}
	if kind != "" && p.Type != "urn:toastmaster:"+kind {
		t.Errorf("%s: type %q, want %q", what, p.Type, kind)
	}
	return p
}

func wantKind(t *testing.T, what string, err error, want model.Kind) {
	t.Helper()
	if err == nil || model.KindOf(err) != want {
		t.Errorf("%s: %v (kind %d), want kind %d", what, err, model.KindOf(err), want)
	}
}

func ptr[T any](v T) *T { return &v }

// queue is a mail queue in memory.
type queue struct {
	mu       sync.Mutex
	messages map[string]*model.QueuedMessage
	flushed  []model.QueueFilter
}

const queuedContent = "Subject: x\n\n<script>alert(1)</script>\n"

func newQueue() *queue {
	q := &queue{messages: map[string]*model.QueuedMessage{}}
	for i, id := range []string{"3B", "3C", "3D", "3F", "3G"} {
		q.messages[id] = &model.QueuedMessage{
			ID: id, Place: []string{"active", "deferred"}[i%2], Sender: "s@example.test", Size: int64(len(queuedContent)),
			Recipients: []model.QueuedRecipient{{Address: "r@x.test", Reason: "connection refused"}},
		}
	}
	return q
}

func (q *queue) List(_ context.Context, f model.QueueFilter, after string, limit int) ([]model.QueuedMessage, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	var out []model.QueuedMessage
	for _, m := range q.messages {
		if m.ID > after && (f.Place == "" || f.Place == m.Place) {
			out = append(out, *m)
		}
	}
	slices.SortFunc(out, func(a, b model.QueuedMessage) int { return strings.Compare(a.ID, b.ID) })
	return out[:min(limit, len(out))], nil
}

func (q *queue) Remains(context.Context) ([]model.QueueFiles, error) { return nil, nil }

func (q *queue) Get(_ context.Context, id string) (model.QueuedMessage, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	m, ok := q.messages[id]
	if !ok {
		return model.QueuedMessage{}, model.Fail(model.NotFound, "no such message")
	}
	return *m, nil
}

func (q *queue) Content(ctx context.Context, id string) (io.ReadCloser, int64, error) {
	_, err := q.Get(ctx, id)
	return io.NopCloser(strings.NewReader(queuedContent)), int64(len(queuedContent)), err
}

func (q *queue) move(id, place string) (bool, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	m, ok := q.messages[id]
	if !ok {
		return false, model.Fail(model.NotFound, "no such message")
	}
	changed := m.Place != place
	m.Place = place
	return changed, nil
}

func (q *queue) Hold(_ context.Context, id string) (bool, error)    { return q.move(id, "hold") }
func (q *queue) Release(_ context.Context, id string) (bool, error) { return q.move(id, "active") }
func (q *queue) Requeue(_ context.Context, id string) (bool, error) { return q.move(id, "incoming") }
func (q *queue) Expire(_ context.Context, id string) (bool, error)  { return q.move(id, "deferred") }

func (q *queue) Delete(ctx context.Context, id string) (bool, error) {
	_, err := q.Get(ctx, id)
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.messages, id)
	return err == nil, err
}

func (q *queue) Flush(_ context.Context, f model.QueueFilter) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.flushed = append(q.flushed, f)
	return 2, nil
}

func (q *queue) IDs(context.Context) ([]string, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Sorted(maps.Keys(q.messages)), nil
}

func (q *queue) Select(ctx context.Context, f model.QueueFilter) ([]string, error) {
	all, err := q.List(ctx, f, "", 1<<20)
	var ids []string
	for _, m := range all {
		ids = append(ids, m.ID)
	}
	return ids, err
}

func (q *queue) Export(_ context.Context, id string) (api.QueueFile, error) {
	m, err := q.Get(context.Background(), id)
	if err != nil {
		return api.QueueFile{}, err
	}
	text := "file of " + m.ID
	return api.QueueFile{Path: "deferred/x/" + m.ID, Next: m.Arrived, Size: int64(len(text)), Content: io.NopCloser(strings.NewReader(text))}, nil
}

func (q *queue) Counts(context.Context) (map[string]int64, error) {
	return map[string]int64{"active": 3, "deferred": 2}, nil
}

func (b *bench) params() configs.Admin { return configs.Default().Admin }
func (b *bench) discard() *msglog.Log  { return msglog.Discard() }
func (b *bench) clock() clock.Clock    { return clock.System{} }

// certificate makes a self-signed one.
func certificate(t *testing.T) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"mx.example.test"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}
