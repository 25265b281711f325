package index

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"toastmaster/internal/clock"
	"toastmaster/internal/field"
	"toastmaster/internal/testkit/clocktest"
	"toastmaster/internal/testkit/faultfs"
	"toastmaster/internal/vfs"
	"toastmaster/mailstore/maildir"
)

// plainBox is what an index promises to know, without any cleverness.
type plainBox struct {
	next     uint32
	modSeq   uint64
	flags    map[uint32]maildir.Flags
	keywords map[int]string
	gone     map[uint32]bool
}

// say describes it, so that two can be compared and read.
func (p *plainBox) say() string {
	var b strings.Builder
	for _, uid := range slices.Sorted(maps.Keys(p.flags)) {
		fmt.Fprintf(&b, "%d:%x ", uid, p.flags[uid])
	}
	for _, i := range slices.Sorted(maps.Keys(p.keywords)) {
		fmt.Fprintf(&b, "k%d=%s ", i, p.keywords[i])
	}
	for _, uid := range slices.Sorted(maps.Keys(p.gone)) {
		fmt.Fprintf(&b, "-%d ", uid)
	}
	return fmt.Sprintf("next %d modseq %d %s", p.next, p.modSeq, b.String())
}

// sayState describes a state in the same words.
func sayState(s *State) string {
	p := &plainBox{next: s.UIDNext, modSeq: s.ModSeq, flags: map[uint32]maildir.Flags{}, keywords: map[int]string{}, gone: map[uint32]bool{}}
	for _, m := range s.Messages {
		p.flags[m.UID] = m.Flags
	}
	for i, k := range s.Keywords {
		if k != "" {
			p.keywords[i] = k
		}
	}
	for _, e := range s.Expunged {
		p.gone[e.UID] = true
	}
	return p.say()
}

// change makes one random change to the model and the same in a batch.
func (p *plainBox) change(r *rand.Rand, b *Batch) {
	uids := slices.Sorted(maps.Keys(p.flags))
	some := func() []uint32 { // one at least
		out := []uint32{uids[0]}
		for _, uid := range uids[1:] {
			if r.IntN(3) == 0 {
				out = append(out, uid)
			}
		}
		return out
	}
	switch what := r.IntN(10); {
	case what < 4 || len(uids) == 0:
		p.modSeq++
		m := msg(p.next)
		m.ModSeq, m.Flags = p.modSeq, maildir.Flags(r.IntN(64))
		b.Add(m)
		p.flags[m.UID] = m.Flags
		p.next++
	case what < 7:
		p.modSeq++
		f := maildir.Flags(r.IntN(64))
		set := some()
		b.Flags(set, f, false, true, p.modSeq)
		for _, uid := range set {
			p.flags[uid] = f
		}
	case what < 9:
		p.modSeq++
		set := some()
		b.Expunge(set, p.modSeq, 1e9, what == 8)
		for _, uid := range set {
			delete(p.flags, uid)
			p.gone[uid] = true
		}
	default:
		i := r.IntN(26)
		p.keywords[i] = fmt.Sprintf("key%d", r.IntN(1000))
		b.Keyword(i, p.keywords[i])
	}
}

