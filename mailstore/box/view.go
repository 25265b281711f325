package box

import (
	"context"
	"errors"
	"time"

	"github.com/emersion/go-imap/v2"

	"toastmaster/mailstore/account"
	"toastmaster/mailstore/index"
	"toastmaster/mailstore/maildir"
	"toastmaster/mailstore/volume"
)

// View is what one session sees of an open mailbox. Its sequence numbers
// change only in Update, so they are stable between, and what
// a sequence number stands for never changes. A View belongs to one goroutine,
// except Changed. All but the numbers is asked of the mailbox, under its lock.
type View struct {
	mb       *Box
	name     string
	readOnly bool
	changed  chan struct{}

	// numbers are its messages.
	numbers

	// version, setGen, flagsGen and modSeq are the mailbox's at the last
	// Update.
	version          uint64
	setGen, flagsGen uint64
	modSeq           uint64
	uidNext          uint32
	keywords         int
	// recent are those that are recent for this session.
	recent recents
	// cache reads what the mailbox's cache has of messages.
	cache cacheReader
}

// show makes v one of its mailbox's views, unless there is an error.
func (v *View) show(ctx context.Context) error {
	mb := v.mb
	mb.mu.Lock()
	defer mb.mu.Unlock()
	if mb.dead {
		return volume.ErrNotFound
	}
	v.version, v.setGen, v.flagsGen = mb.version, mb.setGen, mb.flagsGen
	v.modSeq, v.uidNext, v.keywords = mb.st.ModSeq, mb.st.UIDNext, len(mb.st.Keywords)
	v.all(mb.st)
	if err := v.promise(ctx); err != nil {
		return err
	}
	mb.views[v] = struct{}{}
	return nil
}

// Close ends the view.
func (v *View) Close() error {
	v.cache.drop(v.mb.o.Memory)
	v.mb.mu.Lock()
	_, open := v.mb.views[v]
	delete(v.mb.views, v)
	v.mb.mu.Unlock()
	if open {
		v.mb.Put()
	}
	return nil
}

// Info is the mailbox as of the last Update.
type Info struct {
	Name          string
	ReadOnly      bool
	UIDValidity   uint32
	UIDNext       uint32
	Messages      uint32
	Recent        uint32
	FirstUnseen   uint32 // sequence number, 0 if none
	HighestModSeq uint64
	// Flags are the flags and keywords in use; system flags first.
	Flags []imap.Flag
	// KeywordsFull says that no new keyword can be made (PERMANENTFLAGS
	// without \*).
	KeywordsFull bool
}

// Info describes the mailbox.
func (v *View) Info() Info {
	mb := v.mb
	mb.mu.Lock()
	defer mb.mu.Unlock()
	i := Info{
		Name: v.name, ReadOnly: v.readOnly, UIDValidity: mb.st.UIDValidity, UIDNext: v.uidNext,
		Messages: uint32(len(v.uids)), Recent: v.recent.count(mb.st, v.uids), HighestModSeq: v.modSeq,
		KeywordsFull: mb.st.FreeKeyword(mb.vol.Config.MaxKeywords) < 0,
	}
	i.FirstUnseen = v.firstUnseen()
	system := systemFlags()
	i.Flags = make([]imap.Flag, 0, len(system)+len(mb.st.Keywords))
	for _, s := range system {
		i.Flags = append(i.Flags, s.flag)
	}
	for _, k := range mb.st.Keywords {
		if k != "" {
			i.Flags = append(i.Flags, imap.Flag(k))
		}
	}
	return i
}

// firstUnseen is the number of the first message without \Seen, 0 for none. In a
// mailbox of which all was read it is behind all of it, so who opens that again while
// nothing changed does not look for it again. The mailbox is locked.
func (v *View) firstUnseen() uint32 {
	mb := v.mb
	current := v.version == mb.version && !v.partly
	if current && mb.unseen.known && mb.unseen.version == mb.version {
		return mb.unseen.first
	}
	first := uint32(0)
	for k, m := range v.messages(mb.st, len(v.uids)) {
		if m.Flags&seen == 0 {
			first = uint32(k) + 1
			break
		}
	}
	if current {
		mb.unseen.version, mb.unseen.first, mb.unseen.known = mb.version, first, true
	}
	return first
}

// Message is the metadata of one message.
type Message struct {
	UID imap.UID
	// Flags holds system flags and keywords, without \Recent. Shared, not to
	// be changed.
	Flags  []imap.Flag
	Recent bool
	// Date is INTERNALDATE, Size the exact size on the wire (CR LF).
	Date   time.Time
	Size   int64
	ModSeq uint64
}

