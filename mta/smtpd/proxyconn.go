package smtpd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/smtpreply"
	"toastmaster/internal/wire"
)

// proxyConn is a connection to smtpd.proxy_filter, for one message. After an error it is of no use.
type proxyConn struct {
	nc      net.Conn
	in      *wire.Reader
	out     *wire.Writer
	timeout time.Duration
	broken  error
	// keywords are what EHLO has announced, in upper case.
	keywords map[string]string
	stop     func() bool
}

// refusal is what the client hears of a reply that is no success. A reply that makes no sense there is a failure of the filter.
func refusal(r *smtpreply.Reply) *dsn.Error {
	if c := r.Class(); c != 4 && c != 5 {
		return errProxy(fmt.Errorf("the filter says %s", r))
	}
	return dsn.New(r.Status, lines(r)).WithCode(r.Code)
}

// lines is the text of a reply for one of ours.
func lines(r *smtpreply.Reply) string { return strings.Join(r.Lines, "\n") }

// errProxy is what the client hears of a filter that does not do its work: as from Postfix, nothing of it.
func errProxy(cause error) *dsn.Error {
	return dsn.Wrap(dsn.MailSystem, "Error: queue file write error", fmt.Errorf("proxy_filter: %w", cause)).WithCode(451)
}

// proxyLimits bound what is read of a filter. They are no parameters: its replies are shown to clients.
var proxyLimits = smtpreply.Limits{Octets: 64 << 10, Text: 4 << 10}

// dialProxy connects, and waits for the greeting. The connection breaks when ctx ends.
func (d *Daemon) dialProxy(ctx context.Context) (*proxyConn, error) {
	dialer := net.Dialer{Timeout: d.o.Params.ProxyTimeout}
	nc, err := dialer.DialContext(ctx, d.proxyNetwork, d.proxyAddress)
	if err != nil {
		return nil, err
	}
	c := &proxyConn{nc: nc, timeout: d.o.Params.ProxyTimeout, keywords: map[string]string{}}
	c.in, c.out = wire.NewReader(nc, &d.pool), wire.NewWriter(proxySink{c}, &d.pool)
	c.in.Bare = wire.Normalize // a reply with a bare LF harms nobody
	c.stop = context.AfterFunc(ctx, func() {
		_ = nc.Close() // reads and writes fail
	})
	if err = c.begin(d.proxyName); err != nil {
		c.end()
		return nil, err
	}
	return c, nil
}

// proxySink gives each write its time.
type proxySink struct{ c *proxyConn }

func (w proxySink) Write(p []byte) (int, error) {
	// Sockets live in real time.
	if err := w.c.nc.SetWriteDeadline(time.Now().Add(w.c.timeout)); err != nil {
		return 0, err
	}
	return w.c.nc.Write(p)
}

// begin is the greeting and EHLO.
func (c *proxyConn) begin(name string) error {
	r, err := c.reply()
	if err != nil {
		return err
	}
	if !r.OK() {
		return fmt.Errorf("it greets with %s", r)
	}
	if r, err = c.command("EHLO " + name); err != nil {
		return err
	}
	if !r.OK() {
		return fmt.Errorf("it says to EHLO %s", r)
	}
	for _, line := range r.Lines[min(1, len(r.Lines)):] {
		word, arguments, _ := strings.Cut(strings.ToUpper(strings.TrimSpace(line)), " ")
		c.keywords[word] = arguments
	}
	return nil
}

// forward says by XFORWARD where the message comes from, to a filter that wants to hear it.
func (c *proxyConn) forward(f envelope.Forwarded) error {
	for _, command := range f.Commands(strings.Fields(c.keywords["XFORWARD"])) {
		r, err := c.command(command)
		if err != nil {
			return err
		}
		if !r.OK() {
			return fmt.Errorf("it says to XFORWARD %s", r)
		}
	}
	return nil
}

// command is a command and its reply.
func (c *proxyConn) command(line string) (*smtpreply.Reply, error) {
	if c.broken != nil {
		return nil, c.broken
	}
	c.out.WriteString(line)
	c.out.WriteString("\r\n") // an error comes back from Flush
	if err := c.out.Flush(); err != nil {
		c.broken = err
		return nil, err
	}
	return c.reply()
}

// reply reads one.
func (c *proxyConn) reply() (*smtpreply.Reply, error) {
	if c.broken = c.nc.SetReadDeadline(time.Now().Add(c.timeout)); c.broken != nil {
		return nil, c.broken
	}
	r, err := smtpreply.Read(c.in, proxyLimits, nil)
	c.broken = err
	return r, err
}

// send is the message behind 354, with its end, and the reply.
func (c *proxyConn) send(top []byte, content envelope.Content) (*smtpreply.Reply, error) {
	w := wire.NewRelayWriter(c.out)
	if _, err := w.Write(top); err != nil {
		return nil, c.fail(err)
	}
	for p, err := range envelope.Pieces(content, 0, content.Size(), envelope.Block(content, proxyPiece)) {
		if err != nil {
			return nil, c.fail(err)
		}
		if _, err := w.Write(p); err != nil {
			return nil, c.fail(err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, c.fail(err)
	}
	if err := c.out.Flush(); err != nil {
		return nil, c.fail(err)
	}
	return c.reply()
}

// proxyPiece is how much of a message that lies in a file is read at once.
const proxyPiece = 32 << 10

func (c *proxyConn) fail(err error) error {
	if c.broken = err; errors.Is(err, io.EOF) {
		c.broken = io.ErrUnexpectedEOF
	}
	return c.broken
}

// end says QUIT where that is possible, without waiting for the answer, and closes.
func (c *proxyConn) end() {
	if c.broken == nil {
		c.timeout = min(c.timeout, time.Second)
		c.out.WriteString("QUIT\r\n")
		_ = c.out.Flush() // it may be gone
	}
	c.close()
}

func (c *proxyConn) close() {
	c.stop()
	c.in.Close()
	_ = c.nc.Close() // what matters has been answered
}
