package haproxy

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// two is a header of version 2.
func two(command, family byte, rest string) string {
	head := append([]byte(signature), 0x20|command, family)
	return string(binary.BigEndian.AppendUint16(head, uint16(len(rest)))) + rest
}

const (
	four = "\xc0\x00\x02\x07\xc6\x33\x64\x01\x04\xd2\x00\x19"
	tlv  = "\x05\x00\x03abc\x20\x00\x05\x01\x00\x00\x00\x00"
)

// six is 2001:db8::1 to 2001:db8::2.
func six() string {
	one, other := netip.MustParseAddr("2001:db8::1").As16(), netip.MustParseAddr("2001:db8::2").As16()
	return string(one[:]) + string(other[:]) + "\x04\xd2\x00\x19"
}

func endpoints(from, to string) Header {
	return Header{From: netip.MustParseAddrPort(from), To: netip.MustParseAddrPort(to)}
}

// TestHeaders: every kind of header, and nothing is read behind it.
func TestHeaders(t *testing.T) {
	t.Parallel()
	v4, v6 := endpoints("192.0.2.7:1234", "198.51.100.1:25"), endpoints("[2001:db8::1]:1234", "[2001:db8::2]:25")
	for text, want := range map[string]Header{
		"PROXY TCP4 192.0.2.7 198.51.100.1 1234 25\r\n":     v4,
		"PROXY TCP6 2001:db8::1 2001:db8::2 1234 25\r\n":    v6,
		"PROXY UNKNOWN\r\n":                                 {},
		"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n":     {},
		"PROXY UNKNOWN " + strings.Repeat("x", 91) + "\r\n": {},
		two(1, 0x11, four):                                  v4,
		two(1, 0x11, four+tlv):                              v4,
		two(1, 0x21, six()):                                 v6,
		two(1, 0x21, six()+tlv):                             v6,
		two(0, 0, ""):                                       {Local: true},
		two(0, 0x11, four+tlv):                              {Local: true},
		two(1, 0, ""):                                       {},
		two(1, 0x12, four):                                  {}, // UDP
		two(1, 0x31, strings.Repeat("p", 216)):              {},
		two(1, 0x11, four+strings.Repeat("t", 4084)):        v4,
	} {
		in := strings.NewReader(text + "EHLO")
		h, err := Read(in)
		if err != nil || h != want {
			t.Errorf("%q: %+v, %v", text, h, err)
		}
		if rest, _ := io.ReadAll(in); string(rest) != "EHLO" {
			t.Errorf("%q: behind it is %q", text, rest)
		}
	}
	for _, text := range []string{
		"", "PROXY", "EHLO client.test\r\n", "PROXY UDP4 192.0.2.7 198.51.100.1 1234 25\r\n", "PROXY TCP4 192.0.2.7 198.51.100.1 1234\r\n", "PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n",
		"PROXY TCP6 192.0.2.7 198.51.100.1 1234 25\r\n", "PROXY TCP4 192.0.2.7 198.51.100.1 1234 65536\r\n", "PROXY TCP4 192.0.2.7 198.51.100.1 01234 25\r\n", "PROXY TCP4 192.0.2.7 198.51.100.1 -1 25\r\n",
		"PROXY TCP4  192.0.2.7 198.51.100.1 1234 25\r\n", "PROXY TCP4 192.0.2.7 198.51.100.1 1234 25\n", "PROXY TCP4 192.0.2.7 198.51.100.1 1234 ", "PROXY TCP4 192.0.2.7 198.51.100.1  \r\n",
		"PROXY UNKNOWN " + strings.Repeat("x", 92) + "\r\n", "proxy TCP4 192.0.2.7 198.51.100.1 1234 25\r\n", "PROXY TCP6 fe80::1%eth0 2001:db8::2 1234 25\r\n",
		signature, two(2, 0x11, four), signature + "\x11\x11\x00\x0c" + four, two(1, 0x11, four[:11]), two(1, 0x21, six()[:35]), two(1, 0x11, strings.Repeat("t", MaxHeader+1)),
		two(1, 0x11, four)[:20],
	} {
		if h, err := Read(strings.NewReader(text)); !errors.Is(err, ErrNoHeader) {
			t.Errorf("%q: %+v, %v", text, h, err)
		}
	}
}

// pair is both ends of a connection.
func pair(t *testing.T) (client, server net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err = net.Dial("tcp", l.Addr().String())
	if err == nil {
		server, err = l.Accept()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(); server.Close() })
	return client, server
}

// TestAccept: the connection has other addresses, and still is a socket.
func TestAccept(t *testing.T) {
	t.Parallel()
	client, server := pair(t)
	_, _ = io.WriteString(client, "PROXY TCP4 192.0.2.7 198.51.100.1 1234 25\r\nhello")
	c, err := Accept(server)
	if err != nil || c.RemoteAddr().String() != "192.0.2.7:1234" || c.LocalAddr().String() != "198.51.100.1:25" {
		t.Fatalf("%v, %v", c, err)
	}
	if _, ok := c.(syscall.Conn); !ok {
		t.Error("it is no socket")
	}
	if err := c.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		t.Error(err)
	}
	client.Close()
	if rest, err := io.ReadAll(c); string(rest) != "hello" || err != nil {
		t.Errorf("%q, %v", rest, err)
	}
	for header, from := range map[string]string{"PROXY UNKNOWN\r\n": "0.0.0.0:0", two(1, 0x31, strings.Repeat("p", 216)): "0.0.0.0:0", two(0, 0, ""): "127.0.0.1:"} {
		client, server := pair(t)
		_, _ = io.WriteString(client, header)
		c, err := Accept(server)
		if err != nil || !strings.HasPrefix(c.RemoteAddr().String(), from) || c.LocalAddr() != server.LocalAddr() {
			t.Errorf("%q: %v, %v", header, c, err)
		}
	}
	_, silent := pair(t)
	if err := silent.SetReadDeadline(time.Now()); err != nil {
		t.Fatal(err)
	}
	if _, err := Accept(silent); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
}

// FuzzRead: nothing panics, and what is taken has an end.
func FuzzRead(f *testing.F) {
	for _, s := range []string{"PROXY TCP4 192.0.2.7 198.51.100.1 1234 25\r\n", "PROXY UNKNOWN\r\n", two(1, 0x11, four+tlv), two(1, 0x21, six()), two(0, 0, "")} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		in := bytes.NewReader(b)
		h, err := Read(in)
		read := len(b) - in.Len()
		if read > len(signature)+4+MaxHeader || err == nil && h.Local && h.From.IsValid() || err != nil && h != (Header{}) {
			t.Errorf("%q: %+v, %v, %d octets", b, h, err, read)
		}
	})
}
