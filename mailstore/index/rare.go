package index

import (
	"encoding/binary"

	"toastmaster/internal/field"
	"toastmaster/mailstore/maildir"
)

// Rare is what only few messages have, kept apart so that all others pay
// nothing for it.
type Rare struct {
	// Odd says that the file's name is not spelt as maildir.FileName spells
	// it; Rest is what follows Name then.
	Odd  bool
	Rest string
	// Packed says that the file is compressed.
	Packed bool
	// Keywords are those without a letter.
	Keywords Keywords
}

// maxRares is how many different Rares share their memory.
const maxRares = 4096

// rare is the shared form of r, nil if it says nothing.
func (s *State) rare(r Rare) *Rare {
	if r == (Rare{}) {
		return nil
	}
	if p := s.rares[r]; p != nil {
		return p
	}
	if s.rares == nil || len(s.rares) >= maxRares {
		s.rares = map[Rare]*Rare{}
	}
	s.rares[r] = &r
	return &r
}

// Rarely is m's Rare, the zero one if it has none.
func (m *Message) Rarely() Rare {
	if m.Rare == nil {
		return Rare{}
	}
	return *m.Rare
}

// SetRare gives a message that no state has yet its Rare.
func (m *Message) SetRare(r Rare) {
	m.Rare = nil
	if r != (Rare{}) {
		m.Rare = &r
	}
}

// FlagSet is the flags and keywords of m.
func (m *Message) FlagSet() FlagSet {
	if m.Rare == nil {
		return FlagSet{Flags: m.Flags}
	}
	return FlagSet{m.Flags, m.Rare.Keywords}
}

// MaxKeywords is how many keywords a mailbox can have at the very most.
const MaxKeywords = 1 << 16

// Keywords is the set of a message's keywords without a letter: bit k%8 of
// octet k/8 is keyword number maildir.MaxKeywords+k. The last octet is not 0.
type Keywords string

// Has says whether number, counted from the first keyword with a letter, is in
// the set.
func (k Keywords) Has(number int) bool {
	n := number - maildir.MaxKeywords
	return n >= 0 && n/8 < len(k) && k[n/8]&(1<<(n%8)) != 0
}

// Numbers lists the keywords, ascending.
func (k Keywords) Numbers() (numbers []int) {
	for n := range len(k) * 8 {
		if k.Has(n + maildir.MaxKeywords) {
			numbers = append(numbers, n+maildir.MaxKeywords)
		}
	}
	return numbers
}

// FlagSet is flags and keywords, with a letter or without. They can be compared
// with ==.
type FlagSet struct {
	Flags    maildir.Flags
	Keywords Keywords
}

// KeywordFlag is the set of keyword number i alone.
func KeywordFlag(i int) FlagSet {
	if i < maildir.MaxKeywords {
		return FlagSet{Flags: 1 << i}
	}
	i -= maildir.MaxKeywords
	set := make([]byte, i/8+1)
	set[i/8] = 1 << (i % 8)
	return FlagSet{Keywords: Keywords(set)}
}

// Empty says that nothing is marked.
func (m FlagSet) Empty() bool { return m == FlagSet{} }

// Or has the marks of both.
func (m FlagSet) Or(o FlagSet) FlagSet {
	m.Flags |= o.Flags
	if o.Keywords == "" {
		return m
	}
	set := make([]byte, max(len(m.Keywords), len(o.Keywords)))
	copy(set, m.Keywords)
	for i := range len(o.Keywords) {
		set[i] |= o.Keywords[i]
	}
	m.Keywords = Keywords(set)
	return m
}

// AndNot has the marks of m that o has not.
func (m FlagSet) AndNot(o FlagSet) FlagSet {
	m.Flags &^= o.Flags
	if o.Keywords == "" || m.Keywords == "" {
		return m
	}
	set := []byte(m.Keywords)
	for i := range min(len(set), len(o.Keywords)) {
		set[i] &^= o.Keywords[i]
	}
	m.Keywords = trim(set)
	return m
}

// OnlyKeywords leaves the system flags out.
func (m FlagSet) OnlyKeywords() FlagSet {
	m.Flags &= maildir.Keywords
	return m
}

func trim(set []byte) Keywords {
	for len(set) > 0 && set[len(set)-1] == 0 {
		set = set[:len(set)-1]
	}
	return Keywords(set)
}

// Rare logs what uids (ascending) now have besides. A record Flags before it in
// the batch says that their names are usual.
func (b *Batch) Rare(uids []uint32, r Rare) {
	b.record(recRare, appendUIDs(appendRare(b.enc[:0], r), uids))
}

const (
	bitOdd = 1 << iota
	bitPacked
)

// appendRare writes bits, the rest of the name, and the keywords without a
// letter.
func appendRare(p []byte, r Rare) []byte {
	p = binary.AppendUvarint(p, boolBit(r.Odd)*bitOdd|boolBit(r.Packed)*bitPacked)
	return field.AppendText(field.AppendText(p, r.Rest), r.Keywords)
}

func (d *decoder) rare() Rare {
	bits := d.Uint()
	r := Rare{Odd: bits&bitOdd != 0, Packed: bits&bitPacked != 0, Rest: d.Text()}
	set := []byte(d.Text())
	if len(set) > MaxKeywords/8 {
		d.Fail()
		return Rare{}
	}
	r.Keywords = trim(set)
	return r
}

func (s *State) applyRare(d *decoder) {
	r := d.rare()
	uids := d.uids()
	if d.Bad() {
		return
	}
	for _, uid := range uids {
		if m := s.Get(uid); m != nil {
			m.Rare = s.rare(r)
		}
	}
}

// usual makes m's name the usual one again.
func (s *State) usual(m *Message) {
	if m.Rare != nil && m.Rare.Odd {
		r := *m.Rare
		r.Odd, r.Rest = false, ""
		m.Rare = s.rare(r)
	}
}
