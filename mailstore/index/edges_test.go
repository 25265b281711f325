package index

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"toastmaster/internal/testkit/faultfs"
	"toastmaster/internal/testkit/seeds"
	"toastmaster/internal/vfs"
	"toastmaster/mailstore/maildir"
)

// TestFlagSetsAreSets: random sets of flags and keywords, with a letter and without, against
// plain sets of numbers; and two that have the same are ==, because sets are keys.
func TestFlagSetsAreSets(t *testing.T) {
	t.Parallel()
	numbers := []int{0, 1, 24, 25, 26, 27, 33, 34, 35, 41, 42, 100, MaxKeywords - 2, MaxKeywords - 1, MaxKeywords + maildir.MaxKeywords - 1}
	in := func(f FlagSet, n int) bool {
		if n < maildir.MaxKeywords {
			return f.Flags&(1<<n) != 0
		}
		return f.Keywords.Has(n)
	}
	seeds.Run(t, 3, func(t *testing.T, r *rand.Rand) {
		type set struct {
			f    FlagSet
			have map[int]bool
		}
		sets := []set{{FlagSet{}, map[int]bool{}}}
		for range 400 {
			a, b := sets[r.IntN(len(sets))], sets[r.IntN(len(sets))]
			next := set{have: maps.Clone(a.have)}
			switch n := numbers[r.IntN(len(numbers))]; r.IntN(4) {
			case 0:
				next.f, next.have[n] = a.f.Or(KeywordFlag(n)), true
			case 1:
				next.f = a.f.AndNot(KeywordFlag(n))
				delete(next.have, n)
			case 2:
				next.f = a.f.Or(b.f)
				maps.Copy(next.have, b.have)
			case 3:
				next.f = a.f.AndNot(b.f)
				maps.DeleteFunc(next.have, func(n int, _ bool) bool { return b.have[n] })
			}
			for i := range 250 {
				n := i
				if i >= 200 {
					n += MaxKeywords - 220 // the last ones
				}
				if in(next.f, n) != next.have[n] {
					t.Fatalf("%d: %v, want %v", n, in(next.f, n), next.have)
				}
			}
			var long []int
			for n := range next.have {
				if n >= maildir.MaxKeywords {
					long = append(long, n)
				}
			}
			slices.Sort(long)
			if got := next.f.Keywords.Numbers(); !slices.Equal(got, long) || next.f.Empty() != (len(next.have) == 0) {
				t.Fatalf("numbers %v, want %v", got, long)
			}
			for _, other := range sets {
				if (other.f == next.f) != maps.Equal(other.have, next.have) {
					t.Fatalf("%v and %v are == %v", other.have, next.have, other.f == next.f)
				}
			}
			sets = append(sets, next)
		}
	})
	for _, letter := range []int{0, 25, -1} {
		if KeywordFlag(26).Or(KeywordFlag(100)).Keywords.Has(letter) {
			t.Errorf("keyword %d has a letter, or is none, and is in the set", letter)
		}
	}
}

// TestPlacesOfMessages: new or not, with information in the name or without, come back from
// a record and from a snapshot, and SetRare of nothing forgets what was.
func TestPlacesOfMessages(t *testing.T) {
	t.Parallel()
	for bits := range 4 {
		inNew, hasInfo := bits&1 != 0, bits&2 != 0
		s, b := NewState(1), &Batch{}
		b.Add(msg(1))
		b.Flags([]uint32{1}, maildir.Seen, inNew, hasInfo, 9)
		s.Apply(b)
		again, err := ParseSnapshot(s.AppendSnapshot(nil))
		check(t, err)
		for _, m := range []*Message{s.Get(1), again.Get(1)} {
			if m.InNew != inNew || m.HasInfo != hasInfo || m.Flags != maildir.Seen {
				t.Errorf("new %v, information %v: %+v", inNew, hasInfo, m)
			}
		}
	}
	m := msg(1)
	m.SetRare(Rare{Packed: true})
	if m.SetRare(Rare{}); m.Rare != nil || m.Rarely() != (Rare{}) {
		t.Errorf("%+v", m.Rare)
	}
}

// TestHowMessagesLeave: expunged, moved and vanished are told apart, after a restart too, and
// very many at once are as many.
func TestHowMessagesLeave(t *testing.T) {
	t.Parallel()
	const many = 3*maxUIDs + 5
	s, b := NewState(1), &Batch{}
	all := make([]uint32, 0, many)
	for uid := uint32(1); uid <= many; uid++ {
		m := &Message{UID: uid, Name: fmt.Sprint(uid), ModSeq: 1}
		b.Add(m)
		all = append(all, uid)
	}
	s.Apply(b)
	third := many / 3
	b.Reset()
	b.Expunge(all[:third], 2, 100, false)
	b.Moved(all[third:2*third], 3, 101)
	b.Expunge(all[2*third:], 4, 102, true)
	s.Apply(b)
	again, err := ParseSnapshot(s.AppendSnapshot(nil))
	check(t, err)
	for _, s := range []*State{s, again} {
		if len(s.Messages) != 0 || len(s.Expunged) != many {
			t.Fatalf("%d left, %d expunged", len(s.Messages), len(s.Expunged))
		}
		for i, e := range s.Expunged {
			moved, vanished := i >= third && i < 2*third, i >= 2*third
			if e.UID != uint32(i+1) || e.Moved != moved || e.Vanished != vanished {
				t.Fatalf("%d: %+v", i, e)
			}
		}
	}
}

