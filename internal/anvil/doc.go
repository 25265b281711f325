// Package anvil counts what clients do, so that a daemon can say "too much": it
// is what anvil(8) is to Postfix, in the process and for every protocol.
//
// # What it does
//
// A [Counter] keeps two numbers for a [Key] and a [Kind] of event: how many
// events there were in the last unit of time ([Counter.Add], [Counter.Take],
// [Counter.Rate]), and how many things are open now ([Counter.Enter],
// [Counter.Leave]). A key is a client (an IPv4 address, an IPv6 /64, or as much of an address as Options say), a network
// (/24, /48), a name (a user), or a name seen from a client or network.
//
// Of what clients do to services (a name seen from a client: connections, messages, recipients, TLS sessions, AUTH commands) it
// remembers the most, who and when, for the lines "statistics" of Postfix's anvil ([Counter.TakePeaks]). What was refused
// beyond a limit counts there, too.
//
// # What it does not do
//
// It knows no limits, decides nothing, waits for nothing, logs nothing and has
// no goroutine: the caller has the limit (a parameter of its section), the reply
// and the log line. Nothing outlives the process.
//
// # Rates
//
// The rate slides: it is the count of this unit and the part of the last unit
// that still lies within one unit of now, rounded up. It is exact for a steady
// client and never lets through more than twice the limit in any unit. Postfix
// starts a fresh count each unit, so that a client may send twice its rate
// around each border; a list of times would be exact and cost memory for each
// event. Time is the monotonic part of the clock: a machine whose clock is set
// neither forgets nor keeps anybody for ever.
//
// # Bounds
//
// Each kind keeps at most Options.Keys keys, or as many as KeysOf says; a key with something open is kept
// on top of that, and the caller's own limit of connections bounds those. With
// more keys, the one with the lowest rate of a few chosen at random makes room.
// So nobody makes himself forgotten by coming from many addresses: to drop a
// key with n events, an attacker must first make n events at most of the Keys
// others, and those count too; the cheap flood of addresses with one event each
// pushes out its own. Recently used keys have no preference, because with
// one (LRU) that flood is all it takes. Keys that fell silent are removed as new
// ones come.
//
// # Exceptions
//
// Options.Exempt are networks whose clients have no key, but from [Counter.AnyClient]. The zero Key is
// nobody: it is never counted and never over a limit. A unix socket has it too.
package anvil
