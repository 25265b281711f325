package client_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"toastmaster/admin/client"
	"toastmaster/admin/model"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server answers everything with f; the real API is tested in admin/api.
func server(t *testing.T, f http.HandlerFunc) *client.Client {
	t.Helper()
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	c, err := client.New(client.Options{URL: s.URL + "/", Token: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestErrors(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status int
		body   string
		kind   model.Kind
		text   string
	}{
		"problem":      {409, `{"type":"urn:toastmaster:in-use","detail":"2 others"}`, model.InUse, "2 others"},
		"fields":       {422, `{"type":"urn:toastmaster:invalid","detail":"bad","errors":[{"message":"is odd","location":"body.name"}]}`, model.Invalid, "bad: name: is odd"},
		"title only":   {404, `{"title":"Not Found"}`, model.NotFound, "not found"},
		"other origin": {502, "<html>Bad gateway</html>", model.Internal, "502 Bad Gateway"},
		"busy proxy":   {503, "", model.Unavailable, "503 Service Unavailable"},
		"redirect":     {302, "", model.Internal, "302 Found"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cl := server(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Location", "https://evil.test/")
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
			})
			_, err := cl.Domain(t.Context(), "a.test")
			if err == nil || model.KindOf(err) != c.kind || err.Error() != c.text {
				t.Errorf("%v (kind %d), want %q (kind %d)", err, model.KindOf(err), c.text, c.kind)
			}
		})
	}
}

func TestRequest(t *testing.T) {
	t.Parallel()
	seen := make(chan *http.Request, 1)
	c := server(t, func(w http.ResponseWriter, r *http.Request) {
		seen <- r
		_, _ = io.WriteString(w, `{"items":[],"next":""}`)
	})
	f := model.Filter{Domain: "a.test", Contains: "x&y=z", Enabled: new(bool)}
	if _, err := c.Mailboxes(t.Context(), f, "b@a.test", 5); err != nil {
		t.Fatal(err)
	}
	r := <-seen
	q := r.URL.Query()
	if r.URL.Path != "/api/v1/mailboxes" || q.Get("domain") != "a.test" || q.Get("contains") != "x&y=z" || q.Get("enabled") != "false" ||
		q.Get("after") != "b@a.test" || q.Get("limit") != "5" || r.Header.Get("Authorization") != "Bearer secret" {
		t.Errorf("%s %v", r.URL, r.Header)
	}
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(t.TempDir(), "none")
	_, err := client.NewUnix(socket).Status(t.Context())
	if model.KindOf(err) != model.Unavailable || !strings.Contains(err.Error(), socket) {
		t.Errorf("got %v", err)
	}
}

// TestTheTokenIsNotSentInClear: plain HTTP is for this machine only.
func TestTheTokenIsNotSentInClear(t *testing.T) {
	t.Parallel()
	for url, ok := range map[string]bool{
		"https://mx.example.test": true, "http://127.0.0.1:80": true, "http://localhost": true, "http://[::1]:80": true,
		"http://mx.example.test": false, "ftp://localhost": false, "localhost:80": false, "": false, "://": false,
	} {
		if _, err := client.New(client.Options{URL: url, Token: "t"}); (err == nil) != ok {
			t.Errorf("%q: %v", url, err)
		}
	}
}

func TestEachStops(t *testing.T) {
	t.Parallel()
	c := server(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, `{"items":[{"name":"a.test"}],"next":"a.test"}`)
	})
	// The server is broken: the same page again and again.
	n := 0
	err := client.Each(t.Context(), c.Domains, model.Filter{}, func(model.Domain) error { n++; return nil })
	if err == nil || n != 2 {
		t.Errorf("%d entries, %v", n, err)
	}
	stop := errors.New("enough")
	err = client.Each(t.Context(), c.Domains, model.Filter{}, func(model.Domain) error { return stop })
	if !errors.Is(err, stop) {
		t.Errorf("got %v", err)
	}
}
