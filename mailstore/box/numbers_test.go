package box

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/emersion/go-imap/v2"

	"toastmaster/mailstore/index"
	"toastmaster/mailstore/maildir"
)

// TestNumbersKeepTheirMessages: whatever happens in a mailbox, a sequence number stands for
// one message until an update that may tell of what left, which tells it in the order of
// RFC 3501 section 7.4.1; the message is known until then, as it last was, and is live as long
// as it is in the mailbox; and what is new comes behind all that there was.
func TestNumbersKeepTheirMessages(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		h := &numbered{t: t, r: r, st: index.NewState(7), next: 5}
		for range r.IntN(6) {
			h.add()
		}
		h.n.all(h.st)
		h.note()
		for range 60 {
			switch r.IntN(8) {
			case 0, 1, 2:
				h.add()
			case 3, 4:
				h.expunge()
			case 5:
				h.reload()
			case 6:
				h.update(false)
			default:
				h.update(true)
			}
			if h.holds(); t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		}
	}
}

// numbered is a mailbox with a view of it, and what the view must show.
type numbered struct {
	t    *testing.T
	r    *rand.Rand
	st   *index.State
	n    numbers
	next uint32
	// names are those of the messages by their sequence numbers.
	names []string
	made  int
}

func (h *numbered) apply(fill func(b *index.Batch)) {
	var b index.Batch
	fill(&b)
	h.st.Apply(&b)
}

// add adds a message behind all others, or, now and then, among them: one that another
// process recovered.
func (h *numbered) add() {
	uid := h.next
	if low := uint32(1 + h.r.IntN(int(h.next)-1)); h.r.IntN(6) == 0 && h.st.Get(low) == nil && !slices.Contains(h.n.uids, low) {
		uid = low
	} else {
		h.next += 1 + uint32(h.r.IntN(2))
	}
	h.made++
	h.apply(func(b *index.Batch) {
		b.Add(&index.Message{UID: uid, ModSeq: h.st.ModSeq + 1, Name: fmt.Sprint("name", h.made), Flags: maildir.Seen})
	})
}

func (h *numbered) expunge() {
	var uids []uint32
	for _, uid := range h.st.UIDs {
		if h.r.IntN(4) == 0 {
			uids = append(uids, uid)
		}
	}
	if len(uids) > 0 {
		h.apply(func(b *index.Batch) { b.Expunge(uids, h.st.ModSeq+1, 1, h.r.IntN(2) == 0) })
	}
}

// reload puts another state in the place, as a load does: some messages may be lost in it.
func (h *numbered) reload() {
	next, err := index.ParseSnapshot(h.st.AppendSnapshot(nil))
	if err != nil {
		h.t.Fatal(err)
	}
	var lost []uint32
	for _, uid := range next.UIDs {
		if h.r.IntN(5) == 0 {
			lost = append(lost, uid)
		}
	}
	var b index.Batch
	b.Expunge(lost, next.ModSeq+1, 1, true)
	next.Apply(&b)
	if !next.Succeed(h.st) {
		h.t.Fatal("it is called another mailbox")
	}
	h.st = next
}

// note notes what the view shows from now on.
func (h *numbered) note() {
	h.names = nil
	for _, uid := range h.n.uids {
		h.names = append(h.names, h.st.Get(uid).Name)
	}
}

