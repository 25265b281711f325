package box

import (
	"container/list"
	"context"
	"errors"
	"slices"

	"toastmaster/internal/lockorder"
	"toastmaster/internal/mime"
	"toastmaster/mailstore/index"
	"toastmaster/mailstore/search"
	"toastmaster/mailstore/volume"
)

// A search in a header field compares the folded text of each message. The texts of
// all messages of a mailbox lie in one piece of memory, a column, which the first
// search through a large part of the mailbox makes of the records and all sessions
// share. Not taken: folded texts in the records, which would be read for nothing by
// whoever lists a mailbox, and an index of words, which does not find substrings.

// columnKey is a column of a mailbox in memory.
type columnKey struct {
	mb *Box
	of search.Column
}

// column is the text of one field of many messages. It is never changed.
type column struct {
	// uids ascend; the text of the message at i ends at ends[i]. One that is
	// unknownText has to be asked of the message.
	uids, ends []uint32
	text       []byte
	// generation is the mailbox's when it was made. tooLarge: it has no text, for
	// this mailbox needs more than there may be.
	generation generation
	tooLarge   bool
}

// generation changes when a record of a message changes its meaning.
type generation struct{ states, resized uint64 }

// unknownText is no text of a column.
const unknownText = "\xfe"

func (c *column) cost() int64 { return int64(cap(c.text)) + 8*int64(len(c.uids)) + 200 }

// at is the text of uid; hint is where it may be, and next where the next one may.
func (c *column) at(uid uint32, hint int) (text []byte, next int, ok bool) {
	if hint >= len(c.uids) || c.uids[hint] != uid {
		if hint, ok = index.FindIn(c.uids, uid); !ok {
			return nil, hint, false
		}
	}
	from := uint32(0)
	if hint > 0 {
		from = c.ends[hint-1]
	}
	text = c.text[from:c.ends[hint]]
	return text, hint + 1, string(text) != unknownText
}

// columnCache has the columns that were used last. Its lock is one of the innermost.
type columnCache struct {
	limit int64

	mu   lockorder.Mutex[volume.InnerLock]
	cost int64
	kept map[columnKey]*list.Element
	// order has *keptColumn, the one that was used last in front.
	order list.List
}

type keptColumn struct {
	key columnKey
	*column
}

func (c *columnCache) get(key columnKey) *column {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.kept[key]
	if e == nil {
		return nil
	}
	c.order.MoveToFront(e)
	return e.Value.(keptColumn).column
}

func (c *columnCache) put(key columnKey, col *column) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kept == nil {
		c.kept = map[columnKey]*list.Element{}
	}
	if e := c.kept[key]; e != nil {
		c.drop(e)
	}
	if col.cost() > c.limit {
		return
	}
	for c.cost+col.cost() > c.limit {
		c.drop(c.order.Back())
	}
	c.kept[key] = c.order.PushFront(keptColumn{key, col})
	c.cost += col.cost()
}

// forget drops the columns of a mailbox that leaves memory.
func (c *columnCache) forget(mb *Box) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for key, e := range c.kept {
		if key.mb == mb {
			c.drop(e)
		}
	}
}

func (c *columnCache) drop(e *list.Element) {
	k := c.order.Remove(e).(keptColumn)
	delete(c.kept, k.key)
	c.cost -= k.cost()
}

// Texts are the columns of a view, for one search. It belongs to the view's
// goroutine, and ends with the next call of Update.
type Texts struct {
	v     *View
	step  func(units int) error
	inUse []*columnInUse
}

type columnInUse struct {
	of    *search.Column
	have  *column
	hint  int
	asked int
}

// manyTexts is from how many messages on a search makes a column for the rest. It is
// no parameter: at a thousandth of the work for a large mailbox it is known that the
// search does not end soon.
const manyTexts = 64

// Of is the text of a column for message seq. ok is false when there is no column,
// or it does not know the message: ask its record then.
func (t *Texts) Of(ctx context.Context, seq uint32, of *search.Column) (text []byte, ok bool, err error) {
	u := t.use(of)
	if u.have == nil {
		if u.asked++; u.asked != 1 && u.asked != manyTexts {
			return nil, false, nil
		}
		if u.have, err = t.column(ctx, of, u.asked == manyTexts); err != nil || u.have == nil {
			return nil, false, err
		}
	}
	text, u.hint, ok = u.have.at(t.v.uids[seq-1], u.hint)
	return text, ok, nil
}

func (t *Texts) use(of *search.Column) *columnInUse {
	for _, u := range t.inUse {
		if u.of == of {
			return u
		}
	}
	u := &columnInUse{of: of}
	t.inUse = append(t.inUse, u)
	return u
}

