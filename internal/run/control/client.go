package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"toastmaster/admin/api"
	"toastmaster/admin/model"
	"toastmaster/directory"
	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
)

// CallTimeout is how long a role may take to answer what needs no work of it. It is no
// parameter: one that lives answers in milliseconds.
const CallTimeout = 5 * time.Second

// The time that a role may take for work. They are no parameters: what takes so long does not come to an end.
const (
	// reloadTimeout is for reading files again.
	reloadTimeout = time.Minute
	// workTimeout is for a walk through a large queue.
	workTimeout = 5 * time.Minute
	// submitTimeout is for a message; whoever has brought it does not wait longer for the reply to its end (RFC 5321
	// section 4.5.3.2.6).
	submitTimeout = 10 * time.Minute
)

// maxAnswer bounds the JSON of an answer: the IDs of some millions of messages.
const maxAnswer = 128 << 20

// maxProblem bounds the text of an error.
const maxProblem = 1 << 20

// Client asks one role. Safe for concurrent use.
type Client struct {
	// Role is whom it asks.
	Role string
	path string
	http *http.Client
}

// NewClient asks the role whose socket is at path. It connects at the first call.
func NewClient(role, path string) *Client {
	return &Client{Role: role, path: path, http: &http.Client{Transport: &http.Transport{
		MaxIdleConnsPerHost: 4, IdleConnTimeout: time.Minute, ResponseHeaderTimeout: submitTimeout,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{Timeout: CallTimeout}).DialContext(ctx, "unix", path)
		},
	}}}
}

// Close closes idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Queue is the queue of the role.
func (c *Client) Queue() Queue { return Queue{c} }

// unavailable is that a role does not answer.
func (c *Client) unavailable(err error) error {
	return &model.Error{Kind: model.Unavailable, Text: "the role " + c.Role + " does not answer", Staff: "master starts it again: see the log", Cause: err}
}

// post makes a request; the caller closes the body of the answer.
func (c *Client) post(ctx context.Context, path string, in any) (*http.Response, error) {
	body, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+c.Role+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, c.unavailable(err)
	}
	if res.StatusCode == http.StatusOK {
		return res, nil
	}
	defer res.Body.Close()
	var p problem
	if err := json.NewDecoder(io.LimitReader(res.Body, maxProblem)).Decode(&p); err != nil {
		return nil, c.unavailable(fmt.Errorf("%s: %s", path, res.Status))
	}
	e := &model.Error{Kind: p.Kind, Text: p.Text, Fields: p.Fields, Staff: p.Staff}
	if p.Cause != "" {
		e.Cause = errors.New(p.Cause)
	}
	return nil, e
}

func call[O any](ctx context.Context, c *Client, path string, in any) (out O, err error) {
	return callWithin[O](ctx, workTimeout, c, path, in)
}

// callWithin is call with another bound of time.
func callWithin[O any](ctx context.Context, limit time.Duration, c *Client, path string, in any) (out O, err error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	res, err := c.post(ctx, path, in)
	if err != nil {
		return out, err
	}
	defer res.Body.Close()
	body := &io.LimitedReader{R: res.Body, N: maxAnswer}
	if err := json.NewDecoder(body).Decode(&out); err != nil {
		if body.N <= 0 {
			err = fmt.Errorf("%s: the answer has more than %d octets", path, maxAnswer)
		}
		return out, c.unavailable(err)
	}
	return out, nil
}

// Decide is what the mail services of the role would decide about an address.
func (c *Client) Decide(ctx context.Context, a addr.Address) directory.Decision {
	d, err := call[directory.Decision](ctx, c, "/decide", a)
	if err != nil {
		return directory.Decision{Err: dsn.Wrap(dsn.MailSystem, "Temporary failure", err)}
	}
	return d
}

// Route is by which transport mail for an address elsewhere goes.
func (c *Client) Route(ctx context.Context, a addr.Address) (transport, nexthop string) {
	ctx, cancel := context.WithTimeout(ctx, CallTimeout)
	defer cancel()
	r, err := call[route](ctx, c, "/route", a)
	if err != nil {
		return "", ""
	}
	return r.Transport, r.Nexthop
}

// Metrics is the page of the role.
func (c *Client) Metrics(ctx context.Context) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.Role+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, c.unavailable(err)
	}
	if res.StatusCode != http.StatusOK {
		return nil, errors.Join(c.unavailable(errors.New(res.Status)), res.Body.Close())
	}
	return res.Body, nil
}

// Roles are the other roles of an instance.
type Roles []*Client

