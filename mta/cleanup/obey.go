package cleanup

import (
	"cmp"
	"fmt"
	"log/slog"

	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
	"toastmaster/mta/contentcheck"
	"toastmaster/mta/policy"
)

// obey does what a table wants of f.
func (i *inspection) obey(c *check, e *editor, f contentcheck.Found, r policy.Result) error {
	switch r.Action {
	case policy.Dunno:
		return nil
	case policy.Ignore:
		return e.change(f.From, f.To, "")
	case policy.Reject, policy.Defer:
		i.note(c, r)
		return dsn.New(cmp.Or(r.Status, dsn.Policy), cmp.Or(r.Text, "message content rejected")).WithCode(refusalCode(r.Action))
	case policy.Strip:
		i.note(c, r)
		return e.change(f.From, f.To, "")
	case policy.Replace, policy.Prepend:
		text := r.Text
		if f.IsField {
			text = contentcheck.Field(text)
		}
		if text == "" {
			return i.nonsense(c, fmt.Errorf("%s without a header field: Name: text", r.Action))
		}
		i.note(c, r)
		if r.Action == policy.Prepend {
			return e.change(f.From, f.From, text+"\n")
		}
		return e.change(f.From, f.To, text+f.End)
	case policy.Pass:
		i.over = true
	case policy.Warn:
		i.log(c).Warn("content check", i.keys("action", r.Action.String(), "argument", r.Text)...)
		return nil
	case policy.Info:
	case policy.Hold:
		if i.orders.Holds() {
			return nil
		}
		i.orders.Note(r.Action, r.Text, anAddress)
	default:
		if !i.orders.Note(r.Action, r.Text, anAddress) || i.orders.Copies() > i.m.c.o.Params.AliasExpandLimit {
			return i.nonsense(c, fmt.Errorf("%s %q cannot be done", r.Action, r.Text))
		}
		i.over = i.over || r.Action == policy.Discard || r.Action == policy.Redirect
	}
	i.note(c, r)
	return nil
}

// refusalCode is the code of a reply, Postfix's.
func refusalCode(a policy.Action) int {
	if a == policy.Defer {
		return 451
	}
	return 550
}

// anAddress is the argument of an action: with a domain.
func anAddress(text string) (addr.Address, bool) {
	a, err := addr.Parse(text)
	return a, err == nil && a.Domain != ""
}

// nonsense is the answer where a table says what cannot be done: the message does not pass by a
// mistake of ours, nor is it refused for good.
func (i *inspection) nonsense(c *check, cause error) error {
	i.log(c).Error("content check says what cannot be done", i.keys("table", c.maps.String(), "cause", cause)...)
	return dsn.Wrap(dsn.Misconfigured, "Server configuration error", cause)
}

// note logs an action. What it was about is content and in no log; nor is what it becomes.
func (i *inspection) note(c *check, r policy.Result) {
	keys := i.keys("action", r.Action.String())
	if r.Action != policy.Replace && r.Action != policy.Prepend {
		keys = append(keys, "argument", r.Text)
	}
	i.log(c).Info("content check", keys...)
}

func (i *inspection) log(c *check) *slog.Logger {
	return i.m.c.o.Log.With("service", "cleanup", "check", c.param)
}

func (i *inspection) keys(more ...any) []any {
	env := i.m.s.Envelope
	return append([]any{"id", string(env.ID), "session", env.Origin.Session}, more...)
}
