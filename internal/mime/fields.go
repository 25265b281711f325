package mime

import (
	"bytes"
	"encoding/binary"
	"slices"
)

// Fields are the fields of a message's own header that a record keeps: those that
// clients ask for in a listing. Of every other field it has a hash of the name, so
// that it knows which questions it can answer. The zero Fields answers none.
type Fields struct {
	// Lines are the lines of the fields that are kept, as they are stored, in their
	// order.
	Lines []byte
	// others has the hashes of the names that are not kept, ascending, two octets
	// each.
	others []byte
	state  fieldsState
}

type fieldsState uint8

const (
	// notKept: nobody looked for them.
	notKept fieldsState = iota
	kept
	// keptSome: the header has more names than others can have.
	keptSome
)

const (
	// maxOthers is how many names that are not kept a record tells of. It is no
	// parameter: a message with more is somebody's attack, and its file is opened.
	maxOthers = 256
	// maxFieldName is how long a name may be of which Fields knows anything.
	maxFieldName = 64
	// maxLine is how long a line may be.
	maxLine = 998
)

// Known says that the fields were looked for.
func (f *Fields) Known() bool { return f.state != notKept }

// Answers says whether Lines has all fields of a name that the message has, maybe
// none.
func (f *Fields) Answers(name string) bool {
	_, other := f.find(hashName(name))
	return f.state == kept && len(name) <= maxFieldName && !other
}

// Names are names of fields, for one question about many messages. The zero Names has
// none, and a name that Fields knows nothing of makes it unanswerable.
type Names struct {
	hashes []uint16 // ascending
	never  bool
}

// NewNames makes Names.
func NewNames(names ...string) Names {
	var n Names
	for _, name := range names {
		n.hashes = append(n.hashes, hashName(name))
		n.never = n.never || len(name) > maxFieldName
	}
	slices.Sort(n.hashes)
	return n
}

// AnswersAll is Answers for all of them.
func (f *Fields) AnswersAll(n Names) bool {
	if f.state != kept || n.never {
		return false
	}
	at := 0
	for _, hash := range n.hashes {
		for at < len(f.others) && binary.LittleEndian.Uint16(f.others[at:]) < hash {
			at += 2
		}
		if at < len(f.others) && binary.LittleEndian.Uint16(f.others[at:]) == hash {
			return false
		}
	}
	return true
}

func (f *Fields) find(hash uint16) (at int, found bool) {
	low, high := 0, len(f.others)/2
	for low < high {
		mid := (low + high) / 2
		if binary.LittleEndian.Uint16(f.others[2*mid:]) < hash {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return 2 * low, low < len(f.others)/2 && binary.LittleEndian.Uint16(f.others[2*low:]) == hash
}

// note remembers a name that is not kept.
func (f *Fields) note(hash uint16) {
	at, found := f.find(hash)
	switch {
	case found:
	case len(f.others) >= 2*maxOthers:
		f.state = keptSome
	default:
		f.others = slices.Insert(f.others, at, byte(hash), byte(hash>>8))
	}
}

// hashName is FNV-1a of a name in lower case, folded to 16 bits. Records have it.
func hashName[T []byte | string](name T) uint16 {
	h := uint32(2166136261)
	for i := range len(name) {
		h = (h ^ uint32(lower(name[i]))) * 16777619
	}
	return uint16(h>>16) ^ uint16(h)
}

// fieldName is the name of the field that a line begins: empty for what is no field.
// One that is longer than a line may be (RFC 5322 section 2.1.1) is none, so that a
// line has the same name whether it is seen whole or in pieces.
func fieldName(line []byte) []byte {
	name := line[:max(bytes.IndexByte(line[:min(len(line), maxLine)], ':'), 0)]
	for len(name) > 0 && isSpace(name[len(name)-1]) {
		name = name[:len(name)-1]
	}
	return name
}

// keeper collects Fields from the lines of a header.
type keeper struct {
	f     Fields
	limit int
	// on: the header is the message's own. current: the present field is kept, its
	// first line begins at from, and hash is that of its name.
	on, current bool
	from        int
	hash        uint16
}

func (k *keeper) reset(limit int) {
	*k = keeper{f: Fields{Lines: k.f.Lines[:0], others: k.f.others[:0], state: kept}, limit: limit, on: true}
}

// begin takes the first line of a field, or a part of it.
func (k *keeper) begin(line []byte) {
	if !k.on {
		return
	}
	name := fieldName(line)
	k.hash, k.from = hashName(name), len(k.f.Lines)
	if k.current = keeps(name); !k.current {
		k.f.note(k.hash)
		return
	}
	k.more(line)
}

// more takes what follows of the field: the rest of a line, or one that continues
// it. A field for which there is no room is not kept.
func (k *keeper) more(line []byte) {
	switch {
	case !k.on || !k.current:
	case len(k.f.Lines)+len(line) > k.limit:
		k.f.Lines = k.f.Lines[:k.from]
		k.f.note(k.hash)
		k.current = false
	default:
		k.f.Lines = append(k.f.Lines, line...)
	}
}

// The longest name that is kept is shorter than this.
const maxKeptName = 40

// keeps says whether fields of this name are kept: those that mail programs ask
// for to list a folder, and those that say how a message came. Not the fields that
// make up half of a header and are asked for when one message is shown: Received,
// signatures and their results. The list may change at any time; each record knows
// what it has.
func keeps(name []byte) bool {
	if len(name) == 0 || len(name) >= maxKeptName {
		return false
	}
	var buf [maxKeptName]byte
	for i, c := range name {
		buf[i] = lower(c)
	}
	low := buf[:len(name)]
	switch string(low) {
	case "date", "subject", "from", "sender", "reply-to", "to", "cc", "bcc", "in-reply-to", "message-id", "references",
		"content-type", "content-transfer-encoding", "mime-version",
		// Thunderbird, Outlook, Roundcube.
		"newsgroups", "priority", "x-priority", "importance", "disposition-notification-to", "mail-followup-to", "mail-reply-to", "x-draft-info",
		// K-9, Delta Chat, mutt, Apple's Mail.
		"x-k9mail-identity", "chat-version", "x-label", "lines", "x-uniform-type-identifier", "x-universally-unique-identifier",
		// How it came.
		"return-path", "delivered-to", "x-original-to", "envelope-to", "auto-submitted", "precedence",
		"x-spam-flag", "x-spam-status", "x-spam-score", "x-spam-level":
		return true
	}
	return bytes.HasPrefix(low, listPrefix)
}

var listPrefix = []byte("list-")
