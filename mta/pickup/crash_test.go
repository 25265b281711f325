package pickup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"toastmaster/configs"
	"toastmaster/directory/tables"
	"toastmaster/internal/clock"
	"toastmaster/internal/envelope"
	"toastmaster/internal/maildrop"
	"toastmaster/internal/msglog"
	"toastmaster/internal/testkit/faultfs"
	"toastmaster/internal/vfs"
	"toastmaster/mta/queue"
)

// intoQueue hands messages to a queue, as cleanup does.
type intoQueue struct {
	q     *queue.Queue
	clock clock.Clock
}

func (i intoQueue) Submit(ctx context.Context, s *envelope.Submission) (envelope.QueueID, error) {
	if s.Envelope.ID == "" {
		return "", errors.Join(errors.New("a message of the folder without an ID"), s.Content.Close())
	}
	s.Envelope.Arrived = i.clock.Now()
	return s.Envelope.ID, i.q.Add(ctx, s.Envelope, nil, s.Content)
}

// host is pickup with a queue on a file system.
type host struct {
	q *queue.Queue
	s *Service
}

// start opens both, as a start of the server does; nil when the disk does not let it.
func start(t *testing.T, fsys vfs.FS) (*host, error) {
	t.Helper()
	cfg := configs.Default().Queue
	cfg.SegmentSize, cfg.MaxSegments, cfg.MoveSegments = 16<<10, 4, 2
	cfg.MemoryLimit, cfg.LazyInterval, cfg.MinFree = 1<<10, time.Millisecond, 0
	cfg.CheckpointInterval, cfg.AddWait = time.Hour, 10*time.Second
	q, err := queue.Open(t.Context(), queue.Options{FS: fsys, Dir: "/queue", Config: cfg, Clock: clock.System{}, Log: msglog.Discard()})
	if err != nil {
		return nil, err
	}
	s, err := Open(t.Context(), Options{
		Params: configs.Default().Pickup, Hostname: "mx.test", Dir: "/public", FS: fsys, Lifetime: time.Hour, MaximalBackoff: time.Hour, MaxMessage: 100_000,
		Tables: tables.NewSet(tables.Options{Params: configs.Default().Lookup, Log: msglog.Discard(), Clock: clock.System{}}),
		Submit: intoQueue{q, clock.System{}}, Reporter: &fakeQueue{}, Spool: q.Spool(), NewID: q.NewID,
		Has:  func(_ context.Context, id envelope.QueueID) (bool, error) { return q.Has(id) },
		Room: q.Room, Log: msglog.Discard(), Clock: clock.System{},
	})
	return &host{q, s}, err
}

// queued are the files of the queue's messages, their envelopes before them.
func (h *host) queued(t *testing.T) (all []string) {
	t.Helper()
	ids, err := h.q.IDs()
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		m, err := h.q.Export(id)
		if errors.Is(err, queue.ErrNoMessage) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(m.Reader())
		if err = errors.Join(err, m.Close()); err != nil {
			t.Fatal(err)
		}
		all = append(all, string(text))
	}
	return all
}

// drop is a disk with the folder of pickup.
func drop(t *testing.T) *faultfs.Disk {
	t.Helper()
	d := faultfs.NewDisk()
	for _, dir := range []string{"/queue", "/public", "/public/" + maildrop.Drop, "/public/" + maildrop.Taken, "/public/" + maildrop.Bad} {
		if err := errors.Join(d.Mkdir(dir, 0o700), d.SyncDir("/"), d.SyncDir("/public")); err != nil && dir != "/queue" {
			t.Fatal(err)
		}
	}
	h, err := start(t, d) // the files of the queue
	if err == nil {
		err = h.q.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestEachOperationOnTheWay: from the program that writes the message to the queue that has it, each operation of the disk fails,
// once or with all behind it, and then the process is killed or the power is cut there. What the program was told lies in the folder
// is in the queue after the next start, once; of what it was told nothing there is at most one. The window in which a
// message may come twice is not here: it needs one that has left the queue.
func TestEachOperationOnTheWay(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 7))
	small, large := "Subject: x\n\nsmall\n", "Subject: x\n\n"+string(make([]byte, 5000)) // in the journal, and in a file
	for _, text := range []string{small, large} {
		for _, forEver := range []bool{false, true} {
			for n, over := 1, false; !over; n++ {
				before := drop(t)
				faults := faultfs.Wrap(before)
				fail := func() {
					if forEver {
						faults.FailFrom(faultfs.Any, n, faultfs.EIO)
					} else {
						faults.FailNth(faultfs.Any, n, faultfs.ENOSPC)
					}
				}
				fail()
				accepted := maildrop.Put(faults, "/public", &maildrop.Message{Own: true, Recipients: []maildrop.Recipient{{Address: "bob"}}}, []byte(text)) == nil
				if h, err := start(t, faults); err == nil {
					_ = h.s.sweep(t.Context()) // what fails is the point
					_ = h.q.Close()
				}
				over = faults.Count(faultfs.Any) < n
				for what, disk := range map[string]*faultfs.Disk{"killed": before.Clone(), "power cut": before.Crash(), "power cut, by chance": before.CrashRandom(rng)} {
					h, err := start(t, disk)
					if err != nil {
						t.Fatalf("operation %d, %s: %v", n, what, err)
					}
					if err := h.s.sweep(t.Context()); err != nil {
						t.Fatalf("operation %d, %s: %v", n, what, err)
					}
					got := h.queued(t)
					left, err := disk.ReadDir("/public/" + maildrop.Taken)
					bad, badErr := disk.ReadDir("/public/" + maildrop.Bad)
					if errors.Join(err, badErr, h.q.Close()) != nil {
						t.Fatal(err)
					}
					where := fmt.Sprintf("seed %d: %d octets, operation %d, for ever %v, %s (told it is there: %v)", seed, len(text), n, forEver, what, accepted)
					if accepted && len(got) != 1 || len(got) > 1 || len(got) == 1 && !strings.Contains(got[0], text) {
						t.Errorf("%s: %d in the queue, %d set aside", where, len(got), len(bad))
					}
					if len(left) != 0 {
						t.Errorf("%s: %d left in the folder", where, len(left))
					}
				}
			}
		}
	}
}
