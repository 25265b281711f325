// Package agent is what every delivery agent shares: the request it gets from
// qmgr and the result it reports per recipient.
//
// # Adding an agent
//
// One package below mta with a type that has [Agent]'s method, its name in
// configs.Agents, and one row in the agent table of internal/run. qmgr, the log, the
// bounce generator and the retry schedule need no change. What the transports are
// called that use it, and what bounds them, is configuration.
//
// # Rules
//
//   - Report each recipient exactly once, as soon as its fate is known. Who
//     knows the outcome records it: report crosses the recipient off in the
//     queue before it returns.
//   - A recipient that is not reported when Deliver returns is deferred with
//     4.3.0 by qmgr and logged as a bug of the agent.
//   - An error becomes permanent only by its status (dsn.Error).
//   - Deliver honours ctx: at shutdown it is cancelled and what is not done is
//     deferred.
package agent