// column is a column with all messages of the view, nil if there is none. One is
// made if make is set, and one that lacks what came since is gone on with.
func (t *Texts) column(ctx context.Context, of *search.Column, make bool) (*column, error) {
	mb := t.v.mb
	uids, now, ok := t.searchable()
	if !ok {
		return nil, nil
	}
	cache := &mb.o.Memory.columns
	key := columnKey{mb, *of}
	have := cache.get(key)
	if have != nil && have.generation != now {
		have = nil
	}
	if have != nil && (have.tooLarge || len(have.uids) > 2*len(uids)+manyTexts) {
		if len(uids) > len(have.uids)/2 {
			return nil, nil
		}
		have = nil // most of it is gone
	}
	switch {
	case have == nil && !make:
		return nil, nil
	case have == nil:
		have = &column{generation: now}
	case len(uids) == 0 || len(have.uids) > 0 && have.uids[len(have.uids)-1] >= uids[len(uids)-1]:
		return have, nil
	}
	next, err := t.extend(ctx, have, uids, of)
	if err != nil {
		return nil, err
	}
	if _, after, ok := t.searchable(); !ok || after != now {
		return nil, nil // somebody changed a message meanwhile
	}
	cache.put(key, next)
	if next.tooLarge {
		return nil, nil
	}
	return next, nil
}

// searchable are the UIDs of the mailbox, if all messages of the view are there.
func (t *Texts) searchable() (uids []uint32, now generation, ok bool) {
	v, mb := t.v, t.v.mb
	mb.mu.Lock()
	defer mb.mu.Unlock()
	if mb.dead {
		return nil, now, false
	}
	v.noteDeparted()
	return slices.Clip(mb.st.UIDs), generation{mb.states, mb.st.Resized}, len(v.departed) == 0
}

// recordWork is what it costs to read a record and take a field out of it, in units
// of step; openWork what it costs to open a message.
const (
	recordWork = 20
	openWork   = 200
)

// extend is a column with what another has and the messages of uids that follow.
func (t *Texts) extend(ctx context.Context, have *column, uids []uint32, of *search.Column) (*column, error) {
	from := 0
	if n := len(have.uids); n > 0 {
		var found bool
		if from, found = index.FindIn(uids, have.uids[n-1]); found {
			from++
		}
	}
	more := uids[from:]
	next := &column{
		generation: have.generation,
		uids:       append(slices.Clip(have.uids), more...),
		ends:       slices.Grow(slices.Clip(have.ends), len(more)),
		text:       slices.Clip(have.text),
	}
	limit := min(t.v.mb.o.Memory.columns.limit, 1<<32-1)
	var m mime.Message
	var scratch []byte
	for _, uid := range more {
		if err := t.step(recordWork); err != nil {
			return nil, err
		}
		ok, err := t.recordOf(ctx, uid, of, &m)
		if err != nil {
			return nil, err
		}
		before := len(next.text)
		if ok {
			next.text, ok = of.Append(next.text, &scratch, &m)
		}
		if !ok {
			next.text = append(next.text[:before], unknownText...)
		}
		next.ends = append(next.ends, uint32(len(next.text)))
		if int64(len(next.text))+8*int64(len(next.uids)) > limit {
			return &column{generation: have.generation, uids: uids, tooLarge: true}, nil
		}
	}
	next.text = slices.Clip(next.text)
	return next, nil
}

// recordOf reads the record of a message of the mailbox; ok is false when it has
// none that can be read.
func (t *Texts) recordOf(ctx context.Context, uid uint32, of *search.Column, m *mime.Message) (ok bool, err error) {
	v, mb := t.v, t.v.mb
	r, ok, err := func() (r reading, ok bool, err error) {
		mb.mu.Lock()
		defer mb.mu.Unlock()
		if is := mb.st.Get(uid); is != nil && !mb.dead {
			r = reading{mb, uid, is.Name}
			ok, err = v.cache.record(&mb.records, is, m, of.NeedsFields())
		}
		return r, ok, err
	}()
	if r.mb == nil || ok || err != nil {
		return ok, volume.Err(err)
	}
	if err = t.step(openWork); err != nil {
		return false, err
	}
	if len(m.Parts) == 0 {
		err = r.scanAgain(ctx, m)
	} else {
		err = r.takeHeader(ctx, m)
	}
	if errors.Is(err, volume.ErrExpunged) || errors.Is(err, volume.ErrUnreadable) {
		return false, nil // who asks for it hears so
	}
	return err == nil, err
}
