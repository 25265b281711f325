package e2e

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"strconv"
	"testing"
	"time"
)

// imapConn speaks IMAP and understands nothing of it but literals and the
// tagged line.
type imapConn struct {
	net.Conn
	r   *bufio.Reader
	tag int
}

func dialIMAP(t *testing.T, address string) *imapConn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	must(t, err)
	t.Cleanup(func() { conn.Close() })
	c := &imapConn{Conn: conn, r: bufio.NewReaderSize(conn, 1<<20)}
	_, err = c.r.ReadString('\n')
	must(t, err)
	return c
}

// command sends a command and returns all that comes before its tagged OK.
func (c *imapConn) command(t *testing.T, text string) []byte {
	t.Helper()
	c.send(t, text)
	return c.answer(t, text)
}

// send sends the first line of a command.
func (c *imapConn) send(t *testing.T, text string) {
	t.Helper()
	c.tag++
	must(t, c.SetDeadline(time.Now().Add(2*time.Minute)))
	_, err := fmt.Fprintf(c, "x%d %s\r\n", c.tag, text)
	must(t, err)
}

// append appends a message to INBOX, as a literal that waits for the go-ahead.
func (c *imapConn) append(t *testing.T, message []byte) {
	t.Helper()
	command := fmt.Sprintf("APPEND INBOX {%d}", len(message))
	c.send(t, command)
	line, err := c.r.ReadString('\n')
	must(t, err)
	if line[0] != '+' {
		t.Fatalf("%s: %s", command, line)
	}
	_, err = c.Write(append(message, "\r\n"...))
	must(t, err)
	c.answer(t, command)
}

// answer returns all that comes before the tagged OK of the last command.
func (c *imapConn) answer(t *testing.T, text string) []byte {
	t.Helper()
	tag := fmt.Sprintf("x%d ", c.tag)
	var all bytes.Buffer
	for {
		line, err := c.r.ReadBytes('\n')
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if bytes.HasPrefix(line, []byte(tag)) {
			if !bytes.HasPrefix(line, []byte(tag+"OK")) {
				t.Fatalf("%s: %s", text, line)
			}
			return all.Bytes()
		}
		all.Write(line)
		if n, ok := literalAtEnd(line); ok {
			if _, err := io.CopyN(&all, c.r, n); err != nil {
				t.Fatalf("%s: %v", text, err)
			}
		}
	}
}

func literalAtEnd(line []byte) (int64, bool) {
	line = bytes.TrimSuffix(line, []byte("}\r\n"))
	i := bytes.LastIndexByte(line, '{')
	if i < 0 {
		return 0, false
	}
	n, err := strconv.ParseInt(string(line[i+1:]), 10, 64)
	return n, err == nil
}
