package queue

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/testkit/faultfs"
)

// flip changes an octet in the middle of the text that a file has.
func flip(t *testing.T, d *faultfs.Disk, path, text string) {
	t.Helper()
	b := []byte(readAll(t, d, path))
	at := strings.Index(string(b), text)
	if at < 0 {
		t.Fatalf("%s does not have the text", path)
	}
	at += len(text) / 2
	f, err := d.OpenFile(path, os.O_RDWR, 0)
	must(t, err)
	_, err = f.WriteAt([]byte{b[at] ^ 1}, int64(at))
	must(t, err)
	must(t, f.Close())
}

// cut shortens a file by an octet.
func cut(t *testing.T, d *faultfs.Disk, path string) {
	t.Helper()
	f, err := d.OpenFile(path, os.O_RDWR, 0)
	must(t, err)
	info, err := f.Stat()
	must(t, err)
	must(t, f.Truncate(info.Size()-1))
	must(t, f.Close())
}

// fails runs an attempt whose content cannot be opened.
func fails(t *testing.T, q *Queue, id envelope.QueueID) *Item {
	t.Helper()
	it := take(t, q)
	if it.Envelope.ID != id {
		t.Fatalf("handed out %s, not %s", it.Envelope.ID, id)
	}
	for range 2 {
		if c, err := it.Content(); err == nil {
			_ = c.Close()
			t.Fatal("a damaged content was handed out")
		} else if dsn.From(err).Status != dsn.MailSystem {
			t.Errorf("%v", err)
		}
	}
	it.Failed(0, dsn.New(dsn.MailSystem, "not read"))
	return it
}

// left asserts that the queue has nothing left, neither in memory nor in the
// counts, and corrupt/ has these.
func left(t *testing.T, q *Queue, d *faultfs.Disk, corrupt ...string) {
	t.Helper()
	nothing(t, q)
	must(t, q.disk.ledger.j.Checkpoint(context.Background()))
	q.removeDeparted(context.Background())
	slices.Sort(corrupt)
	if names := corruptFiles(t, d); !slices.Equal(names, corrupt) {
		t.Errorf("corrupt/ has %v, want %v", names, corrupt)
	}
	if got := list(t, q, Filter{}); got != "corrupt" {
		t.Errorf("in the queue: %q", got)
	}
	counts, err := q.Counts()
	must(t, err)
	if counts[Incoming]+counts[Active]+counts[Deferred]+counts[Hold] != 0 || counts[Corrupt] != 1 {
		t.Errorf("counts: %v", counts)
	}
	if entries, err := d.ReadDir("/queue/content"); err != nil || len(entries) != 0 {
		t.Errorf("content/ has %v %v", entries, err)
	}
	if q.disk.budget.taken() > 0 {
		t.Error("a message that is gone counts as incoming")
	}
}

// TestAlteredDeferredFile: of a file in deferred/ whose content is not what was
// accepted nobody gets an octet, and the file goes to corrupt/.
func TestAlteredDeferredFile(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{"small": "A small message.\n", "large": large + large + large} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := faultfs.NewDisk()
			q := running(t, options(d))
			env := add(t, q, text, "a")
			it := take(t, q)
			it.Failed(0, dsn.New(dsn.NoAnswer, "later"))
			closeItem(t, it, time.Now().Add(time.Hour))
			flip(t, d, q.disk.files.path(Deferred, env.ID), text)
			_, err := q.Flush(context.Background(), Filter{})
			must(t, err)
			closeItem(t, fails(t, q, env.ID), time.Now().Add(time.Hour))
			left(t, q, d, string(env.ID))
		})
	}
}

