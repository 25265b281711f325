package search

import (
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"toastmaster/internal/mime"
	"toastmaster/internal/mime/text"
)

// MaxBaseSubject is how many octets of a base subject are kept. Subjects that are
// equal so far are equal for THREAD. It is no parameter: records have it.
const MaxBaseSubject = 1 << 10

// SortKeys are what SORT, THREAD and SENTSINCE compare of a message. They are made
// once, when it is scanned, and its record keeps them (mime.Message.Keys). What else SORT and
// THREAD compare (addresses, message IDs, References) costs little to read, and the record has it.
type SortKeys struct {
	// Sent is the Date field, in its own zone; zero when there is none that can be
	// understood. The internal date stands in for it (RFC 5256 section 2.2).
	Sent time.Time
	// Subject is the base subject (RFC 5256 section 2.1), folded: equal ones are
	// equal octets. It may point into the record.
	Subject []byte
	// Reply says that the subject is that of a reply or a forward.
	Reply bool
}

// ErrKeys says that octets are no sort keys.
var ErrKeys = errors.New("search: not the sort keys of a message")

const (
	bitSent = 1 << iota
	bitReply
	allBits = bitSent | bitReply
)

// maxZone is more than any zone that four digits can say, in minutes.
const maxZone = 100 * 60

// AppendSortKeys appends the keys of a message that was scanned: an octet of bits (1:
// has a date, 2: reply or forward), the date in seconds since 1970 and its zone in
// minutes east of UTC as varints, and the base subject.
func AppendSortKeys(dst []byte, m *mime.Message) []byte {
	at := len(dst)
	bits := byte(0)
	var seconds, zone int64
	if sent := sentDate(m.Envelope); !sent.IsZero() {
		_, offset := sent.Zone()
		bits, seconds, zone = bitSent, sent.Unix(), int64(offset/60)
	}
	dst = binary.AppendVarint(binary.AppendVarint(append(dst, bits), seconds), zone)
	dst, reply := appendSubject(dst, m.Envelope)
	if reply {
		dst[at] |= bitReply
	}
	return dst
}

// ParseSortKeys reads what AppendSortKeys wrote.
func ParseSortKeys(b []byte) (SortKeys, error) {
	var k SortKeys
	if len(b) == 0 || b[0]&^allBits != 0 {
		return k, ErrKeys
	}
	bits, b := b[0], b[1:]
	seconds, n := binary.Varint(b)
	if n <= 0 {
		return k, ErrKeys
	}
	zone, z := binary.Varint(b[n:])
	if z <= 0 || zone < -maxZone || zone > maxZone || len(b)-n-z > MaxBaseSubject {
		return k, ErrKeys
	}
	if bits&bitSent != 0 {
		k.Sent = time.Unix(seconds, 0).UTC()
		if zone != 0 {
			k.Sent = k.Sent.In(time.FixedZone("", int(zone)*60))
		}
	}
	k.Subject, k.Reply = b[n+z:], bits&bitReply != 0
	return k, nil
}

// SortKeysOf are the keys of a message: those of its record, or, where that has
// none, new ones.
func SortKeysOf(m *mime.Message) SortKeys {
	if k, err := ParseSortKeys(m.Keys); err == nil {
		return k
	}
	return makeSortKeys(m.Envelope)
}

func makeSortKeys(envelope []byte) SortKeys {
	subject, reply := appendSubject(nil, envelope)
	return SortKeys{Sent: sentDate(envelope), Subject: subject, Reply: reply}
}

// sentDate is the Date field, zero when that says none.
func sentDate(envelope []byte) time.Time {
	var room [64]byte
	date, _ := envelopeString(room[:0], envelope, Date)
	sent, ok := parseDate(date)
	if !ok {
		return time.Time{}
	}
	return sent
}

// subjectRoom is how much an ordinary subject needs, as it is written and folded.
const subjectRoom = 512

