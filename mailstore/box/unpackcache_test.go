package box_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"toastmaster/internal/envelope"
	"toastmaster/internal/vfs"
	"toastmaster/mailstore"
	"toastmaster/mailstore/box"
)

// readCounter counts the octets that are read of message files.
type readCounter struct {
	vfs.FS
	octets atomic.Int64
}

type countedFile struct {
	vfs.File
	counter *readCounter
}

func (c *readCounter) OpenFile(name string, flag int, perm fs.FileMode) (vfs.File, error) {
	f, err := c.FS.OpenFile(name, flag, perm)
	if err == nil && filepath.Base(filepath.Dir(name)) == "cur" {
		f = &countedFile{f, c}
	}
	return f, err
}

func (f *countedFile) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.File.ReadAt(p, off)
	f.counter.octets.Add(int64(n))
	return n, err
}

// compressed makes a mailbox of compressed messages and opens the store of it.
func compressed(t *testing.T, limit int64, texts ...string) (root string, s *mailstore.Store, u *mailstore.User, reads *readCounter, packed int64) {
	t.Helper()
	root = t.TempDir()
	foreign(t, root)
	for i, text := range texts {
		data := gzipped(t, text)
		packed += int64(len(data))
		name := fmt.Sprintf("%d.x,S=%d,W=%d:2,S", 10+i, len(text), len(text)+strings.Count(text, "\n"))
		check(t, os.WriteFile(home(root, "cur", name), data, 0o600))
	}
	reads = &readCounter{FS: vfs.OS{}}
	o := options(root)
	o.FS, o.Store.UnpackedCache = reads, limit
	s, u = open(t, o)
	return root, s, u, reads, packed
}

func longText(n, size int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Subject: %d\n\n", n)
	for line := n; b.Len() < size; line += 7 {
		fmt.Fprintf(&b, "line %d of a text that goes on and on and on and on and on\n", line)
	}
	return b.String()
}

// TestPiecesOfACompressedMessage: a client that reads a message in pieces, a
// FETCH each, has it unpacked once, and so has another session.
func TestPiecesOfACompressedMessage(t *testing.T) {
	t.Parallel()
	text := longText(1, 1<<20)
	for limit, most := range map[int64]int64{64 << 20: 2, 0: 0} {
		t.Run(fmt.Sprint("limit ", limit), func(t *testing.T) {
			t.Parallel()
			_, _, u, reads, packed := compressed(t, limit, text)
			views := []*box.View{inbox(t, u), inbox(t, u)}
			_, err := recordOf(t.Context(), views[0], 1) // unpacks it, too
			check(t, err)
			const piece = 16 << 10
			buf := make([]byte, piece)
			for off := 0; off < len(text); off += piece {
				c, err := views[off/piece%2].Read(t.Context(), 1)
				check(t, err)
				n, err := c.ReadAt(buf, int64(off))
				if err != nil && !errors.Is(err, io.EOF) {
					t.Fatal(err)
				}
				if string(buf[:n]) != text[off:min(off+piece, len(text))] {
					t.Fatalf("other octets at %d", off)
				}
				check(t, c.Close())
				check(t, c.Close()) // a second one does nothing
			}
			pieces := int64(len(text)/piece + 1)
			switch n := reads.octets.Load(); {
			case limit > 0 && n > most*packed:
				t.Errorf("%d octets read of a file of %d", n, packed)
			case limit == 0 && n < pieces*packed:
				t.Errorf("%d octets read of a file of %d: nothing should be kept", n, packed)
			}
			memory := box.MemoryOf(views[0])
			memory.Clear() // as at the end
			if n, cost, _ := memory.Kept(); n != 0 || cost != 0 {
				t.Errorf("%d are kept after the end", n)
			}
		})
	}
}

