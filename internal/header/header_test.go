package header

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

// memory and file are the two ways in which a message lies.
type memory []byte

func (m memory) ReadAt(p []byte, off int64) (int, error) { return bytes.NewReader(m).ReadAt(p, off) }
func (m memory) Size() int64                             { return int64(len(m)) }
func (m memory) Bytes() ([]byte, bool)                   { return m, true }

type file struct{ memory }

func (file) Bytes() ([]byte, bool) { return nil, false }

// seen is a copy of a line.
type seen struct {
	kind              Kind
	name, value, text string
	from, to          int64
	cut               bool
}

func lines(t testing.TB, c Content) []seen {
	t.Helper()
	s := NewScanner(c)
	var all []seen
	for {
		var l Line
		if err := s.Next(&l); err != nil {
			t.Fatal(err)
		}
		all = append(all, seen{l.Kind, string(l.Name), string(l.Value), string(l.Text), l.From, l.To, l.Cut})
		if l.Kind == End {
			return all
		}
	}
}

func TestLines(t *testing.T) {
	t.Parallel()
	text := "From: a\n b\nSubject :\tx \nno field\n\tand more\n: x\nna me: y\n\x80: z\nto:\n\nBody: x\n"
	want := []seen{
		{Field, "From", "a", "From: a\n", 0, 8, false},
		{Folded, "", "", " b\n", 8, 11, false},
		{Field, "Subject", "x", "Subject :\tx \n", 11, 24, false},
		{Other, "", "", "no field\n", 24, 33, false},
		{Folded, "", "", "\tand more\n", 33, 43, false},
		{Other, "", "", ": x\n", 43, 47, false},
		{Other, "", "", "na me: y\n", 47, 56, false},
		{Other, "", "", "\x80: z\n", 56, 61, false},
		{Field, "to", "", "to:\n", 61, 65, false},
		{End, "", "", "\n", 65, 66, false},
	}
	for _, c := range []Content{memory(text), file{memory(text)}} {
		got := lines(t, c)
		if len(got) != len(want) {
			t.Fatalf("%+v", got)
		}
		for i := range got {
			if got[i] != want[i] {
				t.Errorf("%+v, want %+v", got[i], want[i])
			}
		}
	}
	for text, kinds := range map[string][]Kind{
		"": {End}, "\n": {End}, " a: b\nc: d": {Other, Field, End}, "a: b": {Field, End}, "\r\n": {Other, End}, "a:b\r\n\r\n": {Field, Other, End},
	} {
		for _, c := range []Content{memory(text), file{memory(text)}} {
			var got []Kind
			for _, l := range lines(t, c) {
				got = append(got, l.kind)
			}
			if string(kindsText(got)) != string(kindsText(kinds)) {
				t.Errorf("%q: %v, want %v", text, got, kinds)
			}
		}
	}
}

func kindsText(kinds []Kind) (b []byte) {
	for _, k := range kinds {
		b = append(b, byte('0'+k))
	}
	return b
}

// whole puts the pieces of lines together.
func whole(pieces []seen) (all []seen) {
	for _, p := range pieces {
		if p.kind != Rest {
			all = append(all, p)
			continue
		}
		last := &all[len(all)-1]
		last.text, last.to = last.text+p.text, p.to
	}
	return all
}

// TestALongLineIsCut in a file: it comes in pieces, and the next one behind it.
func TestALongLineIsCut(t *testing.T) {
	t.Parallel()
	for _, n := range []int{window - 4, window - 3, window, 3*window + 1} {
		text := "A: " + strings.Repeat("x", n) + "\nB: y\n"
		pieces := lines(t, file{memory(text)})
		got := whole(pieces)
		if len(got) != 3 || got[0].cut != (n+4 > window) || got[0].name != "A" || got[0].to != int64(n+4) || got[1].name != "B" || got[1].from != got[0].to {
			t.Errorf("%d: %+.100v", n, got)
		}
		for _, p := range pieces {
			if len(p.text) > window {
				t.Errorf("%d octets of a line", len(p.text))
			}
		}
		if got := lines(t, memory(text)); got[0].cut || len(got[0].text) != n+4 {
			t.Errorf("%d: cut in memory", n)
		}
	}
}

// broken is a disk.
type broken struct{ memory }

var errDisk = errors.New("disk")

func (broken) Bytes() ([]byte, bool)             { return nil, false }
func (broken) ReadAt([]byte, int64) (int, error) { return 0, errDisk }

func TestAnErrorOfTheDiskIsNoEnd(t *testing.T) {
	t.Parallel()
	s := NewScanner(broken{memory("A: b\n")})
	var l Line
	if err := s.Next(&l); !errors.Is(err, errDisk) {
		t.Error(err)
	}
}

// FuzzScanner: both ways give the same lines, one behind the other, to the end.
func FuzzScanner(f *testing.F) {
	for _, s := range []string{"A: b\n c\n\nd", "a", " x\n", "\n", strings.Repeat("x", window+1) + "\n:"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		inMemory, inFile := lines(t, memory(text)), whole(lines(t, file{memory(text)}))
		if len(inMemory) != len(inFile) {
			t.Fatalf("%q: %v %v", text, inMemory, inFile)
		}
		at := int64(0)
		for i, l := range inMemory {
			if l.from != at || text[l.from:l.to] != l.text || l.kind != inFile[i].kind && !inFile[i].cut || l.text != inFile[i].text || l.to != inFile[i].to {
				t.Fatalf("%q: %+v %+v at %d", text, l, inFile[i], at)
			}
			at = l.to
		}
		if head, _, ok := strings.Cut("\n"+text, "\n\n"); at != int64(len(text)) && (!ok || at != int64(len(head))+1) {
			t.Fatalf("%q ended at %d", text, at)
		}
	})
}

var _ io.ReaderAt = memory(nil)
