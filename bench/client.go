package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// client is a connection that does as little as possible with what it reads,
// so that the server is the bottleneck.
type client struct {
	*blocking
	r    *bufio.Reader
	tag  int
	last []byte // for until
}

// answerTimeout is how long one answer may take.
const answerTimeout = 5 * time.Minute

func dial(ctx context.Context, address string) (*client, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	b, err := newBlocking(c.(*net.TCPConn))
	if err != nil {
		return nil, err
	}
	return &client{blocking: b, r: bufio.NewReaderSize(b, 256<<10)}, nil
}

// dialFor closes the connection when ctx is done, which ends every wait on it.
// The caller calls the function that is returned to close it.
func dialFor(ctx context.Context, address string) (*client, func(), error) {
	c, err := dial(ctx, address)
	if err != nil {
		return nil, nil, err
	}
	stop := context.AfterFunc(ctx, func() { c.Close() })
	return c, func() { stop(); c.Close() }, nil
}

func (c *client) write(b []byte) error {
	_, err := c.Write(b)
	return err
}

func (c *client) printf(format string, args ...any) error {
	return c.write(fmt.Appendf(nil, format, args...))
}

// line reads one line.
func (c *client) line() (string, error) {
	s, err := c.r.ReadString('\n')
	return strings.TrimRight(s, "\r\n"), err
}

// reply reads an SMTP reply and wants it to begin with code.
func (c *client) reply(code string) error {
	for {
		s, err := c.line()
		if err != nil {
			return err
		}
		if !strings.HasPrefix(s, code) {
			return fmt.Errorf("%s, want %s", s, code)
		}
		if len(s) < 4 || s[3] != '-' {
			return nil
		}
	}
}

// command sends an IMAP command and reads until its tagged OK. It returns the
// number of octets read.
func (c *client) command(format string, args ...any) (int, error) {
	tag := c.nextTag()
	if err := c.printf(tag+" "+format+"\r\n", args...); err != nil {
		return 0, err
	}
	return c.until(tag)
}

func (c *client) nextTag() string {
	c.tag++
	return "t" + strconv.Itoa(c.tag)
}

// until reads to the tagged line. It looks only at the end of what a read
// returned: the server sends nothing after that line by itself.
func (c *client) until(tag string) (int, error) {
	if c.last == nil {
		c.last = make([]byte, 256<<10)
	}
	buf := c.last
	kept, total := 0, 0
	want := []byte("\n" + tag + " ")
	for {
		n, err := c.r.Read(buf[kept:])
		total += n
		if err != nil {
			return total, err
		}
		data := buf[:kept+n]
		if bytes.HasSuffix(data, []byte("\r\n")) {
			from := max(len(data)-1024, 0)
			tail := append([]byte("\n"), data[from:]...)
			if from > 0 {
				tail = tail[1:]
			}
			if i := bytes.LastIndex(tail, want); i >= 0 {
				if status := string(tail[i+1:]); !strings.HasPrefix(status, tag+" OK") {
					return total, fmt.Errorf("%s", strings.TrimSpace(status))
				}
				return total, nil
			}
		}
		kept = min(len(data), 1024)
		copy(buf, data[len(data)-kept:])
	}
}

// login opens an IMAP connection and logs in.
func login(ctx context.Context, s *side, user string) (*client, func(), error) {
	c, end, err := dialFor(ctx, s.imap)
	if err != nil {
		return nil, nil, err
	}
	if _, err = c.line(); err == nil {
		_, err = c.command("LOGIN %s %s", user, password)
	}
	if err != nil {
		end()
		return nil, nil, err
	}
	return c, end, nil
}
