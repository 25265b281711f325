package queue

import (
	"toastmaster/internal/envelope"
)

// The optional fields of an envelope. A feature that needs one takes the next
// number and adds a row to knownTags; there is no new version of the format for
// it. A number is never used again, whatever becomes of its feature.
const (
	tagAuth     = 1
	tagHold     = 2
	tagFilter   = 3
	tagRedirect = 4
	tagBCC      = 5
	tagPrepend  = 6
	tagForward  = 7
	tagSettles  = 8
	tagPort     = 9
)

// tagged is an optional field that this program knows.
type tagged struct {
	number uint64
	// encode is the field's value; false leaves the field out.
	encode func(v *envelope.Envelope) (value []byte, ok bool)
	decode func(d *decoder, v *envelope.Envelope)
}

var knownTags = [...]tagged{
	{tagAuth,
		func(v *envelope.Envelope) ([]byte, bool) {
			if v.Auth == nil {
				return nil, false
			}
			var e encoder
			e.address(*v.Auth)
			return e.b, true
		},
		func(d *decoder, v *envelope.Envelope) {
			a := d.address()
			v.Auth = &a
		}},
	{tagHold,
		func(v *envelope.Envelope) ([]byte, bool) { return nil, v.Hold },
		func(_ *decoder, v *envelope.Envelope) { v.Hold = true }},
	{tagFilter,
		func(v *envelope.Envelope) ([]byte, bool) {
			if v.Filter == nil {
				return nil, false
			}
			var e encoder
			e.string(v.Filter.Transport)
			e.string(v.Filter.Nexthop)
			return e.b, true
		},
		func(d *decoder, v *envelope.Envelope) {
			v.Filter = &envelope.Route{Transport: d.Text(), Nexthop: d.Text()}
		}},
	{tagRedirect,
		func(v *envelope.Envelope) ([]byte, bool) {
			var e encoder
			e.address(v.Redirect)
			return e.b, !v.Redirect.IsNull()
		},
		func(d *decoder, v *envelope.Envelope) { v.Redirect = d.address() }},
	{tagBCC,
		func(v *envelope.Envelope) ([]byte, bool) {
			var e encoder
			e.uint(uint64(len(v.BCC)))
			for _, a := range v.BCC {
				e.address(a)
			}
			return e.b, len(v.BCC) > 0
		},
		func(d *decoder, v *envelope.Envelope) {
			for range d.Count(minAddress) {
				v.BCC = append(v.BCC, d.address())
			}
		}},
	{tagPrepend,
		func(v *envelope.Envelope) ([]byte, bool) {
			var e encoder
			e.uint(uint64(len(v.Prepend)))
			for _, text := range v.Prepend {
				e.string(text)
			}
			return e.b, len(v.Prepend) > 0
		},
		func(d *decoder, v *envelope.Envelope) {
			for range d.Count(1) {
				v.Prepend = append(v.Prepend, d.Text())
			}
		}},
	{tagForward,
		func(v *envelope.Envelope) ([]byte, bool) {
			f := v.Origin.Forwarded
			if f == nil {
				return nil, false
			}
			var e encoder
			for _, text := range []string{f.Name, f.Addr, f.Port, f.Proto, f.Helo, f.Ident, f.Source} {
				e.string(text)
			}
			return e.b, true
		},
		func(d *decoder, v *envelope.Envelope) {
			v.Origin.Forwarded = &envelope.Forwarded{
				Name: d.Text(), Addr: d.Text(), Port: d.Text(), Proto: d.Text(), Helo: d.Text(), Ident: d.Text(), Source: d.Text(),
			}
		}},
	{tagSettles,
		func(v *envelope.Envelope) ([]byte, bool) {
			s := v.Settles
			if s == nil {
				return nil, false
			}
			var e encoder
			e.string(string(s.ID))
			e.bool(s.Warned)
			e.uint(uint64(len(s.Recipients)))
			for _, i := range s.Recipients {
				e.uint(uint64(i))
			}
			return e.b, true
		},
		func(d *decoder, v *envelope.Envelope) {
			s := &envelope.Settled{ID: envelope.QueueID(d.Text()), Warned: d.Byte() == 1}
			for range d.Count(1) {
				s.Recipients = append(s.Recipients, d.Number())
			}
			if !validID(s.ID) {
				d.Fail()
			}
			v.Settles = s
		}},
	{tagPort,
		func(v *envelope.Envelope) ([]byte, bool) {
			var e encoder
			e.uint(uint64(v.Origin.ClientPort))
			return e.b, v.Origin.ClientPort != 0
		},
		func(d *decoder, v *envelope.Envelope) { v.Origin.ClientPort = uint16(d.Uint()) }},
}

// minAddress is the least that an address takes.
const minAddress = 2

// tags are the optional fields of v as they are written, those that this program
// does not know behind its own.
func tags(v *envelope.Envelope) []envelope.Tag {
	var out []envelope.Tag
	for _, known := range knownTags {
		if value, ok := known.encode(v); ok {
			out = append(out, envelope.Tag{Number: known.number, Value: string(value)})
		}
	}
	return append(out, v.Unknown...)
}

// minTag is the least that an optional field takes, minTagOfRecipient one of a
// recipient.
const (
	minTag            = 2
	minTagOfRecipient = 3
)

// tags writes the optional fields: those of the envelope, then those of
// recipients with the index of each.
func (e *encoder) tags(own []envelope.Tag, v *envelope.Envelope) {
	e.uint(uint64(len(own)))
	for _, t := range own {
		e.uint(t.Number)
		e.string(t.Value)
	}
	e.uint(uint64(tagsOfRecipients(v)))
	for i := range v.Recipients {
		for _, t := range v.Recipients[i].Unknown {
			e.uint(uint64(i))
			e.uint(t.Number)
			e.string(t.Value)
		}
	}
}

func tagsOfRecipients(v *envelope.Envelope) int {
	n := 0
	for i := range v.Recipients {
		n += len(v.Recipients[i].Unknown)
	}
	return n
}

// tags reads them. What is not known is kept as it is, so that a message outlives
// a program that is older than it.
func (d *decoder) tags(v *envelope.Envelope) {
	for range d.Count(minTag) {
		t := envelope.Tag{Number: d.Uint(), Value: d.Text()}
		if !d.known(t, v) {
			v.Unknown = append(v.Unknown, t)
		}
	}
	for range d.Count(minTagOfRecipient) {
		i, t := d.Uint(), envelope.Tag{Number: d.Uint(), Value: d.Text()}
		if i >= uint64(len(v.Recipients)) {
			d.Fail()
			return
		}
		v.Recipients[i].Unknown = append(v.Recipients[i].Unknown, t)
	}
}

// known takes a field that this program knows.
func (d *decoder) known(t envelope.Tag, v *envelope.Envelope) bool {
	for _, row := range knownTags {
		if row.number != t.Number {
			continue
		}
		value := newDecoder([]byte(t.Value))
		if row.decode(value, v); value.Bad() || value.Len() > 0 {
			d.Fail()
		}
		return true
	}
	return false
}
