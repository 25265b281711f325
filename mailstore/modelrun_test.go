package mailstore

import (
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"

	"toastmaster/internal/envelope"
	"toastmaster/internal/testkit/clocktest"
	"toastmaster/internal/testkit/seeds"
	"toastmaster/internal/vfs"
	"toastmaster/mailstore/index"
	"toastmaster/mailstore/maildir"
)

// TestModel has sessions of two processes do what comes, in two mailboxes in which
// other programs rename, remove and add files, and compares every answer with the
// model of model_test.go.
func TestModel(t *testing.T) {
	t.Parallel()
	seeds.Run(t, 20, func(t *testing.T, r *rand.Rand) {
		w := newWorld(t, r)
		for range 150 {
			w.step()
		}
		w.end()
	})
}

// listedTimes is a file system where the time of new and cur goes on with each
// change of the names in them: the first who looks sees it, however fast it is made.
type listedTimes struct {
	vfs.FS
	mu   sync.Mutex
	seen map[string]listing
}

// listing is what a directory had when somebody looked, and how often that was
// something new.
type listing struct {
	names string
	n     int64
}

type listedTime struct {
	fs.FileInfo
	at time.Time
}

func (i listedTime) ModTime() time.Time { return i.at }

func (f *listedTimes) Stat(name string) (fs.FileInfo, error) {
	info, err := f.FS.Stat(name)
	if base := filepath.Base(name); err != nil || base != "new" && base != "cur" {
		return info, err
	}
	entries, err := os.ReadDir(name)
	names := ""
	for _, e := range entries {
		names += e.Name() + "/"
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	last, known := f.seen[name]
	if !known || last.names != names {
		last = listing{names, last.n + 1}
		f.seen[name] = last
	}
	return listedTime{info, time.Unix(1e9, last.n)}, err
}

type world struct {
	t        *testing.T
	r        *rand.Rand
	stores   [2]*Store
	users    [2]*User
	boxes    []*modelBox
	sessions []*modelSession
	made     int
	// gone are files that another program removed.
	gone []modelGone
	// did is what was done, for who looks for a failure.
	did []string
}

type modelGone struct {
	b *modelBox
	f modelFile
}

func text(id string) string { return string(message(id)) }

func contentOf(t *testing.T, c envelope.Content) string {
	t.Helper()
	b, err := io.ReadAll(envelope.Reader(c))
	check(t, err)
	return string(b)
}

func newWorld(t *testing.T, r *rand.Rand) *world {
	w := &world{t: t, r: r}
	o := options(t.TempDir())
	o.FS, o.Clock, o.Store.DefaultFolders = &listedTimes{FS: vfs.OS{}, seen: map[string]listing{}}, clocktest.New(time.Now()), nil
	for i := range w.stores {
		s, err := Open(t.Context(), o)
		check(t, err)
		w.stores[i], w.users[i] = s, openUser(t, s)
	}
	check(t, w.users[0].Create(t.Context(), "Archive", ""))
	w.boxes = []*modelBox{newModelBox("INBOX", home(o.Root)), newModelBox("Archive", home(o.Root, ".Archive"))}
	for _, b := range w.boxes {
		for proc := range w.users {
			w.status(proc, b) // it is loaded from here on
		}
	}
	t.Cleanup(func() {
		if t.Failed() {
			for _, did := range w.did {
				t.Log(did)
			}
		}
	})
	return w
}

func (w *world) note(format string, args ...any) {
	w.did = append(w.did, fmt.Sprintf(format, args...))
}

func (w *world) end() {
	for _, s := range w.sessions {
		w.loaded(s.proc, s.modelBox)
		w.note("last look of %s by %d", s.name, s.proc)
		s.update(true)
		check(w.t, s.v.Close())
	}
	for i := range w.stores {
		check(w.t, w.users[i].Close())
		check(w.t, w.stores[i].Close())
	}
}

// step does one thing.
func (w *world) step() {
	b, proc := w.boxes[min(w.r.IntN(3), 1)], w.r.IntN(2)
	n := w.r.IntN(100)
	if n < 10 || n >= 32 && n < 35 || n >= 36 && n < 42 {
		w.loaded(proc, b)
	}
	switch {
	case n < 10:
		w.deliver(proc, b)
	case n < 32:
		w.outside(b)
	case n < 35:
		w.note("STATUS of %s by %d", b.name, proc)
		w.status(proc, b)
	case n < 36:
		w.lose(b)
	case n < 42 && len(w.sessions) < 8:
		w.open(proc, b)
	case len(w.sessions) > 0:
		w.session(w.sessions[w.r.IntN(len(w.sessions))])
	}
	for _, b := range w.boxes {
		b.settle(w.t)
	}
}

func (w *world) open(proc int, b *modelBox) {
	ro := w.r.IntN(3) == 0
	w.note("open %s by %d, read-only %v", b.name, proc, ro)
	v, err := w.users[proc].Open(w.t.Context(), b.name, ro)
	check(w.t, err)
	s := &modelSession{modelBox: b, t: w.t, v: v, proc: proc, ro: ro, told: map[uint32][]imap.Flag{}, took: map[uint32]bool{}}
	w.sessions = append(w.sessions, s)
	s.open()
}

// session has a session do something; all of its process have the same idea of
// the mailbox then.
func (w *world) session(s *modelSession) {
	w.loaded(s.proc, s.modelBox)
	seqs := w.some(s)
	switch n := w.r.IntN(100); {
	case n < 40 || len(seqs) == 0:
		expunge := n%2 == 0
		w.note("update of %s by %d, expunge %v", s.name, s.proc, expunge)
		s.update(expunge)
	case n < 45:
		w.note("close %s by %d", s.name, s.proc)
		check(w.t, s.v.Close())
		w.sessions = slices.DeleteFunc(w.sessions, func(o *modelSession) bool { return o == s })
		return
	case n < 55 && !s.stale(s.proc):
		w.note("read UID %d of %s by %d", s.picked(seqs)[0], s.name, s.proc)
		s.read(seqs[0])
		return
	case s.ro:
		return
	case n < 75:
		op, flags, since := FlagOp(w.r.IntN(3)), w.flags(), uint64(0)
		if w.r.IntN(3) == 0 {
			since = s.v.Info().HighestModSeq
		}
		w.note("store %d %v %d UIDs %v of %s by %d", op, flags, since, s.picked(seqs), s.name, s.proc)
		s.setFlags(seqs, op, flags, since)
	case n < 85:
		w.note("expunge UIDs %v of %s by %d", s.picked(seqs), s.name, s.proc)
		s.expungeSome(seqs)
	default:
		to, move := w.boxes[w.r.IntN(2)], w.r.IntN(2) == 0
		if !w.distinct(s, seqs) || s.stale(s.proc) {
			return
		}
		w.loaded(s.proc, to)
		w.note("transfer UIDs %v of %s to %s by %d, move %v", s.picked(seqs), s.name, to.name, s.proc, move)
		s.transferSome(seqs, to, move)
		w.compare(to, s.proc)
		if !move {
			return
		}
	}
	w.compare(s.modelBox, s.proc)
}

// compare is of sessions whose process knows all.
func (w *world) compare(b *modelBox, proc int) {
	w.t.Helper()
	for _, s := range w.sessions {
		if s.modelBox == b && s.proc == proc && !s.stale(proc) {
			s.compare()
		}
	}
}

// some are sequence numbers, ascending.
func (w *world) some(s *modelSession) (seqs []uint32) {
	for n := min(1+w.r.IntN(3), len(s.uids)); n > 0; n-- {
		seqs = append(seqs, 1+uint32(w.r.IntN(len(s.uids))))
	}
	slices.Sort(seqs)
	return slices.Compact(seqs)
}

// distinct says that the messages can be told from one another.
func (w *world) distinct(s *modelSession, seqs []uint32) bool {
	ids := map[string]bool{}
	for _, uid := range s.picked(seqs) {
		ids[s.last(uid).id] = true
	}
	return len(ids) == len(seqs)
}

func (w *world) flags() (flags []imap.Flag) {
	for _, f := range []imap.Flag{imap.FlagSeen, imap.FlagFlagged, imap.FlagDeleted, "one", "two"} {
		if w.r.IntN(3) == 0 {
			flags = append(flags, f)
		}
	}
	return flags
}

func (w *world) deliver(proc int, b *modelBox) {
	w.made++
	id, flags := fmt.Sprint("m", w.made), w.flags()
	w.note("deliver %s %v to %s by %d", id, flags, b.name, proc)
	date := time.Unix(1.7e9+int64(w.made), 0)
	b.make(modelFile{flags: b.letters(flags, true), id: id, date: date.Unix()})
	b.stepped()
	check(w.t, w.stores[proc].Deliver(w.t.Context(), alice(), &Delivery{Folder: b.name, Flags: flags, Date: date, Content: message(id), Durable: w.r.IntN(4) == 0}))
	b.heard(proc)
	b.settle(w.t)
	w.compare(b, proc)
}

// status asks for the counters.
func (w *world) status(proc int, b *modelBox) {
	w.t.Helper()
	b.look()
	got, err := w.users[proc].Status(w.t.Context(), b.name)
	check(w.t, err)
	b.heard(proc)
	want := Status{UIDValidity: got.UIDValidity, UIDNext: b.next, Messages: uint32(len(b.msgs)), HighestModSeq: b.modSeq}
	for _, m := range b.msgs {
		want.Size += int64(len(text(m.id)) + 4)
		if m.flags&maildir.Seen == 0 {
			want.Unseen++
		}
		if m.flags&maildir.Trashed != 0 {
			want.Deleted++
		}
		if m.uid >= b.recent {
			want.Recent++
		}
	}
	if got != want {
		w.t.Fatalf("STATUS is\n%+v, the model's\n%+v", got, want)
	}
}

// lose removes the index, which the next who looks makes anew. The numbers that
// may have been promised are not given again.
func (w *world) lose(b *modelBox) {
	for proc := range w.users {
		w.loaded(proc, b)
		w.status(proc, b)
	}
	proc := w.r.IntN(2)
	w.note("the index of %s is lost, and made anew by %d", b.name, proc)
	for _, file := range []string{index.LogFile, index.SnapshotFile, uidListFile} {
		if err := os.Remove(filepath.Join(b.path, file)); err != nil && !os.IsNotExist(err) {
			w.t.Fatal(err)
		}
	}
	b.lost = 3
	w.loaded(proc, b)
}

// loaded sees to it that a process has read the index since it was lost. The
// numbers go on above those that may have been promised.
func (w *world) loaded(proc int, b *modelBox) {
	if b.lost&(1<<proc) == 0 {
		return
	}
	if b.lost&(1<<(1-proc)) == 0 {
		w.status(1-proc, b)
	}
	w.note("%d loads %s", proc, b.name)
	got, err := w.users[proc].Status(w.t.Context(), b.name)
	check(w.t, err)
	if got.UIDNext < b.next || got.HighestModSeq < b.modSeq {
		w.t.Fatalf("numbers went back: %+v, the model's %d and %d", got, b.next, b.modSeq)
	}
	if b.next, b.modSeq = got.UIDNext, got.HighestModSeq; b.lost == 3 {
		b.changes++
	}
	b.heard(proc)
	w.status(proc, b)
	w.compare(b, proc)
}

// outside is what another program does, with no word to us.
func (w *world) outside(b *modelBox) {
	bases := slices.Sorted(maps.Keys(b.disk))
	n := w.r.IntN(10)
	if len(bases) == 0 {
		n = 9
	}
	switch {
	case n < 5:
		f := b.disk[bases[w.r.IntN(len(bases))]]
		to := f
		to.inNew = false
		if w.r.IntN(4) > 0 {
			to.flags ^= []maildir.Flags{maildir.Seen, maildir.Flagged, maildir.Trashed, maildir.Passed}[w.r.IntN(4)]
		}
		w.note("another program renames %s of %s: %s", f.path(), b.name, to.path())
		check(w.t, os.Rename(filepath.Join(b.path, f.path()), filepath.Join(b.path, to.path())))
		b.disk[f.base] = to
	case n < 7:
		f := b.disk[bases[w.r.IntN(len(bases))]]
		w.note("another program removes %s of %s", f.path(), b.name)
		check(w.t, os.Remove(filepath.Join(b.path, f.path())))
		delete(b.disk, f.base)
		w.gone = append(w.gone, modelGone{b, f})
	case n < 8 && len(w.gone) > 0:
		w.restore(w.gone[w.r.IntN(len(w.gone))])
	default:
		w.made++
		seconds := w.r.IntN(1e6) + []int{9e8, 16e8}[w.r.IntN(2)] // with nine digits, too
		f := modelFile{base: fmt.Sprintf("%d.O%d.elsewhere", seconds, w.made), id: fmt.Sprint("o", w.made), inNew: w.r.IntN(2) == 0, date: 1.6e9 + int64(w.made)}
		if !f.inNew && w.r.IntN(2) == 0 {
			f.flags = maildir.Seen
		}
		w.write(b, f)
	}
}

// restore puts a file back that was removed, as rsync does.
func (w *world) restore(g modelGone) {
	if _, there := g.b.disk[g.f.base]; there || g.b.removed[g.f.base] {
		return
	}
	w.write(g.b, g.f)
}

func (w *world) write(b *modelBox, f modelFile) {
	w.note("another program puts %s into %s", f.path(), b.name)
	path := filepath.Join(b.path, f.path())
	check(w.t, os.WriteFile(path, []byte(text(f.id)), 0o600))
	check(w.t, os.Chtimes(path, time.Unix(f.date, 0), time.Unix(f.date, 0)))
	b.disk[f.base] = f
}
