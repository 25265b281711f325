package index

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"toastmaster/internal/clock"
	"toastmaster/internal/vfs"
	"toastmaster/mailstore/maildir"
)

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func msg(uid uint32) *Message {
	return &Message{
		UID: uid, ModSeq: uint64(uid) * 3, Name: fmt.Sprintf("%d.M1P2.host,S=10,W=12", 1e9+int(uid)), Date: 1e9 + int64(uid),
		Zone: -90, InNew: uid%2 == 0, Flags: maildir.Flags(uid), Size: 10, Wire: 12, CacheOff: 8 + int64(uid)*100, CacheLen: 100,
	}
}

// sample is a state with something in every field, and the batch that made it.
func sample() (*State, *Batch) {
	var b Batch
	for uid := uint32(1); uid <= 9; uid++ {
		b.Add(msg(uid))
	}
	b.Keyword(2, "work")
	b.Flags([]uint32{2, 4}, maildir.Seen|4, false, false, 40)
	b.Expunge([]uint32{1, 5, 77}, 41, 1e9, false)
	b.Expunge([]uint32{9}, 42, 1e9+5, true)
	b.Recent(7)
	b.Reserve(1000, 5000)
	b.Stamps(Stamp{MTime: 123456789, Racy: true}, Stamp{MTime: -1})
	b.Cache(3, 5000, 77)
	b.Sizes(3, 20, 24)
	b.Unlinked(41)
	b.Next(20, 50)
	s := NewState(42)
	s.Apply(&b)
	return s, &b
}

func TestRecordsMakeTheState(t *testing.T) {
	t.Parallel()
	s, _ := sample()
	var uids []uint32
	for _, m := range s.Messages {
		uids = append(uids, m.UID)
	}
	if !reflect.DeepEqual(uids, []uint32{2, 3, 4, 6, 7, 8}) {
		t.Errorf("UIDs %v", uids)
	}
	if m := s.Get(4); m.Flags != maildir.Seen|4 || m.InNew || m.ModSeq != 40 || m.File() != "cur/1000000004.M1P2.host,S=10,W=12:2,Sc" {
		t.Errorf("%+v %s", m, m.File())
	}
	if m := s.Get(3); m.CacheOff != 5000 || m.CacheLen != 77 || m.Size != 20 || m.Wire != 24 {
		t.Errorf("%+v", m)
	}
	if s.UIDNext != 20 || s.ModSeq != 50 || s.Recent != 7 || s.ReservedUID != 1000 || s.CacheEnd != 5077 || s.Unlinked != 41 {
		t.Errorf("%+v", s)
	}
	if len(s.Expunged) != 3 || s.Expunged[1].UID != 5 || !s.Expunged[2].Vanished || s.Expunged[2].Name == "" {
		t.Errorf("%+v", s.Expunged)
	}
	if s.Keyword("WORK") != (FlagSet{Flags: 4}) || !s.Keyword("none").Empty() || s.FreeKeyword(26) != 0 {
		t.Errorf("%v", s.Keywords)
	}
	if !s.Recover() || s.UIDNext != 1000 || s.ModSeq != 5000 || s.Recover() {
		t.Errorf("%d %d", s.UIDNext, s.ModSeq)
	}
}

func TestSnapshotRoundTrip(t *testing.T) {
	t.Parallel()
	s, _ := sample()
	data := s.AppendSnapshot(nil)
	got, err := ParseSnapshot(data)
	check(t, err)
	if !bytes.Equal(got.AppendSnapshot(nil), data) {
		t.Error("differs after a round trip")
	}
	for i := range s.Messages {
		if *got.Messages[i] != *s.Messages[i] {
			t.Errorf("%+v\n%+v", got.Messages[i], s.Messages[i])
		}
	}
	for i := range data {
		bad := bytes.Clone(data)
		bad[i] ^= 0x10
		if _, err := ParseSnapshot(bad); !errors.Is(err, ErrDamaged) {
			t.Fatalf("octet %d changed: %v", i, err)
		}
		if _, err := ParseSnapshot(data[:i]); !errors.Is(err, ErrDamaged) {
			t.Fatalf("cut at %d: %v", i, err)
		}
	}
}

// TestTornLog cuts and damages the log everywhere: what comes before is read,
// nothing wrong is.
func TestTornLog(t *testing.T) {
	t.Parallel()
	_, b := sample()
	ends := append(append([]int(nil), b.marks[1:]...), len(b.buf))
	for cut := range len(b.buf) {
		want := 0
		for _, e := range ends {
			if e <= cut {
				want = e
			}
		}
		if n, _ := NewState(42).Replay(b.buf[:cut]); n != want {
			t.Fatalf("cut at %d: read %d, want %d", cut, n, want)
		}
		bad := bytes.Clone(b.buf)
		bad[cut] ^= 1
		if n, _ := NewState(42).Replay(bad); n > cut {
			t.Fatalf("damage at %d was not seen", cut)
		}
	}
	// The same records at another place are remains, not records.
	moved := NewState(42)
	moved.Position = 8
	if n, _ := moved.Replay(b.buf); n != 0 {
		t.Error("records were taken at a wrong position")
	}
}

