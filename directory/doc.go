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
// [DSN] maps an answer to a status: Unavailable is 451 4.3.0, Misconfigured
// 451 4.3.5; NotFound has no general status, the caller knows what was missing.
// [Destination] does it for those who deliver.
//
// # An alias beside a mailbox
//
// One address may be both. The alias wins, as Postfix asks virtual_alias_maps
// before virtual_mailbox_maps: mail goes to its targets. When the address is among
// them, expansion ends there (virtual(5)) and the mailbox keeps a copy; without
// that the mailbox gets no mail and can only be read. What is found has both, and
// [Destination], which is asked after expansion, gives the mailbox.
//
// # Implementations
//
// directory/sql (SQLite; views, never base tables), directory/cache in front of
// it, and directory/static from memory, for tests. Every implementation runs
// the contract suite of directory/tabletest.
package directory
