package policy

import (
	"cmp"
	"context"

	"toastmaster/internal/dsn"
)

// Stage is when a list of restrictions is asked.
type Stage uint8

// The stages of a session, in their order.
const (
	Connect Stage = iota
	Helo
	Mail
	Rcpt
	Data
	EndOfData
	Etrn
)

// Action is what a restriction wants done.
type Action uint8

// The actions, those of Postfix access(5). Permit, Reject and Defer end the list. With
// Dunno the next restriction is asked; with the others, too, but they are noted in the
// transaction and are done to the message. Discard ends this list and all others: the
// message is accepted, and goes to nobody. DeferIfPermit defers what nothing refuses,
// DeferIfReject what something refuses for good: a restriction that could not find out
// says so.
const (
	Dunno Action = iota
	Permit
	Reject
	Defer
	Hold
	Discard
	Filter
	Redirect
	Prepend
	BCC
	Warn
	Info
	DeferIfPermit
	DeferIfReject
	// What only checks of a content want: a line goes, silently or with a line in the log, has
	// another text, or is the last that is looked at.
	Ignore
	Strip
	Replace
	Pass
)

// Ends says that no further restriction of the list is asked.
func (a Action) Ends() bool { return a == Permit || a == Reject || a == Defer }

// String is the action as access(5) writes it.
func (a Action) String() string {
	names := [...]string{"DUNNO", "PERMIT", "REJECT", "DEFER", "HOLD", "DISCARD", "FILTER", "REDIRECT", "PREPEND", "BCC", "WARN", "INFO", "DEFER_IF_PERMIT", "DEFER_IF_REJECT",
		"IGNORE", "STRIP", "REPLACE", "PASS"}
	if int(a) < len(names) {
		return names[a]
	}
	return "unknown action"
}

// Decision is the answer of a restriction, or of a list.
type Decision struct {
	Action Action
	// Err is the reply of Reject, Defer, DeferIfPermit and DeferIfReject, and never nil
	// with them.
	Err *dsn.Error
	// Arg is what other actions need: "transport:nexthop" of Filter, an address of
	// Redirect and BCC, a text.
	Arg string
	// broken says that the configuration is: warn_if_reject does not let pass then.
	broken bool
}

// refuse is Reject, or Defer for what may be otherwise later.
func refuse(e *dsn.Error) Decision {
	if e.Temporary() {
		return Decision{Action: Defer, Err: e}
	}
	return Decision{Action: Reject, Err: e}
}

// Check is a restriction, ready to be asked. It is safe for concurrent use.
type Check interface {
	Check(ctx context.Context, t *Transaction) Decision
}

// CheckFunc is a function as Check.
type CheckFunc func(ctx context.Context, t *Transaction) Decision

// Check calls f.
func (f CheckFunc) Check(ctx context.Context, t *Transaction) Decision { return f(ctx, t) }

// List is a list of restrictions. The zero List lets everything pass.
type List struct{ checks []Check }

// NewList is a list of restrictions that are not from the configuration.
func NewList(checks ...Check) List { return List{checks} }

// Decide asks the restrictions one after the other, until one ends the list; a list of
// which none does says Dunno. What others want done is noted in t. A message that is to be
// discarded is refused by nobody any more.
func (l List) Decide(ctx context.Context, t *Transaction) Decision {
	for _, c := range l.checks {
		if t.discards() {
			return Decision{Action: Permit}
		}
		switch d := c.Check(ctx, t); {
		case d.Action == Reject && t.ifReject != nil:
			return Decision{Action: Defer, Err: t.ifReject}
		case d.Action.Ends():
			return d
		case d.Action == DeferIfReject:
			t.ifReject = cmp.Or(t.ifReject, d.Err)
		case d.Action == Discard:
			t.note(d)
			return Decision{Action: Permit}
		case d.Action != Dunno:
			t.note(d)
		}
	}
	return Decision{}
}

// Check makes a list a restriction: a class.
func (l List) Check(ctx context.Context, t *Transaction) Decision { return l.Decide(ctx, t) }

// Ask asks lists that belong to one command, in their order. With final, whoever is
// let pass is deferred where a restriction of this command, or of one before, could not find
// out.
func Ask(ctx context.Context, t *Transaction, final bool, lists ...List) Decision {
	t.ifReject = nil
	for _, l := range lists {
		if d := l.Decide(ctx, t); d.Action == Reject || d.Action == Defer {
			return d
		}
	}
	if !final {
		return Decision{}
	}
	for _, d := range t.Noted {
		if d.Action == DeferIfPermit {
			return Decision{Action: Defer, Err: d.Err}
		}
	}
	return Decision{}
}
