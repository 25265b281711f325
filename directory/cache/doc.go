// Package cache remembers the answers of a directory.
//
// # What it does
//
// [New] puts a bounded cache in front of any directory.Backend. An answer that is
// remembered costs a map lookup: no allocation, no wait for the database. Of
// several questions for the same key at once, one asks and the others take its
// answer. A walk is remembered as one answer, so it is always true of one moment;
// that a domain is not hosted is one answer for all its addresses.
//
// Found and not found are kept apart, each with its own bound and time, so
// that a flood of wrong addresses cannot push the right ones out. Unavailable
// and Misconfigured are never remembered: the next question asks again.
//
// [Cache.Invalidate] forgets everything. The admin side calls it after each
// change it wrote, in the same process; an answer that was being fetched at
// that moment is given to those who waited but not remembered. Other processes'
// changes are seen when the time is over.
//
// # What it does not do
//
// It does not serve old answers while the directory is unavailable, and it does
// not refresh in the background. Forgetting single keys was left out: an alias
// domain, a catch-all or a disabled domain changes the answer of any number of
// addresses, and filling the cache again costs some 20 us per address.
//
// # Parameters
//
// directory.cache_entries (per kind of question, found and not found apart; 0
// turns it off), directory.cache_ttl, directory.cache_negative_ttl. An entry is
// about 400 octets.
//
// # Locks
//
// One read-write lock for each kind of question and class of answer, held for
// a map operation.
package cache
