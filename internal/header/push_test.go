package header

import (
	"errors"
	"strings"
	"testing"
)

// pushed gives text to a Pusher in pieces, and returns its lines and what is no header.
func pushed(t *testing.T, text string, piece, most int) (got []Line, texts []string, rest string) {
	t.Helper()
	p := Pusher{Max: most}
	line := func(l Line) (bool, error) {
		got, texts = append(got, Line{Kind: l.Kind, Cut: l.Cut, From: l.From, To: l.To}), append(texts, string(l.Text))
		return true, nil
	}
	for len(text) > 0 {
		n := min(piece, len(text))
		left, err := p.Push([]byte(text[:n]), line)
		if err != nil {
			t.Fatal(err)
		}
		rest, text = rest+string(left), text[n:]
	}
	if err := p.Flush(line); err != nil {
		t.Fatal(err)
	}
	return got, texts, rest
}

// FuzzPusher: it gives the lines that a Scanner gives, in whatever pieces it gets the
// message and however little it may hold, and no octet is lost.
func FuzzPusher(f *testing.F) {
	for _, s := range []string{"A: b\n c\n\nd\n\n", "a", " x\n", "\n", strings.Repeat("x", 40) + "\n:\n\nbody", "A:b\r\n\r\n"} {
		f.Add(s, 3, 7)
	}
	f.Fuzz(func(t *testing.T, text string, piece, most int) {
		piece, most = 1+(piece&0x1f), 1+(most&0x1f)
		var want []Line
		scanner := NewScanner(memory(text))
		for {
			var l Line
			if err := scanner.Next(&l); err != nil {
				t.Fatal(err)
			}
			if len(l.Text) == 0 {
				break
			}
			want = append(want, Line{Kind: l.Kind, From: l.From, To: l.To})
			if l.Kind == End {
				break
			}
		}
		got, texts, rest := pushed(t, text, piece, len(text)+1)
		if len(got) != len(want) {
			t.Fatalf("%q: %v, want %v", text, got, want)
		}
		for i := range got {
			if got[i].Kind != want[i].Kind || got[i].From != want[i].From || got[i].To != want[i].To || got[i].Cut {
				t.Fatalf("%q: %+v, want %+v", text, got[i], want[i])
			}
		}
		if all := strings.Join(texts, "") + rest; all != text {
			t.Fatalf("%q became %q", text, all)
		}
		got, texts, rest = pushed(t, text, piece, most)
		if all := strings.Join(texts, "") + rest; all != text {
			t.Fatalf("%q with %d held became %q", text, most, all)
		}
		lines := 0
		for i, l := range got {
			if l.Kind != Rest {
				if lines < len(want) && l.From != want[lines].From {
					t.Fatalf("%q: a line at %d, want %d", text, l.From, want[lines].From)
				}
				lines++
			} else if i == 0 || !got[i-1].Cut {
				t.Fatalf("%q: more of nothing", text)
			}
		}
		if lines != len(want) {
			t.Fatalf("%q: %d lines, want %d", text, lines, len(want))
		}
	})
}

// TestAPusherStops where it is told to, and at an error; what it has not given is the rest.
func TestAPusherStops(t *testing.T) {
	t.Parallel()
	p := Pusher{Max: 4}
	toOther := func(l Line) (bool, error) { return l.Kind != Other, nil }
	rest, err := p.Push([]byte("A:b\nlonger than that\nC:d\n"), toOther)
	if string(rest) != "er than that\nC:d\n" || err != nil {
		t.Errorf("%q %v", rest, err)
	}
	if rest, err = p.Push([]byte("more\n"), toOther); string(rest) != "more\n" || err != nil {
		t.Errorf("%q %v", rest, err)
	}
	p = Pusher{Max: 9}
	failing := func(Line) (bool, error) { return true, errDisk }
	if rest, err = p.Push([]byte("A:b\nC:d\n"), failing); !errors.Is(err, errDisk) || string(rest) != "C:d\n" {
		t.Errorf("%q %v", rest, err)
	}
}
