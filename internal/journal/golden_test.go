package journal

import (
	"context"
	"os"
	"reflect"
	"strings"
	"testing"

	"toastmaster/internal/testkit/faultfs"
	"toastmaster/internal/testkit/golden"
)

var goldenFiles = golden.Flag()

// TestGoldenSegment: a segment of two writes, the first of two records.
func TestGoldenSegment(t *testing.T) {
	t.Parallel()
	records := []string{"hello", strings.Repeat("z", small+1), "world"}
	s := &segment{seq: 7, nonce: 1<<63 + 1, tail: 7, size: MinSegmentSize, off: block}
	s.seed = s.makeSeed()
	image := make([]byte, s.size)
	copy(image, s.header())
	copy(image[s.end():], s.header())
	var j Journal
	for _, batch := range [][]string{records[:2], records[2:]} {
		var entries []*entry
		for _, r := range batch {
			entries = append(entries, newEntry([][]byte{[]byte(r[:1]), []byte(r[1:])}))
		}
		end, at := j.layOut(s, entries), s.off
		for _, b := range j.commit.iov {
			at += int64(copy(image[at:], b))
		}
		if s.off = end; at != end {
			t.Fatal(at, end)
		}
	}

	readGolden(t, goldenFiles.Current(t, "segment-1", image), records, 0)
	copy(image[s.end()+trailerAt:], s.trailer(s.off))
	left := goldenFiles.Current(t, "segment-1-left", image)
	readGolden(t, left, records, 0)
	left[s.off-align] ^= 1
	readGolden(t, left, records[:2], 1)
}

// readGolden opens a journal of one segment.
func readGolden(t *testing.T, file []byte, records []string, damages int) {
	t.Helper()
	d := faultfs.NewDisk()
	if err := d.MkdirAll(testDir, 0o700); err != nil {
		t.Fatal(err)
	}
	f, err := d.OpenFile(slotName(testDir, 1), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(file); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	o := options(d)
	o.SegmentSize = MinSegmentSize
	o.Damaged = func(Damage) { damages-- }
	read, r := open(t, o, nil)
	defer func() {
		if err := read.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	if !reflect.DeepEqual(r.payloads, records) || r.pos[0].Segment != 7 || damages != 0 {
		t.Errorf("%q at %+v, damages %d from what was expected", r.payloads, r.pos, damages)
	}
}