// TestAlteredContentFile: the same for a content file of the journal, whether
// the message is read by a delivery or moved to a file.
func TestAlteredContentFile(t *testing.T) {
	t.Parallel()
	for _, harm := range []struct {
		name string
		do   func(t *testing.T, d *faultfs.Disk, path string)
	}{
		{"octet", func(t *testing.T, d *faultfs.Disk, path string) { flip(t, d, path, large) }},
		{"short", cut},
		{"missing", func(t *testing.T, d *faultfs.Disk, path string) { must(t, d.Remove(path)) }},
	} {
		want := func(id envelope.QueueID) []string {
			if harm.name == "missing" {
				return []string{string(id) + ".record"}
			}
			return []string{string(id) + ".content", string(id) + ".record"}
		}
		t.Run("read, "+harm.name, func(t *testing.T) {
			t.Parallel()
			d := faultfs.NewDisk()
			q := running(t, options(d))
			env := add(t, q, large, "a")
			harm.do(t, d, q.disk.files.content(env.ID))
			closeItem(t, fails(t, q, env.ID), time.Now().Add(time.Hour))
			left(t, q, d, want(env.ID)...)
		})
		t.Run("due at once, "+harm.name, func(t *testing.T) {
			t.Parallel()
			d := faultfs.NewDisk()
			q := running(t, options(d))
			env := add(t, q, large, "a")
			harm.do(t, d, q.disk.files.content(env.ID))
			closeItem(t, fails(t, q, env.ID), time.Time{})
			left(t, q, d, want(env.ID)...)
		})
		t.Run("deferred unread, "+harm.name, func(t *testing.T) {
			t.Parallel()
			d := faultfs.NewDisk()
			q := running(t, options(d))
			env := add(t, q, large, "a")
			it := take(t, q)
			harm.do(t, d, q.disk.files.content(env.ID))
			closeItem(t, it, time.Now().Add(time.Hour))
			left(t, q, d, want(env.ID)...)
		})
		t.Run("held, "+harm.name, func(t *testing.T) {
			t.Parallel()
			d := faultfs.NewDisk()
			q := running(t, options(d))
			env := add(t, q, large, "a")
			harm.do(t, d, q.disk.files.content(env.ID))
			if err := q.Hold(context.Background(), env.ID); !errors.Is(err, ErrNoMessage) {
				t.Errorf("held: %v", err)
			}
			left(t, q, d, want(env.ID)...)
		})
	}
}

// TestAlteredContentDoesNotKeepTheJournal: a message whose content file is
// damaged does not keep the oldest segment in use, be it waiting or active.
func TestAlteredContentDoesNotKeepTheJournal(t *testing.T) {
	t.Parallel()
	for name, harm := range map[string]func(t *testing.T, d *faultfs.Disk, path string){
		"octet": func(t *testing.T, d *faultfs.Disk, path string) { flip(t, d, path, large) },
		"short": cut,
	} {
		for _, active := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				d := faultfs.NewDisk()
				o := options(d)
				o.Config.MoveSegments = 1
				q := open(t, o)
				defer closeQueue(t, q)
				bad := add(t, q, large, "a")
				var it *Item
				if active {
					it = take(t, q)
				}
				harm(t, d, q.disk.files.content(bad.ID))
				for q.disk.ledger.j.Usage().Segments < 3 {
					add(t, q, strings.Repeat("x", 5000)+"\n", "a")
				}
				oldest := q.disk.ledger.j.Usage().Oldest
				q.shorten(context.Background())
				if active {
					closeItem(t, it, time.Now().Add(time.Hour))
					q.shorten(context.Background())
				}
				must(t, q.disk.ledger.j.Checkpoint(context.Background()))
				if u := q.disk.ledger.j.Usage(); u.Oldest == oldest {
					t.Errorf("segment %d is still in use", oldest)
				}
				want := []string{string(bad.ID) + ".content", string(bad.ID) + ".record"}
				if names := corruptFiles(t, d); !slices.Equal(names, want) {
					t.Errorf("corrupt/ has %v, want %v", names, want)
				}
			})
		}
	}
}

