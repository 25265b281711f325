package search

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/emersion/go-imap/v2"

	"toastmaster/internal/envelope"
	"toastmaster/internal/mime"
	"toastmaster/internal/mime/text"
)

// Info is what is known of a message without a look at it.
type Info struct {
	// Number is its place in the mailbox.
	Number uint32
	Flags  []imap.Flag
	Recent bool
	// Date is the internal date, Size that on the wire.
	Date time.Time
	Size int64
}

// Source is a message, whoever has it. It is asked only for what a key needs, and
// Info and Content at most once for a message.
type Source interface {
	// Info fills in all of i.
	Info(i *Info)
	// Text is the text of a column, valid until the next call. ok is false when it
	// is not at hand; the Program makes it of the record then.
	Text(ctx context.Context, c *Column) (text []byte, ok bool, err error)
	// Record is what a scan of the message found, valid until the next message. With
	// whole set it has all that a scan finds today.
	Record(ctx context.Context, whole bool) (*mime.Message, error)
	// Content opens it, with the record that fits. The Program closes it.
	Content(ctx context.Context) (envelope.Content, *mime.Message, error)
}

// Limits bound what a Program may cost, all its messages together.
type Limits struct {
	// Octets of messages may be read, Tests made; a test that needs more than Info
	// counts as twenty. At both ends the search is over.
	Octets int64
	Tests  int
	// Step is told units of work of some 100 ns; its error ends the search.
	Step func(units int) error
	// Now is the time that ages are counted from.
	Now time.Time
}

// The ends of a search that is too much work.
var (
	ErrWork  = errors.New("search reads too much")
	ErrTests = errors.New("search is too much work")
)

// errChanged: a content does not have the octets that its structure says.
var errChanged = errors.New("message changed while it was searched")

// Program evaluates keys against one message at a time. It belongs to one
// goroutine.
type Program struct {
	key    *node
	limits Limits
	texts  int  // keys that look into whole texts
	asks   bool // a key needs Info

	columns []*Column

	// The present message. What it costs is got when the first key needs it.
	ctx       context.Context
	source    Source
	info      Info
	structure *mime.Message
	whole     bool // structure is
	content   envelope.Content

	text   []byte // unfolded header text
	folded []byte
	block  []byte
	// all are the folded texts of the message when several keys look into
	// them, read once: see gather.
	all gathered
}

// New makes a Program.
func New(k *Key, l Limits) *Program {
	p := &Program{limits: l, texts: k.texts()}
	p.key = p.compile(k)
	return p
}

// node is a Key with what the Program has made of it.
type node struct {
	*Key
	kids   []*node
	column *Column
}

func (p *Program) compile(k *Key) *node {
	n := &node{Key: k}
	switch {
	case k.Kind == InField || k.Kind == InHeader:
		n.column = p.columnOf(k)
	case k.Kind > All && k.Kind < AllOf:
		p.asks = true
	}
	for _, kid := range k.Kids {
		n.kids = append(n.kids, p.compile(kid))
	}
	return n
}

// columnOf is the column that a key looks into, one for all keys with the same.
func (p *Program) columnOf(k *Key) *Column {
	c := Column{Part: noPart, Field: strings.ToLower(k.Field)}
	if k.Kind == InField {
		c = Column{Part: k.Part}
	}
	for _, have := range p.columns {
		if *have == c {
			return have
		}
	}
	p.columns = append(p.columns, &c)
	return &c
}

// Candidates are the numbers that a message must have to match, if the keys say.
func (p *Program) Candidates() (set []Range, ok bool) {
	k := p.key
	if k.Kind == InSet && !k.Not {
		return k.Set, true
	}
	if k.Kind == AllOf && !k.Not {
		for _, kid := range k.kids {
			if kid.Kind == InSet && !kid.Not {
				return kid.Set, true
			}
		}
	}
	return nil, false
}

// Match says whether a message matches. Errors are those of the source, of
// Limits.Step, ErrWork and ErrTests.
func (p *Program) Match(ctx context.Context, s Source) (bool, error) {
	p.ctx, p.source = ctx, s
	if p.asks {
		s.Info(&p.info)
	}
	ok, err := p.match(p.key)
	if p.structure != nil {
		p.forget()
	}
	return ok, err
}

// forget leaves the present message.
func (p *Program) forget() {
	p.all.state, p.structure, p.whole = unread, nil, false
	if p.content != nil {
		_ = p.content.Close()
		p.content = nil
	}
}

// dearTest is what a test counts that needs more than Info.
const dearTest = 20

