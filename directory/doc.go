// Package directory asks the questions of a mail system about hosted data:
// is this domain ours, who is this recipient, what becomes of mail for it, where
// does the mailbox live, who may log in?
//
// # Keys, the walk, the decision
//
// A [Backend] answers exact keys: a domain, an address, a log-in. [Directory] is
// over one back end and has the only walk, which is the order in that the keys
// of an address count:
//
//	the whole address      bob+news@example.test
//	without its extension  bob@example.test
//	the catch-all          @example.test
//
// each in the domain of the address, or in the one that this stands for. A back
// end to which all keys at once cost as little as one is a [Walker]; it gets the
// keys in their order and knows no more of it.
//
// [Directory.Decide] is the only decision about a recipient; smtpd, rewrite,
// cleanup, lmtpd, virtual and the administration ask it:
//
//	Foreign       -      not hosted here; relaying is the caller's question
//	Suspended     5.2.1  the domain or the mailbox is disabled
//	Unknown       5.1.1  nobody has the address
//	Relocated     5.1.6  it has moved, with the new address
//	Forward       -      an alias of which somebody takes the mail
//	Unexpandable  5.4.6  an alias that leads to itself; 4.3.5 for one too large
//	OverQuota     5.2.2  the mailbox has no room; 452 4.2.2 where that is wanted
//	Deliver       -      a mailbox takes the mail
//	Undecided     4.3.0  the directory cannot say; 4.3.5 when it is misconfigured
//
// It is taken in this order: a disabled domain tells nothing about who is in it. An
// alias for which nobody takes the mail is refused with the reason of its
// first target, or of a full one.
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
//
// # An alias beside a mailbox
//
// One address may be both. The alias wins, as Postfix asks virtual_alias_maps
// before virtual_mailbox_maps: mail goes to its targets. When the address is among
// them, expansion ends there (virtual(5)) and the mailbox keeps a copy; without
// that the mailbox gets no mail and can only be read. What is found has both, and
// who asks after expansion ([Question.Expanded], [Directory.Destination]) gets the
// mailbox.
//
// # Back ends
//
// directory/sql (SQLite; views, never base tables), directory/cache and
// directory/literal in front of it, directory/static in memory, for tests, and
// admin/store inside of a change. Every back end runs the contract suite of
// directory/tabletest.
package directory
