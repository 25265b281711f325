package mime

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"testing/iotest"
)

// scanBytes scans with the default limits.
func scanBytes(b []byte) *Message { return Limits{}.ScanBytes(b) }

// simple is about 4 KiB, the message of the benchmarks.
func simple() []byte {
	var b bytes.Buffer
	b.WriteString("Return-Path: <sender@example.org>\nDelivered-To: alice@example.test\nReceived: from client (client [192.0.2.1])\n\tby mx.example.test (Toastmaster) with ESMTP id ABCDEF\n\tfor <alice@example.test>; Tue, 24 Nov 2026 06:00:00 +0000\nDate: Tue, 24 Nov 2026 06:00:00 +0000\nFrom: \"A. Sender\" <sender@example.org>\nTo: Alice <alice@example.test>, bob@example.test\nSubject: a message of usual size\nMessage-ID: <1234.5678@example.org>\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 7bit\nX-Mailer: none\nX-Spam-Status: No, score=-1.0\n\n")
	for b.Len() < 4096 {
		b.WriteString("The quick brown fox jumps over the lazy dog, and then it does so again.\n")
	}
	return b.Bytes()
}

func big(size int) []byte {
	var b bytes.Buffer
	b.WriteString("From: a@b\nSubject: big\nContent-Type: multipart/mixed; boundary=\"=_b\"\n\n--=_b\nContent-Type: text/plain\n\nhi\n--=_b\nContent-Type: application/pdf\nContent-Transfer-Encoding: base64\n\n")
	line := strings.Repeat("QUJD", 19) + "\n"
	for b.Len() < size {
		b.WriteString(line)
	}
	b.WriteString("--=_b--\n")
	return b.Bytes()
}

func TestScanSimple(t *testing.T) {
	t.Parallel()
	m := scanBytes(simple())
	want := `("Tue, 24 Nov 2026 06:00:00 +0000" "a message of usual size" (("A. Sender" NIL "sender" "example.org")) (("A. Sender" NIL "sender" "example.org")) (("A. Sender" NIL "sender" "example.org")) (("Alice" NIL "alice" "example.test")(NIL NIL "bob" "example.test")) NIL NIL NIL "<1234.5678@example.org>")`
	if string(m.Envelope) != want {
		t.Errorf("envelope %s\nwant     %s", m.Envelope, want)
	}
	body := string(m.AppendBody(nil))
	if want := fmt.Sprintf(`("text" "plain" ("charset" "utf-8") NIL NIL "7bit" %d %d)`, m.Parts[0].BodyWire, m.Parts[0].Lines); body != want {
		t.Errorf("body %s want %s", body, want)
	}
}

// wireForm is the definition that sizes are measured against.
func wireForm(b []byte) []byte {
	var out []byte
	for i, c := range b {
		if c == '\n' && (i == 0 || b[i-1] != '\r') {
			out = append(out, '\r')
		}
		out = append(out, c)
	}
	return out
}