// TestRandomHistories runs random histories of two processes on one mailbox against a
// plain model: with replacements of the log in between, restarts of one or both, and
// leftovers of a write that was cut behind the log. Both know the same, always.
func TestRandomHistories(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			r := rand.New(rand.NewPCG(seed, 7))
			model := &plainBox{next: 1, modSeq: 1, flags: map[uint32]maildir.Flags{}, keywords: map[int]string{}, gone: map[uint32]bool{}}
			logs, states := make([]*Log, 2), make([]*State, 2)
			for i := range logs {
				logs[i], states[i] = load(t, dir)
			}
			for step := range 150 {
				i := r.IntN(2)
				appendTo(t, logs[i], states[i], func(b *Batch) {
					for range 1 + r.IntN(4) {
						model.change(r, b)
					}
				})
				if got, want := sayState(states[i]), model.say(); got != want {
					t.Fatalf("step %d:\n%s\n%s", step, got, want)
				}
				switch r.IntN(12) {
				case 0:
					check(t, logs[i].Lock(t.Context()))
					check(t, logs[i].Reset(states[i]))
					check(t, logs[i].Unlock())
				case 1:
					check(t, logs[i].Close())
					logs[i], states[i] = load(t, dir)
				case 2:
					f, err := os.OpenFile(filepath.Join(dir, LogFile), os.O_WRONLY|os.O_APPEND, 0)
					check(t, err)
					_, err = f.Write(bytes.Repeat([]byte{byte(r.IntN(256))}, 1+r.IntN(40)))
					check(t, errors.Join(err, f.Close()))
				}
			}
			for i := range logs {
				appendTo(t, logs[i], states[i], func(*Batch) {})
				if got, want := sayState(states[i]), model.say(); got != want {
					t.Errorf("in the end %d:\n%s\n%s", i, got, want)
				}
				check(t, logs[i].Close())
			}
		})
	}
}

// TestPowerCutsInRandomHistories: after a loss of power what was synced is there, and
// the numbers that were reserved are not given out again, wherever the power failed.
func TestPowerCutsInRandomHistories(t *testing.T) {
	t.Parallel()
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 11))
		disk := faultfs.NewDisk()
		check(t, errors.Join(disk.MkdirAll("/box", 0o700), disk.SyncDir("/")))
		open := func() (*Log, *State) {
			l, err := OpenLog(Options{FS: disk, Dir: "/box", Clock: clock.System{}, Wait: time.Minute})
			check(t, err)
			s, err := l.Load(t.Context())
			if errors.Is(err, ErrDamaged) && s == nil {
				s = NewState(42)
				err = begin(l, s)
			}
			check(t, err)
			check(t, l.Unlock())
			return l, s
		}
		l, s := open()
		check(t, l.Sync())
		durable, reserved := map[uint32]bool{}, uint32(0)
		pending := map[uint32]bool{}
		for step := range 40 {
			uid := s.UIDNext
			appendTo(t, l, s, func(b *Batch) {
				b.Add(msg(uid))
				if uid+1 > reserved {
					reserved = uid + 20
					b.Reserve(reserved, uint64(reserved)*3)
				}
			})
			pending[uid] = true
			switch r.IntN(5) {
			case 0:
				check(t, l.Sync())
				maps.Copy(durable, pending)
				clear(pending)
			case 1:
				check(t, l.Lock(t.Context()))
				check(t, l.Reset(s)) // durable when it returns
				check(t, l.Unlock())
				maps.Copy(durable, pending)
				clear(pending)
			case 2:
				check(t, l.Sync()) // or the reservation is none
				maps.Copy(durable, pending)
				check(t, l.Close())
				disk = disk.CrashRandom(r)
				l, s = open()
				for uid := range durable {
					if s.Get(uid) == nil {
						t.Fatalf("seed %d step %d: UID %d is lost", seed, step, uid)
					}
				}
				if s.UIDNext < reserved {
					t.Fatalf("seed %d step %d: UIDNEXT is %d, %d was reserved", seed, step, s.UIDNext, reserved)
				}
				clear(pending)
				reserved = s.UIDNext
			}
		}
		check(t, l.Close())
	}
}

