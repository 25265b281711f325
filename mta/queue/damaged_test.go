package queue

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/journal"
	"toastmaster/internal/msglog"
	"toastmaster/internal/testkit/clocktest"
	"toastmaster/internal/testkit/faultfs"
)

// spoil changes an octet of the record at pos in the journal on d.
func spoil(t *testing.T, d *faultfs.Disk, pos journal.Position) {
	t.Helper()
	entries, err := d.ReadDir("/queue/journal")
	must(t, err)
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), "segment-") {
			continue
		}
		f, err := d.OpenFile(filepath.Join("/queue/journal", e.Name()), os.O_RDWR, 0)
		must(t, err)
		var header [16]byte
		_, err = f.ReadAt(header[:], 0)
		if !errors.Is(err, io.EOF) { // a segment that is being made
			must(t, err)
		}
		if uint64(header[8]) == pos.Segment {
			_, err = f.WriteAt([]byte{0xff}, int64(pos.Offset)+40)
			must(t, err)
		}
		must(t, f.Close())
	}
}

func position(q *Queue, id envelope.QueueID) journal.Position {
	q.index.mu.Lock()
	defer q.index.mu.Unlock()
	return q.index.known[id].pos
}

func corruptFiles(t *testing.T, d *faultfs.Disk) []string {
	t.Helper()
	entries, err := d.ReadDir("/queue/corrupt")
	must(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	slices.Sort(names)
	return names
}

// TestDamagedRecordAtTheStart: neither the octets of a record whose checksum is
// wrong nor the content that it may have named are thrown away.
func TestDamagedRecordAtTheStart(t *testing.T) {
	t.Parallel()
	d := faultfs.NewDisk()
	q := open(t, options(d))
	small, big := add(t, q, "small\n", "a"), add(t, q, large, "a")
	whole := add(t, q, "whole\n", "a")
	positions := []journal.Position{position(q, small.ID), position(q, big.ID)}
	killed := d.Clone()
	closeQueue(t, q)
	for _, pos := range positions {
		spoil(t, killed, pos)
	}
	q = running(t, options(killed))
	if it := take(t, q); it.Envelope.ID != whole.ID {
		t.Errorf("handed out %s", it.Envelope.ID)
	} else {
		done(t, it, EffectFinal)
	}
	nothing(t, q)
	names := corruptFiles(t, killed)
	if len(names) != 2 || names[0] != string(big.ID)+".content" && names[1] != string(big.ID)+".content" {
		t.Fatalf("corrupt/ has %v, want the content of %s and a range of the journal", names, big.ID)
	}
	if got := list(t, q, Filter{Place: Corrupt}); got != "corrupt" {
		t.Errorf("listed: %q", got)
	}
	if text := readAll(t, killed, "/queue/corrupt/"+string(big.ID)+".content"); !strings.HasSuffix(large, text) || len(text) < len(large)/2 {
		t.Errorf("%d octets of the content are kept", len(text))
	}
	var kept string
	for _, name := range names {
		if strings.HasPrefix(name, "segment-") {
			kept = readAll(t, killed, "/queue/corrupt/"+name)
		}
	}
	if !strings.Contains(kept, "small") {
		t.Errorf("the record is not in what was kept: %q", kept)
	}
	must(t, q.Delete(context.Background(), big.ID))
	if names := corruptFiles(t, killed); len(names) != 1 {
		t.Errorf("after its deletion: %v", names)
	}
}

// TestUnfinishedAddIsNotDamage: what a kill leaves of mail that was not
// accepted is removed and makes no noise in corrupt/.
func TestUnfinishedAddIsNotDamage(t *testing.T) {
	t.Parallel()
	d := faultfs.NewDisk()
	f := faultfs.Wrap(d)
	q := open(t, options(f))
	add(t, q, "accepted\n", "a")
	f.Hook(func(op faultfs.Op, path string) error {
		if op == faultfs.Write && strings.Contains(path, "/journal/") {
			return faultfs.EIO
		}
		return nil
	})
	if err := q.Add(context.Background(), testEnvelope(q, "a"), nil, envelope.Memory(large)); err == nil {
		t.Fatal("accepted without a record")
	}
	killed := d.Clone()
	f.Hook(nil)
	_ = q.Close()
	q = running(t, options(killed))
	done(t, take(t, q), EffectFinal)
	nothing(t, q)
	if names := corruptFiles(t, killed); len(names) != 0 {
		t.Errorf("corrupt/ has %v", names)
	}
	if entries, err := killed.ReadDir("/queue/content"); err != nil || len(entries) != 0 {
		t.Errorf("content/ has %v %v", entries, err)
	}
}

// TestRecordSpoiledWhileRunning: with its text not in memory a message whose
// record becomes unreadable goes to corrupt/; the others, and the journal, go on.
func TestRecordSpoiledWhileRunning(t *testing.T) {
	t.Parallel()
	d := faultfs.NewDisk()
	o := options(d)
	o.Config.ContentMemory = 0
	q := running(t, o)
	bad, worse, good := add(t, q, "bad\n", "a"), add(t, q, large, "a"), add(t, q, "good\n", "a")
	spoil(t, d, position(q, bad.ID))
	spoil(t, d, position(q, worse.ID))
	it := take(t, q)
	if it.Envelope.ID != good.ID {
		t.Errorf("handed out %s", it.Envelope.ID)
	}
	done(t, it, EffectFinal)
	nothing(t, q)
	want := []string{string(bad.ID) + ".record", string(worse.ID) + ".content", string(worse.ID) + ".record"}
	if names := corruptFiles(t, d); !slices.Equal(names, want) {
		t.Errorf("corrupt/ has %v, want %v", names, want)
	}
	if text := readAll(t, d, "/queue/corrupt/"+string(worse.ID)+".content"); !strings.HasSuffix(large, text) || text == "" {
		t.Errorf("%d octets of the content are kept", len(text))
	}
	must(t, q.disk.ledger.j.Checkpoint(context.Background()))
	// Both gave their places back, and nothing keeps the segment.
	if q.disk.budget.taken() > 0 {
		t.Error("a message that is gone counts as incoming")
	}
}

// TestUnreadableRecordDoesNotKeepTheJournal: the messages of the oldest segment
// move, but for the one that the disk does not give back. It waits for a better
// time, and only when the journal is about to be full it goes to corrupt/, with
// what can be read of it.
func TestUnreadableRecordDoesNotKeepTheJournal(t *testing.T) {
	t.Parallel()
	d := faultfs.NewDisk()
	f := faultfs.Wrap(d)
	o := options(f)
	o.Config.ContentMemory, o.Config.MoveSegments = 0, 1
	q := open(t, o)
	defer closeQueue(t, q)
	bad := add(t, q, "bad\n", "a")
	good := add(t, q, "good\n", "a")
	fillSegments(t, q, 3)
	f.Hook(func(op faultfs.Op, path string) error {
		if op == faultfs.Read && strings.HasSuffix(path, "segment-000000") && beingMoved(q, bad.ID) {
			return faultfs.EIO
		}
		return nil
	})
	oldest := q.disk.ledger.j.Usage().Oldest
	shorten(q, 2*readTries)
	if names := corruptFiles(t, d); len(names) != 0 {
		t.Errorf("corrupt/ has %v with %d of %d segments in use", names, q.disk.ledger.j.Usage().Segments, q.disk.ledger.j.Usage().Max)
	}
	if got := place(t, q, bad.ID); got != Incoming {
		t.Errorf("the unreadable one is in %q", got)
	}
	if got, _, err := q.disk.files.where(good.ID); got != Deferred || err != nil {
		t.Errorf("the other one is in %q %v", got, err)
	}
	fillSegments(t, q, q.disk.ledger.j.Usage().Max-1)
	shorten(q, 1)
	f.Hook(nil)
	if u := q.disk.ledger.j.Usage(); u.Oldest == oldest {
		t.Errorf("segment %d is still in use", oldest)
	}
	if names := corruptFiles(t, d); !slices.Equal(names, []string{string(bad.ID) + ".record"}) {
		t.Errorf("corrupt/ has %v", names)
	}
}

// TestAFailureThatPassesKeepsTheMessage: mail whose content cannot be opened
// for want of file descriptors is not taken out of the queue, however full the
// journal is; the others of its segment move, and the failure is one log line
// in queue.run_delay.
func TestAFailureThatPassesKeepsTheMessage(t *testing.T) {
	t.Parallel()
	d := faultfs.NewDisk()
	f := faultfs.Wrap(d)
	clk := clocktest.New(time.Unix(1_700_000_000, 0))
	var log logLines
	o := options(f)
	o.Clock, o.Log = clk, msglog.New(slog.NewTextHandler(&log, nil))
	o.Config.MoveSegments = 1
	q := open(t, o)
	defer closeQueue(t, q)
	bad := add(t, q, large, "a")
	others := []envelope.QueueID{add(t, q, large, "a").ID, add(t, q, "small\n", "a").ID, add(t, q, large, "a").ID}
	fillSegments(t, q, q.disk.ledger.j.Usage().Max-1)
	f.Hook(func(op faultfs.Op, path string) error {
		if op == faultfs.Open && path == q.disk.files.content(bad.ID) {
			return syscall.EMFILE
		}
		return nil
	})
	shorten(q, 2*readTries)
	if names := corruptFiles(t, d); len(names) != 0 {
		t.Errorf("corrupt/ has %v", names)
	}
	for _, id := range others {
		if got, _, err := q.disk.files.where(id); got != Deferred || err != nil {
			t.Errorf("%s is in %q %v", id, got, err)
		}
	}
	if n := log.count("not moved"); n != 1 {
		t.Errorf("%d log lines", n)
	}
	clk.Advance(o.Config.RunDelay)
	shorten(q, 2)
	if n := log.count("not moved"); n != 2 {
		t.Errorf("%d log lines after queue.run_delay", n)
	}
	f.Hook(nil)
	shorten(q, 1)
	if got, _, err := q.disk.files.where(bad.ID); got != Deferred || err != nil {
		t.Errorf("with descriptors again it is in %q %v", got, err)
	}
}

// TestUnreadableContentDoesNotKeepTheJournal: of a content that opens and
// cannot be read the same goes as of a record; one that is gone is not waited
// for.
func TestUnreadableContentDoesNotKeepTheJournal(t *testing.T) {
	t.Parallel()
	d := faultfs.NewDisk()
	f := faultfs.Wrap(d)
	o := options(f)
	o.Config.MoveSegments = 1
	q := open(t, o)
	defer closeQueue(t, q)
	bad, lost := add(t, q, large, "a"), add(t, q, large, "a")
	must(t, d.Remove(q.disk.files.content(lost.ID)))
	fillSegments(t, q, 3)
	f.Hook(func(op faultfs.Op, path string) error {
		if op == faultfs.Read && path == q.disk.files.content(bad.ID) {
			return faultfs.EIO
		}
		return nil
	})
	shorten(q, 2*readTries)
	want := []string{string(lost.ID) + ".record"}
	if names := corruptFiles(t, d); !slices.Equal(names, want) {
		t.Errorf("corrupt/ has %v, want %v", names, want)
	}
	fillSegments(t, q, q.disk.ledger.j.Usage().Max-1)
	shorten(q, 1)
	want = []string{string(bad.ID) + ".content", string(bad.ID) + ".record", want[0]}
	if names := corruptFiles(t, d); !slices.Equal(names, want) {
		t.Errorf("corrupt/ has %v, want %v", names, want)
	}
}

// fillSegments adds mail until the journal has so many segments in use.
func fillSegments(t *testing.T, q *Queue, n int) {
	t.Helper()
	for q.disk.ledger.j.Usage().Segments < n {
		add(t, q, strings.Repeat("x", 5000)+"\n", "a")
	}
}

// shorten makes some rounds of it.
func shorten(q *Queue, rounds int) {
	for range rounds {
		q.shorten(context.Background())
	}
}

// place is where a message is listed.
func place(t *testing.T, q *Queue, id envelope.QueueID) Place {
	t.Helper()
	all, err := q.List(context.Background(), Filter{}, "", 1000)
	must(t, err)
	for _, info := range all {
		if info.ID == id {
			return info.Place
		}
	}
	return ""
}

// logLines is what was logged.
type logLines struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (l *logLines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Write(b)
}

func (l *logLines) count(words string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.all.String(), words)
}

