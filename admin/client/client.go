package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"toastmaster/admin/model"
	"toastmaster/internal/clock"
)

// Options say where the server is.
type Options struct {
	// Socket is the path of a unix socket; it wins over URL.
	Socket string
	// URL is "https://host:port". A token is sent in clear only to this
	// machine.
	URL   string
	Token string
	// TLS may carry own roots; nil trusts the system's.
	TLS *tls.Config
	// Timeout is that of one request; zero is two minutes.
	Timeout time.Duration
	// Clock is what WaitJob waits by; nil is the machine's. That of a request is the
	// machine's in any case, as net/http knows no other.
	Clock clock.Clock
}

// Client makes requests. Safe for concurrent use.
type Client struct {
	base   string
	token  string
	socket string
	http   *http.Client
	clock  clock.Clock
}

const (
	defaultTimeout = 2 * time.Minute
	maxAnswer      = 64 << 20
)

// NewUnix is a client of the instance whose admin.socket is at path.
func NewUnix(path string) *Client { return newClient(Options{Socket: path}) }

// New makes a client. It connects at the first request.
func New(o Options) (*Client, error) {
	c := newClient(o)
	if o.Socket != "" {
		return c, nil
	}
	u, err := url.Parse(o.URL)
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("bad URL of the API: %q", o.URL)
	}
	if u.Scheme != "https" && !(u.Scheme == "http" && isLoopback(u.Hostname())) {
		return nil, fmt.Errorf("the API is reached by https, not %q", u.Scheme)
	}
	// A redirect would carry the token to wherever it points.
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c.base = strings.TrimSuffix(u.String(), "/") + "/api/v1"
	return c, nil
}

func newClient(o Options) *Client {
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	if o.Clock == nil {
		o.Clock = clock.System{}
	}
	transport := &http.Transport{TLSClientConfig: o.TLS, MaxIdleConnsPerHost: 4, IdleConnTimeout: time.Minute}
	if o.Socket != "" {
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", o.Socket)
		}
	}
	return &Client{
		base: "http://localhost/api/v1", token: o.Token, socket: o.Socket,
		http: &http.Client{Transport: transport, Timeout: o.Timeout}, clock: o.Clock,
	}
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Close closes idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// request is one call.
type request struct {
	method string
	// path has escaped segments.
	path  string
	query url.Values
	// in is sent as JSON; nil sends nothing.
	in any
	// archive of size octets is sent as it is, instead of in.
	archive io.Reader
	size    int64
}

// do makes a request and returns the answer, whose body the caller closes.
func (c *Client) do(ctx context.Context, r request) (*http.Response, error) {
	var body io.Reader
	if r.in != nil {
		b, err := json.Marshal(r.in)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(b)
	}
	target := c.base + r.path
	if len(r.query) > 0 {
		target += "?" + r.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, r.method, target, body)
	if err != nil {
		return nil, err
	}
	if r.in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if r.archive != nil {
		// Content-Length, so that the server knows an archive that is cut off.
		req.Header.Set("Content-Type", "application/x-tar")
		req.ContentLength, req.Body = r.size, io.NopCloser(r.archive)
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(err)
	}
	if res.StatusCode >= 300 {
		defer res.Body.Close()
		return nil, failure(res)
	}
	return res, nil
}

// unreachable names the address that was tried.
func (c *Client) unreachable(err error) error {
	where := c.base
	if c.socket != "" {
		where = c.socket
	}
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	if c.socket != "" {
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
			return &model.Error{Kind: model.Unavailable, Text: "no instance runs: nobody listens on " + where}
		case errors.Is(err, fs.ErrPermission):
			return &model.Error{Kind: model.Forbidden, Text: "only root and the user that the service runs as may use " + where, Cause: err}
		}
	}
	return &model.Error{Kind: model.Unavailable, Text: "no answer from the server at " + where, Cause: err}
}

// failure reads a problem (RFC 9457).
func failure(res *http.Response) error {
	var p struct {
		Type   string `json:"type"`
		Title  string `json:"title"`
		Detail string `json:"detail"`
		Errors []struct {
			Message  string `json:"message"`
			Location string `json:"location"`
		} `json:"errors"`
	}
	e := &model.Error{Kind: model.KindOfProblem("", res.StatusCode), Text: res.Status}
	if json.NewDecoder(io.LimitReader(res.Body, maxAnswer)).Decode(&p) != nil {
		return e
	}
	e.Kind = model.KindOfProblem(p.Type, res.StatusCode)
	switch {
	case p.Detail != "":
		e.Text = p.Detail
	case p.Title != "":
		e.Text = strings.ToLower(p.Title)
	}
	for _, f := range p.Errors {
		e.Fields = append(e.Fields, model.FieldError{Field: strings.TrimPrefix(strings.TrimPrefix(f.Location, "body"), "."), Message: f.Message})
	}
	return e
}

// call makes a request whose answer is a T.
func call[T any](ctx context.Context, c *Client, r request) (T, error) {
	var out T
	res, err := c.do(ctx, r)
	if err != nil {
		return out, err
	}
	defer res.Body.Close()
	if err := json.NewDecoder(io.LimitReader(res.Body, maxAnswer)).Decode(&out); err != nil {
		return out, &model.Error{Kind: model.Internal, Text: "the server's answer is not understood", Cause: err}
	}
	return out, nil
}

// send makes a request that is answered without content.
func (c *Client) send(ctx context.Context, r request) error {
	res, err := c.do(ctx, r)
	if err != nil {
		return err
	}
	return res.Body.Close()
}

// path joins escaped segments.
func path(segments ...string) string {
	var b strings.Builder
	for _, s := range segments {
		b.WriteByte('/')
		b.WriteString(url.PathEscape(s))
	}
	return b.String()
}
