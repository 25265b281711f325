package box

import (
	"context"
	"errors"
	"iter"
	"slices"
	"time"

	"github.com/emersion/go-imap/v2"

	"toastmaster/mailstore/account"
	"toastmaster/mailstore/index"
	"toastmaster/mailstore/maildir"
	"toastmaster/mailstore/volume"
)

// View is what one session sees of an open mailbox: a vector of UIDs that
// changes only in Update, so that sequence numbers are stable between, and what
// a sequence number stands for never changes. A View belongs to one goroutine,
// except Changed.
//
// The vector is never written to, so it needs no lock; as long as the session
// has seen all changes it is the mailbox's own, and a thousand idle sessions
// share one. All else is asked of the mailbox, under its lock.
type View struct {
	mb       *Box
	name     string
	readOnly bool
	changed  chan struct{}

	uids []uint32
	// partly says that the mailbox has messages with UIDs lower than the last
	// one of the view that the view does not have.
	partly bool
	// left is the place in the list of what left the mailbox up to which
	// departed has it: the messages of the view that are no more, as they last
	// were.
	left     *index.Departed
	departed map[uint32]*index.Message

	// version, setGen, flagsGen and modSeq are the mailbox's at the last
	// Update.
	version          uint64
	setGen, flagsGen uint64
	modSeq           uint64
	uidNext          uint32
	keywords         int
	// recent are the UIDs that this session was the first to see.
	recent recents
	// window is a piece of the cache file, read ahead. It goes back to the
	// pool at Update, so that an idle session holds none.
	window *window
	// ahead is where in the cache file the messages end that are asked for, 0 if that
	// is not known.
	ahead int64
}

// View makes a view of the mailbox for one session, with a use of it that Close gives
// back; with an error the use stays the caller's. A read-write view takes the messages
// that are recent; a read-only one leaves them recent. name is what Info tells.
func (mb *Box) View(ctx context.Context, name string, readOnly bool) (*View, error) {
	v := &View{mb: mb, name: name, readOnly: readOnly, changed: make(chan struct{}, 1)}
	if err := mb.Refresh(ctx); err != nil {
		return nil, err
	}
	if err := v.show(ctx); err != nil {
		return nil, err
	}
	return v, nil
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
	v.uids, v.left = slices.Clip(mb.st.UIDs), mb.st.Left()
	if err := v.promise(ctx); err != nil {
		return err
	}
	mb.views[v] = struct{}{}
	return nil
}

