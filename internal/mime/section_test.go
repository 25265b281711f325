package mime

import (
	"fmt"
	"strings"
	"testing"
)

const sectioned = `From: a@b
Content-Type: multipart/mixed; boundary=o

preamble
--o
Content-Type: text/plain

one
--o
Content-Type: message/rfc822

Subject: inner
Content-Type: multipart/alternative; boundary=i

--i

alpha
--i
X: y

beta
--i--
--o
Content-Type: message/rfc822

Subject: flat

text
--o--
`

func TestSection(t *testing.T) {
	t.Parallel()
	m := scanBytes([]byte(sectioned))
	for _, c := range []struct {
		path string
		what What
		want string
	}{
		{"", Whole, sectioned},
		{"", Header, "From: a@b\nContent-Type: multipart/mixed; boundary=o\n\n"},
		{"", Text, sectioned[strings.Index(sectioned, "preamble"):]},
		{"", MIME, "-"},
		{"1", Whole, "one"},
		{"1", MIME, "Content-Type: text/plain\n\n"},
		{"1", Header, ""},
		{"1", Text, ""},
		{"1.1", Whole, "-"},
		{"2", MIME, "Content-Type: message/rfc822\n\n"},
		{"2", Header, "Subject: inner\nContent-Type: multipart/alternative; boundary=i\n\n"},
		{"2", Text, "--i\n\nalpha\n--i\nX: y\n\nbeta\n--i--"},
		{"2.1", Whole, "alpha"},
		{"2.1", MIME, "\n"},
		{"2.2", Whole, "beta"},
		{"2.2", MIME, "X: y\n\n"},
		{"2.3", Whole, "-"},
		{"3", Whole, "Subject: flat\n\ntext"},
		{"3.1", Whole, "text"},
		{"3.1", MIME, "Subject: flat\n\n"},
		{"3.2", Whole, "-"},
		{"4", Whole, "-"},
		{"0", Whole, "-"},
	} {
		var path []uint32
		for _, s := range strings.FieldsFunc(c.path, func(r rune) bool { return r == '.' }) {
			var n uint32
			if _, err := fmt.Sscan(s, &n); err != nil {
				t.Fatal(err)
			}
			path = append(path, n)
		}
		got := "-"
		r, ok := m.Section(path, c.what)
		if ok {
			got = sectioned[r.From:r.To]
			if want := wireSpan([]byte(sectioned), r.From, r.To); r.Wire != want {
				t.Errorf("%s %d: wire %d, want %d", c.path, c.what, r.Wire, want)
			}
		}
		if got != c.want {
			t.Errorf("%s %d: %q, want %q", c.path, c.what, got, c.want)
		}
	}
}

func TestSectionOfPlainMessage(t *testing.T) {
	t.Parallel()
	m := scanBytes([]byte("A: b\n\nbody\n"))
	if r, ok := m.Section([]uint32{1}, Whole); !ok || r != (Range{6, 11, 6}) {
		t.Errorf("%v %v", r, ok)
	}
	if _, ok := m.Section([]uint32{1, 1}, Whole); ok {
		t.Error("a leaf has no parts")
	}
}

// TestSectionOfMultipartWithoutParts has the text where a client looks for it,
// for each way of having no part, at the top and within another.
func TestSectionOfMultipartWithoutParts(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"mixed", `alternative; boundary=""`, "mixed; boundary=other", "mixed; boundary=\" \"", "digest"} {
		text := "Content-Type: multipart/" + kind + "\n\n--b\n\nhello\n--b--\n"
		m := scanBytes([]byte(text))
		if r, ok := m.Section([]uint32{1}, Whole); !ok || text[r.From:r.To] != "--b\n\nhello\n--b--\n" || !m.Parts[0].Text || m.Parts[0].Kind != Leaf {
			t.Errorf("%s: %v %v %s", kind, r, ok, m.Structure)
		}
		text = "Content-Type: multipart/mixed; boundary=out\n\n--out\nContent-Type: multipart/" + kind + "\nContent-Transfer-Encoding: base64\n\nhello\n--out\n\nx\n--out--\n"
		m = scanBytes([]byte(text))
		if r, ok := m.Section([]uint32{1}, Whole); !ok || text[r.From:r.To] != "hello" || m.Parts[1].Encoding != Identity {
			t.Errorf("%s: %v %v %s", kind, r, ok, m.Structure)
		}
	}
}
