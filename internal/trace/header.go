package trace

import (
	"bytes"
	"strings"

	"toastmaster/internal/addr"
)

// Field splits a header line. A name has visible ASCII characters without
// colon; space before the colon is obsolete but understood (RFC 5322 section
// 4.5.3). The value is without space around it. ok is false for what is no
// field.
func Field(line []byte) (name, value []byte, ok bool) {
	i := bytes.IndexByte(line, ':')
	if i <= 0 {
		return nil, nil, false
	}
	name = bytes.TrimRight(line[:i], " \t")
	for _, b := range name {
		if b <= ' ' || b >= 0x7f {
			return nil, nil, false
		}
	}
	return name, bytes.TrimSpace(line[i+1:]), len(name) > 0
}

// maxDelivered bounds the addresses that are remembered: a message with more
// meets the hop limit.
const maxDelivered = 200

// Delivered are the addresses in the Delivered-To fields of a message. The zero
// value has none.
type Delivered struct{ keys map[string]bool }

// Add notes the value of a field.
func (d *Delivered) Add(value string) {
	a, err := addr.Parse(strings.Trim(value, "<>"))
	if err != nil || len(d.keys) >= maxDelivered {
		return
	}
	if d.keys == nil {
		d.keys = map[string]bool{}
	}
	d.keys[a.Key()] = true
}

// Forget empties it.
func (d *Delivered) Forget() { clear(d.keys) }

// To says that the message was delivered to a before.
func (d *Delivered) To(a addr.Address) bool { return d.keys[a.Key()] }