// Message returns the metadata of message seq from memory. Of a message that
// is expunged already it is the last that was known.
func (v *View) Message(seq uint32) (m Message) {
	v.Tell(seq, &m)
	return m
}

// Tell is Message for who asks for very many, into m.
func (v *View) Tell(seq uint32, m *Message) {
	if v.uid(seq) == 0 {
		*m = Message{}
		return
	}
	v.mb.mu.Lock()
	defer v.mb.mu.Unlock()
	v.tell(v.known(v.mb.st, seq), m)
}

// tell is Tell for a message of the mailbox, which is locked.
func (v *View) tell(is *index.Message, m *Message) {
	mb := v.mb
	m.UID, m.Flags, m.Recent = imap.UID(is.UID), mb.keywords.set(mb.st, is.FlagSet()), v.recent.has(mb.st, is.UID)
	m.Date, m.Size, m.ModSeq = is.Time(), is.Wire, is.ModSeq
}

// live is the message of seq if it still exists. The mailbox is locked.
func (v *View) live(seq uint32) *index.Message {
	if v.uid(seq) == 0 || v.mb.dead {
		return nil
	}
	return v.find(v.mb.st, seq)
}

// AnyExpunged says whether one of the messages seqs was expunged by another session
// since the last Update. The view still has its number.
func (v *View) AnyExpunged(seqs []uint32) bool {
	v.mb.mu.Lock()
	defer v.mb.mu.Unlock()
	if !v.mb.dead && v.setGen == v.mb.setGen {
		return false
	}
	for _, seq := range seqs {
		if v.live(seq) == nil {
			return true
		}
	}
	return false
}

// A mailbox that was renamed leaves memory under its old name and is loaded
// under the new one; the views of it go along (follow). From one that was
// deleted, or made anew with other UIDs, they get ErrGone, and whoever holds
// them ends its session: its numbers mean nothing any more.

// retry runs f, in the place where the mailbox is now, and once more if it left
// while f ran and nothing was done.
func (v *View) retry(ctx context.Context, f func() error) error {
	for again := false; ; again = true {
		if err := v.here(ctx); err != nil {
			return err
		}
		err := f()
		if err == nil || again || !v.mb.over.Load() {
			return err
		}
	}
}

// here makes v a view of the mailbox where it is now. ErrGone when it is
// nowhere.
func (v *View) here(ctx context.Context) error {
	for v.mb.over.Load() {
		if err := v.follow(ctx); err != nil {
			if errors.Is(err, volume.ErrNotFound) {
				return volume.ErrGone
			}
			return err
		}
	}
	return nil
}

// follow goes to where the mailbox was renamed to. The messages keep their
// numbers until the next Update.
func (v *View) follow(ctx context.Context) error {
	v.cache.drop(v.mb.o.Memory)
	old := v.mb
	old.mu.Lock()
	// Nothing changes there any more.
	validity, msgs := old.st.UIDValidity, make([]*index.Message, len(v.uids))
	for i, m := range v.messages(old.st, len(v.uids)) {
		msgs[i] = m
	}
	old.mu.Unlock()
	dir, ok := old.acct.Trail.End(account.FolderID{Dir: old.dir, Validity: validity})
	if !ok {
		return volume.ErrGone
	}
	mb, err := old.o.OpenDir(ctx, dir)
	if err != nil {
		return err
	}
	moved, err := v.settle(mb, validity, msgs)
	if !moved {
		mb.Put()
		return err
	}
	old.mu.Lock()
	delete(old.views, v)
	old.mu.Unlock()
	old.Put()
	return nil
}

// settle makes v a view of mb, to which its mailbox was renamed; msgs are the messages of the
// view. It does nothing when mb was renamed once more (moved is false without an error), or is
// another mailbox (ErrGone).
func (v *View) settle(mb *Box, validity uint32, msgs []*index.Message) (moved bool, err error) {
	mb.mu.Lock()
	defer mb.mu.Unlock()
	switch {
	case mb.dead:
		return false, nil // once more
	case mb.st.UIDValidity != validity:
		return false, volume.ErrGone
	}
	v.numbers.follow(mb.st, msgs)
	v.mb = mb
	mb.views[v] = struct{}{}
	// No number of this mailbox is one of the old one.
	v.version, v.setGen, v.flagsGen = ^uint64(0), ^uint64(0), ^uint64(0)
	if name, ok := maildir.FolderName(mb.dir, mb.vol.Separator); ok {
		v.name = name
	}
	return true, nil
}
