package contentcheck

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"

	"toastmaster/internal/envelope"
)

// TestWalk: each field and line with its class, where it stands, and no more of it than the limits allow.
func TestWalk(t *testing.T) {
	t.Parallel()
	text := "Subject : a\n b\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=x\n\npre\n--x\nX-Part: 1\n\nlong line\n--x\nContent-Type: message/rfc822\n\nSubject: in\n\nbody\n--x--\nend"
	for _, c := range []struct {
		limits Limits
		bodies bool
		want   string
	}{
		{Limits{100, 100, 0}, true, "0 Subject: a\n b|1 MIME-Version: 1.0|1 Content-Type: multipart/mixed; boundary=x|3 pre|3 --x|1 X-Part: 1|3 long line|3 --x|1 Content-Type: message/rfc822|2 Subject: in|3 body|3 --x--|3 end"},
		{Limits{9, 100, 0}, false, "0 Subject: |1 MIME-Vers|1 Content-T|1 X-Part: 1|1 Content-T|2 Subject: "},
		{Limits{9, 20, 1}, true, "0 Subject: |1 MIME-Vers|1 Content-T|3 pre|1 X-Part: 1|3 long line|1 Content-T|2 Subject: |3 body|3 --x--"},
	} {
		var got []string
		w := Walk{Content: envelope.Memory(text), Limits: c.limits, Bodies: c.bodies, Look: func(_ context.Context, class Class, f Found) (bool, error) {
			if !f.IsField && text[f.From:f.To] != f.Text+f.End {
				t.Errorf("%q is not at %d", f.Text, f.From)
			}
			got = append(got, fmt.Sprintf("%d %s", class, f.Text))
			return false, nil
		}}
		if err := w.Message(t.Context()); err != nil {
			t.Fatal(err)
		}
		if all := strings.Join(got, "|"); all != c.want {
			t.Errorf("%+v:\n%q, want\n%q", c.limits, all, c.want)
		}
	}
	n := 0
	stop := errors.New("stop")
	w := Walk{Content: envelope.Memory(text), Limits: Limits{100, 100, 0}, Bodies: true, Look: func(context.Context, Class, Found) (bool, error) { n++; return n == 2, nil }}
	if err := w.Message(t.Context()); err != nil || n != 2 {
		t.Errorf("%d, %v", n, err)
	}
	w = Walk{Content: envelope.Memory(text), Limits: Limits{100, 100, 0}, Look: func(context.Context, Class, Found) (bool, error) { return false, stop }}
	if err := w.Message(t.Context()); !errors.Is(err, stop) {
		t.Error(err)
	}
}

// TestPatchedIsWhatItSays: a content with changes is read as one that was written with them, wherever reading begins.
func TestPatchedIsWhatItSays(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		text := strings.Repeat("0123456789", random.IntN(6))
		var edits []Edit
		want, at := "", 0
		for at < len(text) && random.IntN(5) > 0 {
			from := at + random.IntN(len(text)-at+1)
			to := from + random.IntN(len(text)-from+1)
			e := Edit{int64(from), int64(to), strings.Repeat("x", random.IntN(3))}
			edits, want, at = append(edits, e), want+text[at:from]+e.Text, to
		}
		want += text[at:]
		p := Patched(envelope.Memory(text), edits)
		if p.Size() != int64(len(want)) {
			t.Fatalf("%q %+v: %d octets", text, edits, p.Size())
		}
		if err := iotest.TestReader(io.NewSectionReader(p, 0, p.Size()), []byte(want)); err != nil {
			t.Fatalf("%q %+v: %v", text, edits, err)
		}
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
	}
	short := Patched(envelope.Memory("abc"), []Edit{{1, 1, "x"}})
	short.(*patched).c = envelope.Memory("a")
	if _, err := io.ReadAll(io.NewSectionReader(short, 0, short.Size())); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
}

// TestField: what a table has for a header is a field, or nothing.
func TestField(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"X: a": "X: a", "no field": "", "X: a\nb": "X: a\n\tb", "X: a\n b\n": "X: a\n b\n\t", "": ""} {
		if got := Field(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
