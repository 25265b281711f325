package e2e

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"
)

// nasty are messages that were made to break readers, with CR LF line ends and
// no line that begins with a dot.
var nasty = []struct {
	name string
	text func() []byte
}{
	{"100,000 parts", func() []byte {
		var b bytes.Buffer
		b.WriteString("Subject: parts\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n")
		for i := range 100_000 {
			fmt.Fprintf(&b, "--b\r\nContent-Type: text/plain\r\n\r\npart %d\r\n", i)
		}
		b.WriteString("--b--\r\n")
		return b.Bytes()
	}},
	{"multiparts 5,000 deep", func() []byte {
		var b bytes.Buffer
		b.WriteString("Subject: deep\r\nMIME-Version: 1.0\r\n")
		for i := range 5000 {
			fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%[1]d\r\n", i)
		}
		b.WriteString("\r\nthe end\r\n")
		return b.Bytes()
	}},
	{"messages in messages, 2,000 deep", func() []byte {
		return append(bytes.Repeat([]byte("Content-Type: message/rfc822\r\n\r\n"), 2000), "Subject: innermost\r\n\r\ntext\r\n"...)
	}},
	{"a header of 10 MB, many fields", func() []byte {
		var b bytes.Buffer
		for i := 0; b.Len() < 10<<20; i++ {
			fmt.Fprintf(&b, "X-Field-%d: %s\r\n", i, strings.Repeat("v", 60))
		}
		b.WriteString("Subject: fields\r\n\r\ntext\r\n")
		return b.Bytes()
	}},
	{"a header of 10 MB, one field", func() []byte {
		return []byte("Subject: folded" + strings.Repeat("\r\n "+strings.Repeat("s", 70), 140_000) + "\r\nFrom: a@example.net\r\n\r\ntext\r\n")
	}},
	{"100,000 recipients in To", func() []byte {
		return []byte("Subject: list\r\nTo: first@example.net" + strings.Repeat(",\r\n \"N. N.\" <somebody@example.net>", 100_000) + "\r\n\r\ntext\r\n")
	}},
	{"a line of 50 MB", func() []byte {
		return []byte("Subject: line\r\n\r\n" + strings.Repeat("0123456789", 5_000_000) + "\r\n")
	}},
	{"NUL octets", func() []byte {
		return []byte("Subject: n\x00ul\r\nX-\x00: \x00\r\n\r\n\x00\x00text\x00\r\n\x00\r\n")
	}},
	{"broken charsets", func() []byte {
		return []byte("Subject: =?utf-8?q?=FF=FE?= =?no-such?b?!!!?= \xff\xfe\xc3\r\nFrom: \"\xe4\xf6\" <a@\xfc.example>\r\nTo: <>, @,;:\\, \"\r\n" +
			"Date: yesterday\r\nContent-Type: text/plain; charset=\"\xff\r\nContent-Transfer-Encoding: base65\r\n\r\n\xff\xfe\x80=ZZ\r\n")
	}},
	{"an empty multipart", func() []byte {
		return []byte("Subject: empty\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n")
	}},
	{"a multipart with nothing between its boundaries", func() []byte {
		return []byte("Subject: hollow\r\nContent-Type: multipart/mixed; boundary=\"\"\r\n\r\n--\r\n----\r\n")
	}},
	{"no header", func() []byte { return []byte("\r\nonly text\r\n") }},
	{"a header line without a colon", func() []byte {
		return []byte("Subject: colon\r\nthis is no field\r\nTo: a@example.net\r\n\r\ntext\r\n")
	}},
	{"no text at all", func() []byte { return []byte("Subject: header only\r\n") }},
}

// nastyMemory is what the server may use at most, far below what the largest
// message would take if it was held in memory more than once or twice.
const nastyMemory = 320 << 20

func TestNastyMessagesAreStoredAndServed(t *testing.T) {
	t.Parallel()
	b := serve(t, map[string]string{"smtpd.message_size_limit": `"64 MiB"`})
	for n, c := range nasty {
		text := c.text()
		s, err := dialSMTP(b.SMTP(), "EHLO")
		must(t, err)
		if reply, err := s.send("a@example.net", []string{alice}, string(text)); err != nil {
			t.Fatalf("%s: %q, %v", c.name, reply, err)
		}
		s.Close()
		b.waitMail(t, alice, n+1)
	}
	imapTexts := b.fetchBodies(t)
	popTexts := b.retrieveAll(t)
	files := b.mail(t, alice, "")
	for n, c := range nasty {
		want := c.text()
		got := imapTexts[n]
		if !bytes.HasSuffix(got, want) {
			t.Errorf("%s: BODY[] of %d octets does not end with the %d that were sent", c.name, len(got), len(want))
			continue
		}
		// In front are only the fields that a delivery adds.
		if trace := len(got) - len(want); trace > 2000 || bytes.Contains(got[:trace], []byte("\r\n\r\n")) && c.name != "no header" {
			t.Errorf("%s: in front stands %.2000q", c.name, got[:trace])
		}
		if !bytes.Equal(popTexts[n], got) {
			t.Errorf("%s: RETR differs from BODY[]", c.name)
		}
		onDisk := bytes.ReplaceAll(got, []byte("\r\n"), []byte("\n"))
		found := 0
		for _, f := range files {
			if bytes.Equal(onDisk, []byte(readFile(t, f))) {
				found++
			}
		}
		if found != 1 {
			t.Errorf("%s: %d files hold exactly this", c.name, found)
		}
	}
	m, err := b.Process().Memory()
	must(t, err)
	t.Logf("memory: %d MiB at the highest, %d MiB now", m.Peak>>20, m.RSS>>20)
	if m.Peak > nastyMemory {
		t.Errorf("the server used %d MiB, at most %d are allowed", m.Peak>>20, nastyMemory>>20)
	}
}

