package mime

import (
	"bytes"
	"strings"
	"testing"
)

// FuzzFieldFilter: a header that comes in pieces has the same wanted lines as one in memory.
func FuzzFieldFilter(f *testing.F) {
	for _, s := range []string{
		"From: a\n b\nTo : c\n\n", " first\nA: b", "no field\n more\nA: b\n\r\n", "A: b\r\nna me: c\n\x80: d\n:\n", strings.Repeat("n", 990) + "abcdefgh: x\nA: b\n",
		strings.Repeat("n", 1000) + ": x\nA: b\n", "A: " + strings.Repeat("x", 3000) + "\nB: c\n", "",
	} {
		f.Add(s, 3)
		f.Add(s, 999)
	}
	f.Fuzz(func(t *testing.T, text string, piece int) {
		if i := strings.Index("\n"+text, "\n\n"); i >= 0 {
			text = text[:i+1] // a header ends there
		}
		piece = 1 + piece&0x7ff
		for _, not := range []bool{false, true} {
			wants := func(name []byte) bool { return (len(name) > 0 && name[0] < 'f') != not }
			var whole, pieces []byte
			one := FieldFilter{Wants: wants, Emit: func(b []byte) { whole = append(whole, b...) }}
			one.All([]byte(text))
			other, lines := FieldFilter{Wants: wants, Emit: func(b []byte) { pieces = append(pieces, b...) }}, Lines()
			for rest := []byte(text); len(rest) > 0; {
				n := min(piece, len(rest))
				left, err := lines.Push(bytes.Clone(rest[:n]), other.Line)
				if err != nil || len(left) > 0 {
					t.Fatalf("%q is left of %q: %v", left, text, err)
				}
				rest = rest[n:]
			}
			if err := lines.Flush(other.Line); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(whole, pieces) {
				t.Fatalf("not %v: %q in pieces of %d, %q whole", not, pieces, piece, whole)
			}
		}
	})
}
