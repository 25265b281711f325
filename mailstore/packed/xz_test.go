package packed

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"

	"toastmaster/internal/testkit/peers"
)

// xz packs with xz itself.
func xz(t testing.TB, data []byte, options ...string) []byte {
	t.Helper()
	cmd := exec.Command(peers.Need(t, "xz", "xz-utils"), append([]string{"-c", "-z"}, options...)...)
	cmd.Stdin = bytes.NewReader(data)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestXZ: what xz writes, with each check, in several blocks, several streams one behind
// the other, is what it was; a changed octet and a missing end are damage, wherever they
// are.
func TestXZ(t *testing.T) {
	t.Parallel()
	noise := make([]byte, 100_000)
	_, _ = rand.Read(noise)
	for _, options := range []string{"", "-0", "-9", "-C none", "-C crc32", "-C crc64", "-C sha256", "--block-size=20000", "-T2 --block-size=50000", "--lzma2=dict=4KiB"} {
		for _, data := range [][]byte{nil, text(5000), noise} {
			packed := xz(t, data, strings.Fields(options)...)
			if Detect(packed[:HeadSize]) != XZ {
				t.Fatalf("%s: not known", options)
			}
			if got, err := unpack(packed); err != nil || !bytes.Equal(got, data) {
				t.Errorf("%s: %d octets of %d, %v", options, len(got), len(data), err)
			}
		}
	}
	small := xz(t, text(2), "-C", "crc32")
	two := append(append(bytes.Clone(small), 0, 0, 0, 0, 0, 0, 0, 0), xz(t, text(3), "-C", "sha256")...)
	if got, err := unpack(append(two, 0, 0, 0, 0)); err != nil || !bytes.Equal(got, append(text(2), text(3)...)) {
		t.Errorf("two streams: %d octets, %v", len(got), err)
	}
	for i := range small {
		bad := bytes.Clone(small)
		bad[i] ^= 0x10
		// What the length of a chunk says is not compared with what it takes.
		if got, err := unpack(bad); i >= len(xzMagic) && err == nil && !bytes.Equal(got, text(2)) {
			t.Errorf("octet %d is another, and %q comes out", i, got)
		}
		if i < HeadSize {
			continue
		}
		if _, err := unpack(small[:i]); !errors.Is(err, ErrDamaged) {
			t.Errorf("cut at %d: %v", i, err)
		}
	}
	if _, err := unpack(append(bytes.Clone(small), 0, 0)); !errors.Is(err, ErrDamaged) {
		t.Errorf("half of a padding: %v", err)
	}
}

// TestXZThatIsNotRead: a few octets do not get more memory than anybody's mail takes.
// The other tests of the package allocate meanwhile, far below what is asked for here.
func TestXZThatIsNotRead(t *testing.T) {
	t.Parallel()
	for _, options := range []string{"--lzma2=dict=1536MiB", "--x86 --lzma2", "--delta --lzma2"} {
		packed := xz(t, text(1), strings.Fields(options)...)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := unpack(packed)
		runtime.ReadMemStats(&after)
		if grown := after.TotalAlloc - before.TotalAlloc; !errors.Is(err, ErrForm) || grown > 600<<20 {
			t.Errorf("%s: %v, %d octets were allocated", options, err, grown)
		}
	}
}

// TestXZOfManyBlocks: a file of small blocks, each of which asks for a large dictionary, gets
// one for all of them, also when the dictionaries grow; and each block is one for itself.
func TestXZOfManyBlocks(t *testing.T) { // not parallel: it counts what is allocated
	data := text(4000)
	many := xz(t, data, "-9", "--block-size=1024")
	for _, c := range []struct {
		name         string
		packed, want []byte
	}{
		{"blocks of a stream", many, data},
		{"streams", bytes.Repeat(xz(t, text(3), "-9"), 60), bytes.Repeat(text(3), 60)},
		{"dictionaries that grow", slices.Concat(xz(t, text(9), "-0"), xz(t, data, "-9"), xz(t, text(5), "-0"), many), slices.Concat(text(9), data, text(5), data)},
		{"empty ones between", slices.Concat(xz(t, nil), xz(t, text(1)), xz(t, nil), xz(t, text(2))), slices.Concat(text(1), text(2))},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		got, err := unpack(c.packed)
		runtime.ReadMemStats(&after)
		if err != nil || !bytes.Equal(got, c.want) {
			t.Errorf("%s: %d octets of %d, %v", c.name, len(got), len(c.want), err)
		}
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 300<<20 {
			t.Errorf("%s: %d MiB were allocated", c.name, grown>>20)
		}
	}
}

// TestXZBlockThatLeansOnTheOneBefore: the first chunk of a block must empty the dictionary.
// One that does not, with all its sums right, is damage, as it is for xz.
func TestXZBlockThatLeansOnTheOneBefore(t *testing.T) {
	t.Parallel()
	whole := xz(t, text(2), "-C", "none")
	control := 12 + (int(whole[12])+1)*4 // behind the headers of the stream and the block
	for what, c := range map[string]byte{"a packed chunk with the state of before": 0x80, "new properties only": 0xc0, "a plain chunk": 0x02, "of no kind": 0x03, "of no kind, too": 0x7f} {
		bad := bytes.Clone(whole)
		if whole[control] != 0xe0 {
			t.Fatalf("the chunk begins with %#x", whole[control])
		}
		bad[control] = c
		if got, err := unpack(append(bytes.Clone(whole), bad...)); !errors.Is(err, ErrDamaged) || !bytes.Equal(got, text(2)) {
			t.Errorf("%s: %q, %v", what, got, err)
		}
	}
}

// FuzzXZ: whatever stands in an xz file, nothing panics, hangs or takes more memory than
// was said.
func FuzzXZ(f *testing.F) {
	for _, options := range []string{"-C none", "-C crc32", "-C sha256 --block-size=20", "--lzma2=dict=4KiB"} {
		f.Add(xz(f, text(3), strings.Fields(options)...))
	}
	f.Fuzz(func(_ *testing.T, data []byte) {
		r, err := XZ.Reader(bytes.NewReader(data))
		if err != nil {
			return
		}
		defer r.Close()
		_, _ = io.CopyN(io.Discard, r, 1<<20)
	})
}
