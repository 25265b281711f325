package queue

import (
	"encoding/binary"
	"errors"
	"time"

	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/field"
)

// errFormat is the reason for everything that cannot be decoded.
var errFormat = errors.New("queue: malformed record")

// encoder appends fields: unsigned varints, and strings as length and octets.
type encoder struct{ b []byte }

func (e *encoder) byte(c byte)     { e.b = append(e.b, c) }
func (e *encoder) uint(n uint64)   { e.b = binary.AppendUvarint(e.b, n) }
func (e *encoder) string(s string) { e.b = field.AppendText(e.b, s) }
func (e *encoder) time(t time.Time) {
	if t.IsZero() {
		e.uint(0)
		return
	}
	e.uint(uint64(t.UnixNano()))
}
func (e *encoder) address(a addr.Address) { e.string(a.Local); e.string(a.Domain) }

// decoder reads them back.
type decoder struct{ field.Reader }

func newDecoder(b []byte) *decoder { return &decoder{field.NewReader(b)} }

func (d *decoder) time() time.Time {
	n := d.Uint()
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, int64(n))
}

func (d *decoder) address() addr.Address {
	return addr.Address{Local: d.Text(), Domain: d.Text()}
}

func (d *decoder) err() error {
	if d.Bad() {
		return errFormat
	}
	return nil
}

// The first octet of an encoded envelope is its version. Version 1 had no
// Recipient.Refused and Expanded; it is still read. Version 3 is version 2 with
// optional fields behind it (tags.go), and written only where there are some: a
// queue without them can still be read by the program before. Another change of
// what is written needs a new version and a new file in testdata/golden, also for
// the other formats here.
const (
	plainVersion  = 2
	taggedVersion = 3
)

func (e *encoder) envelope(v *envelope.Envelope) {
	own := tags(v)
	if len(own) > 0 || tagsOfRecipients(v) > 0 {
		e.byte(taggedVersion)
		e.plain(v)
		e.tags(own, v)
		return
	}
	e.byte(plainVersion)
	e.plain(v)
}

// plain writes what every envelope has.
func (e *encoder) plain(v *envelope.Envelope) {
	e.string(string(v.ID))
	e.address(v.Sender)
	e.time(v.Arrived)
	e.byte(byte(v.Body))
	e.bool(v.UTF8)
	e.byte(byte(v.Return))
	e.string(v.EnvID)
	o := &v.Origin
	for _, s := range []string{o.Word(), o.ClientAddr, o.ClientName, o.Helo, o.Login, o.Session, o.TLS} {
		e.string(s)
	}
	e.uint(uint64(max(v.Hops, 0)))
	e.uint(uint64(len(v.Recipients)))
	for i := range v.Recipients {
		r := &v.Recipients[i]
		e.address(r.Address)
		e.address(r.Original)
		e.string(r.ORcpt)
		e.byte(byte(r.Notify))
		e.bool(r.Refused != nil)
		if r.Refused != nil {
			e.dsnError(r.Refused)
		}
		e.bool(r.Expanded)
	}
}

func (e *encoder) bool(v bool) {
	if v {
		e.byte(1)
		return
	}
	e.byte(0)
}

// minRecipient is the least a recipient takes.
const minRecipient = 6

func (d *decoder) envelope() (*envelope.Envelope, error) {
	version := d.Byte()
	if version < 1 || version > taggedVersion {
		return nil, errFormat
	}
	v := &envelope.Envelope{
		ID: envelope.QueueID(d.Text()), Sender: d.address(), Arrived: d.time(),
		Body: envelope.Body(d.Byte()), UTF8: d.Byte() == 1, Return: envelope.Return(d.Byte()), EnvID: d.Text(),
	}
	o := &v.Origin
	o.Came(d.Text())
	o.ClientAddr, o.ClientName, o.Helo, o.Login, o.Session, o.TLS = d.Text(), d.Text(), d.Text(), d.Text(), d.Text(), d.Text()
	v.Hops = d.Number()
	n := d.Count(minRecipient)
	v.Recipients = make([]envelope.Recipient, 0, n)
	for range n {
		r := envelope.Recipient{
			Address: d.address(), Original: d.address(), ORcpt: d.Text(), Notify: envelope.Notify(d.Byte()),
		}
		if version > 1 {
			if d.Byte() == 1 {
				r.Refused = d.dsnError()
			}
			r.Expanded = d.Byte() == 1
		}
		v.Recipients = append(v.Recipients, r)
	}
	if version >= taggedVersion {
		d.tags(v)
	}
	if d.Bad() || !validID(v.ID) {
		return nil, errFormat
	}
	return v, nil
}

// maxText bounds each text of an error on disk: a peer's reply may be long.
const maxText = 2048

func (e *encoder) dsnError(v *dsn.Error) {
	e.uint(uint64(v.Status))
	e.uint(uint64(max(v.Code, 0)))
	for _, s := range []string{v.Text, v.RemoteMTA, v.RemoteReply} {
		e.string(s[:min(len(s), maxText)])
	}
}

func (d *decoder) dsnError() *dsn.Error {
	return &dsn.Error{
		Status: dsn.Status(d.Uint()), Code: d.Number(),
		Text: d.Text(), RemoteMTA: d.Text(), RemoteReply: d.Text(),
	}
}
