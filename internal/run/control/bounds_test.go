package control

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"toastmaster/admin/model"
)

// deaf is a role that takes connections and never answers.
func deaf(t *testing.T, role string) *Client {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	c := NewClient(role, path)
	t.Cleanup(func() { c.Close(); _ = l.Close() })
	return c
}

// TestARoleThatHangsHoldsUpNoReload: all roles are told at once, each has its time, and the error says which ones did not read
// their files, and why; what several say alike stands once.
func TestARoleThatHangsHoldsUpNoReload(t *testing.T) {
	t.Parallel()
	var told atomic.Int32
	role := func(names []string, err error) *Client {
		return served(t, Options{Reload: func(context.Context) ([]string, error) { told.Add(1); return names, err }})
	}
	mistake := &model.Error{Kind: model.Invalid, Text: "smtpd.x: a mistake", Staff: "see", Cause: errors.New("deep")}
	r := Roles{deaf(t, "store"), role([]string{"a", "b"}, nil), role(nil, mistake), role(nil, mistake), role([]string{"b", "c"}, nil)}
	for n, name := range []string{"store", "one", "two", "three", "four"} {
		r[n].Role = name
	}
	names, err := r.reload(t.Context(), time.Second)
	var e *model.Error
	if !errors.As(err, &e) {
		t.Fatalf("%v", err)
	}
	if e.Text != "store: the role store does not answer; two: smtpd.x: a mistake" || e.Kind != model.Unavailable {
		t.Errorf("%q %v", e.Text, e.Kind)
	}
	if cause := e.Cause.Error(); !strings.Contains(cause, "store: ") || !strings.Contains(cause, "deadline") || !strings.Contains(cause, "three: the same") {
		t.Errorf("%q", cause)
	}
	if told.Load() != 4 || strings.Join(names, " ") != "a b c" {
		t.Errorf("%d were told: %q", told.Load(), names)
	}
	if _, err := r[1:2].Reload(t.Context()); err != nil {
		t.Errorf("%v", err)
	}
}

// TestARequestIsBounded: what another role sends as JSON is not read without end.
func TestARequestIsBounded(t *testing.T) {
	t.Parallel()
	c := served(t, Options{Sessions: nil, Reload: func(context.Context) ([]string, error) { return nil, nil }})
	var sent atomic.Int64
	body := io.LimitReader(readerFunc(func(b []byte) (int, error) {
		for i := range b {
			b[i] = ' '
		}
		sent.Add(int64(len(b)))
		return len(b), nil
	}), 64<<20)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://mta/reload", body)
	if err != nil {
		t.Fatal(err)
	}
	res, err := c.http.Do(req)
	if err == nil {
		_ = res.Body.Close()
	}
	if err == nil && res.StatusCode == http.StatusOK || sent.Load() > 16<<20 {
		t.Errorf("%v: %d octets were taken", err, sent.Load())
	}
	if _, err := call[[]string](t.Context(), c, "/reload", nothing{}); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }
