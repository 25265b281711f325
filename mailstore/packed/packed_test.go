package packed

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

func text(n int) []byte { return []byte("Subject: x\n\n" + strings.Repeat("line of text\n", n)) }

func pack(t testing.TB, form Form, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	switch form {
	case Gzip:
		w := gzip.NewWriter(&b)
		_, _ = w.Write(data)
		_ = w.Close()
	case Zstd:
		w, err := zstd.NewWriter(&b)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = w.Write(data)
		_ = w.Close()
	case LZ4:
		b.WriteString(lz4Magic)
		_ = binary.Write(&b, binary.BigEndian, uint32(64<<10))
		for len(data) > 0 {
			part := data[:min(len(data), 64<<10)]
			data = data[len(part):]
			block := make([]byte, lz4.CompressBlockBound(len(part)))
			n, err := lz4.CompressBlock(part, block, nil)
			if err != nil || n == 0 {
				t.Fatal(n, err)
			}
			_ = binary.Write(&b, binary.BigEndian, uint32(n))
			b.Write(block[:n])
		}
	}
	return b.Bytes()
}

func unpack(data []byte) ([]byte, error) {
	r, err := Detect(data[:min(len(data), HeadSize)]).Reader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	for _, form := range []Form{Gzip, Zstd, LZ4} {
		for _, n := range []int{1, 10, 20000} {
			data := pack(t, form, text(n))
			if got := Detect(data[:HeadSize]); got != form {
				t.Errorf("%s is taken for %s", form, got)
			}
			got, err := unpack(data)
			if err != nil || !bytes.Equal(got, text(n)) {
				t.Errorf("%s %d: %d octets, %v", form, n, len(got), err)
			}
			if _, err := unpack(data[:len(data)-3]); err == nil {
				t.Errorf("%s %d: cut and no error", form, n)
			}
		}
	}
	// One behind the other, as scripts append them.
	two := append(pack(t, Gzip, text(1)), pack(t, Gzip, text(2))...)
	if got, err := unpack(two); err != nil || !bytes.Equal(got, append(text(1), text(2)...)) {
		t.Errorf("%v", err)
	}
}

func TestWhatIsNotRead(t *testing.T) {
	t.Parallel()
	for _, plain := range []string{"", "B", "BZh", "BZh9 is not the head of a mail", "Dovecot-LZ4 is fast\n", "From: x\n", "\x1f", "(\xb5/"} {
		if form := Detect([]byte(plain)); form != None {
			t.Errorf("%q is taken for %s", plain, form)
		}
	}
	if _, err := unpack([]byte("\xfd7zXZ\x00rest of it")); !errors.Is(err, ErrDamaged) {
		t.Errorf("%v", err)
	}
	for _, bad := range []string{lz4Magic, lz4Magic + "\x00\x00\x00\x00", lz4Magic + "\xff\xff\xff\xff", lz4Magic + "\x00\x01\x00\x00\xff\xff\xff\xff",
		lz4Magic + "\x00\x01\x00\x00\x00\x00\x00\x00", lz4Magic + "\x00\x00\x00\x01\x00\x00\x00\x03\x50ab", "\x1f\x8bxxxxxxxxxxxxxxxxxx"} {
		if got, err := unpack([]byte(bad)); !errors.Is(err, ErrDamaged) {
			t.Errorf("%q: %q %v", bad, got, err)
		}
	}
}

// FuzzUnpack: whatever lies there, nothing panics, hangs or takes more memory
// than was said.
func FuzzUnpack(f *testing.F) {
	for _, form := range []Form{Gzip, Zstd, LZ4} {
		f.Add(pack(f, form, text(3)))
	}
	f.Add([]byte("BZh91AY&SY"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := Detect(data[:min(len(data), HeadSize)]).Reader(bytes.NewReader(data))
		if err != nil {
			return
		}
		defer r.Close()
		_, _ = io.CopyN(io.Discard, r, 1<<20)
	})
}