// Close ends the view.
func (v *View) Close() error {
	v.dropWindow()
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
		Messages: uint32(len(v.uids)), Recent: v.countRecent(), HighestModSeq: v.modSeq,
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
	for k, m := range v.messages(len(v.uids)) {
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

// Len is the number of messages.
func (v *View) Len() int { return len(v.uids) }

// UID is the UID of message seq (1..Len), 0 if there is none.
func (v *View) UID(seq uint32) imap.UID { return imap.UID(v.uid(seq)) }

func (v *View) uid(seq uint32) uint32 {
	if seq == 0 || int64(seq) > int64(len(v.uids)) {
		return 0
	}
	return v.uids[seq-1]
}

// Seq is the sequence number of uid, 0 if it is not in the view.
func (v *View) Seq(uid imap.UID) uint32 {
	i, ok := index.FindIn(v.uids, uint32(uid))
	if !ok {
		return 0
	}
	return uint32(i) + 1
}

// SeqAtLeast is the sequence number of the first message with a UID of at
// least uid, Len+1 if there is none.
func (v *View) SeqAtLeast(uid imap.UID) uint32 {
	i, _ := index.FindIn(v.uids, uint32(uid))
	return uint32(i) + 1
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
func (v *View) Message(seq uint32) Message {
	if v.uid(seq) == 0 {
		return Message{}
	}
	v.mb.mu.Lock()
	defer v.mb.mu.Unlock()
	return v.tell(v.known(seq))
}

// tell is the metadata of m. The mailbox is locked.
func (v *View) tell(m *index.Message) Message {
	return Message{
		UID: imap.UID(m.UID), Flags: v.mb.keywords.set(v.mb.st, m.FlagSet()), Recent: v.isRecent(m.UID),
		Date: m.Time(), Size: m.Wire, ModSeq: m.ModSeq,
	}
}

// live is the message of seq if it still exists. The mailbox is locked.
func (v *View) live(seq uint32) *index.Message {
	if v.uid(seq) == 0 || v.mb.dead {
		return nil
	}
	return v.find(seq)
}

// find is the message of seq in the mailbox, which is locked; nil when it is in
// departed.
func (v *View) find(seq uint32) *index.Message {
	st, i, uid := v.mb.st, int(seq)-1, v.uids[seq-1]
	var m *index.Message
	if i < len(st.UIDs) && st.UIDs[i] == uid {
		m = st.Messages[i]
	} else {
		m = st.Get(uid)
	}
	if v.left.Next == nil && len(v.departed) == 0 {
		return m
	}
	v.noteDeparted()
	// A UID would not do: what is lost and made anew may use it for another
	// message.
	if was := v.departed[uid]; was != nil && (m == nil || m.Name != was.Name) {
		return nil
	}
	return m
}

// known is the message of seq as it is, or as it last was. The mailbox is locked.
func (v *View) known(seq uint32) *index.Message {
	if m := v.find(seq); m != nil {
		return m
	}
	return v.departed[v.uids[seq-1]]
}

// noteDeparted takes what left the mailbox, as far as it is in the view.
func (v *View) noteDeparted() {
	for ; v.left.Next != nil; v.left = v.left.Next {
		for _, m := range v.left.Messages {
			if _, ours := index.FindIn(v.uids, m.UID); !ours {
				continue
			}
			if was := v.departed[m.UID]; was != nil && was.Name != m.Name {
				continue // another message, after a loss
			}
			if v.departed == nil {
				v.departed = map[uint32]*index.Message{}
			}
			v.departed[m.UID] = m
		}
	}
}

// messages are the first n messages of the view with their indexes in it: what
// they are, or what they last were. The mailbox is locked.
func (v *View) messages(n int) iter.Seq2[int, *index.Message] {
	return func(yield func(int, *index.Message) bool) {
		v.noteDeparted()
		st, k := v.mb.st, 0
		for i, uid := range v.uids[:n] {
			for k < len(st.UIDs) && st.UIDs[k] < uid {
				k++
			}
			var m *index.Message
			if k < len(st.UIDs) && st.UIDs[k] == uid {
				m = st.Messages[k]
			}
			if was := v.departed[uid]; was != nil && (m == nil || m.Name != was.Name) {
				m = was
			}
			if !yield(i, m) {
				return
			}
		}
	}
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

// Vanished lists the UIDs of messages that were expunged after the mailbox had
// the given mod-sequence, ascending: VANISHED (EARLIER) of RFC 7162 section
// 3.2.5. ok is false when that is too long ago to be remembered; the client
// must then be told of every UID that is not there.
func (v *View) Vanished(since uint64) (uids []imap.UID, ok bool) {
	mb := v.mb
	mb.mu.Lock()
	defer mb.mu.Unlock()
	if mb.dead || since < mb.st.Forgotten {
		return nil, false
	}
	for i := len(mb.st.Expunged) - 1; i >= 0 && mb.st.Expunged[i].ModSeq > since; i-- {
		// Those still in the view are reported by Update.
		if uid := imap.UID(mb.st.Expunged[i].UID); v.Seq(uid) == 0 {
			uids = append(uids, uid)
		}
	}
	slices.Sort(uids)
	return slices.Compact(uids), true
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
	v.dropWindow()
	old := v.mb
	old.mu.Lock()
	// Nothing changes there any more.
	validity, msgs := old.st.UIDValidity, make([]*index.Message, len(v.uids))
	for i, m := range v.messages(len(v.uids)) {
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

// settle makes v a view of mb, which is where its mailbox went; msgs are those of
// the view. It does nothing when mb has gone on, or is another mailbox, which is
// ErrGone.
func (v *View) settle(mb *Box, validity uint32, msgs []*index.Message) (moved bool, err error) {
	mb.mu.Lock()
	defer mb.mu.Unlock()
	switch {
	case mb.dead:
		return false, nil // once more
	case mb.st.UIDValidity != validity:
		return false, volume.ErrGone
	}
	departed := map[uint32]*index.Message{}
	for i, uid := range v.uids {
		if m := mb.st.Get(uid); m == nil || m.Name != msgs[i].Name {
			departed[uid] = msgs[i]
		}
	}
	v.mb, v.left, v.departed = mb, mb.st.Left(), departed
	mb.views[v] = struct{}{}
	// No number of this mailbox is one of the old one.
	v.version, v.setGen, v.flagsGen = ^uint64(0), ^uint64(0), ^uint64(0)
	if name, ok := maildir.FolderName(mb.dir, mb.vol.Separator); ok {
		v.name = name
	}
	return true, nil
}
