package mailstore

import (
	"container/list"
	"context"
	"errors"
	"io/fs"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emersion/go-imap/v2"

	"toastmaster/internal/spool"
	"toastmaster/mailstore/index"
	"toastmaster/mailstore/maildir"
)

// mailbox is one mailbox in memory, shared by all sessions of this process.
//
// The order of the locks is in doc.go.
type mailbox struct {
	acct *account
	dir  string // below home, "" for INBOX
	path string

	// Under Store.mu.
	refs int
	slot *list.Element // in Store.idle
	cost int64

	// deleted is set when the folder was; under acct.journaling.
	deleted bool

	// settled says that the folder is durable with its name and those of its
	// parents.
	settled atomic.Bool

	mu     sync.Mutex
	loaded bool
	// version goes up with every change that a view could show.
	version uint64
	// dead: the folder was deleted or renamed, see follow.go. over says the
	// same to who does not hold mu.
	dead  bool
	over  atomic.Bool
	st    *index.State
	log   *index.Log
	cache *index.Cache
	batch index.Batch
	// more are keywords of unknown messages by their base names, in a rebuild.
	more  map[string]index.Keywords
	views map[*View]struct{}
	// flagsGen and gonegen count changes of flags and of the set of messages
	// other than growth.
	flagsGen, goneGen uint64
	flagSets          map[index.Marks][]imap.Flag
	isLazy            bool // on Store.lazy
	// wrote is the epoch of the last change, added that of the last message
	// that came, and addedFrom the first UID that no checkpoint covers then.
	wrote, added uint64
	addedFrom    uint32
	sync         syncState
	uids         listState
}

func newMailbox(a *account, dir, path string) *mailbox {
	return &mailbox{acct: a, dir: dir, path: path, views: map[*View]struct{}{}}
}

func (mb *mailbox) store() *Store { return mb.acct.store }

// release gives up one use. A mailbox nobody uses stays in memory as long as
// there is room.
func (s *Store) release(mb *mailbox) {
	var out []*mailbox
	usable, cost := mb.weigh()
	s.mu.Lock()
	mb.refs--
	if mb.refs == 0 && s.boxes[mb.path] == mb {
		if usable {
			mb.cost = cost
			mb.slot = s.idle.PushFront(mb)
			s.idleBytes += mb.cost
		} else {
			delete(s.boxes, mb.path)
			out = append(out, mb)
		}
	} else if mb.refs == 0 {
		out = append(out, mb)
	}
	for s.idle.Len() > 0 && (s.idleBytes > s.cfg.IndexMemory || s.idle.Len() > s.cfg.OpenMailboxes) {
		last := s.idle.Back().Value.(*mailbox)
		s.unidle(last)
		delete(s.boxes, last.path)
		out = append(out, last)
	}
	s.mu.Unlock()
	for _, old := range out {
		if err := old.shutNow(); err != nil {
			s.log.Warn("closing a mailbox", "path", old.path, "cause", err)
		}
		s.releaseAccount(old.acct)
	}
}

// unidle takes mb off the idle list; s.mu is held.
func (s *Store) unidle(mb *mailbox) {
	if mb.slot == nil {
		return
	}
	s.idle.Remove(mb.slot)
	s.idleBytes -= mb.cost
	mb.slot = nil
}

// Sizes of what a mailbox holds, measured, for the bound on memory.
const (
	mailboxCost = 4 << 10
	messageCost = 200
	goneCost    = 120
)

// weigh says whether mb can be used again and what it holds in memory.
func (mb *mailbox) weigh() (usable bool, cost int64) {
	mb.mu.Lock()
	defer mb.mu.Unlock()
	if !mb.loaded || mb.dead {
		return false, 0
	}
	return true, mailboxCost + int64(len(mb.st.Messages))*messageCost + int64(len(mb.st.Expunged))*goneCost
}

// ensureLoaded loads the index the first time.
func (mb *mailbox) ensureLoaded(ctx context.Context) (err error) {
	mb.mu.Lock()
	defer mb.mu.Unlock()
	switch {
	case mb.dead:
		return ErrNotFound
	case mb.loaded:
		return nil
	}
	s := mb.store()
	// The log must not be made elsewhere than in a Maildir.
	there, err := s.isMaildir(mb.path)
	if err != nil {
		return err
	}
	if !there {
		return &fs.PathError{Op: "open", Path: mb.path, Err: fs.ErrNotExist}
	}
	if err := s.complete(mb.path); err != nil {
		return err
	}
	log, err := index.OpenLog(index.Options{FS: s.fs, Dir: mb.path, Clock: s.clock, Wait: s.cfg.LockTimeout, Room: s.giveRoom})
	if err != nil {
		return err
	}
	mb.log, mb.cache = log, index.OpenCache(s.fs, mb.path)
	defer func() {
		err = errors.Join(err, mb.log.Unlock())
		if !mb.loaded {
			err = errors.Join(err, mb.log.Close())
		}
	}()
	err = mb.load(ctx)
	mb.loaded = err == nil
	return err
}

