package vfs

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestTempGetsItsNameOnce(t *testing.T) {
	dir := t.TempDir()
	f, err := OS{}.OpenTemp(dir, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "a")
	if err := f.LinkTo(name); err != nil {
		t.Fatal(err)
	}
	if err := f.LinkTo(name); !errors.Is(err, fs.ErrExist) {
		t.Fatalf("second link: %v", err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(name)
	if err != nil || string(got) != "hello" {
		t.Fatalf("%q %v", got, err)
	}
	entries, _ := OS{}.ReadDir(dir)
	if len(entries) != 1 {
		t.Fatalf("left behind: %v", entries)
	}
}

func TestWriteVManyBuffers(t *testing.T) {
	f, err := OS{}.OpenFile(filepath.Join(t.TempDir(), "f"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var bufs [][]byte
	var want []byte
	for i := range 3000 {
		b := bytes.Repeat([]byte{byte(i)}, i%7)
		bufs, want = append(bufs, b), append(want, b...)
	}
	n, err := f.WriteV(bufs, 10)
	if err != nil || n != int64(len(want)) {
		t.Fatalf("%d %v", n, err)
	}
	got := make([]byte, len(want))
	if _, err := f.ReadAt(got, 10); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("content differs: %v", err)
	}
}

// TestWriteVEndsWhenNothingIsWritten: a call that writes nothing and calls that
// no error must not be repeated for ever.
func TestWriteVEndsWhenNothingIsWritten(t *testing.T) {
	f, err := OS{}.OpenFile(filepath.Join(t.TempDir(), "f"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	calls := 0
	n, err := f.(*osFile).allV([][]byte{[]byte("ab"), []byte("cd")}, func(_ int, done int64, _ [][]byte) (int, error) {
		switch calls++; calls {
		case 1:
			return 3, nil
		case 2:
			return 0, nil
		}
		return 0, errors.New("called again")
	})
	if n != 3 || !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("%d %v", n, err)
	}
}

func TestAdvanceLeavesCallersSliceAlone(t *testing.T) {
	bufs := [][]byte{[]byte("abc"), []byte("def")}
	rest := advance(bufs, 4)
	if string(rest[0]) != "ef" || string(bufs[1]) != "def" || string(bufs[0]) != "abc" {
		t.Fatalf("%q %q", rest, bufs)
	}
}

func TestLockExcludes(t *testing.T) {
	name := filepath.Join(t.TempDir(), "lock")
	a, err := OS{}.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	b, err := OS{}.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := a.TryLock(); err != nil {
		t.Fatal(err)
	}
	if err := b.TryLock(); !errors.Is(err, ErrLocked) {
		t.Fatalf("second lock: %v", err)
	}
	if err := a.Unlock(); err != nil {
		t.Fatal(err)
	}
	if err := b.TryLock(); err != nil {
		t.Fatal(err)
	}
}

// TestCloseWaitsForNobodyAndCutsNobodyOff: an operation under way keeps the
// descriptor, one that comes later finds the file closed.
func TestCloseWaitsForNobodyAndCutsNobodyOff(t *testing.T) {
	name := filepath.Join(t.TempDir(), "f")
	f, err := OS{}.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("hello"), 0); err != nil {
		t.Fatal(err)
	}
	inside, goOn := make(chan struct{}), make(chan struct{})
	under := make(chan error)
	go func() {
		under <- f.(*osFile).do("read", func(fd int) error {
			close(inside)
			<-goOn
			_, err := syscall.Pread(fd, make([]byte, 5), 0)
			return err
		})
	}()
	<-inside
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := f.ReadAt(make([]byte, 5), 0); !errors.Is(err, os.ErrClosed) {
		t.Errorf("read after Close: %v", err)
	}
	if err := f.Close(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("second Close: %v", err)
	}
	close(goOn)
	if err := <-under; err != nil {
		t.Errorf("read during Close: %v", err)
	}
	if err := syscall.Fstat(f.(*osFile).fd, &syscall.Stat_t{}); err != syscall.EBADF {
		t.Errorf("the descriptor was not closed: %v", err)
	}
}

// TestSameAsOS compares with what package os says and does.
func TestSameAsOS(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "f")
	f, err := OS{}.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o640)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if n, err := f.Write([]byte("0123456789")); n != 10 || err != nil {
		t.Fatal(n, err)
	}
	if at, err := f.Seek(-4, io.SeekEnd); at != 6 || err != nil {
		t.Fatal(at, err)
	}
	if b, err := io.ReadAll(f); string(b) != "6789" || err != nil {
		t.Errorf("%q %v", b, err)
	}
	if n, err := f.ReadAt(make([]byte, 4), 8); n != 2 || err != io.EOF {
		t.Errorf("read over the end: %d %v", n, err)
	}
	if n, err := f.Read(nil); n != 0 || err != nil {
		t.Errorf("empty read: %d %v", n, err)
	}
	for _, path := range []string{name, dir} {
		got, err := OS{}.Stat(path)
		want, err2 := os.Stat(path)
		if err != nil || err2 != nil || got.Name() != want.Name() || got.Size() != want.Size() || got.Mode() != want.Mode() ||
			!got.ModTime().Equal(want.ModTime()) || got.IsDir() != want.IsDir() {
			t.Errorf("%s: %v, want %v, %v %v", path, got, want, err, err2)
		}
	}
	if got, err := f.Stat(); err != nil || got.Name() != "f" || got.Size() != 10 {
		t.Errorf("%v %v", got, err)
	}
	missing := filepath.Join(dir, "missing")
	for _, err := range []error{second(OS{}.Stat(missing)), second(OS{}.OpenFile(missing, os.O_RDONLY, 0)), second(OS{}.OpenTemp(missing, 0o600))} {
		var p *fs.PathError
		if !errors.Is(err, fs.ErrNotExist) || !errors.As(err, &p) || p.Path != missing {
			t.Errorf("%v", err)
		}
	}
}

// TestLocksOfOctets: each octet of a file is locked by one open file, and the end of that
// gives all of its locks back.
func TestLocksOfOctets(t *testing.T) {
	name := filepath.Join(t.TempDir(), "locks")
	var files [2]File
	for i := range files {
		f, err := OS{}.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		files[i] = f
	}
	a, b := files[0], files[1]
	const far = 1<<62 + 5
	for _, off := range []int64{0, 7, far} {
		if err := a.TryLockAt(off); err != nil {
			t.Fatal(err)
		}
		if err := b.TryLockAt(off); !errors.Is(err, ErrLocked) {
			t.Errorf("octet %d: %v", off, err)
		}
		if locked, err := b.LockedAt(off); !locked || err != nil {
			t.Errorf("octet %d: %v %v", off, locked, err)
		}
		if locked, err := a.LockedAt(off); locked || err != nil {
			t.Errorf("one's own octet %d: %v %v", off, locked, err)
		}
	}
	if err := b.TryLockAt(8); err != nil {
		t.Errorf("the octet beside: %v", err)
	}
	if err := b.TryLock(); err != nil {
		t.Errorf("the lock of the whole file is another one: %v", err)
	}
	if err := a.UnlockAt(7); err != nil {
		t.Fatal(err)
	}
	if err := b.TryLockAt(7); err != nil {
		t.Errorf("given back: %v", err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if err := b.TryLockAt(far); err != nil {
		t.Errorf("of a file that is closed: %v", err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
}

func second[T any](_ T, err error) error { return err }

// TestFree: what df says, within what others write meanwhile.
func TestFree(t *testing.T) {
	dir := t.TempDir()
	free, err := OS{}.Free(dir)
	if err != nil || free <= 0 || free%512 != 0 {
		t.Errorf("%d, %v", free, err)
	}
	if _, err := (OS{}).Free(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}
