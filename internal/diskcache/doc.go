// Package diskcache is a table of bounded size whose entries have a time to live and
// survive a restart: what postscreen has found out about clients, and what
// address verification has about addresses.
//
// # What it does
//
// [Open] reads the file, when there is one. [Cache.Get] and [Cache.Put] work in memory
// and never wait for the disk. [Cache.Run] writes what has changed behind the others in
// the file once each Options.Save, and makes a new file out of what still holds when
// more than half of the old one does not; it writes once more when its context ends.
//
// # Bounds
//
// At most Options.Limit entries are kept. With more of them, the one of a few chosen
// at random that ends first makes room; see internal/anvil for why not the one that
// was used longest ago.
//
// # What it does not do
//
// It syncs nothing. What a crash takes away is found out again: that costs a
// client a wait, and nobody a message. A file that cannot be written is one line in the log, at
// the first time, and memory goes on. A line of the file that cannot be read (a torn one, after
// a power loss) is left out, and counted in one line.
//
// # Files
//
// Options.Path, text: a line "toastmaster cache 1", then one for each entry,
// "seconds since 1970, key, value" with tabs between them, quoted as Go does. An entry
// that ended is written with the time 0. <Path>.new is the next file while it is made.
//
// # Locks
//
// One, for memory; nobody holds it while the disk is waited for. Only Run writes, so a file has
// one writer.
package diskcache
