package policyclient

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"toastmaster/internal/clock"
	"toastmaster/internal/idle"
)

// Options say where a server is, and how it is asked. They are compared: see Set.
type Options struct {
	// Endpoint is "inet:host:port" or "unix:path".
	Endpoint string
	// Timeout is for connecting, sending and receiving, each.
	Timeout time.Duration
	// MaxIdle and MaxTTL are how long a connection is kept unused, and at all.
	MaxIdle, MaxTTL time.Duration
	// RequestLimit is how many requests a connection takes, 0 for any number.
	RequestLimit int
	// TryLimit is how often a request is sent, at least once; RetryDelay is the time between.
	TryLimit   int
	RetryDelay time.Duration
	// MaxConnections bounds the connections, at least one.
	MaxConnections int
	Clock          clock.Clock
}

// Attribute is a line of a request. A value has no line end: one in it is sent as "?".
type Attribute struct{ Name, Value string }

// Client asks one server. It is safe for concurrent use. Close ends it.
type Client struct {
	o                Options
	network, address string
	// room has a place for each connection.
	room   chan struct{}
	idle   *idle.Pool[*conn]
	closed atomic.Bool
}

type conn struct {
	net.Conn
	in    *bufio.Reader
	until time.Time // it is not kept after
	asked int
}

// New makes a client, which has connected to nobody yet. The error is about Endpoint.
func New(o Options) (*Client, error) {
	network, address, ok := strings.Cut(o.Endpoint, ":")
	switch {
	case network == "inet":
		host, port, err := net.SplitHostPort(address)
		if ok = err == nil && host != "" && port != ""; ok {
			network = "tcp"
		}
	case network == "local": // the same, as Postfix has it
		network = "unix"
	case network != "unix":
		ok = false
	}
	if !ok || address == "" {
		return nil, fmt.Errorf("%q is no policy server: inet:host:port or unix:path", o.Endpoint)
	}
	kept := idle.New(idle.Options[*conn]{Clock: o.Clock, End: func(k *conn) { _ = k.Close() }})
	return &Client{o: o, network: network, address: address, room: make(chan struct{}, max(o.MaxConnections, 1)), idle: kept}, nil
}

var errClosed = errors.New("the client is closed")

// Ask sends a request and returns the action of the reply. The error, for the log, says that
// there is none.
func (c *Client) Ask(ctx context.Context, request []Attribute) (string, error) {
	text := encode(request)
	for try := 1; ; try++ {
		action, err := c.try(ctx, text)
		if err == nil || try >= c.o.TryLimit || ctx.Err() != nil || errors.Is(err, errClosed) {
			return action, err
		}
		timer := c.o.Clock.NewTimer(c.o.RetryDelay)
		select {
		case <-timer.C():
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

func encode(request []Attribute) []byte {
	var b []byte
	for _, a := range request {
		b = append(append(append(b, a.Name...), '='), strings.Map(harmless, a.Value)...)
		b = append(b, '\n')
	}
	return append(b, '\n')
}

func harmless(r rune) rune {
	if r == '\n' || r == '\r' || r == 0 {
		return '?'
	}
	return r
}

// try sends a request once; again at once where a connection that was kept had ended.
func (c *Client) try(ctx context.Context, text []byte) (string, error) {
	wait, cancel := context.WithTimeout(ctx, c.o.Timeout)
	defer cancel()
	select {
	case c.room <- struct{}{}:
		defer func() { <-c.room }()
	case <-wait.Done():
		return "", fmt.Errorf("all %d connections to %s are in use: %w", cap(c.room), c.o.Endpoint, wait.Err())
	}
	for {
		k, kept, err := c.take(ctx)
		if err != nil {
			return "", err
		}
		action, began, err := c.exchange(ctx, k, text)
		if err == nil {
			c.keep(k)
			return action, nil
		}
		_ = k.Close()
		if !kept || began || ctx.Err() != nil {
			return "", fmt.Errorf("%s: %w", c.o.Endpoint, cmp.Or(ctx.Err(), err))
		}
	}
}

// maxReply bounds a reply, in octets. It is no parameter: a reply is one line.
const maxReply = 64 << 10

// exchange asks over a connection; began says that the server has said something.
func (c *Client) exchange(ctx context.Context, k *conn, text []byte) (action string, began bool, err error) {
	// Sockets live in real time.
	stop := context.AfterFunc(ctx, func() { _ = k.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if err := k.SetDeadline(time.Now().Add(c.o.Timeout)); err != nil || ctx.Err() != nil {
		return "", false, errors.Join(err, ctx.Err())
	}
	if _, err := k.Write(text); err != nil {
		return "", false, err
	}
	if err := k.SetDeadline(time.Now().Add(c.o.Timeout)); err != nil || ctx.Err() != nil {
		return "", false, errors.Join(err, ctx.Err())
	}
	k.asked++
	return readReply(k.in)
}

// readReply reads lines up to the empty one.
func readReply(in *bufio.Reader) (action string, began bool, err error) {
	found, size := false, 0
	for {
		line, err := in.ReadSlice('\n')
		if size += len(line); errors.Is(err, bufio.ErrBufferFull) || size > maxReply {
			return "", true, fmt.Errorf("a reply of more than %d octets", maxReply)
		}
		if err != nil {
			return "", size > 0, err
		}
		text := strings.TrimSuffix(string(line), "\n")
		if text == "" {
			break
		}
		name, value, ok := strings.Cut(text, "=")
		if !ok {
			return "", true, fmt.Errorf("a reply with the line %.100q, which is no name=value", text)
		}
		if name == "action" && !found {
			action, found = value, true
		}
	}
	if !found {
		return "", true, errors.New("a reply without an action")
	}
	return action, true, nil
}

// take is a connection that was kept, or a new one.
func (c *Client) take(ctx context.Context) (k *conn, kept bool, err error) {
	if c.closed.Load() {
		return nil, false, errClosed
	}
	for {
		if k, kept = c.idle.Take(""); !kept {
			break
		}
		if idle.Quiet(k.Conn) { // else it has ended, or its next answer is not to what is asked next
			return k, true, nil
		}
		_ = k.Close()
	}
	ctx, cancel := context.WithTimeout(ctx, c.o.Timeout)
	defer cancel()
	nc, err := (&net.Dialer{}).DialContext(ctx, c.network, c.address)
	if err != nil {
		return nil, false, err
	}
	return &conn{Conn: nc, in: bufio.NewReaderSize(nc, maxReply), until: c.o.Clock.Now().Add(c.o.MaxTTL)}, false, nil
}

// keep keeps a connection for the next request.
func (c *Client) keep(k *conn) {
	left := min(c.o.MaxIdle, k.until.Sub(c.o.Clock.Now()))
	if c.o.RequestLimit > 0 && k.asked >= c.o.RequestLimit || k.in.Buffered() > 0 {
		left = 0
	}
	c.idle.Put("", k, left)
}

// Close ends the connections that are kept; one that is asked ends after its reply.
func (c *Client) Close() {
	c.closed.Store(true)
	c.idle.Close()
}
