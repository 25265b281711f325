package agent

import (
	"context"
	"time"

	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/mta/queue"
)

// Agent delivers. It does not know what the transports are called that it is the agent
// of.
type Agent interface {
	// Deliver tries every recipient of the request and reports each. It is
	// called from several goroutines.
	Deliver(ctx context.Context, r *Request, report func(Result))
}

// Prober is an agent that can find out whether it would deliver, and delivers nothing. Of an agent
// that is none mta/verify takes every recipient for deliverable.
type Prober interface {
	// Probe asks about the one recipient of the request, whose content is small and goes to
	// nobody, and reports it once; when ctx ends it may report nothing. A nil Err says that
	// mail would be taken.
	Probe(ctx context.Context, r *Request, report func(Result))
}

// Request is one message for one destination.
type Request struct {
	Envelope *envelope.Envelope
	// Recipients are indices into Envelope.Recipients.
	Recipients []int
	// Content is qmgr's; the agent does not close it.
	Content envelope.Content
	// Nexthop is the domain or "[host]:port" that resolve chose.
	Nexthop string
	// Chosen is the Route's.
	Chosen bool
	// Err is the Route's Err, for the transport "error"; nil otherwise.
	Err *dsn.Error
	// Replay asks an idempotent agent to look before it writes.
	Replay bool
	// Activated is when the message entered the active window, Started when
	// this request reached an agent (for delays=).
	Activated, Started time.Time
}

// Action is the Action field of a delivery report (RFC 3464 section 2.3.3) in
// Postfix's log words.
type Action string

// The actions.
const (
	// Sent: delivered here; a success report says "delivered".
	Sent Action = "sent"
	// Transferred: taken over by a host that handles DSN, which makes the
	// success report itself (RFC 3461 section 5.2.2).
	Transferred Action = "transferred"
	// Relayed: taken over by a host that does not announce DSN (RFC 3461
	// section 5.2.2); a success report says "relayed".
	Relayed Action = "relayed"
	// Expanded: an alias for several addresses, each a recipient of its own
	// (RFC 3461 section 5.2.7.3). Of agents only local reports it; else qmgr does.
	Expanded Action = "expanded"
	// Deferred and Bounced are failures; which of both follows from Err.
	Deferred Action = "deferred"
	Bounced  Action = "bounced"
)

// Result is one recipient's outcome.
type Result struct {
	// Recipient is an index into Envelope.Recipients.
	Recipient int
	// Err is nil for success. Sent, Transferred or Relayed is then in Action;
	// otherwise Action is ignored and computed from Err's status.
	Err    *dsn.Error
	Action Action
	// Site says that Err is about the destination as a whole (nobody there,
	// no answer, refused at the greeting) and not about this message. qmgr
	// lowers the destination's concurrency and, after enough of them, leaves
	// it alone for a while (Postfix deliver_request hop_status).
	Site bool
	// Status is the success status; dsn.OK when zero.
	Status dsn.Status
	// Text is for the log: the peer's reply, or "delivered to maildir".
	Text string
	// Relay is where it went: "host[ip]:port", "virtual", "none".
	Relay string
	// Effect says where a success lies (see queue.Item.Done).
	Effect queue.Effect
	// Connected is when the connection for the delivery was ready (for
	// delays=); zero when there was none.
	Connected time.Time
}

// Route is where a recipient goes.
type Route struct {
	// Transport is a transport's name, or "error" to bounce or defer with Err.
	Transport string
	// Nexthop is handed to the agent; it is also the destination that
	// concurrency limits and back-off count by.
	Nexthop string
	// Chosen says that a table of the operator has named the nexthop.
	Chosen bool
	// Err is set for the transport "error".
	Err *dsn.Error
}

// Resolver decides the route of a recipient after alias expansion, and for a sender.
type Resolver interface {
	Resolve(ctx context.Context, sender, recipient addr.Address) (Route, error)
}

// Undeliverable is the reason of mail to error and retry where none is given.
const Undeliverable = "Address is undeliverable"