// TestCutLogKeepsAPrefix cuts the log of a mailbox at every octet: what is read is the
// state after some of the batches, never another, and the next append works.
func TestCutLogKeepsAPrefix(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l, s := load(t, dir)
	states := []string{sayState(s)}
	r := rand.New(rand.NewPCG(1, 1))
	model := &plainBox{next: 1, modSeq: 1, flags: map[uint32]maildir.Flags{}, keywords: map[int]string{}, gone: map[uint32]bool{}}
	for range 12 {
		appendTo(t, l, s, func(b *Batch) { model.change(r, b) })
		states = append(states, sayState(s))
	}
	check(t, l.Close())
	whole, err := os.ReadFile(filepath.Join(dir, LogFile))
	check(t, err)
	for cut := logHeader; cut <= len(whole); cut++ {
		other := t.TempDir()
		check(t, os.WriteFile(filepath.Join(other, LogFile), whole[:cut], 0o600))
		l, s := load(t, other)
		if got := sayState(s); !slices.Contains(states, got) {
			t.Fatalf("cut at %d: %s", cut, got)
		}
		next := s.UIDNext
		appendTo(t, l, s, func(b *Batch) { m := msg(next); m.ModSeq = s.ModSeq + 1; b.Add(m) })
		want := sayState(s)
		check(t, l.Close())
		l, s = load(t, other)
		if got := sayState(s); got != want {
			t.Fatalf("cut at %d, after one more: %s, want %s", cut, got, want)
		}
		check(t, l.Close())
	}
	if states[0] == states[len(states)-1] {
		t.Error("nothing happened")
	}
}

// TestFullDisk: flags and expunges are kept in memory until there is room, new mail is
// refused, and room that can be made is made first.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	disk := faultfs.NewDisk()
	check(t, disk.MkdirAll("/box", 0o700))
	faults := faultfs.Wrap(disk)
	rooms := 0
	l, err := OpenLog(Options{FS: faults, Dir: "/box", Clock: clock.System{}, Wait: time.Minute, Room: func() bool {
		rooms++
		return false
	}})
	check(t, err)
	if _, err := l.Load(t.Context()); !errors.Is(err, ErrDamaged) {
		t.Fatal(err)
	}
	s := NewState(42)
	check(t, begin(l, s))
	var b Batch
	b.Add(msg(1))
	b.Add(msg(2))
	check(t, l.Append(s, &b))

	faults.FailFrom(faultfs.Write, 1, syscall.ENOSPC)
	b.Reset()
	b.Flags([]uint32{1}, maildir.Seen, false, true, 50)
	check(t, l.Append(s, &b))
	if rooms == 0 || !l.Holds() || s.Get(1).Flags != maildir.Seen {
		t.Errorf("asked for room %d times, holds %v, flags %x", rooms, l.Holds(), s.Get(1).Flags)
	}
	before := sayState(s)
	for name, fill := range map[string]func(){
		"a message":     func() { b.Add(msg(3)) },
		"a reservation": func() { b.Reserve(100, 1000) },
	} {
		b.Reset()
		fill()
		if err := l.Append(s, &b); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if sayState(s) != before {
		t.Errorf("what was refused was done: %s", sayState(s))
	}
	// Whoever reads the disk now does not see what is held.
	check(t, l.Unlock())
	other, err := OpenLog(Options{FS: disk, Dir: "/box", Clock: clock.System{}, Wait: time.Minute})
	check(t, err)
	seen, err := other.Load(t.Context())
	check(t, err)
	if seen.Get(1).Flags == maildir.Seen {
		t.Error("it is on the disk after all")
	}
	check(t, other.Close())

	faults.Heal()
	check(t, l.Lock(t.Context()))
	b.Reset()
	b.Expunge([]uint32{2}, 60, 0, false)
	check(t, l.Append(s, &b))
	if l.Holds() {
		t.Error("it still holds something")
	}
	check(t, l.Unlock())
	check(t, l.Close())
	again, err := OpenLog(Options{FS: disk, Dir: "/box", Clock: clock.System{}, Wait: time.Minute})
	check(t, err)
	got, err := again.Load(t.Context())
	check(t, err)
	if sayState(got) != sayState(s) {
		t.Errorf("%s\n%s", sayState(got), sayState(s))
	}
	check(t, again.Close())
}

