package packed

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"io"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"

	"toastmaster/internal/testkit/peers"
)

// bz2 packs with bzip2 itself.
func bz2(t testing.TB, data []byte, options ...string) []byte {
	t.Helper()
	cmd := exec.Command(peers.Need(t, "bzip2", "bzip2"), append([]string{"-c", "-z"}, options...)...)
	cmd.Stdin = bytes.NewReader(data)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// samples are the same data in each form.
func samples(t testing.TB, data []byte) map[Form][]byte {
	return map[Form][]byte{Gzip: pack(t, Gzip, data), Bzip2: bz2(t, data), Zstd: pack(t, Zstd, data), LZ4: pack(t, LZ4, data), XZ: xz(t, data)}
}

// TestBzip2: what bzip2 writes at each level is what it was, and streams may follow one
// another.
func TestBzip2(t *testing.T) {
	t.Parallel()
	for _, level := range []string{"-1", "-5", "-9"} {
		packed := bz2(t, text(5000), level)
		if form := Detect(packed[:HeadSize]); form != Bzip2 {
			t.Errorf("%s is taken for %s", level, form)
		}
		if got, err := unpack(packed); err != nil || !bytes.Equal(got, text(5000)) {
			t.Errorf("%s: %d octets, %v", level, len(got), err)
		}
	}
	two := append(bz2(t, text(1)), bz2(t, text(2))...)
	if got, err := unpack(two); err != nil || !bytes.Equal(got, append(text(1), text(2)...)) {
		t.Errorf("two streams: %d octets, %v", len(got), err)
	}
}

// TestDetectByFewOctets: a form is known by its magic alone, and not by a part of it, so
// that no text that somebody wrote is unpacked.
func TestDetectByFewOctets(t *testing.T) {
	t.Parallel()
	for magic, form := range map[string]Form{
		"\x1f\x8b": Gzip, "BZh1\x31\x41\x59\x26\x53\x59": Bzip2, "BZh9\x31\x41\x59\x26\x53\x59": Bzip2, "\x28\xb5\x2f\xfd": Zstd, lz4Magic: LZ4, xzMagic: XZ,
	} {
		for i := range len(magic) + 1 {
			want := None
			if i == len(magic) {
				want = form
			}
			if got := Detect([]byte(magic[:i])); got != want {
				t.Errorf("%q is taken for %s", magic[:i], got)
			}
			changed := []byte(magic + "xxxxxxxx")
			if i < len(magic) {
				changed[i]++
				if got := Detect(changed); got != None && (form != Bzip2 || i != 3) {
					t.Errorf("%q is taken for %s", changed, got)
				}
			}
		}
	}
	for _, level := range "0:a\x00" {
		if got := Detect([]byte("BZh" + string(level) + "\x31\x41\x59\x26\x53\x59")); got != None {
			t.Errorf("a level of %q is taken for %s", level, got)
		}
	}
	if got := Detect([]byte("AZh9\x31\x41\x59\x26\x53\x59")); got != None {
		t.Errorf("another magic is taken for %s", got)
	}
}

// TestCutAnywhere: a file that was cut is never taken for a whole one, wherever that
// was. Dovecot's lz4 has no end: a cut between two chunks is none that anybody sees.
func TestCutAnywhere(t *testing.T) {
	t.Parallel()
	data := text(40)
	for form, whole := range samples(t, data) {
		for n := HeadSize; n < len(whole); n++ {
			if form == LZ4 && n == len(lz4Magic)+4 {
				continue
			}
			r, err := form.Reader(bytes.NewReader(whole[:n]))
			if err != nil {
				continue
			}
			got, err := io.ReadAll(r)
			_ = r.Close()
			if err == nil || errors.Is(err, io.EOF) {
				t.Errorf("%s cut at %d of %d: %d octets, %v", form, n, len(whole), len(got), err)
			}
		}
	}
}

// TestTheDisksOwnError: what the disk says while a file is unpacked comes out as it is:
// the file is not to blame, and the next try may work.
func TestTheDisksOwnError(t *testing.T) {
	t.Parallel()
	noise := make([]byte, 40_000)
	_, _ = rand.Read(noise)
	for form, whole := range samples(t, append(text(1), []byte(strings.ToValidUTF8(string(noise), "?"))...)) {
		for _, n := range []int{0, 5, HeadSize + 2, len(whole) / 2, len(whole) - 1} {
			r, err := form.Reader(io.MultiReader(bytes.NewReader(whole[:n]), iotest.ErrReader(syscall.EIO)))
			if err == nil {
				_, err = io.Copy(io.Discard, r)
				_ = r.Close()
			}
			if !errors.Is(err, syscall.EIO) {
				t.Errorf("%s, after %d of %d: %v", form, n, len(whole), err)
			}
		}
	}
}

// TestReadersByTheOctet: how much is read at a time, on either side, makes no
// difference.
func TestReadersByTheOctet(t *testing.T) {
	t.Parallel()
	data := text(30)
	for form, whole := range samples(t, data) {
		r, err := form.Reader(iotest.OneByteReader(bytes.NewReader(whole)))
		if err != nil {
			t.Fatal(form, err)
		}
		var got []byte
		for {
			var one [1]byte
			n, err := r.Read(one[:])
			got = append(got, one[:n]...)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(form, err)
			}
		}
		if !bytes.Equal(got, data) {
			t.Errorf("%s: %d octets of %d", form, len(got), len(data))
		}
		if n, err := r.Read(nil); n != 0 || err != nil && !errors.Is(err, io.EOF) {
			t.Errorf("%s: nothing is wanted: %d %v", form, n, err)
		}
	}
	plain, err := None.Reader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if err := iotest.TestReader(plain, data); err != nil {
		t.Error(err)
	}
}