func (p *Program) match(k *node) (bool, error) {
	cost := 1
	if k.Kind > AnyOf {
		cost = dearTest
	}
	if p.limits.Tests -= cost; p.limits.Tests < 0 {
		return false, ErrTests
	}
	if err := p.limits.Step(cost); err != nil {
		return false, err
	}
	ok, err := p.matchKind(k)
	return ok != k.Not, err
}

func (p *Program) matchKind(k *node) (bool, error) {
	switch k.Kind {
	case All:
		return true, nil
	case InSet:
		return inRanges(k.Set, p.info.Number), nil
	case HasFlag:
		return hasFlag(p.info.Flags, k.Flag), nil
	case IsRecent:
		return p.info.Recent, nil
	case Received:
		return k.within(DayOf(p.info.Date)), nil
	case HasSize:
		return k.within(p.info.Size), nil
	case IsOld:
		return k.within(int64(p.limits.Now.Sub(p.info.Date) / time.Second)), nil
	case AllOf, AnyOf:
		return p.matchKids(k)
	}
	return p.matchMessage(k)
}

// matchMessage tries the keys that need more than Info.
func (p *Program) matchMessage(k *node) (bool, error) {
	switch k.Kind {
	case Sent:
		if err := p.load(false); err != nil {
			return false, err
		}
		sent := SortKeysOf(p.structure).Sent
		return !sent.IsZero() && k.within(DayOf(sent)), nil
	case InField, InHeader:
		return p.matchColumn(k)
	}
	if err := p.open(); err != nil {
		return false, err
	}
	return p.matchText(k.Key)
}

// matchColumn looks into a field: its column if there is one, else the record, and
// at last the message.
func (p *Program) matchColumn(k *node) (bool, error) {
	folded, ok, err := p.source.Text(p.ctx, k.column)
	if err != nil {
		return false, err
	}
	if !ok {
		if err := p.load(k.Kind == InHeader); err != nil {
			return false, err
		}
		folded, ok = k.column.Append(p.folded[:0], &p.text, p.structure)
		p.folded = folded
	}
	if !ok {
		if err := p.open(); err != nil {
			return false, err
		}
		return p.matchHeader(k.Key)
	}
	if len(k.Needle) == 0 {
		return len(folded) > 0, nil
	}
	return bytes.Contains(folded, k.Needle), nil
}

func (p *Program) matchKids(k *node) (bool, error) {
	for _, kid := range k.kids {
		ok, err := p.match(kid)
		if err != nil {
			return false, err
		}
		if ok == (k.Kind == AnyOf) {
			return ok, nil
		}
	}
	return k.Kind == AllOf, nil
}

func inRanges(ranges []Range, number uint32) bool {
	i := sort.Search(len(ranges), func(i int) bool { return ranges[i].Last >= number })
	return i < len(ranges) && ranges[i].First <= number
}

// hasFlag finds a flag; keywords have no case.
func hasFlag(flags []imap.Flag, want imap.Flag) bool {
	return slices.ContainsFunc(flags, func(f imap.Flag) bool {
		return len(f) == len(want) && strings.EqualFold(string(f), string(want))
	})
}

// DayOf is a date as a number that compares like a date.
func DayOf(t time.Time) int64 {
	y, m, d := t.Date()
	return int64(y)*10000 + int64(m)*100 + int64(d)
}

// load gets the record of the message.
func (p *Program) load(whole bool) (err error) {
	if p.structure == nil || whole && !p.whole {
		p.structure, err = p.source.Record(p.ctx, whole)
		p.whole = whole
	}
	return err
}

// openWork is what it costs to open a message, in units of Limits.Step.
const openWork = 200

// open opens the message.
func (p *Program) open() error {
	if p.content != nil {
		return nil
	}
	if err := p.limits.Step(openWork); err != nil {
		return err
	}
	content, structure, err := p.source.Content(p.ctx)
	if err != nil {
		return err
	}
	p.content, p.structure, p.whole = content, structure, true
	return nil
}

// spend counts octets that are read.
func (p *Program) spend(octets int64) error {
	if p.limits.Octets -= octets; p.limits.Octets < 0 {
		return ErrWork
	}
	return nil
}

// readWork is what it costs to read, decode and fold octets, in units of
// Limits.Step.
func readWork(octets int) int { return octets / 16 }

// holds says whether header text has the folded needle in it.
func (p *Program) holds(header, needle []byte) bool {
	if len(needle) == 0 {
		return true
	}
	p.folded = text.Fold(p.folded[:0], text.DecodeWords(header))
	return bytes.Contains(p.folded, needle)
}
