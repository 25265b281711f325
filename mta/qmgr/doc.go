// Package qmgr is the queue manager: it takes messages out of the queue, finds
// their routes, gives them to delivery agents, and decides what becomes of each
// recipient (Postfix qmgr(8)).
//
// # What it does
//
// [Manager.Run] takes messages into the active window, which the queue bounds. For
// each one it resolves the pending recipients, groups them by transport and nexthop,
// and queues one or more jobs. A transport runs at most its concurrency of jobs;
// the domains that send take turns, and of each its destinations (internal/fair), so
// that no one with a long queue holds up the others. One domain has four fifths of
// the concurrency at most, and one mailbox, of the transports that are local,
// mailbox_concurrency_limit.
//
// A destination starts with an initial concurrency. Each delivery without
// trouble at the site raises it by the positive feedback up to the limit; each
// agent.Result with Site set lowers it by the negative one. With a rate delay there is
// one delivery at once to a destination, which rests after it; with one of the
// transport its next delivery begins so much later. After as many rounds of
// failures as the cohort limit says a destination is dead: what waits for it is deferred
// without a try, also what comes in the next minimal_backoff_time; until
// somebody flushes, requeues or releases a message for it (Postfix postqueue
// -f), which gets it one more chance.
//
// Each recipient of each attempt is one line in the log (msglog.Attempt), with
// the sender, so that one can be followed without the line of its arrival.
// Success is crossed off in the queue before the agent goes on. Failures are
// collected; at the end of the attempt those that are permanent, or whose
// message is older than its lifetime (4.4.7), go into one report, and are
// crossed off when that report lies in the queue. If it cannot be queued, the
// recipients wait and are tried again. Senders that asked for it are told about
// success (NOTIFY=SUCCESS), and everybody once about a delay. Mail from the null
// sender is dropped with its log line instead of reported.
//
// Mail for a transport of defer_transports is deferred with 4.3.2 unless somebody asked for this attempt (queue.Item.Asked). The
// deliveries of one message for one destination take turns with those of others (batch.go).
//
// A message with a filter (Envelope.Filter) goes to that transport with all its
// recipients; nobody is resolved. A transport that there is not is 4.3.5.
//
// Two kinds of recipient come from mta/cleanup with their result and are not
// tried: Refused is a failure, Expanded a success that is crossed off when its
// report lies in the queue.
//
// A message that an operator made expire (queue.Item.Expired) is not tried any more: its pending recipients go
// into a report with the reason that they had. One that is active then has the rest of its attempt.
//
// What is left is tried again when the message has waited as long as it is
// old, at least minimal_backoff_time and at most maximal_backoff_time.
// A message expires when it is as old as its lifetime and its attempts say that it was tried for half of that: neither
// a clock that is set forward nor a machine that was off sends mail back that was hardly tried. Set back, the clock
// makes nobody wait longer than maximal_backoff_time.
//
// [Manager.Renew] gives it other parameters, transports, limits, and another resolver and reporter, all at once. What runs goes on, what is known of
// destinations stays within the new limits, and what waits for its turn is resolved anew.
//
// # What it does not do
//
// It writes no file and speaks no protocol. It does not read the message.
//
// # Agents
//
// A recipient that an agent does not report, and all of them when it panics,
// are deferred with 4.3.0 and logged as a bug. A second report about the same
// recipient is ignored and logged. A panic of the resolver or the reporter is its
// error; one of the manager's own steps leaves who has no result for the next
// attempt, after the backoff (service.Fenced).
//
// # Shutdown
//
// When Run's context ends no more messages are taken, and the deliveries under
// way are cancelled; an agent that is past the point where it can stop (the
// final dot, the rename into a mailbox) goes on to its result. What has a result
// keeps it: for end_timeout in all, reports are queued and deferred messages
// written. What is not done then is not written anywhere, and the next process
// begins its attempt again. A message nobody has begun is not
// written anywhere: it is still where it was in the queue, and the next process
// gets it again. A success report that was not yet queued is lost if the
// process dies between delivery and report; delivering twice would be worse.
//
// # Parameters
//
// The section [qmgr]; see configs/qmgr.go.
//
// # Goroutines
//
// resolve_concurrency goroutines pull and resolve; each transport has as many
// workers as there are jobs ready, up to its concurrency, and none when idle;
// up to end_concurrency closers write reports and deferred messages. Run waits for all.
//
// # Standards
//
// RFC 3461 sections 4.1 and 5.2, RFC 5321 section 4.5.4.1 (retry strategy).
package qmgr