// TestChunksOfLZ4: one chunk may be as large as Dovecot writes it and no larger, none is
// empty, and what comes out of one is no longer than the header says.
func TestChunksOfLZ4(t *testing.T) {
	t.Parallel()
	frame := func(size uint32, chunks ...string) []byte {
		b := binary.BigEndian.AppendUint32([]byte(lz4Magic), size)
		for _, c := range chunks {
			b = append(binary.BigEndian.AppendUint32(b, uint32(len(c))), c...)
		}
		return b
	}
	for name, c := range map[string]struct {
		file []byte
		want string
		err  error
	}{
		"no chunk":              {frame(10), "", nil},
		"another magic":         {append([]byte("dovecot"), frame(10)[7:]...), "", ErrDamaged},
		"one":                   {frame(5, "\x50hello"), "hello", nil},
		"two":                   {frame(5, "\x50hello", "\x20!!"), "hello!!", nil},
		"larger than promised":  {frame(4, "\x50hello"), "", ErrDamaged},
		"largest chunk":         {frame(maxChunk, "\x50hello"), "hello", nil},
		"larger than that":      {frame(maxChunk+1, "\x50hello"), "", ErrDamaged},
		"an empty chunk":        {frame(5, "\x50hello", ""), "hello", ErrDamaged},
		"a length that is cut":  {append(frame(5, "\x50hello"), 0, 0), "hello", ErrDamaged},
		"a chunk that is cut":   {frame(5, "\x50hello", "\x50hello")[:len(lz4Magic)+4+4+6+4+3], "hello", ErrDamaged},
		"no octet of the chunk": {frame(5, "\x50hello", "\x50hello")[:len(lz4Magic)+4+4+6+4], "hello", ErrDamaged},
		"a chunk of too much":   {append(frame(5), 0, 0x10, 0, 1), "", ErrDamaged},
	} {
		got, err := func() ([]byte, error) {
			r, err := LZ4.Reader(bytes.NewReader(c.file))
			if err != nil {
				return nil, err
			}
			return io.ReadAll(r)
		}()
		if !errors.Is(err, c.err) || (err == nil) != (c.err == nil) || string(got) != c.want {
			t.Errorf("%s: %q %v", name, got, err)
		}
	}
}
