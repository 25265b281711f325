// Package agent is what every delivery agent shares: the request it gets from
// qmgr and the result it reports per recipient.
//
// # Adding an agent
//
// One package below mta with a type that has [Agent]'s method, a row in
// configs/agents.go, and one in the agent table of internal/run. qmgr, the log, the
// bounce generator and the retry schedule need no change. What the transports are
// called that use it, and what bounds them, is configuration.
// docs/internals/extending.md has it step by step, extending_test.go an example.
//
// # What is told of a delivery
//
// A [StatusFilter] stands between an agent and qmgr where transport.delivery_status_filter, or
// qmgr.default_delivery_status_filter, names tables: it changes status and text of a result.
// Agents do nothing for it.
//
// # Rules
//
//   - Report each recipient exactly once, as soon as its fate is known. Who
//     knows the outcome records it: report crosses the recipient off in the
//     queue before it returns.
//   - A recipient that is not reported when Deliver returns is deferred with
//     4.3.0 by qmgr and logged as a bug of the agent.
//   - A success is queue.EffectFinal when it is durable by itself: another host has
//     said 250, or a file and its name are synced. Only the store's own checkpoint
//     makes queue.EffectStore durable, so that is virtual's.
//   - A message may be handed out again after a crash, to somebody who has it
//     already. envelope.DeliveryID is a name that is then the same.
//   - An error becomes permanent only by its status (dsn.Error).
//   - An agent that works as users of this host may be in another process than qmgr: package
//     remote. What it hands in is content of the request, with fields before it at most.
//   - Deliver honours ctx: at shutdown it is cancelled and what is not done is
//     deferred.
package agent