func optionsIn(dir string) Options {
	return Options{FS: vfs.OS{}, Dir: dir, Clock: clock.System{}, Wait: time.Minute}
}

func load(t testing.TB, dir string) (*Log, *State) {
	t.Helper()
	l, err := OpenLog(optionsIn(dir))
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

// begin begins a log with a record that says nothing.
func begin(l *Log, s *State) error {
	var b Batch
	b.Next(1, 1)
	l.Start()
	return l.Append(s, &b)
}

func appendTo(t testing.TB, l *Log, s *State, fill func(*Batch)) {
	t.Helper()
	check(t, l.Lock(t.Context()))
	_, reload, err := l.CatchUp(t.Context(), s)
	check(t, err)
	if reload {
		fresh, err := l.Load(t.Context())
		check(t, err)
		*s = *fresh
	}
	var b Batch
	fill(&b)
	check(t, l.Append(s, &b))
	check(t, l.Unlock())
}

func uidsOf(s *State) (uids []uint32) {
	for _, m := range s.Messages {
		uids = append(uids, m.UID)
	}
	return uids
}

func TestTwoReadersFollowEachOther(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a, sa := load(t, dir)
	b, sb := load(t, dir)
	uid := uint32(0)
	add := func(batch *Batch) { uid++; batch.Add(msg(uid)) }
	for round := range 20 {
		appendTo(t, a, sa, add)
		if round%7 == 3 {
			// a replaces the log under b.
			check(t, a.Lock(t.Context()))
			check(t, a.Reset(sa))
			check(t, a.Unlock())
		}
		if grown, err := b.Grown(); err != nil || !grown {
			t.Fatal(grown, err)
		}
		appendTo(t, b, sb, add)
		if round%5 == 4 { // b replaces it twice while a sleeps
			for range 2 {
				check(t, b.Lock(t.Context()))
				check(t, b.Reset(sb))
				check(t, b.Unlock())
				appendTo(t, b, sb, add)
			}
		}
	}
	appendTo(t, a, sa, func(*Batch) {})
	if got := uidsOf(sa); len(got) != int(uid) || !reflect.DeepEqual(got, uidsOf(sb)) {
		t.Fatalf("%v\n%v", got, uidsOf(sb))
	}
	check(t, a.Close())
	check(t, b.Close())
	c, sc := load(t, dir)
	if !reflect.DeepEqual(uidsOf(sc), uidsOf(sb)) {
		t.Fatalf("%v", uidsOf(sc))
	}
	check(t, c.Close())
}

func TestUncleanEndSkipsWhatWasPromised(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l, s := load(t, dir)
	appendTo(t, l, s, func(b *Batch) { b.Add(msg(1)); b.Reserve(500, 900) })
	check(t, l.Close())
	l, s = load(t, dir)
	if s.UIDNext != 500 || s.ModSeq != 900 {
		t.Fatalf("UIDNEXT %d, mod-sequence %d", s.UIDNext, s.ModSeq)
	}
	appendTo(t, l, s, func(b *Batch) { b.Close() })
	check(t, l.Close())
	l, s = load(t, dir)
	if s.UIDNext != 500 {
		t.Fatalf("UIDNEXT went back to %d", s.UIDNext)
	}
	check(t, l.Close())
}

func TestDamagedFilesAreReported(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l, s := load(t, dir)
	appendTo(t, l, s, func(b *Batch) { b.Add(msg(1)) })
	check(t, l.Lock(t.Context()))
	check(t, l.Reset(s))
	check(t, l.Unlock())
	appendTo(t, l, s, func(b *Batch) { b.Add(msg(2)) })
	check(t, l.Close())

	snapshot, logName := filepath.Join(dir, SnapshotFile), filepath.Join(dir, LogFile)
	whole, err := os.ReadFile(logName)
	check(t, err)

	// Garbage behind the records is cut off.
	check(t, os.WriteFile(logName, append(bytes.Clone(whole), "garbage garbage garbage"...), 0o600))
	l, s = load(t, dir)
	if !reflect.DeepEqual(uidsOf(s), []uint32{1, 2}) {
		t.Fatalf("%v", uidsOf(s))
	}
	check(t, l.Close())
	if now, _ := os.ReadFile(logName); !bytes.Equal(now, whole) {
		t.Error("the garbage is still there")
	}

	// Without a log the snapshot tells what it knows.
	check(t, os.Remove(logName))
	l, err = OpenLog(optionsIn(dir))
	check(t, err)
	s, err = l.Load(t.Context())
	if !errors.Is(err, ErrDamaged) || !reflect.DeepEqual(uidsOf(s), []uint32{1}) {
		t.Fatalf("%v %v", uidsOf(s), err)
	}
	check(t, l.Close())

	// A log that begins after what we have is not enough.
	check(t, os.WriteFile(logName, whole, 0o600))
	check(t, os.Remove(snapshot))
	l, err = OpenLog(optionsIn(dir))
	check(t, err)
	s, err = l.Load(t.Context())
	if !errors.Is(err, ErrDamaged) || !reflect.DeepEqual(uidsOf(s), []uint32{2}) {
		t.Fatalf("%v %v", uidsOf(s), err)
	}
	check(t, l.Close())
}

func TestViewsKeepTheirUIDs(t *testing.T) {
	t.Parallel()
	s := NewState(1)
	var b Batch
	apply := func(fill func()) { b.Reset(); fill(); s.Apply(&b) }
	apply(func() { b.Add(msg(1)); b.Add(msg(2)) })
	view, left := s.UIDs, s.Left()
	apply(func() { b.Add(msg(4)) })
	apply(func() { b.Add(msg(3)) }) // recovery may fill a gap
	apply(func() { b.Expunge([]uint32{1}, 50, 0, false) })
	apply(func() { b.Add(msg(5)) })
	apply(func() { b.Expunge([]uint32{2, 5}, 51, 0, false) })
	if !slices.Equal(view, []uint32{1, 2}) {
		t.Errorf("%v", view)
	}
	if got := uidsOf(s); !reflect.DeepEqual(got, []uint32{3, 4}) || !slices.Equal(got, s.UIDs) {
		t.Errorf("%v %v", got, s.UIDs)
	}
	if got := departed(left); !slices.Equal(got, []uint32{1, 2, 5}) {
		t.Errorf("%v left", got)
	}
	if got := departed(s.Left()); len(got) != 0 {
		t.Errorf("%v left since", got)
	}
}

func departed(d *Departed) (uids []uint32) {
	for ; d != nil; d = d.Next {
		for _, m := range d.Messages {
			uids = append(uids, m.UID)
		}
	}
	return uids
}

// TestAStateSucceedsAnother: what the new one does not have has left, and one that
// gives a UID to another message is no successor.
func TestAStateSucceedsAnother(t *testing.T) {
	t.Parallel()
	with := func(uids ...uint32) *State {
		s := NewState(1)
		var b Batch
		for _, uid := range uids {
			b.Add(msg(uid))
		}
		s.Apply(&b)
		return s
	}
	old := with(1, 2, 4, 6)
	left := old.Left()
	if next := with(2, 3, 6, 7); !next.Succeed(old) || !slices.Equal(departed(left), []uint32{1, 4}) || next.Left() == left {
		t.Errorf("%v left", departed(left))
	}
	old, next := with(1, 2), with(2)
	next.Messages[0].Name = "another"
	if next.Succeed(old) {
		t.Error("UID 2 is two messages")
	}
}

func TestForgetExpunged(t *testing.T) {
	t.Parallel()
	s := NewState(1)
	for i := range 10 {
		s.Expunged = append(s.Expunged, Expunged{UID: uint32(i + 1), ModSeq: uint64(i + 2), When: int64(i), Name: "n"})
	}
	s.Unlinked = 8
	s.ForgetExpunged(8, 5)
	// Names of the last three are young or may still have a file.
	if len(s.Expunged) != 5 || s.Forgotten != 6 || s.Expunged[1].Name != "" || s.Expunged[2].Name == "" {
		t.Errorf("%d %+v", s.Forgotten, s.Expunged)
	}
	s.ForgetExpunged(3, 0)
	if len(s.Expunged) != 3 {
		t.Errorf("an entry with a name was dropped: %+v", s.Expunged)
	}
}

func TestCacheEntries(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := OpenCache(vfs.OS{}, dir)
	if n, err := c.ReadAt(make([]byte, 8), 8); n != 0 || err != nil {
		t.Fatal(n, err)
	}
	off := NewState(1).CacheEnd
	_, n, err := c.Append(new([]byte), off, 7, Record{Data: []byte("structure")})
	check(t, err)
	raw := make([]byte, n)
	_, err = c.ReadAt(raw, off)
	check(t, err)
	if data, ok := Entry(raw, 7); !ok || string(data) != "structure" {
		t.Errorf("%q %v", data, ok)
	}
	if _, ok := Entry(raw, 8); ok {
		t.Error("another message's entry was taken")
	}
	for i := range raw {
		bad := bytes.Clone(raw)
		bad[i]++
		if _, ok := Entry(bad, 7); ok {
			t.Errorf("damage at %d was not seen", i)
		}
	}
	check(t, c.Close())
}
