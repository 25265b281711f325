// Package ttl remembers things for a time, and not too many of them.
//
// # What it does
//
// A [Map] has a bound and a clock. An entry is there until its time is over, or until it
// makes room for others: an entry that is asked for stays, one that nobody asks for goes. It
// has no goroutine, and nothing to close. [Map.PutSince] keeps an answer that was read before a
// [Map.Clear] from coming back after it.
//
// # What it does not do
//
// It asks nobody for what it does not have, and tells nobody what it drops: what must be closed
// or written when it goes needs an owner of its own. So these are no Maps:
//
//	internal/anvil     a key with many events must outlive any number of keys with few, or a
//	                   flood would push out whom it is to protect from; and what is open stays
//	internal/diskcache its entries outlive the process; it knows what its file does not
//	mta/smtp           idle sessions, several for a key, each of which has to say QUIT
//	mailstore/box      columns and unpacked messages are bounded by their octets, not by time
//
// # Bounds
//
// The map has two halves. New entries, and old ones that are asked for, go to the young half.
// When that is full the old half is dropped and the young one becomes the old one. An entry in
// use survives at the cost of one copy per turn, where a list in the order of use (LRU) would
// need its lock for writing at each look. An entry that nobody asks for outlives at least half
// as many new ones as the map may have.
package ttl