// fetchBodies reads every message of alice by IMAP: first the metadata, which
// must not fail, then the text.
func (b *box) fetchBodies(t *testing.T) [][]byte {
	t.Helper()
	c := dialIMAP(t, b.IMAP())
	c.command(t, "LOGIN "+alice+" "+alicesWord)
	c.command(t, "SELECT INBOX")
	for n, bad := range nasty {
		answer := c.command(t, fmt.Sprintf("FETCH %d (RFC822.SIZE ENVELOPE BODYSTRUCTURE)", n+1))
		for _, item := range []string{"RFC822.SIZE ", "ENVELOPE (", "BODYSTRUCTURE ("} {
			if !bytes.Contains(answer, []byte(item)) {
				t.Errorf("%s: no %s in %.500q", bad.name, item, answer)
			}
		}
	}
	var all [][]byte
	for n, bad := range nasty {
		answer := c.command(t, fmt.Sprintf("FETCH %d (RFC822.SIZE BODY.PEEK[])", n+1))
		head, rest, ok := bytes.Cut(answer, []byte("BODY[] {"))
		length, rest, ok2 := bytes.Cut(rest, []byte("}\r\n"))
		size, err := strconv.Atoi(string(length))
		if !ok || !ok2 || err != nil || size > len(rest) {
			t.Fatalf("%s: %.500q", bad.name, answer)
		}
		if !bytes.Contains(append(head, rest[size:]...), fmt.Appendf(nil, "RFC822.SIZE %d", size)) {
			t.Errorf("%s: RFC822.SIZE differs from the literal's %d", bad.name, size)
		}
		all = append(all, rest[:size])
	}
	c.command(t, `SEARCH TEXT "no such text in any of them"`)
	c.command(t, "LOGOUT")
	return all
}

// retrieveAll reads every message of alice by POP3.
func (b *box) retrieveAll(t *testing.T) [][]byte {
	t.Helper()
	conn, err := net.Dial("tcp", b.POP3())
	must(t, err)
	defer conn.Close()
	p := &popConn{conn, bufio.NewReaderSize(conn, 1<<20)}
	for _, command := range []string{"", "USER " + alice, "PASS " + alicesWord} {
		_, err := p.line(command)
		must(t, err)
	}
	var all [][]byte
	for n := range nasty {
		text, err := p.text(fmt.Sprintf("RETR %d", n+1))
		must(t, err)
		all = append(all, []byte(text))
	}
	_, err = p.line("QUIT")
	must(t, err)
	return all
}

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
	c.tag++
	tag := fmt.Sprintf("x%d ", c.tag)
	must(t, c.SetDeadline(time.Now().Add(2*time.Minute)))
	_, err := fmt.Fprintf(c, "%s%s\r\n", tag, text)
	must(t, err)
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

// TestManyConnectionsThatSayNothing: clients that connect and go to sleep, or
// send a line without an end, cost little and harm nobody.
func TestManyConnectionsThatSayNothing(t *testing.T) {
	t.Parallel()
	b := serve(t, nil)
	before, err := b.Process().Memory()
	must(t, err)
	for i := range 200 {
		for _, address := range []string{b.SMTP(), b.IMAP(), b.POP3()} {
			c, err := net.Dial("tcp", address)
			must(t, err)
			defer c.Close()
			if i%2 == 0 {
				must(t, c.SetDeadline(time.Now().Add(5*time.Second)))
				// A server that closes the connection here is right.
				_, _ = c.Write(bytes.Repeat([]byte("x"), 100<<10))
			}
		}
	}
	b.sendOne(t, bob, alice, "still served")
	b.waitMail(t, alice, 1)
	after, err := b.Process().Memory()
	must(t, err)
	if grown := after.RSS - before.RSS; grown > 600*128<<10 {
		t.Errorf("600 connections cost %d MiB", grown>>20)
	}
}
