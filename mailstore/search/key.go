package search

import (
	"slices"
	"strings"

	"github.com/emersion/go-imap/v2"

	"toastmaster/internal/mime/text"
)

// Kind is a kind of key.
type Kind uint8

// The kinds, in the order of what they cost; an And tries them in that order.
const (
	// All matches.
	All Kind = iota
	// InSet: the number of the message is in Set.
	InSet
	// HasFlag: the message has Flag; keywords have no case.
	HasFlag
	// IsRecent is IMAP's \Recent.
	IsRecent
	// Received: the day of the internal date (DayOf) is within Low and High.
	Received
	// HasSize: the size on the wire is.
	HasSize
	// IsOld: the age in seconds is.
	IsOld
	// AllOf and AnyOf are about Kids.
	AllOf
	AnyOf
	// Sent: the day of the Date field, in its own time zone.
	Sent
	// InField: a field of the structure, Part, has Needle in it.
	InField
	// InHeader: a field of the name Field has.
	InHeader
	// InBody: a text part has, or the header of a message within.
	InBody
	// InText: that, or the header.
	InText
)

// Key is a node of what is looked for. It is not go-imap's SearchCriteria: that
// cannot say LARGER 0, nor keep the order of keys. It is not changed by a Program.
type Key struct {
	Kind Kind
	Not  bool
	Set  []Range // in ascending order, without overlap
	Flag imap.Flag
	// Low and High bound a day, a size, an age in seconds; both included.
	Low, High int64
	Field     string
	Part      Field
	Needle    []byte // folded: text.Fold
	Kids      []*Key
}

// Range is a run of numbers of messages, both ends included.
type Range struct{ First, Last uint32 }

// And matches what all of the keys match; one key is itself.
func And(keys ...*Key) *Key {
	if len(keys) == 1 {
		return keys[0]
	}
	k := &Key{Kind: AllOf, Kids: keys}
	k.sort()
	return k
}

// Or matches what one of the keys matches.
func Or(keys ...*Key) *Key {
	k := &Key{Kind: AnyOf, Kids: keys}
	k.sort()
	return k
}

// Words looks for text, which is UTF-8; octets that are none stand for U+FFFD.
func Words(kind Kind, s string) *Key {
	return &Key{Kind: kind, Needle: text.Fold(nil, []byte(strings.ToValidUTF8(s, "\ufffd")))}
}

// FieldWords looks for text in a field of the structure.
func FieldWords(f Field, s string) *Key {
	k := Words(InField, s)
	k.Part = f
	return k
}

// HeaderWords looks for text in the fields of a name. What the structure keeps as
// it is needs no content.
func HeaderWords(name, s string) *Key {
	switch strings.ToLower(name) {
	case "subject":
		return FieldWords(Subject, s)
	case "message-id":
		return FieldWords(MessageID, s)
	case "in-reply-to":
		return FieldWords(InReplyTo, s)
	}
	k := Words(InHeader, s)
	k.Field = name
	return k
}

// cost is the dearest kind below k.
func (k *Key) cost() Kind {
	c := k.Kind
	for _, kid := range k.Kids {
		c = max(c, kid.cost())
	}
	return c
}

// sort puts what is cheap first.
func (k *Key) sort() {
	slices.SortStableFunc(k.Kids, func(a, b *Key) int { return int(a.cost()) - int(b.cost()) })
}

// texts counts the keys that look into whole texts.
func (k *Key) texts() int {
	n := 0
	if k.Kind >= InBody {
		n++
	}
	for _, kid := range k.Kids {
		n += kid.texts()
	}
	return n
}

func (k *Key) within(n int64) bool { return k.Low <= n && n <= k.High }