// beingMoved says that a message is being moved.
func beingMoved(q *Queue, id envelope.QueueID) bool {
	q.index.mu.Lock()
	defer q.index.mu.Unlock()
	m := q.index.known[id]
	return m != nil && m.at.moving
}

// TestStateThatWasNotSyncedIsNoHole: a state whose sync failed is not what the
// next one, which is synced, is written behind.
func TestStateThatWasNotSyncedIsNoHole(t *testing.T) {
	t.Parallel()
	d := faultfs.NewDisk()
	f := faultfs.Wrap(d)
	q := open(t, options(f))
	// So many that a state is larger than what the disk writes at once.
	to := []string{"a", "b"}
	for i := range 700 {
		to = append(to, fmt.Sprint("r", i))
	}
	env := add(t, q, "text\n", to...)
	it := take(t, q)
	closeItem(t, it, time.Now().Add(time.Hour))
	_, err := q.Flush(context.Background(), Filter{})
	must(t, err)
	it = take(t, q)
	must(t, it.Done(0, EffectFinal))
	f.Hook(func(op faultfs.Op, path string) error {
		if op == faultfs.Sync && strings.Contains(path, "/deferred/") {
			return faultfs.EIO
		}
		return nil
	})
	if err := it.Close(context.Background(), time.Now().Add(time.Hour), false); err == nil {
		t.Fatal("the failed sync was not noticed")
	}
	f.Hook(nil)
	_, err = q.Flush(context.Background(), Filter{})
	must(t, err)
	it = take(t, q)
	it.Failed(1, dsn.New(dsn.NoAnswer, "later"))
	closeItem(t, it, time.Now().Add(time.Hour))
	crashed := d.Crash()
	closeQueue(t, q)
	file, m, err := (&files{fs: crashed, dir: "/queue"}).read(Deferred, env.ID)
	if err != nil {
		t.Fatal(err)
	}
	must(t, file.Close())
	if !m.progress.rcpts[0].done || m.progress.rcpts[1].last == nil {
		t.Errorf("the file has an older state, of attempt %d", m.progress.attempts)
	}
}