// appendSubject appends the base subject. Every delivery makes one, and an ordinary
// one is made in the room behind dst: who has that takes no memory.
func appendSubject(dst, envelope []byte) (out []byte, reply bool) {
	dst = slices.Grow(dst, subjectRoom)
	subject, _ := envelopeString(dst[len(dst):], envelope, Subject)
	folded := text.Fold(subject[len(subject):], text.DecodeWords(subject))
	base, reply := baseSubject(folded)
	return append(dst, base...), reply
}

// baseSubject is RFC 5256 section 2.1 of what is decoded and folded. It changes s and
// returns a part of it.
func baseSubject(s []byte) (base []byte, reply bool) {
	s = collapse(s)
	for {
		var was bool
		s, was = trimTrailers(s)
		reply = reply || was
		s, was = trimLeaders(s)
		reply = reply || was
		inner, ok := forwarded(s)
		if !ok {
			break
		}
		s, reply = inner, true
	}
	if len(s) > MaxBaseSubject {
		s = s[:MaxBaseSubject]
	}
	return s, reply
}

// collapse makes each run of white space one space, in place.
func collapse(s []byte) []byte {
	out, space := s[:0], false
	for _, c := range s {
		if c == ' ' || c == '\t' || c == '\r' || c == '\n' {
			space = true
			continue
		}
		if space && len(out) > 0 {
			out = append(out, ' ')
		}
		out, space = append(out, c), false
	}
	return out
}

// trimTrailers removes "(fwd)" from the end, as often as it is there.
func trimTrailers(s []byte) (rest []byte, forward bool) {
	const fwd = "(fwd)"
	for {
		s = trimSpaceRight(s)
		if len(s) < len(fwd) || string(s[len(s)-len(fwd):]) != fwd {
			return s, forward
		}
		s, forward = s[:len(s)-len(fwd)], true
	}
}

func trimSpaceRight(s []byte) []byte {
	for len(s) > 0 && s[len(s)-1] == ' ' {
		s = s[:len(s)-1]
	}
	return s
}

func trimSpaceLeft(s []byte) []byte {
	for len(s) > 0 && s[0] == ' ' {
		s = s[1:]
	}
	return s
}

// trimLeaders removes "Re:", "Fwd:", "[list] Re[2]:" and the like from the start,
// and "[list]" where something follows.
func trimLeaders(s []byte) (rest []byte, reply bool) {
	for {
		s = trimSpaceLeft(s)
		// Each blob is looked at once: a subject of nothing else is as long as anybody likes.
		behind := s
		for {
			after, found := blob(behind)
			if !found {
				break
			}
			if behind = after; len(after) > 0 {
				s = after
			}
		}
		after, ok := leader(behind)
		if !ok {
			return s, reply
		}
		s, reply = after, true
	}
}

// leader is what follows "re:", "fw:" or "fwd:" with a blob in it or none.
func leader(s []byte) (rest []byte, ok bool) {
	switch {
	case len(s) >= 2 && string(s[:2]) == "re":
		s = s[2:]
	case len(s) >= 3 && string(s[:3]) == "fwd":
		s = s[3:]
	case len(s) >= 2 && string(s[:2]) == "fw":
		s = s[2:]
	default:
		return nil, false
	}
	s = trimSpaceLeft(s)
	if after, found := blob(s); found {
		s = after
	}
	if len(s) == 0 || s[0] != ':' {
		return nil, false
	}
	return s[1:], true
}

// blob is what follows "[something]" and white space.
func blob(s []byte) (rest []byte, ok bool) {
	if len(s) == 0 || s[0] != '[' {
		return nil, false
	}
	for i, c := range s[1:] {
		switch c {
		case '[':
			return nil, false
		case ']':
			return trimSpaceLeft(s[i+2:]), true
		}
	}
	return nil, false
}

// forwarded is what is within "[fwd: ...]".
func forwarded(s []byte) (inner []byte, ok bool) {
	const start = "[fwd:"
	if len(s) <= len(start) || string(s[:len(start)]) != start || s[len(s)-1] != ']' {
		return nil, false
	}
	return s[len(start) : len(s)-1], true
}