// TestLockWaits: who finds the lock taken waits as long as Options say and no longer,
// those behind it not at all, and the first success makes all well.
func TestLockWaits(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	holder, s := load(t, dir)
	check(t, holder.Lock(t.Context()))
	clk := clocktest.New(time.Unix(1e9, 0))
	l, err := OpenLog(Options{FS: vfs.OS{}, Dir: dir, Clock: clk, Wait: 10 * time.Second})
	check(t, err)
	done := make(chan error)
	go func() { done <- l.Lock(t.Context()) }()
	check(t, clk.WaitTimers(t.Context(), 1))
	select {
	case err := <-done:
		t.Fatal("it did not wait", err)
	default:
	}
	clk.Advance(11 * time.Second)
	if err := <-done; !errors.Is(err, vfs.ErrLocked) {
		t.Fatal(err)
	}
	if err := l.Lock(t.Context()); !errors.Is(err, vfs.ErrLocked) { // at once: the clock stands
		t.Fatal(err)
	}
	check(t, holder.Unlock())
	check(t, l.Lock(t.Context()))
	check(t, l.Unlock())
	appendTo(t, holder, s, func(b *Batch) { b.Add(msg(1)) })
	check(t, errors.Join(holder.Close(), l.Close()))
}

// TestRemovedFiles: log, snapshot and cache may vanish under an open mailbox. A log
// that has no name any more is not written to.
func TestRemovedFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l, s := load(t, dir)
	appendTo(t, l, s, func(b *Batch) { b.Add(msg(1)) })
	check(t, os.Remove(filepath.Join(dir, LogFile)))
	if grown, err := l.Grown(); !grown || err != nil {
		t.Errorf("nothing was noticed: %v", err)
	}
	check(t, l.Lock(t.Context()))
	_, reload, err := l.CatchUp(t.Context(), s)
	if !reload || err != nil {
		t.Fatalf("reload %v, %v", reload, err)
	}
	fresh, err := l.Load(t.Context())
	if !errors.Is(err, ErrDamaged) || fresh != nil {
		t.Fatalf("%v, %v: an empty new log is no state", fresh, err)
	}
	check(t, l.Reset(s)) // as who still has the state does
	check(t, l.Unlock())
	check(t, l.Close())
	l, s = load(t, dir)
	if !slices.Equal(uidsOf(s), []uint32{1}) {
		t.Errorf("%v", uidsOf(s))
	}
	check(t, l.Close())
}

// TestUIDValidityChanges: a log of another UIDVALIDITY is another mailbox's.
func TestUIDValidityChanges(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l, s := load(t, dir)
	appendTo(t, l, s, func(b *Batch) { b.Add(msg(1)) })
	check(t, l.Lock(t.Context()))
	check(t, l.Reset(s))
	check(t, l.Unlock())
	follower, sf := load(t, dir)
	other := NewState(43)
	check(t, l.Lock(t.Context()))
	check(t, l.Reset(other))
	check(t, l.Unlock())
	check(t, follower.Lock(t.Context()))
	_, reload, err := follower.CatchUp(t.Context(), sf)
	if !reload || err != nil {
		t.Fatalf("a log of another UIDVALIDITY was followed: %v, %v", reload, err)
	}
	now, err := follower.Load(t.Context())
	check(t, err)
	if now.UIDValidity != 43 || len(now.Messages) != 0 {
		t.Errorf("%d, %v", now.UIDValidity, uidsOf(now))
	}
	check(t, errors.Join(follower.Close(), l.Close()))
}