// TestDamagedContentFileAtTheStart: record and content of a short one go to
// corrupt/ at once, those of an altered one when it is read, and the other
// messages go on.
func TestDamagedContentFileAtTheStart(t *testing.T) {
	t.Parallel()
	for name, harm := range map[string]func(t *testing.T, d *faultfs.Disk, path string){
		"octet": func(t *testing.T, d *faultfs.Disk, path string) { flip(t, d, path, large) },
		"short": cut,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := faultfs.NewDisk()
			q := open(t, options(d))
			bad, good := add(t, q, large, "a"), add(t, q, large, "a")
			killed := d.Clone()
			closeQueue(t, q)
			harm(t, killed, q.disk.files.content(bad.ID))
			q = running(t, options(killed))
			if name == "octet" {
				closeItem(t, fails(t, q, bad.ID), time.Now().Add(time.Hour))
			}
			it := take(t, q)
			if it.Envelope.ID != good.ID || text(t, it) != prefix+large {
				t.Errorf("handed out %s", it.Envelope.ID)
			}
			done(t, it, EffectFinal)
			left(t, q, killed, string(bad.ID)+".content", string(bad.ID)+".record")
		})
	}
}

// TestGetSaysDamaged: the octets of an altered message can be looked at, with
// the word that they are altered.
func TestGetSaysDamaged(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	d := faultfs.NewDisk()
	q := open(t, options(d))
	defer closeQueue(t, q)
	held, waiting, short := add(t, q, "held\n", "a"), add(t, q, large, "a"), add(t, q, large, "a")
	must(t, q.Hold(ctx, held.ID))
	for _, want := range []bool{false, true} {
		for _, env := range []*envelope.Envelope{held, waiting} {
			info, _, content, err := q.Get(ctx, env.ID)
			must(t, err)
			if info.Damaged != want || content.Size() != info.Size {
				t.Errorf("%s: %+v, want damaged %v", env.ID, info, want)
			}
			must(t, content.Close())
		}
		if !want {
			flip(t, d, q.disk.files.path(Hold, held.ID), "held\n")
			flip(t, d, q.disk.files.content(waiting.ID), large)
		}
	}
	cut(t, d, q.disk.files.content(short.ID))
	if _, _, _, err := q.Get(ctx, short.ID); !errors.Is(err, errDamaged) {
		t.Errorf("a short content: %v", err)
	}
}

// TestContentThatCannotBeRead: a disk that fails is no damage; the message
// waits for the next attempt.
func TestContentThatCannotBeRead(t *testing.T) {
	t.Parallel()
	d := faultfs.NewDisk()
	f := faultfs.Wrap(d)
	q := running(t, options(f))
	env := add(t, q, large, "a")
	f.Hook(func(op faultfs.Op, path string) error {
		if op == faultfs.Read && strings.Contains(path, string(env.ID)) {
			return faultfs.EIO
		}
		return nil
	})
	it := fails(t, q, env.ID)
	if err := it.Close(context.Background(), time.Now().Add(time.Hour), false); err == nil {
		t.Error("deferred without its content")
	}
	f.Hook(nil)
	_, err := q.Flush(context.Background(), Filter{})
	must(t, err)
	it = take(t, q)
	if text(t, it) != prefix+large {
		t.Error("the content differs")
	}
	done(t, it, EffectFinal)
	if names := corruptFiles(t, d); len(names) != 0 {
		t.Errorf("corrupt/ has %v", names)
	}
}

// TestChecksumIsOfWhatWasWritten: the disk alters a large message between its
// reception and its Add.
func TestChecksumIsOfWhatWasWritten(t *testing.T) {
	t.Parallel()
	q := running(t, options(faultfs.NewDisk()))
	env := testEnvelope(q, "a")
	b := q.Spool().New()
	_, err := io.WriteString(b, large)
	must(t, err)
	_, err = b.File().WriteAt([]byte("?"), 1000)
	must(t, err)
	must(t, q.Add(context.Background(), env, []byte(prefix), b))
	closeItem(t, fails(t, q, env.ID), time.Now().Add(time.Hour))
}
