package mailstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/emersion/go-imap/v2"

	"toastmaster/internal/envelope"
	"toastmaster/internal/mime"
	"toastmaster/mailstore/index"
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
	mb       *mailbox
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

	// version, goneGen, flagsGen and modSeq are the mailbox's at the last
	// Update.
	version           uint64
	goneGen, flagsGen uint64
	modSeq            uint64
	uidNext           uint32
	keywords          int
	// recent are the UIDs that this session was the first to see.
	recent []uidRange
	// window is a piece of the cache file, read ahead. It goes back to the
	// pool at Update, so that an idle session holds none.
	window *window
}

type uidRange struct{ first, last uint32 }

// Open opens a mailbox for one session. A read-write view takes the messages
// that are recent; a read-only one leaves them recent.
func (u *User) Open(ctx context.Context, name string, readOnly bool) (*View, error) {
	mb, err := u.acct.openAtLast(ctx, name)
	if err != nil {
		return nil, err
	}
	v := &View{mb: mb, name: u.canonical(name), readOnly: readOnly, changed: make(chan struct{}, 1)}
	shown := false
	defer func() {
		if !shown {
			u.acct.store.release(mb)
		}
	}()
	if err := mb.refresh(ctx); err != nil {
		return nil, err
	}
	if err := v.show(ctx); err != nil {
		return nil, err
	}
	shown = true
	return v, nil
}

// show makes v one of its mailbox's views, unless there is an error.
func (v *View) show(ctx context.Context) error {
	mb := v.mb
	mb.mu.Lock()
	defer mb.mu.Unlock()
	if mb.dead {
		return ErrNotFound
	}
	v.version, v.goneGen, v.flagsGen = mb.version, mb.goneGen, mb.flagsGen
	v.modSeq, v.uidNext, v.keywords = mb.st.ModSeq, mb.st.UIDNext, len(mb.st.Keywords)
	v.uids, v.left = slices.Clip(mb.st.UIDs), mb.st.Left()
	if err := v.promise(ctx); err != nil {
		return err
	}
	mb.views[v] = struct{}{}
	return nil
}

