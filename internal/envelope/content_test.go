package envelope

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"toastmaster/internal/addr"
)

// onDisk is a Content that is not in memory.
type onDisk struct{ *bytes.Reader }

func (onDisk) Close() error            { return nil }
func (d onDisk) Bytes() ([]byte, bool) { return nil, false }

// TestReaderIsTheWholeContent, in memory and not, and twice: it begins at the start
// each time.
func TestReaderIsTheWholeContent(t *testing.T) {
	t.Parallel()
	text := []byte(strings.Repeat("line\n", 1000))
	for name, c := range map[string]Content{"memory": Memory(text), "file": onDisk{bytes.NewReader(text)}, "empty": Memory(nil)} {
		want := text
		if name == "empty" {
			want = nil
		}
		for range 2 {
			if err := iotest.TestReader(Reader(c), want); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if c.Size() != int64(len(want)) {
			t.Errorf("%s: %d octets", name, c.Size())
		}
		var p [10]byte
		if n, err := c.ReadAt(p[:], c.Size()); n != 0 || !errors.Is(err, io.EOF) {
			t.Errorf("%s: at the end %d, %v", name, n, err)
		}
		if n, err := c.ReadAt(p[:], max(c.Size()-3, 0)); n != min(3, len(want)) || !errors.Is(err, io.EOF) {
			t.Errorf("%s: near the end %d, %v", name, n, err)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestWants: who said nothing hears of failures and delays, who said NEVER of nothing,
// whatever else was said.
func TestWants(t *testing.T) {
	t.Parallel()
	kinds := []Notify{NotifySuccess, NotifyFailure, NotifyDelay}
	for n := Notify(0); n < 16; n++ {
		for _, k := range kinds {
			want := n&k != 0
			if n == 0 {
				want = k != NotifySuccess
			}
			if n&NotifyNever != 0 {
				want = false
			}
			if got := n.Wants(k); got != want {
				t.Errorf("%b wants %b: %v", n, k, got)
			}
		}
		again, ok := ParseNotify(n.String())
		if n == 0 || n&NotifyNever != 0 {
			continue
		}
		if !ok || again != n {
			t.Errorf("%b is %q, which is %b", n, n.String(), again)
		}
	}
	for value, want := range map[string]Return{"FULL": ReturnFull, "full": ReturnFull, "Hdrs": ReturnHeaders} {
		if got, ok := ParseReturn(value); !ok || got != want {
			t.Errorf("%s: %v", value, got)
		}
	}
	for _, bad := range []string{"", "HDR", "FULL,HDRS", " FULL"} {
		if _, ok := ParseReturn(bad); ok {
			t.Errorf("RET=%q is taken", bad)
		}
	}
}

// TestDeliveryIDs: one for a recipient however it is written, another for another
// recipient or message, and short and plain enough for a file name.
func TestDeliveryIDs(t *testing.T) {
	t.Parallel()
	a := addr.Address{Local: "Alice", Domain: "example.test"}
	id := DeliveryID("Q1", a)
	if id != DeliveryID("Q1", a.Fold()) {
		t.Error("case makes another delivery")
	}
	seen := map[string]bool{id: true}
	for _, other := range []string{
		DeliveryID("Q2", a), DeliveryID("Q1", addr.Address{Local: "alice", Domain: "example.tes"}), DeliveryID("Q1", addr.Address{Local: "alice@example", Domain: "test"}),
		DeliveryID("Q1", addr.Address{Local: "alice+x", Domain: "example.test"}), DeliveryID("Q1", addr.Address{}),
	} {
		if seen[other] {
			t.Errorf("%s is twice", other)
		}
		seen[other] = true
		if len(other) > 64 || strings.Trim(other, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
			t.Errorf("%q is no name for a file", other)
		}
	}
	long := DeliveryID("3ZxSnl4QWhz1z9B7", addr.Address{Local: strings.Repeat("x", 64), Domain: strings.Repeat("d.", 100) + "test"})
	if len(long) > 64 {
		t.Errorf("%d octets", len(long))
	}
}

// FuzzORcpt: what is taken is printable ASCII that a next host takes too, and means the
// same there.
func FuzzORcpt(f *testing.F) {
	for _, s := range []string{"rfc822;a@b", "utf-8;\u00f6@b", `utf-8;\x{F6}+@b`, "X;+41", ";", "utf-8;\\x{0}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		kept, ok := ParseORcpt(s)
		if !ok {
			return
		}
		if strings.ContainsFunc(kept, func(r rune) bool { return r <= ' ' || r > '~' }) {
			t.Fatalf("%q became %q", s, kept)
		}
		if again, ok := ParseORcpt(kept); len(kept) <= maxORcpt && (!ok || again != kept) {
			t.Fatalf("%q became %q, then %q %v", s, kept, again, ok)
		}
	})
}
