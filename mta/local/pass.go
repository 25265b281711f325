package local

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"toastmaster/directory/tables"
	"toastmaster/internal/dsn"
	"toastmaster/internal/hostuser"
	"toastmaster/mta/agent"
)

// passed hands a recipient to another transport, where a table or the parameter names one; false when
// neither does.
func (d *delivery) passed(ctx context.Context, p place, u *hostuser.User, maps tables.Maps, standard string) bool {
	user, _ := d.parts(p, u)
	text, found, err := safely(ctx, maps, user)
	switch {
	case err != nil:
		d.fail(err)
		return true
	case !found:
		text = standard
	}
	if text == "" {
		return false
	}
	d.add(step{kind: toAgent, text: text, place: p})
	return true
}

// pass hands the message to the agent of a transport, for this recipient alone. Its concurrency is
// that of this transport: qmgr knows nothing of it.
func (d *delivery) pass(ctx context.Context, s *step) outcome {
	by, r, err := d.passing(s)
	if err != nil {
		return outcome{err: err}
	}
	got, reported := agent.Result{}, false
	by.Deliver(ctx, r, func(one agent.Result) { got, reported = one, true })
	switch {
	case !reported && ctx.Err() != nil:
		return outcome{err: dsn.From(ctx.Err())}
	case !reported:
		return outcome{err: dsn.Wrap(dsn.MailSystem, "Temporary failure in the mail system", fmt.Errorf("transport %s has not reported the recipient", s.text))}
	}
	return outcomeOf(got)
}

func outcomeOf(r agent.Result) outcome {
	return outcome{err: r.Err, text: r.Text, action: r.Action, relay: r.Relay, status: r.Status, connected: r.Connected}
}

// passing is the agent of a transport, and what it gets.
func (d *delivery) passing(s *step) (agent.Agent, *agent.Request, *dsn.Error) {
	name, nexthop, _ := strings.Cut(s.text, ":")
	var by agent.Agent
	if d.a.o.Agent != nil {
		by = d.a.o.Agent(name)
	}
	if by == nil {
		return nil, nil, dsn.Wrap(dsn.Misconfigured, "mail transport unavailable", fmt.Errorf("%q is no transport that local may hand mail to", name))
	}
	env, r := *d.r.Envelope, *d.r
	given := original(d.to.Original, d.to.Address)
	if s.anew {
		given = s.at
	}
	to := d.member(s.at, given)
	env.Sender, env.Recipients = s.sender, append(env.Recipients[:0:0], to)
	r.Envelope, r.Recipients, r.Err = &env, []int{0}, nil
	r.Nexthop, r.Chosen = cmp.Or(nexthop, d.a.o.Hostname), nexthop != ""
	return by, &r, nil
}

// Probe implements agent.Prober: it finds what would be done for a recipient, and does nothing.
func (a *Agent) Probe(ctx context.Context, r *agent.Request, report func(agent.Result)) {
	d := &delivery{a: a, r: r, to: r.Envelope.Recipients[r.Recipients[0]], seen: map[key]bool{}}
	got := agent.Result{Recipient: r.Recipients[0], Relay: "local"}
	d.recipient(ctx, place{at: d.to.Address, sender: r.Envelope.Sender})
	if ctx.Err() != nil {
		return
	}
	if got.Err = d.later(); got.Err == nil && len(d.failed) > 0 {
		got.Err = d.failed[0]
	}
	if got.Err != nil || len(d.steps) != 1 {
		got.Text = "aliased to multiple recipients"
		report(got)
		return
	}
	s := &d.steps[0]
	got.Text = "delivers to " + s.kind.String()
	switch s.kind {
	case toAddress:
		got.Text = "forwards to " + s.text
	case toAgent:
		by, its, err := d.passing(s)
		if prober, can := by.(agent.Prober); can && err == nil {
			prober.Probe(ctx, its, func(one agent.Result) {
				one.Recipient = got.Recipient
				report(one)
			})
			return
		}
		got.Err, got.Text = err, "delivers via "+s.text
	default:
		if err := s.who.Permitted(); err != nil {
			got.Err = notPermitted(err)
		}
	}
	report(got)
}
