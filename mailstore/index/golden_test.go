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
	want.Forgotten, want.Closed = 30, true
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
	n, err := c.Append(cacheHeader, 7, []byte("structure"))
	check(t, err)
	written := make([]byte, cacheHeader+int(n))
	_, err = c.ReadAt(written, 0)
	check(t, err)
	check(t, c.Close())
	file := goldenFiles.Current(t, "cache-1", written)
	if data, ok := Entry(file[cacheHeader:], 7); !ok || string(data) != "structure" {
		t.Errorf("%q %v", data, ok)
	}
}
