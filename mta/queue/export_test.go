package queue

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/testkit/faultfs"
)

// exportTo writes the files of all messages of q into the folder of another queue.
func exportTo(t *testing.T, q *Queue, fsys *faultfs.Disk, dir string) []envelope.QueueID {
	t.Helper()
	ids, err := q.IDs()
	must(t, err)
	for _, id := range ids {
		x, err := q.Export(id)
		if errors.Is(err, ErrNoMessage) {
			continue
		}
		must(t, err)
		b, err := io.ReadAll(x.Reader())
		must(t, err)
		if int64(len(b)) != x.Size {
			t.Errorf("%s: %d octets, said %d", id, len(b), x.Size)
		}
		must(t, x.Close())
		name := filepath.Join(dir, filepath.FromSlash(x.Path()))
		must(t, fsys.MkdirAll(filepath.Dir(name), 0o700))
		f, err := fsys.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
		must(t, err)
		_, err = f.Write(b)
		must(t, errors.Join(err, f.Close(), fsys.Chtimes(name, x.Next, x.Next)))
	}
	return ids
}

// TestExportOfEveryPlace: what is exported is the same message in another queue,
// with the recipients that are pending, wherever it was.
func TestExportOfEveryPlace(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	disk := faultfs.NewDisk()
	q := running(t, options(disk))
	later := time.Now().Add(time.Hour).Truncate(time.Second)

	deferred := add(t, q, "deferred\n", "a", "b")
	it := take(t, q)
	must(t, it.Done(0, EffectFinal))
	it.Failed(1, dsn.New(dsn.NoAnswer, "no answer"))
	closeItem(t, it, later)
	held := add(t, q, large, "c")
	must(t, q.Hold(ctx, held.ID))
	// Active: one recipient for good, one in the store and not durable yet.
	active := add(t, q, "active\n", "d", "e", "f")
	it = take(t, q)
	must(t, it.Done(0, EffectFinal))
	must(t, it.Done(1, EffectStore))
	incoming, external := add(t, q, "incoming\n", "g"), add(t, q, large, "h")
	left := add(t, q, "left\n", "i")
	must(t, q.Delete(ctx, left.ID))

	ids := exportTo(t, q, disk, "/copy")
	for _, e := range []*envelope.Envelope{deferred, held, active, incoming, external} {
		if !slices.Contains(ids, e.ID) {
			t.Errorf("%s is not listed", e.ID)
		}
	}
	o := options(disk)
	o.Dir = "/copy"
	must(t, disk.MkdirAll("/copy/corrupt", 0o700))
	other := running(t, o)
	want := map[envelope.QueueID]string{
		deferred.ID: "deferred b " + prefix + "deferred\n",
		held.ID:     "hold c " + prefix + large,
		active.ID:   "deferred e f " + prefix + "active\n",
		incoming.ID: "deferred g " + prefix + "incoming\n",
		external.ID: "deferred h " + prefix + large,
	}
	all, err := other.List(ctx, Filter{}, "", 100)
	must(t, err)
	for _, info := range all {
		_, _, content, err := other.Get(ctx, info.ID)
		must(t, err)
		b, err := io.ReadAll(envelope.Reader(content))
		must(t, errors.Join(err, content.Close()))
		got := string(info.Place)
		if info.Place == Active || info.Place == Incoming {
			got = "deferred" // it is due
		}
		for _, r := range info.Recipients {
			local, _, _ := strings.Cut(r.Address, "@")
			got += " " + local
		}
		if got += " " + string(b); got != want[info.ID] {
			t.Errorf("%s is %.80q, want %.80q", info.ID, got, want[info.ID])
		}
		if info.ID == deferred.ID && !info.Next.Equal(later) {
			t.Errorf("due at %v, want %v", info.Next, later)
		}
		delete(want, info.ID)
	}
	for id, text := range want {
		t.Errorf("%s is missing: %.80q", id, text)
	}
	// A recipient that another process may have delivered is a replay.
	for range 3 {
		if it := take(t, other); !it.Replay {
			t.Errorf("%s is handed out without Replay", it.Envelope.ID)
		}
	}
	closeItem(t, it, later)
}

// TestExportOfWhatHasLeft: a finished message whose file waits for a checkpoint is
// not exported, or whoever reads it would deliver it again.
func TestExportOfWhatHasLeft(t *testing.T) {
	t.Parallel()
	q := running(t, options(faultfs.NewDisk()))
	env := add(t, q, "text\n", "a")
	it := take(t, q)
	closeItem(t, it, time.Now().Add(-time.Second).Add(time.Hour))
	must(t, q.Requeue(context.Background(), env.ID))
	it = take(t, q)
	must(t, it.Done(0, EffectFinal))
	closeItem(t, it, time.Time{})
	if _, err := q.Export(env.ID); !errors.Is(err, ErrNoMessage) {
		t.Errorf("Export: %v", err)
	}
	if _, err := q.Export("../../etc/passwd"); !errors.Is(err, ErrNoMessage) {
		t.Errorf("Export: %v", err)
	}
}
