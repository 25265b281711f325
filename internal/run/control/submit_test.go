package control

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"toastmaster/admin/model"
	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/msglog"
	"toastmaster/internal/spool"
	"toastmaster/internal/vfs"
)

// outbox keeps what it is handed.
type outbox struct {
	got     *envelope.Submission
	content []byte
	err     error
}

func (o *outbox) Submit(_ context.Context, s *envelope.Submission) (envelope.QueueID, error) {
	defer s.Content.Close()
	o.got = s
	o.content, _ = io.ReadAll(envelope.Reader(s.Content))
	return "ID", o.err
}

// closed is a content that knows whether it was closed.
type closed struct {
	envelope.Memory
	is *bool
}

func (c closed) Close() error { *c.is = true; return nil }

// served is a role that answers, and who asks it.
func served(t *testing.T, o Options) *Client {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	o.Listener, o.Log, o.Metrics = l, msglog.Discard(), http.NotFoundHandler()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	s := New(o)
	go func() { ended <- s.Run(ctx) }()
	c := NewClient("mta", path)
	t.Cleanup(func() {
		c.Close()
		cancel()
		<-ended
	})
	return c
}

// TestSubmitCrosses: a message of one process comes to the queue of another as it is, and its answer comes back: an ID, or
// the status with which it was refused.
func TestSubmitCrosses(t *testing.T) {
	t.Parallel()
	box := &outbox{}
	c := served(t, Options{Submit: box, Spool: &spool.Dir{FS: vfs.OS{}, Path: t.TempDir(), Memory: 1 << 10}})
	auth := addr.Address{Local: "boss", Domain: "example.org"}
	in := envelope.Submission{
		Envelope: &envelope.Envelope{
			Sender: addr.Address{Local: "a b", Domain: "xn--bcher-kva.example"}, EnvID: "x+20y", UTF8: true, Body: envelope.Body8BitMIME, Auth: &auth,
			Recipients: []envelope.Recipient{{Address: auth, Original: auth, Notify: envelope.NotifyNever, ORcpt: "rfc822;x"}}, Origin: envelope.Origin{Source: envelope.SourceVacation},
		},
		Complete: true, Author: auth, Rewrite: envelope.RewriteLocal, CheckRoom: true,
	}
	for _, content := range [][]byte{nil, []byte("Subject: x\n\n\xe4\x00\n"), bytes.Repeat([]byte("a line\n"), 100_000)} {
		was := false
		in.Content = closed{content, &was}
		id, err := c.Submitter().Submit(t.Context(), &in)
		if err != nil || id != "ID" || !was || !bytes.Equal(box.content, content) {
			t.Fatalf("%q %v, closed %v, %d octets of %d", id, err, was, len(box.content), len(content))
		}
		got := *box.got
		got.Content = in.Content
		if !reflect.DeepEqual(got, in) {
			t.Errorf("%+v %+v, want %+v", got, got.Envelope, in.Envelope)
		}
	}
	// Another role has no clients, and is no user of this host.
	for _, s := range envelope.Sources() {
		env := *in.Envelope
		env.Origin = envelope.Origin{Source: s, Protocol: "QMQP", ClientAddr: "192.0.2.1", UserID: "0"}
		claimed := envelope.Submission{Envelope: &env, Content: closed{nil, new(bool)}}
		if _, err := c.Submitter().Submit(t.Context(), &claimed); err != nil {
			t.Fatal(err)
		}
		want := envelope.SourceRedirect
		if s == envelope.SourceVacation {
			want = s
		}
		if got := box.got.Envelope.Origin; got != (envelope.Origin{Source: want}) {
			t.Errorf("%v: %+v", s, got)
		}
	}
	// Another role decides nothing about the queue.
	plain := *in.Envelope
	in.Envelope.ID, in.Envelope.Hold, in.Envelope.Filter, in.Envelope.Settles = "AAAAAAAAAAAA", true, &envelope.Route{Transport: "pipe"}, &envelope.Settled{}
	in.Envelope.Redirect, in.Envelope.BCC, in.Envelope.Prepend, in.Envelope.Origin.Login = auth, []addr.Address{auth}, []string{"X: y"}, "boss"
	in.Content = closed{nil, new(bool)}
	if _, err := c.Submitter().Submit(t.Context(), &in); err != nil || !reflect.DeepEqual(box.got.Envelope, &plain) {
		t.Errorf("%v %+v, want %+v", err, box.got.Envelope, &plain)
	}
	box.err = dsn.Wrap(dsn.SystemFull, "Insufficient system storage", errors.New("secret"))
	_, err := c.Submitter().Submit(t.Context(), &in)
	if e := dsn.From(err); e.Status != dsn.SystemFull || e.Text != "Insufficient system storage" || strings.Contains(e.Error(), "secret") {
		t.Errorf("%v", err)
	}
	_, err = NewClient("mta", filepath.Join(t.TempDir(), "none")).Submitter().Submit(t.Context(), &in)
	if e := dsn.From(err); !e.Temporary() || model.KindOf(err) != model.Unavailable {
		t.Errorf("no role: %v", err)
	}
}

// TestAMessageThatBreaksOffIsNotTaken: less than was announced is nothing.
func TestAMessageThatBreaksOffIsNotTaken(t *testing.T) {
	t.Parallel()
	box := &outbox{}
	s := New(Options{Submit: box, Spool: &spool.Dir{FS: vfs.OS{}, Path: t.TempDir(), Memory: 1 << 10}, Metrics: http.NotFoundHandler(), Log: msglog.Discard()})
	for _, body := range []string{
		"", "{}\n", "nonsense\nx", `{"Envelope":{},"Size":10}`, `{"Envelope":{},"Size":10}` + "\n12345", `{"Envelope":{},"Size":2}` + "\n12345",
	} {
		w := httptest.NewRecorder()
		s.submit(w, httptest.NewRequest(http.MethodPost, "/submit", strings.NewReader(body)))
		if box.got != nil || !strings.Contains(w.Body.String(), `"Err":{`) {
			t.Errorf("%q: %s %+v", body, w.Body, box.got)
		}
	}
}

// TestWhoMayAsk: root and the user of the process everything, others what May lets them, and who is not known nothing.
func TestWhoMayAsk(t *testing.T) {
	t.Parallel()
	s := New(Options{Metrics: http.NotFoundHandler(), Log: msglog.Discard(), May: func(uid int, path string) bool { return uid == 20102 && path == "/changed" }})
	next := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	for _, c := range []struct {
		uid  any
		path string
		may  bool
	}{
		{0, "/queue/list", true}, {20102, "/changed", true}, {20102, "/queue/list", false}, {20102, "/submit", false}, {20103, "/changed", false}, {-1, "/changed", false}, {nil, "/changed", false},
	} {
		ctx := t.Context()
		if c.uid != nil {
			ctx = context.WithValue(ctx, uidKey{}, c.uid)
		}
		w := httptest.NewRecorder()
		s.allowed(next).ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodPost, c.path, http.NoBody))
		if may := w.Code == http.StatusTeapot; may != c.may || !may && w.Code != http.StatusForbidden {
			t.Errorf("%v asks %s: %d", c.uid, c.path, w.Code)
		}
	}
}
