package index

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"unsafe"

	"toastmaster/mailstore/maildir"
)

// rareSample is the sample with rare things.
func rareSample() (*State, *Batch) {
	_, b := sample()
	b.Keyword(26, "first")
	b.Keyword(61, "last")
	m := msg(30)
	m.InNew = false
	m.SetRare(Rare{Odd: true, Rest: ":2,SFR", Keywords: KeywordFlag(61).Keywords})
	b.Add(m)
	b.Rare([]uint32{3, 7}, Rare{Packed: true, Odd: true, Rest: ":2,SZ"})
	b.Flags([]uint32{7}, maildir.Seen, false, false, 60)
	s := NewState(42)
	s.Apply(b)
	return s, b
}

func TestRareThings(t *testing.T) {
	t.Parallel()
	s, _ := rareSample()
	if m := s.Get(30); m.File() != "cur/1000000030.M1P2.host,S=10,W=12:2,SFR" || !m.FlagSet().Keywords.Has(61) || m.FlagSet().Keywords.Has(60) {
		t.Errorf("%+v %s", m, m.File())
	}
	if r := s.Get(3).Rarely(); !r.Odd || !r.Packed || r.Rest != ":2,SZ" {
		t.Errorf("%+v", r)
	}
	// Flags make a name usual and change nothing else.
	if m := s.Get(7); *m.Rare != (Rare{Packed: true}) || m.File() != "cur/1000000007.M1P2.host,S=10,W=12:2,S" {
		t.Errorf("%+v %s", m.Rare, m.File())
	}
	if s.Get(2).Rare != nil {
		t.Error("a rare thing of nothing")
	}
	data := s.AppendSnapshot(nil)
	for i := range data {
		bad := bytes.Clone(data)
		bad[i] ^= 0x10
		if _, err := ParseSnapshot(bad); !errors.Is(err, ErrDamaged) {
			t.Fatalf("octet %d changed: %v", i, err)
		}
	}
	// What an older program wrote, and what we write without rare things, is
	// the same.
	plain, _ := sample()
	if got := plain.AppendSnapshot(nil); string(got[:8]) != snapshotMagic {
		t.Errorf("%q", got[:8])
	}
}

// TestRareIsShared: a Maildir full of the same oddity holds it once, and a
// message is no larger for it than it was.
func TestRareIsShared(t *testing.T) {
	t.Parallel()
	s := NewState(1)
	var b Batch
	for uid := uint32(1); uid <= 100; uid++ {
		m := msg(uid)
		m.SetRare(Rare{Odd: true, Rest: ":2,SZ", Packed: true})
		b.Add(m)
	}
	s.Apply(&b)
	for _, m := range s.Messages {
		if m.Rare != s.Messages[0].Rare {
			t.Fatal("not shared")
		}
	}
	if n := unsafe.Sizeof(Message{}); n > 80 {
		t.Errorf("a message takes %d octets", n)
	}
	for i := range uint32(2 * maxRares) {
		b.Reset()
		b.Rare([]uint32{1}, Rare{Odd: true, Rest: string(rune(i + 'a'))})
		s.Apply(&b)
	}
	if len(s.rares) > maxRares {
		t.Error(len(s.rares))
	}
}

func TestMarks(t *testing.T) {
	t.Parallel()
	a := KeywordFlag(3).Or(KeywordFlag(26)).Or(KeywordFlag(40)).Or(FlagSet{Flags: maildir.Seen})
	if got := a.Keywords.Numbers(); !slices.Equal(got, []int{26, 40}) || a.Flags != 1<<3|maildir.Seen {
		t.Errorf("%v %+v", got, a)
	}
	b := a.AndNot(KeywordFlag(40))
	if b != KeywordFlag(26).Or(a).AndNot(KeywordFlag(40)) || len(b.Keywords) != 1 {
		t.Errorf("%+v", b)
	}
	if c := a.AndNot(a); !c.Empty() {
		t.Errorf("%+v", c)
	}
	if a.OnlyKeywords().Flags != 1<<3 {
		t.Errorf("%+v", a.OnlyKeywords())
	}
}