// checkConsistent holds a scan against the message it came from.
func checkConsistent(t *testing.T, b []byte, m *Message) {
	t.Helper()
	if m.Size != int64(len(b)) || m.WireSize != int64(len(wireForm(b))) {
		t.Fatalf("sizes %d %d, want %d %d", m.Size, m.WireSize, len(b), len(wireForm(b)))
	}
	for i := range m.Parts {
		p := &m.Parts[i]
		if p.Start > p.Body || p.Body > p.End || p.End > m.Size {
			t.Fatalf("part %d: offsets %d %d %d of %d", i, p.Start, p.Body, p.End, m.Size)
		}
		if got := wireSpan(b, p.Start, p.Body); got != p.HeaderWire {
			t.Fatalf("part %d: header wire %d, want %d", i, p.HeaderWire, got)
		}
		if got := wireSpan(b, p.Body, p.End); got != p.BodyWire {
			t.Fatalf("part %d: body wire %d, want %d", i, p.BodyWire, got)
		}
		if got := int64(bytes.Count(b[p.Body:p.End], lineFeed)); got != p.Lines {
			t.Fatalf("part %d: lines %d, want %d", i, p.Lines, got)
		}
	}
	checkFields(t, b, m)
	var back Message
	record := m.AppendBinary(nil)
	if err := back.Parse(record); err != nil {
		t.Fatalf("parse: %v", err)
	}
	if again := back.AppendBinary(nil); !bytes.Equal(record, again) {
		t.Fatalf("record changed by parse")
	}
	fields := m.Fields.AppendBinary(nil)
	if back.Fields.Known() || back.FieldsSize() != len(fields) || m.FieldsSize() != len(fields) {
		t.Fatalf("the record tells of %d octets of fields, there are %d", back.FieldsSize(), len(fields))
	}
	if err := back.Fields.Parse(fields); err != nil || !bytes.Equal(binaryOf(&back), binaryOf(m)) {
		t.Fatalf("fields changed by parse: %v", err)
	}
	for i := range m.Parts {
		if m.Parts[i].Child != back.Parts[i].Child || m.Parts[i].Next != back.Parts[i].Next {
			t.Fatalf("part %d: links lost", i)
		}
	}
}

// binaryOf is all that is kept of a message.
func binaryOf(m *Message) []byte { return m.Fields.AppendBinary(m.AppendBinary(nil)) }

// wireSpan counts [from,to) on the wire, in its place in the message.
func wireSpan(b []byte, from, to int64) int64 {
	return int64(len(wireForm(b[:to])) - len(wireForm(b[:from])))
}

func FuzzScan(f *testing.F) {
	f.Add(simple())
	f.Add([]byte("Content-Type: multipart/mixed; boundary=ab\n\n--ab\nContent-Type: message/rfc822\n\nContent-Type: multipart/digest; boundary=abc\n\n--abc\n\n\nx\n--ab--\n"))
	f.Add([]byte("Content-Type: message/rfc822\r\n\r\nFrom: <@a,@b:c@d> (x\\)), g: a, \"b\" c@d;\r\n\r\n\x00\r\r\n"))
	f.Add([]byte("From: a\nDate:"))
	var again Scanner
	f.Fuzz(func(t *testing.T, b []byte) {
		m := scanBytes(b)
		checkConsistent(t, b, m)
		checkGrammar(t, m)
		streamed, err := Scan(iotest.OneByteReader(bytes.NewReader(b)))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(binaryOf(m), binaryOf(streamed)) {
			t.Fatalf("Scan and ScanBytes disagree:\n%s\n%s", m.Structure, streamed.Structure)
		}
		// Every cut of a small message, some of a large one.
		for cut := 0; cut <= len(b); cut += 1 + len(b)/100 {
			if pieces := again.ScanBytes(b[:cut], b[cut:]); !bytes.Equal(binaryOf(m), binaryOf(pieces)) {
				t.Fatalf("cut at %d:\n%s\n%s", cut, m.Structure, pieces.Structure)
			}
		}
	})
}

