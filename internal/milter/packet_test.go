package milter

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// TestPackets: what is appended is read, in pieces of any size.
func TestPackets(t *testing.T) {
	t.Parallel()
	var b []byte
	sizes := []int{0, 1, 100, 65534, 200_000, 3, 70_000}
	for i, n := range sizes {
		b = Append(b, byte('A'+i), bytes.Repeat([]byte{byte(i)}, n/2), bytes.Repeat([]byte{byte(i)}, n-n/2))
	}
	r := Reader{R: iotest.HalfReader(bytes.NewReader(b)), Max: 1 << 20}
	for i, n := range sizes {
		code, data, err := r.Next()
		if err != nil || code != byte('A'+i) || !bytes.Equal(data, bytes.Repeat([]byte{byte(i)}, n)) {
			t.Fatalf("%d: %c %d octets, %v", n, code, len(data), err)
		}
	}
	if _, _, err := r.Next(); err != io.EOF {
		t.Error(err)
	}
}

// TestALengthCostsNothing: room is made for octets that came, and a length that is none is an error.
func TestALengthCostsNothing(t *testing.T) {
	t.Parallel()
	for _, head := range []string{"\x00\x00\x00\x00", "\xff\xff\xff\xff", "\x00\x10\x00\x01x"} {
		r := Reader{R: strings.NewReader(head), Max: 1 << 20}
		if _, _, err := r.Next(); !errors.Is(err, ErrLength) {
			t.Errorf("%q: %v", head, err)
		}
	}
	r := Reader{R: strings.NewReader("\x00\x0f\xff\xffx123"), Max: 1 << 20}
	if _, _, err := r.Next(); err != io.ErrUnexpectedEOF || cap(r.room) > 2*step {
		t.Errorf("%v, room for %d", err, cap(r.room))
	}
}

// TestAgreement: what is appended is parsed, and what is cut off is none.
func TestAgreement(t *testing.T) {
	t.Parallel()
	a := Agreement{Version: 6, Actions: AllActions, Steps: NoBody | MaySkip}
	a.Macros[AtRcpt], a.Macros[AtEndOfHeader] = "i {rcpt_addr}", "j"
	b := a.Append(nil)
	if got, ok := ParseAgreement(b); !ok || got != a {
		t.Errorf("%+v %v", got, ok)
	}
	for n := range len(b) {
		// Whole entries may be missing at the end.
		if got, ok := ParseAgreement(b[:n]); ok && n != 12 && got.Macros[AtRcpt] == "" {
			t.Errorf("%d octets: %+v", n, got)
		}
	}
	if got, ok := ParseAgreement(append(b, Append(nil, 0)[:0]...)); !ok || got != a {
		t.Error(got, ok)
	}
	if _, ok := ParseAgreement(append(Numbers(6, 0, 0, 99), "x\x00"...)); !ok {
		t.Error("an unknown stage is an error")
	}
}

// FuzzReader: whatever comes, no packet is larger than Max, and room is in proportion to what came.
func FuzzReader(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x01c\x00\x00\x00\x0dO\x00\x00\x00\x06\x00\x00\x01\xff\x00\x1f\xff\xff"))
	f.Add([]byte("\xff\xff\xff\xffx"))
	f.Fuzz(func(t *testing.T, b []byte) {
		const most = 1 << 20
		r := Reader{R: bytes.NewReader(b), Max: most}
		read := 0
		for {
			code, data, err := r.Next()
			if err != nil {
				break
			}
			if len(data) >= most {
				t.Fatalf("%d octets", len(data))
			}
			if again := Append(nil, code, data); !bytes.Equal(again, b[read:read+len(again)]) {
				t.Fatal("not the same")
			}
			read += 5 + len(data)
			ParseAgreement(data)
			Cut(data)
		}
		if cap(r.room) > 4*len(b)+4*step {
			t.Fatalf("%d octets take room for %d", len(b), cap(r.room))
		}
	})
}
