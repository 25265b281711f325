package agent

import (
	"context"
	"fmt"

	"toastmaster/internal/dsn"
	"toastmaster/internal/msglog"
)

// StatusFilter says what is told of deliveries in the place of what an agent tells (Postfix
// default_delivery_status_filter).
type StatusFilter struct {
	// Lookup has the text for "5.1.1 text", a status, and a text when that changes, too; found is false where the
	// result stays as it is.
	Lookup func(ctx context.Context, result string) (text string, found bool, err error)
	// Transport is for the log.
	Transport string
	Log       *msglog.Log
}

// Of is the agent with the filter behind it. A filter that has no answer, or one that would make a failure of a
// success, leaves the result as it is, with a line in the log.
func (f *StatusFilter) Of(a Agent) Agent {
	if p, can := a.(Prober); can {
		return restatedProber{restated{a, f}, p}
	}
	return restated{a, f}
}

// restated is an agent with a filter.
type restated struct {
	Agent
	filter *StatusFilter
}

// restatedProber is one that can be asked, too. What it answers to a probe is not filtered: no mail was delivered.
type restatedProber struct {
	restated
	Prober
}

// Deliver implements Agent.
func (a restated) Deliver(ctx context.Context, r *Request, report func(Result)) {
	a.Agent.Deliver(ctx, r, func(one Result) {
		a.filter.apply(ctx, r, &one)
		report(one)
	})
}

func (f *StatusFilter) apply(ctx context.Context, q *Request, r *Result) {
	status, text := r.Status, r.Text
	switch {
	case r.Err != nil:
		status, text = r.Err.Status, r.Err.Text
	case status == 0:
		status = dsn.OK
	}
	told, found, err := f.Lookup(ctx, status.String()+" "+text)
	if err == nil && !found {
		return
	}
	to := dsn.Status(0)
	if err == nil {
		var other string
		if to, other = dsn.Split(told, 0); other != "" {
			text = other
		}
		if to == 0 || (to.Class() == 2) != (r.Err == nil) {
			err = fmt.Errorf("%.200q is no status that can stand in its place", told)
		}
	}
	if err != nil {
		f.Log.Warn("delivery status filter", "service", f.Transport, "id", string(q.Envelope.ID), "result", status.String(), "cause", err)
		return
	}
	if r.Err == nil {
		r.Status, r.Text = to, text
		return
	}
	changed := *r.Err
	changed.Status, changed.Text, changed.Code = to, text, 0
	r.Err = &changed
}
