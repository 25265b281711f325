package mime

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
)

// repeat reads head, then unit n times.
func repeat(head, unit string, n int) io.Reader {
	return io.MultiReader(strings.NewReader(head), &repeater{unit: unit, n: n})
}

type repeater struct {
	unit string
	n    int
	rest string
}

func (r *repeater) Read(p []byte) (int, error) {
	done := 0
	for done < len(p) {
		if r.rest == "" {
			if r.n == 0 {
				break
			}
			r.n--
			r.rest = r.unit
		}
		n := copy(p[done:], r.rest)
		r.rest = r.rest[n:]
		done += n
	}
	if done == 0 {
		return 0, io.EOF
	}
	return done, nil
}

// TestHostile scans what is meant to hurt and looks at what it cost. It does
// not run in parallel, because it measures the heap.
func TestHostile(t *testing.T) {
	multi := "Content-Type: multipart/mixed; boundary=b\n\n"
	nested := "Content-Type: message/rfc822\n\n"
	for _, c := range []struct {
		name, head, unit string
		n, most          int // most: octets allocated in all, in MiB
		parts            int
	}{
		{"100,000 parts", multi, "--b\n\nx\n", 100_000, 40, 10_000},
		{"100,000 empty parts", multi, "--b\n", 100_000, 40, 10_000},
		{"10 MB header of short lines", "", "To: a@b\n", 1_250_000, 20, 1},
		{"10 MB header of one field", "To: a", " b,\n", 2_500_000, 20, 1},
		{"10 MB header without colon", "", "nonsense\n", 1_100_000, 2, 1},
		{"10 MB of content types", "", "Content-Type: text/plain; a=b\n", 350_000, 20, 1},
		{"50 MB line in the body", "\n", strings.Repeat("x", 1000), 50_000, 2, 1},
		{"50 MB line in the header", "Subject: ", strings.Repeat("x", 1000), 50_000, 20, 1},
		{"50 MB line after a boundary", multi + "--b", strings.Repeat(" ", 1000), 50_000, 2, 2},
		{"50 MB of dashes", multi, strings.Repeat("-", 999) + "\n", 50_000, 2, 1},
		{"100,000 nested messages", "", nested, 100_000, 10, 100},
		{"NUL", "Subject: a\x00b\n\n", "\x00", 1000, 2, 1},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		m, err := Scan(repeat(c.head, c.unit, c.n))
		runtime.ReadMemStats(&after)
		if err != nil {
			t.Fatal(err)
		}
		if want := int64(len(c.head) + len(c.unit)*c.n); m.Size != want {
			t.Errorf("%s: size %d, want %d", c.name, m.Size, want)
		}
		if len(m.Parts) != c.parts {
			t.Errorf("%s: %d parts, want %d", c.name, len(m.Parts), c.parts)
		}
		if mib := int(after.TotalAlloc-before.TotalAlloc) >> 20; mib > c.most {
			t.Errorf("%s: allocated %d MiB, more than %d", c.name, mib, c.most)
		}
		checkGrammar(t, m)
		var back Message
		if err := back.Parse(m.AppendBinary(nil)); err != nil {
			t.Errorf("%s: record: %v", c.name, err)
		}
	}
}

// TestNestedBoundaries nests multiparts beyond the limit.
func TestNestedBoundaries(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	for i := range 500 {
		n := strings.Repeat("x", i%60+1)
		b.WriteString("Content-Type: multipart/mixed; boundary=" + n + "\n\n--" + n + "\n")
	}
	m := scanBytes(b.Bytes())
	checkConsistent(t, b.Bytes(), m)
	checkGrammar(t, m)
	if !bytes.Contains(m.Structure, []byte(`"application" "octet-stream"`)) {
		t.Errorf("nothing is opaque: %s", m.Structure)
	}
}

func TestReaderFails(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	if _, err := Scan(iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Fatalf("got %v", err)
	}
}
