// Package box is one mailbox of a store.
//
// # What it does
//
// A [Box] is a mailbox in memory: its index, under one lock, and its Maildir.
// [Box.Deliver] and [Box.Append] store a message, [Box.View] is what one session
// sees. A [View] reads, sets flags, expunges, copies and moves; its sequence numbers
// change only in [View.Update]. What other programs did in the Maildir is found by
// [Box.Refresh], and by every look of a session. [Repeat], the functions that begin with
// Repeat, and [Restore] are for a start after an unclean end.
//
// [View.Record] is what is known of a message without opening it. It was made when the
// message was stored; one that is lost, or of an older version, is made by whoever
// asks first, and kept. [Texts] are header fields of all messages, as a search
// compares them, in memory.
//
// # What it does not do
//
// It keeps no mailbox in memory and finds none: who makes a Box says how another one
// of the account is opened (COPY, MOVE, a mailbox that was renamed), and is told
// when it leaves its place. It makes and removes no folder but its own. What "stored"
// means, and what a full disk or another program does, is told by package mailstore.
//
// # The pieces
//
// Each change of a mailbox is a file: deliver.go and link.go, sync.go, flags.go,
// expunge.go, copy.go. All are done under the lock of box.go, on these objects:
//
//	Box          the lock, the index and its log; load.go brings it into memory, sync.go looks for what others did, leave.go
//	             takes it from its place, tidy.go does what may lag behind
//	View         what one session asks and changes (view.go, update.go, read.go, record.go, ids.go)
//	numbers      its messages by sequence numbers, and those that left (numbers.go)
//	recents      which of them are recent (recent.go)
//	cacheReader  reads records for it, through a window of the cache (cachereader.go)
//	folder       the Maildir: which files are in it, and what should not be (folder.go)
//	difference   what a look at it found to be different from the index (difference.go)
//	stamps       the mtimes of new and cur: whether another program changed something (stamps.go)
//	keywords     the names of flags, in the index and in two files (keywords.go)
//	uidList      dovecot-uidlist (uidlist.go)
//	epochs       what a checkpoint covers (epochs.go)
//	incoming     a message on its way in, a file without a name (incoming.go); link.go gives it one
//	copying      a COPY or MOVE; it has both mailboxes (copy.go)
//	storing      a change of flags (flags.go)
//	again        an operation that a start does again (redo.go)
//	records      what is known of messages without opening them, in the cache (records.go)
//	reading      one message that is opened: its file, its record (read.go, record.go)
//	Texts        header fields of all messages, as a search compares them (columns.go)
//	Memory       what all mailboxes of a store share: buffers, the unpacker with what it unpacked, and columns (memory.go,
//	             unpack.go, unpackcache.go)
//
// A message that comes: deliver.go writes it without any lock, link.go gives it its name and its
// UID, a record in the log of the index, and wakes the views. A change by another program:
// stamps say that a directory is another one, sync.go compares what folder lists
// with the index and logs the differences. So there is one way into the index, the batch
// that commit (box.go) appends.
//
// # Locks
//
// One for each Box. In the order of package mailstore, what may be taken behind it:
//
//	box       Box.mu: all of a Box, and what its objects hold; of two, by lockedBoth only, the one with the lower path first
//	flock     that of the log of the index, among processes, by flocked only; behind it the Box has caught up with what the
//	          others did
//	order     of the account's records: a message is journaled after the lock is given back, an operation under it
//	sync      a checkpoint, before a COPY or MOVE and without the lock, or under it on a full disk
//	usage     the account's quota: room is taken before the lock, what has come and gone is counted under it
//	pool      Options.Left, Options.Put; the latter never under the lock
//	validity  a UIDVALIDITY for an index that is made anew
//	inner     Options.Lazy and Options.Changed, the account's Trail, what was unpacked, columns
//
// What is read without it: Box.over and Box.settled, which are atomic; the vector of a View.
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