// TestKeywordNumbers: names are found in any case of ASCII and of nothing else, a
// number that is free is given again, and there is a limit.
func TestKeywordNumbers(t *testing.T) {
	t.Parallel()
	s := NewState(1)
	var b Batch
	for i, k := range []string{"one", "Two", "", "fo@r", "$Five", "one"} {
		b.Keyword(i, k)
	}
	s.Apply(&b)
	if got := s.Keyword("ONE"); got != KeywordFlag(0).Or(KeywordFlag(5)) {
		t.Errorf("a name with two numbers: %v", got)
	}
	for name, want := range map[string]bool{"two": true, "fo@r": true, "FO@R": true, "fo`r": false, "$five": true, "\x04five": false, "": true, "tw": false, "twoo": false} {
		if got := !s.Keyword(name).Empty(); got != want && name != "" {
			t.Errorf("%q: %v", name, got)
		}
	}
	if n := s.FreeKeyword(26); n != 2 {
		t.Errorf("the free number is %d", n)
	}
	b.Reset()
	b.Keyword(2, "three")
	s.Apply(&b)
	if n := s.FreeKeyword(26); n != 6 {
		t.Errorf("the next is %d", n)
	}
	if n := s.FreeKeyword(6); n != -1 {
		t.Errorf("beyond the limit: %d", n)
	}
}

// TestRecordsForOthersAreHarmless: flags, expunges and sizes of messages that are not
// there, and a message that is there already, change nothing but the numbers.
func TestRecordsForOthersAreHarmless(t *testing.T) {
	t.Parallel()
	s, _ := sample()
	before := slices.Clone(s.UIDs)
	third := *s.Get(3)
	var b Batch
	again := msg(3)
	again.Name = "another"
	b.Add(again)
	b.Flags([]uint32{999}, maildir.Seen, false, true, 60)
	b.Expunge([]uint32{999, 1000}, 61, 0, false)
	b.Cache(999, 10, 10)
	b.Sizes(999, 1, 1)
	b.Recent(1) // never goes back
	b.Next(1, 1)
	gone := len(s.Expunged)
	s.Apply(&b)
	if !slices.Equal(s.UIDs, before) || *s.Get(3) != third || len(s.Expunged) != gone {
		t.Errorf("%v %+v %d", s.UIDs, s.Get(3), len(s.Expunged))
	}
	if s.ModSeq != 61 || s.UIDNext != 20 {
		t.Errorf("mod-sequence %d, UIDNEXT %d", s.ModSeq, s.UIDNext)
	}
}

// TestFindIn finds UIDs with and without gaps, and the place of those that are not there.
func TestFindIn(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 3))
	for range 500 {
		var uids []uint32
		uid := uint32(r.IntN(5))
		for range r.IntN(20) {
			uid += 1 + uint32(r.IntN(2)*r.IntN(4))
			uids = append(uids, uid)
		}
		for want := range uid + 3 {
			at, found := FindIn(uids, want)
			place, there := slices.BinarySearch(uids, want)
			if at != place || found != there {
				t.Fatalf("%d in %v: %d %v, want %d %v", want, uids, at, found, place, there)
			}
		}
	}
}

// TestCacheGrows: entries are found where they were put, a cache that was removed or
// cut has none, and one that cannot be written says so.
func TestCacheGrows(t *testing.T) {
	t.Parallel()
	disk := faultfs.NewDisk()
	check(t, disk.MkdirAll("/box", 0o700))
	faults := faultfs.Wrap(disk)
	c := OpenCache(faults, "/box")
	off := NewState(1).CacheEnd
	type place struct {
		off int64
		n   uint32
	}
	places := map[uint32]place{}
	for uid := uint32(1); uid < 40; uid++ {
		at, n, err := c.Append(new([]byte), off, uid, Record{Data: bytes.Repeat([]byte{byte(uid)}, int(uid)*300)})
		check(t, err)
		places[uid] = place{at, n}
		off = at + int64(n)
	}
	read := func(c *Cache, uid uint32) bool {
		raw := make([]byte, places[uid].n)
		n, _ := c.ReadAt(raw, places[uid].off)
		data, ok := Entry(raw[:n], uid)
		return ok && bytes.Equal(data, bytes.Repeat([]byte{byte(uid)}, int(uid)*300))
	}
	for uid := range places {
		if !read(c, uid) {
			t.Errorf("%d is not there", uid)
		}
	}
	faults.FailFrom(faultfs.Write, 1, syscall.EIO)
	if _, _, err := c.Append(new([]byte), off, 99, Record{Data: []byte("x")}); !errors.Is(err, syscall.EIO) {
		t.Errorf("%v", err)
	}
	check(t, c.Close())
	check(t, c.Close()) // twice is no harm
	f, err := disk.OpenFile("/box/"+CacheFile, os.O_RDWR, 0)
	check(t, err)
	check(t, f.Truncate(places[20].off+3))
	check(t, f.Close())
	c = OpenCache(disk, "/box")
	if !read(c, 19) || read(c, 20) || read(c, 39) {
		t.Error("of a cut cache more or less is read than is there")
	}
	check(t, c.Close())
	check(t, disk.Remove("/box/"+CacheFile))
	c = OpenCache(disk, "/box")
	if read(c, 1) {
		t.Error("read from a cache that is not there")
	}
	check(t, c.Close())
}

