package spool

import (
	"bytes"
	"hash/crc32"
	"io"
	"testing"

	"toastmaster/internal/envelope"
	"toastmaster/internal/vfs"
)

var _ envelope.Content = (*Buffer)(nil)

func TestSmallStaysInMemoryLargeSpills(t *testing.T) {
	d := &Dir{FS: vfs.OS{}, Path: t.TempDir(), Memory: 100}
	for _, size := range []int{0, 1, 100, 101, 5000} {
		b := d.New()
		want := bytes.Repeat([]byte("abcdefg\n"), size/8+1)[:size]
		for chunk := range splitEvery(want, 33) {
			if _, err := b.Write(chunk); err != nil {
				t.Fatal(err)
			}
		}
		if _, inMemory := b.Bytes(); inMemory != (size <= 100) || b.Size() != int64(size) {
			t.Errorf("size %d: in memory %v, Size %d", size, inMemory, b.Size())
		}
		if b.File() != nil && b.Sum() != crc32.Checksum(want, crc32.MakeTable(crc32.Castagnoli)) {
			t.Errorf("size %d: the sum is not that of what was written", size)
		}
		got, err := io.ReadAll(envelope.Reader(b))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("size %d: read %d octets, %v", size, len(got), err)
		}
		if err := b.Close(); err != nil || b.Close() != nil {
			t.Error(err)
		}
	}
	if left, _ := (vfs.OS{}).ReadDir(d.Path); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func splitEvery(b []byte, n int) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for len(b) > 0 {
			k := min(n, len(b))
			if !yield(b[:k]) {
				return
			}
			b = b[k:]
		}
	}
}
