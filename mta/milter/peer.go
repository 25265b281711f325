package milter

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"toastmaster/internal/idle"
	"toastmaster/internal/milter"
)

// peer is a filter as others reach it: its connections, and whether it has been heard of lately.
type peer struct {
	f                *Filters
	name             string
	network, address string
	// room has a place for each connection.
	room chan struct{}
	idle *idle.Pool[*conn]

	mu sync.Mutex
	// silent is until when nobody tries again.
	silent time.Time
}

// conn is a connection to a filter that both sides have agreed about.
type conn struct {
	net.Conn
	out   *bufio.Writer
	ahead *bufio.Reader // what in reads from
	in    milter.Reader
	// kept says that it was another session's before, and has not answered in this one.
	kept   bool
	agreed milter.Agreement
	// never are the commands that the version of the protocol does not have.
	never milter.Steps
	// deadline is of the present wait.
	ctx     context.Context
	timeout time.Duration
	stop    func() bool
}

// pieceHead is the head of a packet.
const pieceHead = 5

var errSilent = errors.New("it has not taken a connection a moment ago (milter.retry_delay)")

// connect is a connection to the filter, new or, when that will do, kept. The error is for the log.
func (p *peer) connect(ctx context.Context, one *filter, keptWillDo bool) (*conn, error) {
	p.mu.Lock()
	silent := realNow().Before(p.silent)
	p.mu.Unlock()
	if silent {
		return nil, errSilent
	}
	ctx, cancel := context.WithTimeout(ctx, one.ConnectTimeout)
	defer cancel()
	select {
	case p.room <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("all %d connections are in use: %w", cap(p.room), ctx.Err())
	}
	for keptWillDo {
		c, kept := p.idle.Take("")
		if !kept {
			break
		}
		if c.ahead.Buffered() == 0 && idle.Quiet(c.Conn) { // else the filter was restarted, or would answer something else
			c.kept = true
			return c, nil
		}
		_ = c.Close()
	}
	c, err := p.dial(ctx, one)
	if err != nil {
		<-p.room
		return nil, err
	}
	return c, nil
}

func (p *peer) dial(ctx context.Context, one *filter) (*conn, error) {
	nc, err := (&net.Dialer{}).DialContext(ctx, p.network, p.address)
	if err != nil {
		var ne net.Error
		if errors.As(err, &ne) && ne.Timeout() && ctx.Err() != context.Canceled {
			p.mu.Lock()
			p.silent = realNow().Add(p.f.o.Params.RetryDelay)
			p.mu.Unlock()
		}
		return nil, err
	}
	c := &conn{Conn: nc, out: bufio.NewWriterSize(nc, 16<<10), in: milter.Reader{Max: maxReply}}
	c.ahead = bufio.NewReaderSize(waiting{c}, 4<<10)
	c.in.R = c.ahead
	c.begin(ctx, one.ConnectTimeout)
	err = c.negotiate(one)
	if ended := c.end(); err == nil && !ended {
		err = context.Cause(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, nc.Close())
	}
	return c, nil
}

// maxReply bounds a packet of a filter. It is no parameter: libmilter sends bodies in pieces of 64 KiB, and of 1 MiB at
// most.
const maxReply = 1<<20 + 64

// negotiate agrees on the protocol.
func (c *conn) negotiate(one *filter) error {
	steps := milter.StepsOf(one.version)
	c.never = milter.Never &^ steps
	if one.noHeaderReply {
		steps |= milter.NoReplyHeader
	}
	if err := c.send(byte(milter.Negotiate), milter.Numbers(one.version, uint32(milter.AllActions), uint32(steps))); err != nil {
		return err
	}
	code, data, err := c.receive()
	if err != nil {
		return fmt.Errorf("no answer to the offer of a protocol: %w", err)
	}
	var ok bool
	c.agreed, ok = milter.ParseAgreement(data)
	switch {
	case milter.Command(code) != milter.Negotiate || !ok:
		return fmt.Errorf("the answer %q to the offer of a protocol is none", rune(code))
	case c.agreed.Version > one.version:
		return fmt.Errorf("it wants version %d of the protocol, and was offered %d (milter.protocol)", c.agreed.Version, one.version)
	case c.agreed.Actions&^milter.AllActions != 0:
		return fmt.Errorf("it wants actions that there are not (%#x)", uint32(c.agreed.Actions))
	}
	c.never |= milter.Never &^ milter.StepsOf(c.agreed.Version)
	return nil
}

// begin sets the context and the time for each of the waits to come; end says that neither has ended them.
func (c *conn) begin(ctx context.Context, timeout time.Duration) {
	c.ctx, c.timeout = ctx, timeout
	c.stop = context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
}

func (c *conn) end() bool {
	ok := c.stop()
	c.ctx = nil
	return ok
}

// wait sets the deadline of one wait.
func (c *conn) wait() error {
	if err := c.SetDeadline(realNow().Add(c.timeout)); err != nil {
		return err
	}
	return context.Cause(c.ctx) // it may have ended before the deadline was set
}

// send writes a packet into the buffer, and waits where that is full.
func (c *conn) send(code byte, data ...[]byte) error {
	n := pieceHead
	for _, d := range data {
		n += len(d)
	}
	if n > c.out.Available() {
		if err := c.wait(); err != nil {
			return err
		}
	}
	if _, err := c.out.Write(milter.Append(c.out.AvailableBuffer(), code, data...)); err != nil {
		return err
	}
	return nil
}

// flush sends what is in the buffer.
func (c *conn) flush() error {
	if c.out.Buffered() == 0 {
		return nil
	}
	if err := c.wait(); err != nil {
		return err
	}
	return c.out.Flush()
}

// receive reads a packet; its data is valid until the next one.
func (c *conn) receive() (code byte, data []byte, err error) {
	if err := c.flush(); err != nil {
		return 0, nil, err
	}
	code, data, err = c.in.Next()
	c.kept = c.kept && err != nil
	return code, data, err
}

// waiting reads with a deadline.
type waiting struct{ c *conn }

func (w waiting) Read(p []byte) (int, error) {
	if err := w.c.wait(); err != nil {
		return 0, err
	}
	return w.c.Conn.Read(p)
}

// leave ends the use of a connection. One that is in order is kept when that is wanted.
func (p *peer) leave(c *conn, inOrder bool) {
	defer func() { <-p.room }()
	if !inOrder {
		_ = c.Close()
		return
	}
	keep := p.f.o.Params.MaxIdle
	code := milter.Quit
	if keep > 0 && c.agreed.Version >= 6 {
		code = milter.QuitNew
	}
	// Nobody waits for a filter here: what the socket does not take at once it does not get.
	c.begin(context.Background(), goodbye)
	defer c.end()
	if err := errors.Join(c.send(byte(code)), c.flush()); err != nil || code == milter.Quit {
		_ = c.Close()
		return
	}
	p.idle.Put("", c, keep)
}

// goodbye is how long a filter may take to take the last word.
const goodbye = time.Second
