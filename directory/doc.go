// Package directory asks the questions of a mail system about hosted data:
// is this domain ours, who is this recipient, where does the mailbox live, who
// may log in?
//
// # Results
//
// A lookup has four answers and they are never mixed: found (nil error),
// [NotFound], [Unavailable] (ask again later) and [Misconfigured] (an operator
// must act). They arrive as an [*Error]; [OutcomeOf] reads the answer out of
// any error, and an error that is none of ours is Unavailable, because "not
// found" bounces mail and must be said by somebody who knows.
//
// [Error.DSN] maps an answer to a status once: Unavailable is 451 4.3.0,
// Misconfigured 451 4.3.5; NotFound has no general status, the caller knows
// what was missing.
//
// # Implementations
//
// directory/sql (SQLite; views, never base tables). Every implementation runs
// the contract suite of directory/tabletest.
package directory
