package trace

import (
	"strings"

	"toastmaster/internal/addr"
)

// maxDelivered bounds the addresses that are remembered: a message with more meets
// the hop limit. It is no parameter: see lmtpd.hop_count_limit for the limit that an
// operator sets.
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
func (d *Delivered) To(a addr.Address) bool { return len(d.keys) > 0 && d.keys[a.Key()] }
