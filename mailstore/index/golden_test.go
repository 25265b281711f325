package index

import (
	"reflect"
	"testing"

	"toastmaster/internal/testkit/golden"
	"toastmaster/internal/vfs"
)

var goldenFiles = golden.Flag()

// TestGoldenLog: a log with every record but the ends.
func TestGoldenLog(t *testing.T) {
	t.Parallel()
	want, b := sample()
	var l Log
	file := goldenFiles.Current(t, "log-1", append(l.header(42, 0), b.buf...))
	var read Log
	if !read.parseHeader(file) || read.uidValidity != 42 || read.start != 0 {
		t.Fatalf("%+v", &read)
	}
	got := NewState(read.uidValidity)
	if n, ended := got.Replay(file[logHeader:]); n != len(file)-logHeader || ended {
		t.Fatal(n, ended)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v\nwant %+v", got, want)
	}
}

func TestGoldenSnapshot(t *testing.T) {
	t.Parallel()
	want, _ := sample()
	// As no log does it: what an old program forgot and cut.
	want.Forgotten, want.Closed, want.Resized = 30, true, 0
	file := goldenFiles.Current(t, "snapshot-1", want.AppendSnapshot(nil))
	got, err := ParseSnapshot(file)
	check(t, err)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v\nwant %+v", got, want)
	}
}

// TestGoldenRare: log and snapshot of a mailbox with rare things.
func TestGoldenRare(t *testing.T) {
	t.Parallel()
	want, b := rareSample()
	var l Log
	file := goldenFiles.Current(t, "log-rare", append(l.header(42, 0), b.buf...))
	got := NewState(42)
	if n, _ := got.Replay(file[logHeader:]); n != len(file)-logHeader {
		t.Fatal(n)
	}
	same(t, got, want)
	file = goldenFiles.Current(t, "snapshot-2", want.AppendSnapshot(nil))
	got, err := ParseSnapshot(file)
	check(t, err)
	same(t, got, want)
}

func same(t *testing.T, got, want *State) {
	t.Helper()
	if !reflect.DeepEqual(got.Messages, want.Messages) || !reflect.DeepEqual(got.Keywords, want.Keywords) {
		t.Errorf("%+v\nwant %+v", got, want)
	}
}

func TestGoldenCache(t *testing.T) {
	t.Parallel()
	c := OpenCache(vfs.OS{}, t.TempDir())
	at, n, err := c.Append(new([]byte), cacheHeader, 7, Record{Data: []byte("structure")})
	check(t, err)
	if at != cacheHeader {
		t.Fatal(at)
	}
	written := make([]byte, cacheHeader+int(n))
	_, err = c.ReadAt(written, 0)
	check(t, err)
	check(t, c.Close())
	file := goldenFiles.Current(t, "cache-1", written)
	if data, ok := Entry(file[cacheHeader:], 7); !ok || string(data) != "structure" {
		t.Errorf("%q %v", data, ok)
	}
}

// TestFrontOfARecord lies before it, and is checked for itself.
func TestFrontOfARecord(t *testing.T) {
	t.Parallel()
	c := OpenCache(vfs.OS{}, t.TempDir())
	_, n, err := c.Append(new([]byte), cacheHeader, 7, Record{Data: []byte("structure")})
	check(t, err)
	at, n, err := c.Append(new([]byte), cacheHeader+int64(n), 8, Record{Data: []byte("data"), Front: []byte("fields")})
	check(t, err)
	front := make([]byte, FrontLen(len("fields")))
	_, err = c.ReadAt(front, at-int64(len(front)))
	check(t, err)
	if data, ok := Entry(front, 8); !ok || string(data) != "fields" {
		t.Errorf("%q %v", data, ok)
	}
	if _, ok := Entry(front, 7); ok {
		t.Error("another message has it")
	}
	entry := make([]byte, n)
	_, err = c.ReadAt(entry, at)
	check(t, err)
	if data, ok := Entry(entry, 8); !ok || string(data) != "data" {
		t.Errorf("%q %v", data, ok)
	}
	check(t, c.Close())
}