func (h *numbered) update(expunge bool) {
	before, names := slices.Clone(h.n.uids), slices.Clone(h.names)
	last := uint32(0)
	if len(before) > 0 {
		last = before[len(before)-1]
	}
	var u Update
	kept := h.n.merge(h.st, expunge, &u)
	gone := 0
	for i, uid := range before {
		if m := h.st.Get(uid); m == nil || m.Name != names[i] {
			gone++
		}
	}
	if want := gone == 0 || expunge; kept != want || (len(u.Expunged) > 0) != (gone > 0 && expunge) {
		h.t.Errorf("%d are gone, expunge %v: kept %v, told %v", gone, expunge, kept, u.Expunged)
	}
	// A client takes them out one after the other.
	for i, seq := range u.Expunged {
		if imap.UID(before[seq-1]) != u.ExpungedUIDs[i] {
			h.t.Fatalf("number %d is UID %d for the client, %d was meant", seq, before[seq-1], u.ExpungedUIDs[i])
		}
		before, names = slices.Delete(before, int(seq)-1, int(seq)), slices.Delete(names, int(seq)-1, int(seq))
	}
	if len(h.n.uids) < len(before) || !slices.Equal(h.n.uids[:len(before)], before) {
		h.t.Errorf("the client has %v, the view %v", before, h.n.uids)
	}
	var more []uint32
	for _, uid := range h.st.UIDs {
		if uid > last {
			more = append(more, uid)
		}
	}
	if got := h.n.uids[len(before):]; !slices.Equal(got, more) {
		h.t.Errorf("behind UID %d there are %v, the view has %v", last, more, got)
	}
	for _, uid := range more {
		names = append(names, h.st.Get(uid).Name)
	}
	h.names = names
	hidden := 0
	for _, uid := range h.st.UIDs {
		if !slices.Contains(h.n.uids, uid) {
			hidden++
		}
	}
	if h.n.partly != (hidden > 0) {
		h.t.Errorf("%d messages are hidden, partly is %v", hidden, h.n.partly)
	}
}

// holds says that each number stands for the message that was shown.
func (h *numbered) holds() {
	if h.n.Len() != len(h.names) || h.n.UID(0) != 0 || h.n.UID(uint32(h.n.Len())+1) != 0 {
		h.t.Fatalf("%d messages, %d were shown", h.n.Len(), len(h.names))
	}
	for i, name := range h.names {
		seq := uint32(i) + 1
		uid := h.n.UID(seq)
		if h.n.Seq(uid) != seq || h.n.SeqAtLeast(uid) != seq || i > 0 && h.n.SeqAtLeast(imap.UID(h.n.uids[i-1])+1) != seq {
			h.t.Errorf("UID %d is number %d, found as %d", uid, seq, h.n.Seq(uid))
		}
		live := h.st.Get(uint32(uid))
		if live != nil && live.Name != name {
			live = nil
		}
		if m := h.n.find(h.st, seq); m != live {
			h.t.Errorf("number %d (%s) is live as %+v, want %+v", seq, name, m, live)
		}
		if m := h.n.known(h.st, seq); m == nil || m.Name != name {
			h.t.Errorf("number %d was %s and is known as %+v", seq, name, m)
		}
	}
	for i, m := range h.n.messages(h.st, h.n.Len()) {
		if m == nil || m.Name != h.names[i] {
			h.t.Errorf("among all, number %d was %s and is %+v", i+1, h.names[i], m)
		}
	}
}

// TestRecents: a message is recent for the session that was the first to see it, and for no
// other; for one that takes none, as long as nobody took it.
func TestRecents(t *testing.T) {
	t.Parallel()
	st := index.NewState(7)
	var uids []uint32
	var b index.Batch
	for uid := uint32(1); uid <= 20; uid++ {
		if uid%7 != 0 {
			uids = append(uids, uid)
			b.Add(&index.Message{UID: uid, Name: fmt.Sprint(uid)})
		}
	}
	b.Recent(9)
	st.Apply(&b)
	taken, looks := recents{}, recents{readOnly: true}
	for _, one := range [][2]uint32{{3, 5}, {6, 6}, {9, 9}, {12, 15}, {16, 17}} {
		taken.take(one[0], one[1])
	}
	if len(taken.taken) != 3 { // those that touch are one
		t.Errorf("%v", taken.taken)
	}
	takes := func(uid uint32) bool { return uid >= 3 && uid <= 6 || uid == 9 || uid >= 12 && uid <= 17 }
	for name, c := range map[string]struct {
		r  *recents
		is func(uint32) bool
	}{"who takes": {&taken, takes}, "who looks": {&looks, func(uid uint32) bool { return uid >= 9 }}} {
		n := uint32(0)
		for _, uid := range uids {
			if c.is(uid) {
				n++
			}
			if got := c.r.has(st, uid); got != c.is(uid) {
				t.Errorf("%s: UID %d is recent: %v", name, uid, got)
			}
		}
		if got := c.r.count(st, uids); got != n {
			t.Errorf("%s: %d are recent, counted %d", name, n, got)
		}
	}
	if n := taken.count(st, nil); n != 0 {
		t.Errorf("%d of none", n)
	}
}