// Close releases the view.
func (v *View) Close() error {
	v.dropWindow()
	v.mb.mu.Lock()
	_, open := v.mb.views[v]
	delete(v.mb.views, v)
	v.mb.mu.Unlock()
	if open {
		v.mb.store().release(v.mb)
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
		KeywordsFull: mb.st.FreeKeyword(mb.store().cfg.MaxKeywords) < 0,
	}
	for k, m := range v.messages(len(v.uids)) {
		if m.Flags&seen == 0 {
			i.FirstUnseen = uint32(k) + 1
			break
		}
	}
	for _, s := range systemFlags() {
		i.Flags = append(i.Flags, s.flag)
	}
	for _, k := range mb.st.Keywords {
		if k != "" {
			i.Flags = append(i.Flags, imap.Flag(k))
		}
	}
	return i
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
	uid := v.uid(seq)
	if uid == 0 {
		return Message{}
	}
	v.mb.mu.Lock()
	defer v.mb.mu.Unlock()
	m := v.known(seq)
	return Message{
		UID: imap.UID(uid), Flags: v.mb.flagSet(m.Marks()), Recent: v.isRecent(uid),
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

// finder is live for who takes the lock later.
func (v *View) finder(seq uint32) finder { return func() *index.Message { return v.live(seq) } }

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

// Read opens the content of message seq (LF line ends). ErrExpunged when it
// is gone. The caller closes it.
func (v *View) Read(ctx context.Context, seq uint32) (c envelope.Content, err error) {
	if v.uid(seq) == 0 {
		return nil, ErrExpunged
	}
	err = v.retry(ctx, func() (err error) {
		c, err = v.mb.read(ctx, v.finder(seq))
		return err
	})
	return c, err
}

// finder finds a message in its mailbox, which is locked; nil when it is no more.
// A UID would not do: see View.find.
type finder func() *index.Message

// read opens a message's file. One that is not where the index says was
// renamed or removed by another program: look once more. One of another size
// was changed, or lost its content in a power loss: the index learns it.
func (mb *mailbox) read(ctx context.Context, find finder) (envelope.Content, error) {
	c, known, err := mb.openFile(ctx, find)
	if err != nil || known {
		return c, err
	}
	if _, err := mb.relearn(ctx, find, c); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// openFile opens the content of a message; known says that it is what the
// index has.
func (mb *mailbox) openFile(ctx context.Context, find finder) (c envelope.Content, known bool, err error) {
	for again := false; ; again = true {
		m, ok := mb.file(find)
		if !ok {
			return nil, false, ErrExpunged
		}
		f, err := openRegular(mb.store().fs, m.path, os.O_RDONLY)
		switch {
		case err == nil:
			return mb.content(ctx, f, m)
		case odd(err):
			mb.store().sayOnce(m.path, "cannot be read", err)
			return nil, false, fmt.Errorf("%w: %w", ErrUnreadable, err)
		case !errors.Is(err, fs.ErrNotExist):
			return nil, false, err
		case again:
			return nil, false, mb.misplaced("reading", 1)
		}
		if err := mb.lookAgain(ctx); err != nil {
			return nil, false, err
		}
	}
}

func (mb *mailbox) pathOf(m *index.Message) string { return filepath.Join(mb.path, m.File()) }

// lookAgain reads both directories.
func (mb *mailbox) lookAgain(ctx context.Context) error {
	return gone(mb.locked(ctx, func() error {
		mb.forget()
		return mb.compare(ctx, false)
	}))
}

// gone turns "no such mailbox" into "message expunged" for a view whose
// mailbox was deleted under it.
func gone(err error) error {
	if errors.Is(err, ErrNotFound) {
		return ErrExpunged
	}
	return err
}

const windowSize = 64 << 10

// window is a piece of a cache file.
type window struct {
	buf  []byte
	off  int64
	live int // octets of buf that are valid
}

func (v *View) dropWindow() {
	if v.window == nil {
		return
	}
	if len(v.window.buf) == windowSize {
		v.mb.store().windows.Put(v.window)
	}
	v.window = nil
}

// Structure returns the cached result of mime.Scan (internal/mime's encoded
// form) of message seq; it opens no message file unless the cache was lost.
// The slice is read-only and valid until the next call on the view.
func (v *View) Structure(ctx context.Context, seq uint32) (data []byte, err error) {
	if v.uid(seq) == 0 {
		return nil, ErrExpunged
	}
	err = v.retry(ctx, func() (err error) {
		data, err = v.entry(seq)
		if err != nil || data != nil {
			return storeError(err)
		}
		data, err = v.mb.scanAgain(ctx, v.finder(seq))
		return err
	})
	return data, err
}

// entry is the entry of message seq, nil if there is none, it is damaged, or of
// a version that mime does not read any more.
func (v *View) entry(seq uint32) ([]byte, error) {
	v.mb.mu.Lock()
	defer v.mb.mu.Unlock()
	live := v.live(seq)
	switch {
	case live == nil:
		return nil, ErrExpunged
	case live.CacheLen == 0:
		return nil, nil
	}
	data, err := v.cached(live)
	if err != nil || !mime.Current(data) {
		return nil, err
	}
	return data, nil
}

// cached reads an entry through the window; nil if it is damaged.
func (v *View) cached(m *index.Message) ([]byte, error) {
	w := v.window
	if w == nil {
		w, _ = v.mb.store().windows.Get().(*window)
		if w == nil {
			w = &window{buf: make([]byte, windowSize)}
		}
		w.live = 0
		v.window = w
	}
	n := int64(m.CacheLen)
	if m.CacheOff < w.off || m.CacheOff+n > w.off+int64(w.live) {
		if n > int64(len(w.buf)) {
			w.buf = make([]byte, n)
		}
		got, err := v.mb.cache.ReadAt(w.buf, m.CacheOff)
		if int64(got) < n {
			w.live = 0
			if odd(err) {
				v.mb.store().sayOnce(filepath.Join(v.mb.path, index.CacheFile), "a small file that cannot be read", err)
				return nil, nil // the message is scanned
			}
			return nil, onlyReal(err)
		}
		w.off, w.live = m.CacheOff, got
	}
	data, ok := index.Entry(w.buf[m.CacheOff-w.off:][:n], m.UID)
	if !ok {
		return nil, nil
	}
	return data, nil
}

// scanAgain makes the entry of a message whose own was lost.
func (mb *mailbox) scanAgain(ctx context.Context, find finder) ([]byte, error) {
	c, _, err := mb.openFile(ctx, find)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return mb.relearn(ctx, find, c)
}

// relearn scans a message and logs what is different.
func (mb *mailbox) relearn(ctx context.Context, find finder, c envelope.Content) ([]byte, error) {
	scanned, err := mime.Scan(envelope.Reader(c))
	if err != nil {
		return nil, fmt.Errorf("mailstore: scanning a message: %w", err)
	}
	data := scanned.AppendBinary(nil)
	return data, gone(mb.locked(ctx, func() error {
		if m := find(); m != nil {
			mb.logScanned(m, scanned, data)
			mb.logPacked(m, c)
		}
		return mb.commitQuietly()
	}))
}

// logScanned writes the entry of m and logs its place and its sizes.
func (mb *mailbox) logScanned(m *index.Message, scanned *mime.Message, data []byte) {
	entry := index.Message{UID: m.UID}
	if mb.addStructure(&entry, data); entry.CacheLen > 0 {
		mb.batch.Cache(m.UID, entry.CacheOff, entry.CacheLen)
	}
	if m.Wire != scanned.WireSize || m.Size != scanned.Size {
		mb.batch.Sizes(m.UID, scanned.Size, scanned.WireSize)
	}
}