// load reads or rebuilds the index and compares it with the Maildir. It takes
// the lock of the log; the caller gives it back, after an error too.
func (mb *mailbox) load(ctx context.Context) error {
	mb.batch.Reset()
	st, err := mb.log.Load(ctx)
	damaged := errors.Is(err, index.ErrDamaged)
	if damaged {
		st, err = mb.rebuild(st)
	}
	if err != nil {
		return err
	}
	changed, err := mb.log.Changed()
	if err != nil {
		return err
	}
	if mb.st != nil && (st.UIDValidity != mb.st.UIDValidity || !st.Succeed(mb.st)) {
		// Somebody made the index anew. What views hold are the UIDs of another
		// mailbox.
		mb.bury()
		return ErrNotFound
	}
	mb.adopt(st)
	if mb.wrote = 0; mb.log.Fresh || !mb.store().points.covers(changed) {
		mb.wrote = mb.store().points.note()
		mb.noteAdded(1)
	}
	mb.uids.keys = 0
	err = mb.readKeywords()
	if err == nil {
		var letters maildir.Flags
		for _, m := range st.Messages {
			letters |= m.Flags
		}
		mb.nameLetters(letters)
	}
	if err == nil && damaged {
		mb.more, err = mb.readMoreKeywords()
		defer func() { mb.more = nil }()
	}
	if err == nil {
		err = mb.finishUnlinks()
	}
	if err == nil {
		err = mb.compare(ctx, damaged)
	}
	if err == nil {
		err = mb.commit(nil)
	}
	return err
}

// adopt makes st the state: the first one, or the successor of what there was.
func (mb *mailbox) adopt(st *index.State) {
	if mb.st != nil {
		mb.goneGen++
		mb.flagsGen++
		mb.version++
	}
	mb.st = st
	mb.sync = syncState{}
	if st.New.Racy {
		mb.sync.newDue = mb.now()
	}
	if st.Cur.Racy {
		mb.sync.curDue = mb.now()
	}
	mb.flagSets = map[index.Marks][]imap.Flag{}
}

// commit appends the batch and tells the views, except the one that did it.
func (mb *mailbox) commit(by *View) error { return mb.commitWith(mb.log.Append, by) }

// commitNew is commit for mail that comes, which gets no room that is kept for
// deletions.
func (mb *mailbox) commitNew() error { return mb.commitWith(mb.log.AppendNew, nil) }

func (mb *mailbox) commitWith(write func(*index.State, *index.Batch) error, by *View) error {
	if mb.batch.Empty() {
		return nil
	}
	err := write(mb.st, &mb.batch)
	mb.batch.Reset()
	if err != nil {
		return storeError(err)
	}
	mb.touched(by)
	return nil
}

// noteAdded remembers that messages from a UID on came just now.
func (mb *mailbox) noteAdded(uid uint32) {
	p := &mb.store().points
	if mb.added <= p.durable.Load() || uid < mb.addedFrom {
		mb.addedFrom = uid
	}
	mb.added = p.note()
}

// fresh says that a message up to this UID may be covered by no checkpoint.
func (mb *mailbox) fresh(uid uint32) bool {
	mb.mu.Lock()
	defer mb.mu.Unlock()
	return mb.added > mb.store().points.durable.Load() && uid >= mb.addedFrom
}

// touched marks a change and wakes the views.
func (mb *mailbox) touched(by *View) {
	mb.wrote = mb.store().points.note()
	mb.later()
	mb.version++
	for v := range mb.views {
		if v == by {
			continue
		}
		select {
		case v.changed <- struct{}{}:
		default:
		}
	}
}

// later puts the mailbox on the list for Run.
func (mb *mailbox) later() {
	s := mb.store()
	if mb.isLazy {
		return
	}
	mb.isLazy = true
	s.lazyMu.Lock()
	s.lazy[mb] = struct{}{}
	s.lazyMu.Unlock()
}

// shut ends the mailbox's life in memory: everything lazy is written.
func (mb *mailbox) shut(ctx context.Context) error {
	mb.mu.Lock()
	defer mb.mu.Unlock()
	if !mb.loaded {
		return nil
	}
	mb.loaded = false
	mb.store().forgetLazy(mb)
	if mb.dead || mb.acct.gone.Load() {
		return errors.Join(mb.log.Close(), mb.cache.Close())
	}
	err := mb.writeLast(ctx)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil // another process has deleted or renamed the folder
	}
	return errors.Join(err, mb.log.Close(), mb.cache.Close())
}

// shutNow is shut of a mailbox that leaves memory, within store.close_timeout.
func (mb *mailbox) shutNow() error {
	ctx, cancel := mb.store().last()
	defer cancel()
	return mb.shut(ctx)
}

// writeLast writes what is lazy.
func (mb *mailbox) writeLast(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return mb.flocked(ctx, func() error {
		err := mb.writeUIDList()
		if spool.IsFull(err) {
			// Whoever needs it without us has the old one; the index has all.
			mb.store().log.Warn("no room for "+uidListFile, "path", mb.path, "cause", err)
			err = nil
		}
		if !mb.st.Closed {
			mb.batch.Reset()
			mb.batch.Close()
			err = errors.Join(err, mb.commit(nil))
		}
		return err
	})
}

func (mb *mailbox) now() time.Time { return mb.store().clock.Now() }
