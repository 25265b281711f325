package policy

import (
	"testing"

	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
)

// TestParseContent: words of header_checks(5) in any case; what is none, also of access(5), is a mistake.
func TestParseContent(t *testing.T) {
	t.Parallel()
	no := func(s string) dsn.Status { status, _ := dsn.Split(s, 0); return status }
	for text, want := range map[string]Result{
		"DUNNO": {}, "ok then": {}, "ignore": {Action: Ignore}, "STRIP  why ": {Action: Strip, Text: "why "}, "PASS": {Action: Pass},
		"REJECT": {Action: Reject}, "Reject\tno thanks": {Action: Reject, Text: "no thanks"}, "REJECT 5.7.25 no": {Action: Reject, Status: no("5.7.25 x"), Text: "no"},
		"REJECT 4.7.2 later": {Action: Defer, Status: no("4.7.2 x"), Text: "later"}, "REJECT 2.0.0 odd": {Action: Defer, Status: no("4.0.0 x"), Text: "odd"},
		"REPLACE X: y": {Action: Replace, Text: "X: y"}, "PREPEND X: y": {Action: Prepend, Text: "X: y"}, "hold": {Action: Hold}, "FILTER a:b": {Action: Filter, Text: "a:b"},
		"DISCARD": {Action: Discard}, "REDIRECT a@b": {Action: Redirect, Text: "a@b"}, "BCC a@b": {Action: BCC, Text: "a@b"}, "WARN x": {Action: Warn, Text: "x"}, "INFO x": {Action: Info, Text: "x"},
	} {
		got, err := ParseContent(text)
		if err != nil || got.Action != want.Action || got.Status != want.Status || got.Text != want.Text || got.List != nil || got.Code != 0 {
			t.Errorf("%q: %+v %v", text, got, err)
		}
	}
	for _, text := range []string{"", " ", "REJECTED", "550 no", "DEFER x", "RELAY", "permit", "DEFER_IF_PERMIT", "X: y", "1234"} {
		if got, err := ParseContent(text); err == nil {
			t.Errorf("%q: %+v", text, got)
		}
	}
}

// TestOrders: the last word counts, a redirection takes the place of a filter and of copies, and nothing that of a
// discard; what cannot be done is not noted.
func TestOrders(t *testing.T) {
	t.Parallel()
	read := func(text string) (addr.Address, bool) {
		a, err := addr.Parse(text)
		return a, err == nil
	}
	type order struct {
		action Action
		arg    string
	}
	for _, c := range []struct {
		before envelope.Envelope
		orders []order
		filter string
		to     string
		copies int
		hold   bool
	}{
		{orders: []order{{Filter, "a:"}, {Filter, "b:c"}, {BCC, "x@y.test"}, {BCC, "x@y.test"}, {BCC, "z@y.test"}}, filter: "b:c", copies: 2},
		{orders: []order{{Redirect, "x@y.test"}, {Filter, "a:"}, {BCC, "z@y.test"}, {Redirect, "w@y.test"}, {Hold, ""}}, to: "w@y.test", hold: true},
		{orders: []order{{Discard, ""}, {Filter, "a:"}, {Redirect, "x@y.test"}, {BCC, "x@y.test"}}, filter: "discard:"},
		{before: envelope.Envelope{Filter: &envelope.Route{Transport: "discard"}}, orders: []order{{Filter, "a:"}}, filter: "discard:"},
		{before: envelope.Envelope{Filter: &envelope.Route{Transport: "b"}, Hold: true}, filter: "b:", hold: true},
	} {
		o := OrdersOf(&c.before)
		for _, w := range c.orders {
			if !o.Note(w.action, w.arg, read) {
				t.Errorf("%s %s is not noted", w.action, w.arg)
			}
		}
		for _, w := range []order{{Filter, "none"}, {Redirect, "@"}, {BCC, ""}, {Prepend, "no field"}, {Reject, ""}, {Replace, "X: y"}, {Dunno, ""}} {
			if o.Note(w.action, w.arg, read) {
				t.Errorf("%s %q is noted", w.action, w.arg)
			}
		}
		var env envelope.Envelope
		o.Give(&env)
		filter, to := "", ""
		if env.Filter != nil {
			filter = env.Filter.String()
		}
		if !env.Redirect.IsNull() {
			to = env.Redirect.String()
		}
		if filter != c.filter || to != c.to || len(env.BCC) != c.copies || env.Hold != c.hold || env.Prepend != nil {
			t.Errorf("%v: %q %q %v %v", c.orders, filter, to, env.BCC, env.Hold)
		}
	}
}
