// Package box is one mailbox of a store.
//
// # What it does
//
// A [Box] is a mailbox in memory: its index, under one lock, and its Maildir.
// [Box.Deliver] and [Box.Append] store a message, [Box.View] is what one session
// sees. A [View] reads, sets flags, expunges, copies and moves; its sequence numbers
// change only in [View.Update]. What other programs did in the Maildir is found by
// [Box.Refresh], and by every look of a session. [Repeat], the methods that begin with
// Repeat, and [Box.Restore] are for a start after an unclean end.
//
// [View.Record] is what is known of a message without opening it. It was made when the
// message was stored; one that is lost, or of an older version, is made by whoever
// asks first, and kept. [Texts] are header fields of all messages, as a search
// compares them, in memory.
//
// [Memory] is what all mailboxes of a store share: buffers, messages that were
// unpacked, and fields of all messages of a mailbox that were searched.
//
// # What it does not do
//
// It keeps no mailbox in memory and finds none: who makes a Box says how another one
// of the account is opened (COPY, MOVE, a mailbox that was renamed), and is told
// when it leaves its place. It makes and removes no folder but its own.
//
// # Locks
//
// One for each Box, with the flock of its index behind it; of two, the one with the
// lower path is taken first. Who holds it may take what is behind "box" in the table of
// package mailstore.
//
// # Parameters
//
// Of section [store]: verify_interval, lock_timeout, log_limit,
// uidlist_delay, expunge_memory, expunge_entries, max_keywords, unpack_concurrency,
// unpacked_limit, unpacked_cache, cached_fields, cached_record, search_memory.
//
// # Results
//
// Errors of package volume. A folder that is not there is fs.ErrNotExist when it is
// loaded, and volume.ErrNotFound from then on.
//
// # Files
//
// In the folder of the mailbox: new, cur and tmp, the index with its log and cache
// (package index), dovecot-uidlist, dovecot-keywords, toastmaster.keywords.
//
// # Standards
//
// RFC 3501 and 9051 (UIDs, flags), RFC 6851 (MOVE), RFC 7162 (mod-sequences), and the
// Maildir specification (cr.yp.to/proto/maildir.html).
package box
