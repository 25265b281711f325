package spool

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"sync"
	"syscall"
	"testing"

	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/testkit/faultfs"
)

// TestTroubleHasAStatus: a full disk is 4.3.1, another failure 4.3.0, both temporary
// and without the path in the text; small messages need no disk.
func TestTroubleHasAStatus(t *testing.T) {
	t.Parallel()
	for err, want := range map[error]dsn.Status{syscall.ENOSPC: dsn.SystemFull, syscall.EDQUOT: dsn.SystemFull, syscall.EIO: dsn.MailSystem} {
		for _, op := range []faultfs.Op{faultfs.Create, faultfs.Write} {
			for nth := 1; nth <= 2; nth++ {
				disk := faultfs.NewDisk()
				if e := disk.MkdirAll("/spool", 0o700); e != nil {
					t.Fatal(e)
				}
				faults := faultfs.Wrap(disk)
				faults.FailNth(op, nth, err)
				d := &Dir{FS: faults, Path: "/spool", Memory: 10}
				b := d.New()
				var failed error
				for range 4 {
					if _, failed = b.Write([]byte("12345678")); failed != nil {
						break
					}
				}
				var e *dsn.Error
				switch {
				case op == faultfs.Create && nth == 2:
					if failed != nil {
						t.Errorf("a second file was made: %v", failed)
					}
				case !errors.As(failed, &e) || e.Status != want || !e.Temporary() || strings.Contains(e.Text, "/spool") || !errors.Is(failed, err):
					t.Errorf("%s %d fails with %v: %v", op, nth, err, failed)
				}
				if err := b.Close(); err != nil {
					t.Error(err)
				}
				if left, _ := disk.ReadDir("/spool"); len(left) > 0 {
					t.Errorf("%v is left", left)
				}
				small := d.New()
				if _, err := small.Write([]byte("small")); err != nil {
					t.Errorf("a message in memory: %v", err)
				}
				_ = small.Close()
			}
		}
	}
	if IsFull(nil) || IsFull(io.EOF) {
		t.Error("another error is a full disk")
	}
}

// TestBuffersAreApart: memory that comes back from the pool has nothing of another
// message, and several may be written and read at once.
func TestBuffersAreApart(t *testing.T) {
	t.Parallel()
	disk := faultfs.NewDisk()
	if err := disk.MkdirAll("/spool", 0o700); err != nil {
		t.Fatal(err)
	}
	d := &Dir{FS: disk, Path: "/spool", Memory: 1000}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 100 {
				b := d.New()
				want := bytes.Repeat([]byte{byte('a' + g)}, 1+(i*37)%2500)
				for rest := want; len(rest) > 0; {
					n := min(len(rest), 1+i%300)
					if _, err := b.Write(rest[:n]); err != nil {
						t.Error(err)
						return
					}
					rest = rest[n:]
				}
				var readers sync.WaitGroup
				for range 2 {
					readers.Go(func() {
						got, err := io.ReadAll(envelope.Reader(b))
						if err != nil || !bytes.Equal(got, want) {
							t.Errorf("%d of %d octets, %v", len(got), len(want), err)
						}
					})
				}
				readers.Wait()
				if err := b.Close(); err != nil {
					t.Error(err)
				}
				if _, ok := b.Bytes(); ok {
					t.Error("the memory is still there after Close")
				}
				if n, err := b.ReadAt(make([]byte, 1), 0); n != 0 || err == nil {
					t.Error("octets of a closed buffer were read")
				}
			}
		})
	}
	wg.Wait()
	if left, _ := disk.ReadDir("/spool"); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
}

// TestReadAtTheEdges, in memory and in a file.
func TestReadAtTheEdges(t *testing.T) {
	t.Parallel()
	disk := faultfs.NewDisk()
	if err := disk.MkdirAll("/spool", 0o700); err != nil {
		t.Fatal(err)
	}
	for _, memory := range []int{100, 3} {
		d := &Dir{FS: disk, Path: "/spool", Memory: memory}
		b := d.New()
		if _, err := b.Write([]byte("0123456789")); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			off, n int
			want   string
			eof    bool
		}{{0, 10, "0123456789", false}, {0, 11, "0123456789", true}, {9, 1, "9", false}, {9, 2, "9", true}, {10, 1, "", true}, {99, 1, "", true}, {4, 2, "45", false}} {
			p := make([]byte, c.n)
			n, err := b.ReadAt(p, int64(c.off))
			if string(p[:n]) != c.want || c.eof && err != io.EOF || !c.eof && err != nil && err != io.EOF {
				t.Errorf("memory %d: at %d %q, %v", memory, c.off, p[:n], err)
			}
		}
		if (b.File() == nil) != (memory == 100) {
			t.Errorf("memory %d: file %v", memory, b.File())
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
}