// TestNumbersThatAreTooLarge: a record with a number that its place cannot hold says
// nothing. Cut to what the place holds it would say something else: that UIDs are told
// which are not, or where the record of another message lies.
func TestNumbersThatAreTooLarge(t *testing.T) {
	t.Parallel()
	const beyond = uint64(1) << 32
	numbers := func(ns ...uint64) (p []byte) {
		for _, n := range ns {
			p = binary.AppendUvarint(p, n)
		}
		return p
	}
	for name, record := range map[string]struct {
		kind    byte
		payload []byte
	}{
		"UIDs reserved": {recReserve, numbers(beyond|5000, 1)},
		"UIDNEXT":       {recNext, numbers(beyond|5000, 1)},
		"recent":        {recRecent, numbers(beyond | 5000)},
		"cache":         {recCache, numbers(beyond|3, 1000, 10)},
		"sizes":         {recSizes, numbers(beyond|3, 77, 78)},
		"flags":         {recFlags, numbers(7, beyond|uint64(maildir.Draft), 0, 3)},
		"no flags":      {recFlags, numbers(7, beyond, 0, 3)},
		"a message":     {recAdd, field.AppendText(append(numbers(50, beyond, 0, 1), binary.AppendVarint(numbers(0, 0, 1, 1, 0), 0)...), "name")},
		"its zone":      {recAdd, field.AppendText(append(binary.AppendVarint(numbers(50, 0, 0, 1, 0), 1<<16), numbers(1, 1, 0, 0)...), "name")},
	} {
		s, _ := sample()
		third, uids := *s.Get(3), slices.Clone(s.UIDs)
		was := *s
		var b Batch
		b.record(record.kind, record.payload)
		s.Apply(&b)
		if *s.Get(3) != third || !slices.Equal(s.UIDs, uids) {
			t.Errorf("%s: UIDs %v, the third is %+v", name, s.UIDs, *s.Get(3))
		}
		if s.UIDNext != was.UIDNext || s.ReservedUID != was.ReservedUID || s.Recent != was.Recent || s.CacheEnd != was.CacheEnd || s.Resized != was.Resized || s.ModSeq != was.ModSeq {
			t.Errorf("%s: UIDNEXT %d, reserved %d, recent %d, mod-sequence %d, cache to %d", name, s.UIDNext, s.ReservedUID, s.Recent, s.ModSeq, s.CacheEnd)
		}
	}
	// The largest that they hold are taken.
	s, _ := sample()
	var b Batch
	b.Reserve(math.MaxUint32, 5)
	b.Recent(math.MaxUint32)
	b.Next(math.MaxUint32, 5)
	s.Apply(&b)
	if s.ReservedUID != math.MaxUint32 || s.Recent != math.MaxUint32 || s.UIDNext != math.MaxUint32 {
		t.Errorf("%+v", s)
	}
}
