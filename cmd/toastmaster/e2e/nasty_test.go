package e2e

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"
)

// nasty are messages that were made to break readers, with CR LF line ends and
// no line that begins with a dot. A bare LF is among them: from a client that
// is trusted, as this one is, it is taken for a line end of the text, and never
// for one of the protocol.
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
	{"bare line ends", func() []byte { return []byte("Subject: bare\r\n\r\na\nb\rc\n.\nd\r\n") }},
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

const (
	carol      = "carol@example.test"
	carolsWord = "singer"
)

// nastyWays are the ways into the store. What comes in by one of them stands
// behind the fields that this one adds, of trace octets at most.
var nastyWays = []struct {
	name, to, word string
	trace          int
	// put opens a connection and returns what puts in a message by it.
	put func(t *testing.T, b *box) func(text []byte)
}{
	{"SMTP", alice, alicesWord, 2000, func(t *testing.T, b *box) func([]byte) {
		n := 0
		return func(text []byte) {
			putSMTP(t, b.SMTP(), "EHLO", alice, text)
			n++
			b.waitMail(t, alice, n)
		}
	}},
	{"LMTP", bob, bobsWord, 2000, func(t *testing.T, b *box) func([]byte) {
		return func(text []byte) { putSMTP(t, b.LMTP(), "LHLO", bob, text) }
	}},
	{"APPEND", carol, carolsWord, 0, func(t *testing.T, b *box) func([]byte) {
		c := dialIMAP(t, b.IMAP())
		c.command(t, "LOGIN "+carol+" "+carolsWord)
		return func(text []byte) { c.append(t, text) }
	}},
}

func putSMTP(t *testing.T, address, hello, to string, text []byte) {
	t.Helper()
	s, err := dialSMTP(address, hello)
	must(t, err)
	defer s.Close()
	if reply, err := s.send("a@example.net", []string{to}, string(text)); err != nil {
		t.Fatalf("%.100q: %q, %v", text, reply, err)
	}
}

func TestNastyMessagesAreStoredAndServed(t *testing.T) {
	t.Parallel()
	// A client on this host is local, and Postfix's defaults complete the addresses of its headers.
	b := serve(t, map[string]string{"smtpd.message_size_limit": `"64 MiB"`, "smtpd.local_header_rewrite_clients": "[]"})
	must(t, b.AddMailbox(testContext(t), carol, carolsWord))
	for _, way := range nastyWays {
		put := way.put(t, b)
		for _, c := range nasty {
			put(c.text())
		}
		texts := b.fetchBodies(t, way.to, way.word)
		b.checkNasty(t, way.name, way.to, way.trace, texts)
		if way.to == alice { // what POP3 says does not depend on the way in
			for n, text := range b.retrieveAll(t) {
				if !bytes.Equal(inLiteral(text), texts[n]) {
					t.Errorf("%s: RETR differs from BODY[]", nasty[n].name)
				}
			}
		}
		m, err := b.Process().Memory()
		must(t, err)
		t.Logf("memory after %s: %d MiB at the highest, %d MiB now", way.name, m.Peak>>20, m.RSS>>20)
		if m.Peak > nastyMemory {
			t.Errorf("the server used %d MiB, at most %d are allowed", m.Peak>>20, nastyMemory>>20)
		}
	}
}

// checkNasty compares what came in by a way with what BODY[] tells and with
// the files.
func (b *box) checkNasty(t *testing.T, way, address string, trace int, texts [][]byte) {
	t.Helper()
	files := map[[sha256.Size]byte]int{}
	for _, f := range b.mail(t, address, "") {
		files[sha256.Sum256(inLiteral([]byte(readFile(t, f))))]++
	}
	for n, c := range nasty {
		// In the store a line ends in LF, on the wire in CR LF.
		want := inLiteral(bytes.ReplaceAll(c.text(), []byte("\r\n"), []byte("\n")))
		onDisk := bytes.ReplaceAll(texts[n], []byte("\r\n"), []byte("\n"))
		if !bytes.HasSuffix(onDisk, want) || bytes.Count(texts[n], []byte("\n")) != bytes.Count(texts[n], []byte("\r\n")) {
			t.Errorf("%s: %s: BODY[] of %d octets does not end with the %d that were sent", way, c.name, len(onDisk), len(want))
			continue
		}
		if front := onDisk[:len(onDisk)-len(want)]; len(front) > trace || bytes.Contains(front, []byte("\n\n")) {
			t.Errorf("%s: %s: in front stands %.2000q", way, c.name, front)
		}
		if found := files[sha256.Sum256(onDisk)]; found != 1 {
			t.Errorf("%s: %s: %d files hold exactly this", way, c.name, found)
		}
	}
}

// inLiteral is text as an IMAP literal can hold it: 0x80 stands for NUL (RFC
// 3501 section 9). POP3 and the file have the NUL.
func inLiteral(text []byte) []byte { return bytes.ReplaceAll(text, []byte{0}, []byte{0x80}) }

// fetchBodies reads every message of a mailbox by IMAP: first the metadata, which
// must not fail, then the text.
func (b *box) fetchBodies(t *testing.T, address, word string) [][]byte {
	t.Helper()
	c := dialIMAP(t, b.IMAP())
	c.command(t, "LOGIN "+address+" "+word)
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
				must(t, c.SetDeadline(time.Now().Add(time.Minute)))
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
