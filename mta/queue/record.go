package queue

import (
	"encoding/binary"

	"toastmaster/internal/envelope"
)

// The kinds of journal records; the first octet of each.
const (
	kindMessage    = 1
	kindMark       = 2
	kindFarewell   = 3
	kindCheckpoint = 4
	kindAsked      = 5
)

// Where the content of a message record lies.
const (
	contentInline = 0
	// contentFile is a file whose checksum was not noted; it is still read.
	contentFile   = 1
	contentSummed = 2
)

// mark says that one recipient is done.
type mark struct {
	id     envelope.QueueID
	index  int
	effect Effect
	// boot and gen say which checkpoint covers an EffectStore: one of the
	// same process with at least this number.
	boot, gen uint64
}

func (m mark) encode() []byte {
	e := encoder{make([]byte, 0, 48)}
	e.byte(kindMark)
	e.string(string(m.id))
	e.uint(uint64(m.index))
	e.byte(byte(m.effect))
	e.b = binary.LittleEndian.AppendUint64(e.b, m.boot)
	e.uint(m.gen)
	return e.b
}

// decodeMark reads a mark behind its kind.
func decodeMark(b []byte) (mark, error) {
	d := newDecoder(b)
	m := mark{id: envelope.QueueID(d.Text()), index: d.Number(), effect: Effect(d.Byte()), boot: d.Fixed64(), gen: d.Uint()}
	if m.effect != EffectStore && m.effect != EffectFinal || !validID(m.id) {
		d.Fail()
	}
	return m, d.err()
}

// farewell says that a message's record is no longer its home.
type farewell struct {
	id     envelope.QueueID
	reason byte
}

const (
	leftMoved   = 1 // to a file of its own
	leftDeleted = 2 // or never accepted
)

func (g farewell) encode() []byte {
	e := encoder{make([]byte, 0, 24)}
	e.byte(kindFarewell)
	e.string(string(g.id))
	e.byte(g.reason)
	return e.b
}

func decodeFarewell(b []byte) (farewell, error) {
	d := newDecoder(b)
	g := farewell{id: envelope.QueueID(d.Text()), reason: d.Byte()}
	if !validID(g.id) {
		d.Fail()
	}
	return g, d.err()
}

// asked is what an operator asked for of a message in memory, which is done later. Both are final.
type asked struct {
	id   envelope.QueueID
	what byte
}

const (
	askedExpire = 1
	askedDelete = 2
)

func (a asked) encode() []byte {
	e := encoder{make([]byte, 0, 24)}
	e.byte(kindAsked)
	e.string(string(a.id))
	e.byte(a.what)
	return e.b
}

func decodeAsked(b []byte) (asked, error) {
	d := newDecoder(b)
	a := asked{id: envelope.QueueID(d.Text()), what: d.Byte()}
	if !validID(a.id) || a.what != askedExpire && a.what != askedDelete {
		d.Fail()
	}
	return a, d.err()
}

// checkpointed says that the marks of a process up to gen are durable in the
// store.
type checkpointed struct{ boot, gen uint64 }

func (c checkpointed) encode() []byte {
	e := encoder{make([]byte, 0, 24)}
	e.byte(kindCheckpoint)
	e.b = binary.LittleEndian.AppendUint64(e.b, c.boot)
	e.uint(c.gen)
	return e.b
}

func decodeCheckpointed(b []byte) (checkpointed, error) {
	d := newDecoder(b)
	c := checkpointed{d.Fixed64(), d.Uint()}
	return c, d.err()
}

// record is a message as the journal has it.
type record struct {
	env *envelope.Envelope
	// prefix and contentSize make up the message. With external set, the
	// content lies in a file that has this sum, and text is the prefix; else
	// text is all of it.
	external    bool
	sum         checksum
	prefixSize  int64
	contentSize int64
	text        []byte
}

func (r *record) size() int64 { return r.prefixSize + r.contentSize }

// encodeMessage returns the payload but for the text, which follows it; room
// is left for it in the slice's capacity.
func encodeMessage(r *record) []byte {
	text := r.prefixSize
	if !r.external {
		text += r.contentSize
	}
	e := encoder{make([]byte, 0, 256+128*len(r.env.Recipients)+int(text))}
	e.byte(kindMessage)
	e.envelope(r.env)
	switch {
	case !r.external:
		e.byte(contentInline)
	case !r.sum.known:
		e.byte(contentFile)
	default:
		e.byte(contentSummed)
	}
	e.uint(uint64(r.prefixSize))
	e.uint(uint64(r.contentSize))
	if r.external && r.sum.known {
		e.uint(uint64(r.sum.value))
	}
	return e.b
}

// decodeMessage reads a message record behind its kind. text is a part of b.
func decodeMessage(b []byte) (*record, error) {
	d := newDecoder(b)
	env, err := d.envelope()
	if err != nil {
		return nil, err
	}
	way := d.Byte()
	r := &record{env: env, external: way != contentInline, prefixSize: d.Size(), contentSize: d.Size()}
	switch way {
	case contentInline, contentFile:
	case contentSummed:
		r.sum = checksum{value: d.Uint32(), known: true}
	default:
		return nil, errFormat
	}
	want := r.prefixSize
	if !r.external {
		want += r.contentSize
	}
	if d.Bad() || want != int64(d.Len()) {
		return nil, errFormat
	}
	r.text = d.Rest()
	return r, nil
}