func readAll(t *testing.T, d *faultfs.Disk, name string) string {
	t.Helper()
	f, err := d.OpenFile(name, os.O_RDONLY, 0)
	if errors.Is(err, os.ErrNotExist) {
		return ""
	}
	must(t, err)
	defer f.Close()
	b, err := io.ReadAll(f)
	must(t, err)
	return string(b)
}

// TestMovedToCorruptWithoutASync: a damaged file that was moved to corrupt/ is
// moved, also when the sync of the directory where it was failed; neither it nor
// its content keeps a segment in use.
func TestMovedToCorruptWithoutASync(t *testing.T) {
	t.Parallel()
	d := faultfs.NewDisk()
	f := faultfs.Wrap(d)
	o := options(f)
	o.Config.ContentMemory = 0
	q := running(t, o)
	bad := add(t, q, large, "a")
	spoil(t, d, position(q, bad.ID))
	f.Hook(func(op faultfs.Op, path string) error {
		if op == faultfs.SyncDir && path == "/queue/content" {
			return faultfs.EIO
		}
		return nil
	})
	good := add(t, q, "good\n", "a")
	it := take(t, q)
	if it.Envelope.ID != good.ID {
		t.Errorf("handed out %s", it.Envelope.ID)
	}
	done(t, it, EffectFinal)
	f.Hook(nil)
	want := []string{string(bad.ID) + ".content", string(bad.ID) + ".record"}
	if names := corruptFiles(t, d); !slices.Equal(names, want) {
		t.Errorf("corrupt/ has %v, want %v", names, want)
	}
	q.index.mu.Lock()
	_, known := q.index.known[bad.ID]
	q.index.mu.Unlock()
	if known {
		t.Error("the message that was set aside still keeps its segment")
	}
	if q.disk.budget.taken() > 0 {
		t.Error("it counts as incoming")
	}
}