// TestKeywordsOfRecordsAreBounded: a set as large as there can be is one, and one octet more
// is damage, in a record and in a snapshot.
func TestKeywordsOfRecordsAreBounded(t *testing.T) {
	t.Parallel()
	for n, good := range map[int]bool{1: true, MaxKeywords/8 - 1: true, MaxKeywords / 8: true, MaxKeywords/8 + 1: false} {
		set := Keywords(strings.Repeat("\x00", n-1) + "\x80")
		s, b := NewState(1), &Batch{}
		b.Add(msg(1))
		b.Rare([]uint32{1}, Rare{Keywords: set})
		b.seal(s.Position)
		read, ended := s.Replay(b.buf)
		if got := s.Get(1).Rarely().Keywords; (got == set) != good || good && (read != len(b.buf) || ended) {
			t.Errorf("%d octets: kept %v, read %d of %d, %v", n, got == set, read, len(b.buf), ended)
		}
	}
	// What a set has of nothing at its end is not there: two sets are the same.
	s, b := NewState(1), &Batch{}
	b.Add(msg(1))
	b.Rare([]uint32{1}, Rare{Keywords: "\x01\x00\x00"})
	s.Apply(b)
	if got := s.Get(1).Rarely().Keywords; got != "\x01" {
		t.Errorf("%q", got)
	}
}

// TestABatchIsUsedAgain: what was in it before is not in it any more, and its names are those
// of its own records.
func TestABatchIsUsedAgain(t *testing.T) {
	t.Parallel()
	var b Batch
	if !b.Empty() || b.Names(3) {
		t.Error("a new batch is not empty")
	}
	b.Keyword(3, "work")
	b.Keyword(40, "far")
	if b.Empty() || !b.Names(3) || b.Names(2) {
		t.Errorf("names %v %v", b.Names(3), b.Names(2))
	}
	b.Reset()
	if !b.Empty() || b.Names(3) {
		t.Error("it is not empty after a reset")
	}
	s := NewState(1)
	s.Apply(&b)
	if len(s.Keywords) != 0 {
		t.Errorf("%q", s.Keywords)
	}
}

// TestEntriesAtTheirBounds: an entry without data is one, less than a header is none.
func TestEntriesAtTheirBounds(t *testing.T) {
	t.Parallel()
	empty := appendEntry(nil, 7, nil)
	if data, ok := Entry(empty, 7); !ok || len(data) != 0 || len(empty) != entryHeader {
		t.Errorf("%q %v", data, ok)
	}
	for n := range entryHeader {
		if _, ok := Entry(empty[:n], 7); ok {
			t.Errorf("%d octets are an entry", n)
		}
	}
	if FrontLen(0) != entryHeader || FrontLen(100) != entryHeader+100 {
		t.Error(FrontLen(0), FrontLen(100))
	}
}

// TestACacheThatCannotBeWritten: nothing of a record is believed that the disk did not take,
// the next one goes to the same place, and what was there before is still read.
func TestACacheThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	faults := faultfs.Wrap(vfs.OS{})
	c := OpenCache(faults, t.TempDir())
	off := NewState(1).CacheEnd
	var room []byte
	at, n, err := c.Append(&room, off, 1, Record{Data: []byte("one"), Front: []byte("front of one")})
	check(t, err)
	end := at + int64(n)
	for range 2 {
		faults.Hook(func(op faultfs.Op, _ string) error {
			if op == faultfs.Write {
				return faultfs.EIO
			}
			return nil
		})
		if at, n, err := c.Append(&room, end, 2, Record{Data: []byte("two")}); err == nil || at != 0 || n != 0 {
			t.Errorf("%d %d %v", at, n, err)
		}
		faults.Hook(nil)
	}
	second, m, err := c.Append(&room, end, 2, Record{Data: []byte("two")})
	check(t, err)
	if second != end {
		t.Errorf("at %d, not %d", second, end)
	}
	for _, want := range []struct {
		at   int64
		n    int
		uid  uint32
		data string
	}{
		{at, int(n), 1, "one"}, {at - FrontLen(len("front of one")), int(FrontLen(len("front of one"))), 1, "front of one"}, {second, int(m), 2, "two"},
	} {
		raw := make([]byte, want.n)
		_, err := c.ReadAt(raw, want.at)
		check(t, err)
		if data, ok := Entry(raw, want.uid); !ok || !bytes.Equal(data, []byte(want.data)) {
			t.Errorf("%s: %q %v", want.data, data, ok)
		}
	}
	check(t, c.Close())
	check(t, c.Close()) // once more is nothing
}
