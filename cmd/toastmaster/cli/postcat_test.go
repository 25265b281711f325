package cli

import (
	"strings"
	"testing"
)

// TestPostcatParts: where the header ends, and that a line of any length and each kind of line
// end is one line.
func TestPostcatParts(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 65535) // its CR is the last octet of a buffer, or the first of the next
	for _, c := range []struct{ content, header, body string }{
		{"A: b\r\n c\r\nD : e\r\n\r\ntext\r\n\r\n", "A: b\n c\nD : e\n", "\ntext\n\n"},
		{"A: b\nno field\nE: f\n", "A: b\n", "no field\nE: f\n"},
		{" c\r\nA: b\r\n", "", " c\nA: b\n"},
		{": b\r\n", "", ": b\n"},
		{"A b: c\r\n", "", "A b: c\n"},
		{"A: b", "A: b\n", ""},
		{"", "", ""},
		{"A: b\r\n\r\n" + long + "\r\ny\r\n", "A: b\n", "\n" + long + "\ny\n"},
		{"A: " + long + "\r\n\tB\r\n\r\nz\r\n", "A: " + long + "\n\tB\n", "\nz\n"},
		{"A: b\r\n\r\n" + long[1:] + "\r\n" + long + long + "\r\n", "A: b\n", "\n" + long[1:] + "\n" + long + long + "\n"},
	} {
		for _, want := range []struct {
			catalogue
			text string
		}{{catalogue{header: true}, c.header}, {catalogue{body: true}, c.body}, {catalogue{header: true, body: true}, c.header + c.body}} {
			var b strings.Builder
			want.w = &b
			if err := want.content(strings.NewReader(c.content)); err != nil || b.String() != want.text {
				t.Errorf("%.20q, header %v, body %v: %d octets %.40q, %v", c.content, want.header, want.body, b.Len(), b.String(), err)
			}
		}
	}
}

// TestReasonsWithoutStatus: a status goes, and nothing that only looks like one.
func TestReasonsWithoutStatus(t *testing.T) {
	t.Parallel()
	for reason, want := range map[string]string{
		"4.3.2 moving house": "moving house", "4.4.1 connect to mx[192.0.2.1]:25": "connect to mx[192.0.2.1]:25",
		"host mx said: 450 4.2.0 x": "host mx said: 450 4.2.0 x", "192.0.2 x": "192.0.2 x", "4.3 x": "4.3 x", "4.x.1 y": "4.x.1 y", "4.3.2": "4.3.2", "": "",
	} {
		if got := withoutStatus(reason); got != want {
			t.Errorf("%q: %q", reason, got)
		}
	}
}