// Close closes idle connections.
func (r Roles) Close() {
	for _, c := range r {
		c.Close()
	}
}

// ask calls f for each role at once and waits for all.
func ask[O any](r Roles, f func(context.Context, *Client) (O, error)) ([]O, []error) {
	return askWithin(context.Background(), CallTimeout, r, f)
}

// askWithin is ask with another bound of time.
func askWithin[O any](ctx context.Context, limit time.Duration, r Roles, f func(context.Context, *Client) (O, error)) ([]O, []error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	out, errs := make([]O, len(r)), make([]error, len(r))
	var all sync.WaitGroup
	for n, c := range r {
		all.Go(func() { out[n], errs[n] = f(ctx, c) })
	}
	all.Wait()
	return out, errs
}

// Changed tells each that the directory has changed. One that does not answer hears of it
// when what it keeps is old.
func (r Roles) Changed() []error {
	_, errs := ask(r, func(ctx context.Context, c *Client) (nothing, error) {
		return call[nothing](ctx, c, "/changed", nothing{})
	})
	return errs
}

// Reload makes all roles read their files again, at once, and names the parameters that wait for a restart. A role that
// fails, or does not answer, keeps none of the others from it: the error says which ones did not, and why.
func (r Roles) Reload(ctx context.Context) ([]string, error) { return r.reload(ctx, reloadTimeout) }

func (r Roles) reload(ctx context.Context, limit time.Duration) (names []string, err error) {
	lists, errs := askWithin(ctx, limit, r, func(ctx context.Context, c *Client) ([]string, error) {
		return callWithin[[]string](ctx, limit, c, "/reload", nothing{})
	})
	for _, list := range lists {
		for _, name := range list {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names, r.joined(errs)
}

// joined is one error of all that roles have said, each with the roles that say the same; nil when none has.
func (r Roles) joined(errs []error) error {
	whole := &model.Error{}
	var texts, causes []string
	for n, err := range errs {
		if err == nil {
			continue
		}
		var e *model.Error
		if !errors.As(err, &e) {
			e = &model.Error{Kind: model.Internal, Text: err.Error()}
		}
		if len(texts) == 0 {
			whole.Kind, whole.Fields, whole.Staff = e.Kind, e.Fields, e.Staff
		}
		if e.Cause != nil {
			causes = append(causes, r[n].Role+": "+e.Cause.Error())
		}
		if same := slices.Index(texts, e.Text); same >= 0 {
			causes = append(causes, r[n].Role+": the same")
			continue
		}
		texts = append(texts, e.Text)
		whole.Text += "; " + r[n].Role + ": " + e.Text
	}
	if len(texts) == 0 {
		return nil
	}
	whole.Text = strings.TrimPrefix(whole.Text, "; ")
	if len(causes) > 0 {
		whole.Cause = errors.New(strings.Join(causes, "; "))
	}
	return whole
}

// Services are those of each role; a role that does not answer is one itself.
func (r Roles) Services() [][]model.Service {
	all, errs := ask(r, func(ctx context.Context, c *Client) ([]model.Service, error) {
		return call[[]model.Service](ctx, c, "/services", nothing{})
	})
	for n, err := range errs {
		if err != nil {
			all[n] = []model.Service{{Name: r[n].Role, State: model.PartUnavailable, Error: err.Error(), Listeners: []string{}}}
		}
	}
	return all
}

// Sessions are those of this process and of other roles.
type Sessions struct {
	Own    api.Sessions
	Others Roles
}

var _ api.Sessions = Sessions{}

// List implements api.Sessions, as the following do. A role that does not answer has none: they
// ended with it.
func (s Sessions) List(mailbox string) []model.Session {
	out := s.Own.List(mailbox)
	more, _ := ask(s.Others, func(ctx context.Context, c *Client) ([]model.Session, error) {
		return call[[]model.Session](ctx, c, "/sessions", mailbox)
	})
	for _, list := range more {
		out = append(out, list...)
	}
	return out
}

func (s Sessions) Last(mailbox string) []model.LastLogin {
	out := s.Own.Last(mailbox)
	more, _ := ask(s.Others, func(ctx context.Context, c *Client) ([]model.LastLogin, error) {
		return call[[]model.LastLogin](ctx, c, "/last", mailbox)
	})
	for _, list := range more {
		out = append(out, list...)
	}
	return out
}

func (s Sessions) Kick(k model.Kick) int {
	n := s.Own.Kick(k)
	more, _ := ask(s.Others, func(ctx context.Context, c *Client) (int, error) { return call[int](ctx, c, "/kick", k) })
	for _, m := range more {
		n += m
	}
	return n
}
