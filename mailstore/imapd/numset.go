package imapd

import (
	"slices"

	"github.com/emersion/go-imap/v2"

	"toastmaster/mailstore"
	"toastmaster/mailstore/search"
)

// seqRange is a run of sequence numbers, both ends included. A list of them is
// in ascending order and without overlap.
type seqRange = search.Range

// wholeView is every message.
func wholeView(v *mailstore.Selection) []seqRange {
	if v.Len() == 0 {
		return nil
	}
	return []seqRange{{First: 1, Last: uint32(v.Len())}}
}

// messages reads the set that a command begins with, and finds its messages.
func (b *mailbox) messages(a *args) []seqRange {
	a.space()
	set := a.set()
	if a.err != nil {
		return nil
	}
	ranges, ok := b.resolve(set, a.uid)
	if !ok {
		a.fail(bad("Invalid message set"))
	}
	return ranges
}

// resolve turns a set into messages. A UID that is not there is passed over
// (RFC 3501 section 6.4.8); a sequence number that is not there is an error of
// the client.
func (b *mailbox) resolve(set imap.SeqSet, uid bool) (ranges []seqRange, ok bool) {
	if len(set) == 1 && set[0] == saved {
		return b.savedRanges(), true
	}
	last := uint32(b.view.Len())
	ranges = make([]seqRange, 0, len(set))
	for _, r := range set {
		out, ok := b.resolveRange(r, last, uid)
		if !ok {
			return nil, false
		}
		if out.First != 0 && out.First <= out.Last {
			ranges = append(ranges, out)
		}
	}
	return merge(ranges), true
}

func (b *mailbox) resolveRange(r imap.SeqRange, last uint32, uid bool) (out seqRange, ok bool) {
	if !uid {
		if last == 0 {
			return seqRange{}, false // "*" too (RFC 3501 section 9, seq-number)
		}
		if r.Start == 0 {
			r.Start = last
		}
		if r.Stop == 0 {
			r.Stop = last
		}
		if r.Stop < r.Start { // "9:*" with fewer than 9
			r.Start, r.Stop = r.Stop, r.Start
		}
		return seqRange{First: r.Start, Last: r.Stop}, r.Stop <= last
	}
	if last == 0 {
		return seqRange{}, true
	}
	first, to := b.view.SeqAtLeast(imap.UID(r.Start)), last
	if r.Start == 0 {
		first = last
	}
	if r.Stop == 0 {
		// "n:*" holds the last message even when n is above it.
		return seqRange{First: min(first, last), Last: last}, true
	}
	if r.Stop < 1<<32-1 {
		to = b.view.SeqAtLeast(imap.UID(r.Stop)+1) - 1
	}
	return seqRange{First: first, Last: to}, true
}

// savedRanges are the messages of "$" that still exist.
func (b *mailbox) savedRanges() []seqRange {
	var ranges []seqRange
	for _, uid := range b.result {
		if seq := b.view.Seq(uid); seq != 0 {
			ranges = appendSeq(ranges, seq)
		}
	}
	return ranges
}

// appendSeq adds a number that is above all before it.
func appendSeq(ranges []seqRange, seq uint32) []seqRange {
	if n := len(ranges); n > 0 && ranges[n-1].Last+1 == seq {
		ranges[n-1].Last = seq
		return ranges
	}
	return append(ranges, seqRange{First: seq, Last: seq})
}

// merge sorts ranges and joins those that touch.
func merge(ranges []seqRange) []seqRange {
	if len(ranges) < 2 {
		return ranges
	}
	slices.SortFunc(ranges, func(a, b seqRange) int { return int(int64(a.First) - int64(b.First)) })
	out := ranges[:1]
	for _, r := range ranges[1:] {
		if prev := &out[len(out)-1]; r.First <= prev.Last+1 {
			prev.Last = max(prev.Last, r.Last)
			continue
		}
		out = append(out, r)
	}
	return out
}

// seqs lists the numbers of ranges.
func seqs(ranges []seqRange) []uint32 {
	var out []uint32
	for _, r := range ranges {
		for seq := r.First; seq <= r.Last; seq++ {
			out = append(out, seq)
		}
	}
	return out
}

// forget takes expunged messages out of the saved result.
func (b *mailbox) forget(uids []imap.UID) {
	if len(b.result) == 0 || len(uids) == 0 {
		return
	}
	gone := slices.Sorted(slices.Values(uids))
	b.result = slices.DeleteFunc(b.result, func(u imap.UID) bool {
		_, found := slices.BinarySearch(gone, u)
		return found
	})
}