// TestUnpackedIsBounded: no more is kept than store.unpacked_cache says, and
// what is read while it is pushed out stays whole.
func TestUnpackedIsBounded(t *testing.T) {
	t.Parallel()
	var texts []string
	for i := range 12 {
		texts = append(texts, longText(i, 300_000))
	}
	texts = append(texts, longText(12, 2<<20)) // more than may be kept
	const limit = 1 << 20
	_, _, u, _, _ := compressed(t, limit, texts...)
	v := inbox(t, u)
	memory := box.MemoryOf(v)
	first, err := v.Read(t.Context(), 1)
	check(t, err)
	for range 2 {
		for i, text := range texts {
			if got := readAllOf(t, v, uint32(i)+1); got != text {
				t.Errorf("%d: %d octets, want %d", i, len(got), len(text))
			}
			if n, cost, ok := memory.Kept(); cost > limit || !ok {
				t.Fatalf("%d octets in %d", cost, n)
			}
		}
	}
	if n, _, _ := memory.Kept(); n != 3 {
		t.Errorf("%d are kept", n)
	}
	got := make([]byte, len(texts[0]))
	if _, err := first.ReadAt(got, 0); err != nil && !errors.Is(err, io.EOF) || string(got) != texts[0] {
		t.Errorf("what was pushed out: %v, %.50q", err, got)
	}
	check(t, first.Close())
	memory.Trim(time.Now())
	if n, _, _ := memory.Kept(); n != 3 {
		t.Errorf("%d are kept after a moment", n)
	}
	memory.Trim(time.Now().Add(time.Hour))
	if n, cost, _ := memory.Kept(); n != 0 || cost != 0 {
		t.Errorf("%d are kept after all time", n)
	}
}

// TestAnotherFileIsUnpackedAnew: what is kept is of a file and not of a name.
func TestAnotherFileIsUnpackedAnew(t *testing.T) {
	t.Parallel()
	one, two := longText(1, 100_000), longText(2, 100_000)
	root, _, u, _, _ := compressed(t, 64<<20, one)
	v := inbox(t, u)
	if got := readAllOf(t, v, 1); got != one {
		t.Errorf("%.50q", got)
	}
	dir := home(root)
	entries, err := os.ReadDir(filepath.Join(dir, "cur"))
	check(t, err)
	name := entries[0].Name()
	check(t, os.WriteFile(filepath.Join(dir, "tmp", "z"), gzipped(t, two), 0o600))
	check(t, os.Rename(filepath.Join(dir, "tmp", "z"), filepath.Join(dir, "cur", name)))
	if got := readAllOf(t, v, 1); got != two {
		t.Errorf("%.50q", got)
	}
}

// TestUnpackedByManyAtOnce: sessions read, and push out, the same contents.
func TestUnpackedByManyAtOnce(t *testing.T) {
	t.Parallel()
	var texts []string
	for i := range 5 {
		texts = append(texts, longText(i, 200_000+i*100_000))
	}
	_, s, u, _, _ := compressed(t, 1<<20, texts...)
	memory := box.MemoryOf(inbox(t, u))
	var all sync.WaitGroup
	for k := range 6 {
		all.Go(func() {
			if err := readMany(t.Context(), s, memory, texts, k); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := memory.InUse(); n != 0 {
		t.Errorf("%d are still read", n)
	}
}

// readMany is a session that reads some messages, whole.
func readMany(ctx context.Context, s *mailstore.Store, memory *box.Memory, texts []string, k int) error {
	u, err := s.User(ctx, alice())
	if err != nil {
		return err
	}
	defer u.Close()
	v, err := u.Open(ctx, "INBOX", false)
	if err != nil {
		return err
	}
	defer v.Close()
	for n := range 10 {
		i := (n*k + n) % len(texts)
		c, err := v.Read(ctx, uint32(i)+1)
		if err != nil {
			return err
		}
		got, err := io.ReadAll(envelope.Reader(c))
		if err = errors.Join(err, c.Close()); err != nil {
			return err
		}
		if string(got) != texts[i] {
			return fmt.Errorf("%d: %d octets, want %d", i, len(got), len(texts[i]))
		}
		if n%4 == 3 {
			memory.DropUnused(time.Now())
		}
	}
	return nil
}
