package smtp

import (
	"context"
	"errors"

	"toastmaster/configs"
	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/mta/agent"
)

// delivery is one request on its way over one or more hosts.
type delivery struct {
	agent   *Agent
	request *agent.Request
	report  func(agent.Result)
	todo    []int // recipients without a result
	// probe ends after RCPT, and nobody gets anything.
	probe bool
	// sender, mapped and content are what leaves: see rewrite. mapped has no recipient where nothing is mapped.
	sender  addr.Address
	mapped  map[int]addr.Address
	content envelope.Content
	needs   *needs
	form    form // of the message for the present session
}

// trouble is why there is no result from a host.
type trouble struct {
	err *dsn.Error
	// site: the host, and not the message, is the reason.
	site  bool
	relay string
}

// site is a nexthop that a request goes to: as it was written, which passwords are kept by,
// and as it is read.
type site struct {
	key     string
	nexthop configs.Nexthop
	// idle is the name of its idle connections. Those to a fallback relay are no way for mail
	// to a domain or literal of the same name, which is looked at more closely.
	idle string
	// login is how to log in there, when hasLogin.
	login    credentials
	hasLogin bool
	// policy is what TLS has to be on new connections there.
	policy tlsPolicy
}

// run delivers to the nexthop and, where that is not found or cannot be reached, to
// smtp.fallback_relay. It returns the trouble of the last one.
func (d *delivery) run(ctx context.Context) trouble {
	a := d.agent
	nexthop, err := a.nexthop(d.request.Nexthop)
	if err != nil {
		return trouble{err: dsn.Wrap(dsn.Misconfigured, "Server configuration error", err), relay: "none"}
	}
	nexthop.Chosen = d.request.Chosen
	if err := d.rewrite(ctx); err != nil {
		return trouble{err: dsn.From(err), relay: "none"}
	}
	if d.needs, err = inspect(d); err != nil {
		return trouble{err: unreadable(err), relay: "none"}
	}
	last, open := d.visit(ctx, site{key: d.request.Nexthop, nexthop: nexthop, idle: d.request.Nexthop})
	for _, s := range a.fallback {
		if !open || len(d.todo) == 0 || ctx.Err() != nil {
			break
		}
		if last, open = d.visit(ctx, s); last.err != nil {
			open = open || last.err.Status == dsn.LoopDetected
			// It is the operator's word that is not found, or comes back to us: that must
			// not return everybody's mail.
			last.err = softened(last.err)
		}
	}
	return last
}

// visit tries one host of a site after the other until no recipient is left. It returns
// the trouble of the last one, and whether a fallback may be tried.
func (d *delivery) visit(ctx context.Context, s site) (last trouble, open bool) {
	var own string
	if s.login, own, s.hasLogin = d.agent.loginFor(s, d.request); own != "" {
		s.idle += " as " + own
	}
	if last := d.reuse(ctx, s); last != nil {
		return *last, false
	}
	if len(d.todo) == 0 {
		return trouble{}, false
	}
	if s.policy, last.err = d.agent.rules.find(ctx, s.key); last.err != nil {
		// The trouble is ours: no host, and no other site with another policy, would change it.
		return trouble{err: last.err, relay: "none"}, false
	}
	targets, ours, failed := d.agent.targets(ctx, s.nexthop)
	if failed != nil {
		return trouble{err: failed, relay: "none"}, !ours && failed.Status != dsn.NullMX && !errors.Is(failed, errPrivate)
	}
	last, looped := d.visitAll(ctx, s, targets)
	return last, last.site && !ours && !looped
}

// visitAll tries one target after the other. looped: one of them was this host.
func (d *delivery) visitAll(ctx context.Context, at site, targets []target) (last trouble, looped bool) {
	last = trouble{err: dsn.New(dsn.NoAnswer, "No host to deliver to"), relay: "none"}
	answered := 0
	for _, t := range targets {
		if len(d.todo) == 0 || ctx.Err() != nil || answered >= d.agent.config.SessionLimit {
			break
		}
		s, err := d.agent.open(ctx, t, at)
		if err != nil {
			if err.Status == dsn.LoopDetected {
				// What is behind us is no better (RFC 5321 section 5.1); what
				// was before us may come back.
				if last.relay == "none" || !last.err.Temporary() {
					last = trouble{err: err, relay: t.String()}
				}
				return last, true
			}
			last = trouble{err: err, site: true, relay: t.String()}
			if err.RemoteReply != "" {
				answered++
			}
			continue
		}
		answered++
		last = d.deliverOver(ctx, at, s)
		if !last.site {
			break
		}
	}
	return last, false
}

// reuse tries idle sessions. A result that settles the rest is returned; nil
// means to go on with new connections.
func (d *delivery) reuse(ctx context.Context, at site) *trouble {
	for len(d.todo) > 0 && ctx.Err() == nil {
		s, kept := d.agent.cache.Take(at.idle)
		if !kept {
			return nil
		}
		if s.early() { // it has left, or its answers would be to questions of another message
			s.close()
			continue
		}
		s.begin(ctx, true)
		last := d.deliverOver(ctx, at, s)
		if last.err != nil && !last.site {
			return &last
		}
	}
	return nil
}

// deliverOver delivers over an open session and keeps or ends it.
func (d *delivery) deliverOver(ctx context.Context, at site, s *session) trouble {
	err := d.transactions(ctx, s)
	s.end()
	switch {
	case s.broken:
		s.close()
	case s.mayBeReused():
		d.agent.cache.Put(at.idle, s, d.agent.config.CacheTime)
	default:
		s.quit()
	}
	var local *localError
	if errors.As(err, &local) {
		return trouble{err: local.err, relay: s.target.String()}
	}
	if err != nil {
		return trouble{err: dsn.From(err), site: true, relay: s.target.String()}
	}
	return trouble{}
}

// localError is trouble on our side: no other host would change it.
type localError struct{ err *dsn.Error }

func (e *localError) Error() string { return e.err.Error() }

func unreadable(err error) *dsn.Error {
	return dsn.Wrap(dsn.MailSystem, "Temporary failure while reading the message", err)
}

// settle reports recipient i and crosses it off.
func (d *delivery) settle(s *session, i int, r agent.Result) {
	for at, todo := range d.todo {
		if todo == i {
			d.todo = append(d.todo[:at], d.todo[at+1:]...)
			break
		}
	}
	r.Recipient = i
	r.Relay = s.target.String()
	r.Connected = s.ready
	d.report(r)
}

func (d *delivery) refuse(s *session, recipients []int, err *dsn.Error) {
	for _, i := range recipients {
		d.settle(s, i, agent.Result{Err: err})
	}
}
