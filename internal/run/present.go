package run

import (
	"context"
	"net"
	"sync/atomic"

	"toastmaster/directory"
	"toastmaster/internal/addr"
	"toastmaster/internal/envelope"
	"toastmaster/internal/service"
	"toastmaster/mta/agent"
)

// present is the pipeline of now, as those ask for it who live longer than one: verify, pickup, lmtpd, the API, and the ports. What they
// ask for begins with the present pipeline, and ends with the same. It is empty in a role that has no pipeline. Safe for concurrent use.
type present struct{ now atomic.Pointer[pipeline] }

// get is that of now.
func (p *present) get() *pipeline { return p.now.Load() }

// Submit is cleanup's.
func (p *present) Submit(ctx context.Context, s *envelope.Submission) (envelope.QueueID, error) {
	return p.get().cleanup.Submit(ctx, s)
}

// Resolve is the resolver's.
func (p *present) Resolve(ctx context.Context, sender, recipient addr.Address) (agent.Route, error) {
	return p.get().resolver.Resolve(ctx, sender, recipient)
}

// Elsewhere is the resolver's.
func (p *present) Elsewhere(ctx context.Context, a addr.Address) (transport, nexthop string) {
	return p.get().resolver.Elsewhere(ctx, a)
}

// Report is bounce's.
func (p *present) Report(ctx context.Context, r *agent.Report) error {
	return p.get().reporter.Report(ctx, r)
}

// Decide is what RCPT would know of an address.
func (p *present) Decide(ctx context.Context, a addr.Address) directory.Decision {
	return p.get().smtpds[smtpdSection].Decide(ctx, a)
}

// agent is the one of a transport now, nil when there is none of the name.
func (p *present) agent(transport string) agent.Agent { return p.get().agents[transport] }

// handler serves each connection by what the present pipeline has for it.
func (p *present) handler(of func(*pipeline) service.Handler) service.Handler {
	return handlerFunc(func(ctx context.Context, c net.Conn) { of(p.get()).ServeConn(ctx, c) })
}

// handlerFunc is a function as service.Handler.
type handlerFunc func(ctx context.Context, c net.Conn)

// ServeConn calls f.
func (f handlerFunc) ServeConn(ctx context.Context, c net.Conn) { f(ctx, c) }
