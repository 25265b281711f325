package master

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

// Status is what `master status` shows.
type Status struct {
	Pid        int
	Generation int
	// Upgrading says that roles are being replaced; UpgradeError is why the last one failed.
	Upgrading    bool
	UpgradeError string
	Roles        []RoleStatus
}

// RoleStatus is a role.
type RoleStatus struct {
	Name string
	// State is "running", "starting" or "throttled".
	State    string
	Pid      int
	Uptime   time.Duration
	Restarts int
	// Old are processes that end their sessions.
	Old []int
	// Cause is why the last process ended.
	Cause string
}

func (m *Master) status(pid int) Status {
	s := Status{Pid: pid, Generation: m.generation, Upgrading: m.checking || len(m.replacing) > 0}
	if m.upgradeOf != nil {
		s.UpgradeError = m.upgradeOf.Error()
	}
	now := m.o.Clock.Now()
	for _, r := range m.roles {
		one := RoleStatus{Name: r.Name, State: "throttled", Restarts: r.restarts, Cause: r.why}
		if c := r.current; c != nil {
			one.State, one.Pid, one.Uptime = "starting", c.process.Pid, now.Sub(c.started)
			if c.ready {
				one.State = "running"
			}
		}
		for _, c := range r.old {
			one.Old = append(one.Old, c.process.Pid)
		}
		s.Roles = append(s.Roles, one)
	}
	return s
}

// Handler answers on master.sock. pid is that of this process.
func (m *Master) Handler(pid int) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, r *http.Request) {
		var s Status
		err := m.ask(r.Context(), func() error { s = m.status(pid); return nil })
		answer(w, s, err)
	})
	mux.HandleFunc("POST /reload", func(w http.ResponseWriter, r *http.Request) {
		names, err := m.o.Reload(r.Context())
		answer(w, names, err)
	})
	mux.HandleFunc("POST /upgrade", func(w http.ResponseWriter, r *http.Request) {
		next := 0
		err := m.ask(r.Context(), func() error {
			next = m.generation + 1
			return m.beginUpgrade()
		})
		if err == nil {
			if err = m.o.Check(r.Context()); err != nil {
				_ = m.ask(context.WithoutCancel(r.Context()), func() error { m.checking = false; return nil })
			}
		}
		answer(w, next, err)
		if err == nil {
			// The answer is on its way: nobody can give it after this.
			_ = m.ask(context.WithoutCancel(r.Context()), m.become)
		}
	})
	return mux
}

// answer writes the whole of it at once.
func answer(w http.ResponseWriter, v any, err error) {
	code := http.StatusOK
	if err != nil {
		code, v = http.StatusConflict, err.Error()
	}
	body, _ := json.Marshal(v)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.Header().Set("Connection", "close")
	w.WriteHeader(code)
	_, _ = w.Write(body)
	_ = http.NewResponseController(w).Flush()
}

// Client asks a master. The zero value has no socket.
type Client struct{ Socket string }

// ErrNotRunning is that nobody answers.
var ErrNotRunning = errors.New("no master runs")

// maxAnswer bounds what a master may say.
const maxAnswer = 1 << 20

// Master answers at once, but for what it asks others: the new program, which looks at the configuration, and the roles,
// each of which has a deadline of its own.
const (
	statusTimeout  = 10 * time.Second
	upgradeTimeout = 2 * time.Minute
	reloadTimeout  = 2 * time.Minute
)

func (c Client) do(ctx context.Context, limit time.Duration, method, path string, out any) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", c.Socket)
	}}}
	req, err := http.NewRequestWithContext(ctx, method, "http://master"+path, http.NoBody)
	if err != nil {
		return err
	}
	res, err := client.Do(req)
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("master does not answer: %w", err)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotRunning, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		var text string
		if json.Unmarshal(body, &text) != nil {
			text = string(bytes.TrimSpace(body))
		}
		return errors.New(text)
	}
	return json.Unmarshal(body, out)
}

// Status asks for it.
func (c Client) Status(ctx context.Context) (Status, error) {
	s := Status{}
	err := c.do(ctx, statusTimeout, http.MethodGet, "/status", &s)
	return s, err
}

// Reload makes all roles read their files again, and names the parameters that wait for an
// upgrade.
func (c Client) Reload(ctx context.Context) ([]string, error) {
	var names []string
	err := c.do(ctx, reloadTimeout, http.MethodPost, "/reload", &names)
	return names, err
}

// pollUpgrade is how often Upgrade looks how far it is.
const pollUpgrade = 50 * time.Millisecond

// Upgrade puts the program that is installed now in the place of the one that runs, and waits until
// all roles are replaced.
func (c Client) Upgrade(ctx context.Context) (Status, error) {
	var generation int
	if err := c.do(ctx, upgradeTimeout, http.MethodPost, "/upgrade", &generation); err != nil {
		return Status{}, err
	}
	for {
		s, err := c.Status(ctx)
		switch {
		case err == nil && !s.Upgrading && s.UpgradeError != "":
			return s, errors.New(s.UpgradeError)
		case err == nil && s.Generation >= generation && !s.Upgrading:
			return s, nil
		}
		select {
		case <-ctx.Done():
			return s, fmt.Errorf("the upgrade goes on; not waited for: %w", ctx.Err())
		case <-time.After(pollUpgrade):
		}
	}
}
