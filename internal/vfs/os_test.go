package vfs

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
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
	if err := a.Lock(false); err != nil {
		t.Fatal(err)
	}
	if err := b.Lock(false); !errors.Is(err, ErrLocked) {
		t.Fatalf("second lock: %v", err)
	}
	if err := a.Unlock(); err != nil {
		t.Fatal(err)
	}
	if err := b.Lock(true); err != nil {
		t.Fatal(err)
	}
}
