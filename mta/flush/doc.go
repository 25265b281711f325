// Package flush is the fast flush service (Postfix flush(8)): it knows which deferred
// messages wait for a destination, so that ETRN, `sendmail -qR` and `postqueue -s` need
// not read the queue.
//
// # What it does
//
// [Index.Add] notes that a message is deferred for the domains of recipients, as far as
// they are among flush.fast_flush_domains: one line in the log of each domain.
// [Index.Request] is for a client at ETRN: it returns at once, and Run makes what the log
// of the domain names due now (queue.FlushIDs), and empties the log. [Index.Flush] is the same
// for an operator, who waits for it. What cannot be delivered then is noted
// again when it is deferred again.
//
// A log that nobody asked about for flush.fast_flush_refresh_time is treated as if somebody
// had; one that was empty for flush.fast_flush_purge_time is removed. One that has become twice as
// long as it was is rewritten, each message once and without those that have left, so
// that messages which are deferred again and again do not make it longer than what waits.
//
// # What it does not do
//
// It tries nothing and has no times of its own for messages: each has its next attempt whether
// its destination asks or not. A message that was deferred before its domain came into
// fast_flush_domains is listed when it is deferred the next time, within
// qmgr.maximal_backoff_time. Messages on hold are not for it.
//
// # Promises
//
// A message is listed before it rests in the deferred queue. A killed process loses nothing of
// that. Logs are not synced: after a power loss lines of the last seconds may be missing, and
// come back with the next deferral. A line of a message that is gone, or a torn one, does no harm.
//
// # Memory
//
// A few words for each domain that has a log, at most flush.site_limit of them; while a log is
// worked on, its length. Messages are not in memory.
//
// # Parameters
//
// The section [flush] of configs (type configs.Flush);
// main.parent_domain_matches_subdomains.
//
// # Results
//
// [ErrDenied] for a domain that is not among fast_flush_domains, [ErrName] for what is no
// domain. Any other error is temporary: a table that does not answer, the disk.
//
// # Files
//
//	flush/DOMAIN   in main.data_dir: a line "# SECONDS", since when it lists (Unix time), then a
//	               line for each message: its queue ID. A name that no file can have is "=" and its
//	               SHA-256 in hexadecimal.
//
// # Goroutines
//
// [Index.Run] works on requests and looks the logs over; its owner waits for it.
package flush
