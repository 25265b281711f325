package policy

import (
	"slices"
	"strings"

	"toastmaster/internal/addr"
	"toastmaster/internal/envelope"
	"toastmaster/internal/header"
)

// Orders are what is to be done to a message, whoever wants it. The last word counts; a
// redirection takes the place of a filter, and nothing that of a discard, as in Postfix
// access(5).
type Orders struct {
	hold, discard bool
	filter        *envelope.Route
	redirect      addr.Address
	bcc           []addr.Address
	prepend       []string
}

// OrdersOf are those that a message has.
func OrdersOf(env *envelope.Envelope) Orders {
	o := Orders{hold: env.Hold, filter: env.Filter, redirect: env.Redirect, bcc: env.BCC, prepend: env.Prepend}
	o.discard = env.Filter != nil && *env.Filter == toNobody
	return o
}

// toNobody is the route of what is discarded.
var toNobody = envelope.Route{Transport: "discard"}

// Note notes Hold, Discard, Filter, Redirect, BCC or Prepend, whose argument address reads
// where it is one. It says whether it can be done.
func (o *Orders) Note(a Action, arg string, address func(text string) (addr.Address, bool)) bool {
	ok := true
	switch a {
	case Hold:
		o.hold = true
	case Discard:
		o.discard = true
	case Filter:
		var route envelope.Route
		if route, ok = envelope.ParseRoute(arg); ok {
			o.filter = &route
		}
	case Prepend:
		if ok = isField(arg); ok {
			o.prepend = append(o.prepend, arg)
		}
	case Redirect, BCC:
		var to addr.Address
		if to, ok = address(arg); !ok {
			return false
		}
		if a == Redirect {
			o.redirect = to
		} else if !slices.Contains(o.bcc, to) {
			o.bcc = append(slices.Clip(o.bcc), to)
		}
	default:
		ok = false
	}
	return ok
}

// Copies is how many blind copies were noted.
func (o *Orders) Copies() int { return len(o.bcc) }

// Holds says that the message is to be held.
func (o *Orders) Holds() bool { return o.hold }

// Give gives them to the envelope.
func (o *Orders) Give(env *envelope.Envelope) {
	env.Hold, env.Filter, env.Redirect, env.BCC, env.Prepend = o.hold, o.filter, o.redirect, o.bcc, o.prepend
	switch {
	case o.discard:
		route := toNobody
		env.Filter, env.Redirect, env.BCC = &route, addr.Address{}, nil
	case !env.Redirect.IsNull():
		env.Filter, env.BCC = nil, nil
	}
}

// maxField is how long the line of a field may be, in octets (RFC 5322 section 2.1.1).
const maxField = 998

// isField says that a text is a field of a header, in one line.
func isField(text string) bool {
	_, _, ok := header.Split([]byte(text))
	return ok && len(text) <= maxField && !strings.ContainsFunc(text, func(c rune) bool {
		return c < ' ' && c != '\t' || c == 0x7f
	})
}
