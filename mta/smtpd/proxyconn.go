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
	"toastmaster/internal/printable"
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

// proxyReply is a reply of the filter: lines of text without codes, one status for all, 0 for none.
type proxyReply struct {
	code   int
	status dsn.Status
	text   string
}

func (r proxyReply) ok() bool { return r.code/100 == 2 }

// err is a refusal as the client hears it. A reply that makes no sense there is a failure of the filter.
func (r proxyReply) err() *dsn.Error {
	class := r.code / 100
	if class != 4 && class != 5 {
		return errProxy(fmt.Errorf("the filter says %d %s", r.code, r.text))
	}
	if r.status.Class() != class {
		r.status = dsn.Make(class, 0, 0)
	}
	return dsn.New(r.status, r.text).WithCode(r.code)
}

// errProxy is what the client hears of a filter that does not do its work: as from Postfix, nothing of it.
func errProxy(cause error) *dsn.Error {
	return dsn.Wrap(dsn.MailSystem, "Error: queue file write error", fmt.Errorf("proxy_filter: %w", cause)).WithCode(451)
}

// Bounds of what is read of a filter. They are no parameters: its replies are shown to clients.
const (
	maxProxyLines = 100
	maxProxyText  = 4 << 10
)

var errProxyReply = errors.New("a reply that is none of SMTP, or too long")

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
	if !r.ok() {
		return fmt.Errorf("it greets with %d %s", r.code, r.text)
	}
	if r, err = c.command("EHLO " + name); err != nil {
		return err
	}
	if !r.ok() {
		return fmt.Errorf("it says to EHLO %d %s", r.code, r.text)
	}
	_, rest, _ := strings.Cut(r.text, "\n")
	for line := range strings.Lines(rest) {
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
		if !r.ok() {
			return fmt.Errorf("it says to XFORWARD %d %s", r.code, r.text)
		}
	}
	return nil
}

// command is a command and its reply.
func (c *proxyConn) command(line string) (proxyReply, error) {
	if c.broken != nil {
		return proxyReply{}, c.broken
	}
	c.out.WriteString(line)
	c.out.WriteString("\r\n") // an error comes back from Flush
	if err := c.out.Flush(); err != nil {
		c.broken = err
		return proxyReply{}, err
	}
	return c.reply()
}

// reply reads one.
func (c *proxyConn) reply() (r proxyReply, err error) {
	defer func() { c.broken = err }()
	if err := c.nc.SetReadDeadline(time.Now().Add(c.timeout)); err != nil {
		return r, err
	}
	var text []string
	for size := 0; ; {
		line, err := c.in.ReadLine()
		if err != nil {
			return r, err
		}
		code, more, words, ok := cutReply(string(line))
		size += len(line)
		if !ok || len(text) >= maxProxyLines || size > maxProxyText || r.code != 0 && r.code != code {
			return r, errProxyReply
		}
		r.code = code
		if status, rest, ok := dsn.Parse(words); ok && status.Class() == code/100 {
			r.status, words = status, rest
		}
		text = append(text, printable.UTF8(words))
		if !more {
			r.text = strings.Join(text, "\n")
			return r, nil
		}
	}
}

// cutReply takes a line of a reply apart.
func cutReply(line string) (code int, more bool, text string, ok bool) {
	if len(line) < 3 || line[0] < '2' || line[0] > '5' || line[1] < '0' || line[1] > '9' || line[2] < '0' || line[2] > '9' {
		return 0, false, "", false
	}
	code = int(line[0]-'0')*100 + int(line[1]-'0')*10 + int(line[2]-'0')
	switch {
	case len(line) == 3:
		return code, false, "", true
	case line[3] != ' ' && line[3] != '-':
		return 0, false, "", false
	}
	return code, line[3] == '-', strings.TrimSpace(line[4:]), true
}

// send is the message behind 354, with its end, and the reply.
func (c *proxyConn) send(top []byte, content envelope.Content) (proxyReply, error) {
	w := wire.NewRelayWriter(c.out)
	if _, err := w.Write(top); err != nil {
		return proxyReply{}, c.fail(err)
	}
	for p, err := range envelope.Pieces(content, 0, content.Size(), envelope.Block(content, proxyPiece)) {
		if err != nil {
			return proxyReply{}, c.fail(err)
		}
		if _, err := w.Write(p); err != nil {
			return proxyReply{}, c.fail(err)
		}
	}
	if err := w.Close(); err != nil {
		return proxyReply{}, c.fail(err)
	}
	if err := c.out.Flush(); err != nil {
		return proxyReply{}, c.fail(err)
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