func FuzzFields(f *testing.F) {
	f.Add(scanBytes(simple()).Fields.AppendBinary(nil))
	f.Add([]byte{1, 4, 1, 2, 3, 4, 'A', ':', '\n'})
	f.Fuzz(func(t *testing.T, b []byte) {
		var fields Fields
		if fields.Parse(b) != nil {
			return
		}
		fields.Answers("from")
		fields.AnswersAll(NewNames("from", "to", ""))
		var again Fields
		if err := again.Parse(fields.AppendBinary(nil)); err != nil || !bytes.Equal(again.Lines, fields.Lines) || !bytes.Equal(again.others, fields.others) {
			t.Fatal(err)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add(scanBytes(simple()).AppendBinary(nil))
	f.Add(scanBytes(big(1000)).AppendBinary(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		var m, listing Message
		short := listing.ParseListing(b)
		if short == nil {
			listing.AppendBody(nil)
		}
		if m.Parse(b) != nil {
			return
		}
		body := m.AppendBody(nil)
		if short != nil || listing.Size != m.Size || listing.WireSize != m.WireSize || len(listing.Parts) > 0 || !bytes.Equal(listing.Envelope, m.Envelope) ||
			!bytes.Equal(listing.Structure, m.Structure) || !bytes.Equal(listing.AppendBody(nil), body) {
			t.Fatalf("the listing is another: %v %q %q", short, listing.Envelope, listing.Structure)
		}
		m.Section([]uint32{1, 1}, Header)
		if !bytes.Equal(m.AppendBinary(nil), b) {
			// Varints have more than one form; what Parse reads must survive.
			var again Message
			if err := again.Parse(m.AppendBinary(nil)); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// checkGrammar reads ENVELOPE, BODY and BODYSTRUCTURE as IMAP data: brackets
// match, strings and literals are whole.
func checkGrammar(t *testing.T, m *Message) {
	t.Helper()
	for _, b := range [][]byte{m.Envelope, m.Structure, m.AppendBody(nil)} {
		depth := 0
		for i := 0; i < len(b); i++ {
			switch c := b[i]; {
			case c == '(':
				depth++
			case c == ')':
				depth--
				if depth == 0 && i != len(b)-1 {
					t.Fatalf("ends early: %q", b)
				}
			case c == '"':
				for i++; b[i] != '"'; i++ {
					if b[i] == '\\' {
						i++
					}
					if b[i] == 0 || b[i] >= 0x80 || b[i] == '\r' || b[i] == '\n' {
						t.Fatalf("bad octet in quoted string: %q", b)
					}
				}
			case c == '{':
				n := 0
				if _, err := fmt.Sscanf(string(b[i:]), "{%d}\r\n", &n); err != nil {
					t.Fatalf("literal: %v in %q", err, b)
				}
				i += bytes.IndexByte(b[i:], '\n') + n
			case c == ' ', '0' <= c && c <= '9', c == 'N', c == 'I', c == 'L':
			default:
				t.Fatalf("octet %q outside of a string: %q", c, b)
			}
		}
		if depth != 0 {
			t.Fatalf("brackets: %q", b)
		}
	}
}

func BenchmarkScanBytes(b *testing.B) {
	for _, c := range []struct {
		name string
		msg  []byte
	}{{"4KiB", simple()}, {"1MiB", big(1 << 20)}} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(len(c.msg)))
			b.ReportAllocs()
			for b.Loop() {
				scanBytes(c.msg)
			}
		})
		b.Run(c.name+"-again", func(b *testing.B) {
			b.SetBytes(int64(len(c.msg)))
			b.ReportAllocs()
			var s Scanner
			for b.Loop() {
				s.ScanBytes(c.msg)
			}
		})
	}
}

func TestScannerForgetsTheMessageBefore(t *testing.T) {
	t.Parallel()
	var s Scanner
	messages := [][]byte{simple(), big(100_000), []byte("x"), nil, []byte("Subject: a\n\nb\n"), simple()}
	for i, b := range messages {
		if got, want := s.ScanBytes(b).AppendBinary(nil), scanBytes(b).AppendBinary(nil); !bytes.Equal(got, want) {
			t.Errorf("message %d:\n%q\n%q", i, got, want)
		}
	}
	if s.Large() {
		t.Error("large after ordinary messages")
	}
	s.ScanBytes([]byte("To: "), bytes.Repeat([]byte("a@b, "), 50_000), []byte("\n\n"))
	if !s.Large() {
		t.Error("not large after a large header")
	}
}

func BenchmarkScan(b *testing.B) {
	msg := big(10 << 20)
	b.SetBytes(int64(len(msg)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Scan(bytes.NewReader(msg)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	record := scanBytes(simple()).AppendBinary(nil)
	b.ReportAllocs()
	var m Message
	for b.Loop() {
		if err := m.Parse(record); err != nil {
			b.Fatal(err)
		}
	}
}
