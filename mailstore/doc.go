// Package mailstore is the one API over the message store: deliver into it,
// open it. Everything above (LMTP, IMAP, POP3, the virtual agent, the admin
// API) talks to this package; below it are mailstore/volume (the ground), mailstore/recovery
// (the journal), mailstore/account and mailstore/box (one mailbox), each of which knows its own
// lock. What is here needs more than one of them: which accounts and mailboxes are in
// memory, RENAME and DELETE, the count of a quota, the hands of a recovery.
//
// # What it does
//
// A [Store] holds accounts, each a Maildir++ tree of mailboxes. [Store.Deliver]
// and [Mailbox.Append] store messages, a [Session] is what somebody who has logged in
// sees, a [Selection] is one mailbox of it. Messages are plain files with LF line ends;
// what clients ask about them is answered from an index in memory, and no
// metadata opens a message file. All sessions of a process share one picture
// of a mailbox; a view is a slice of it and costs a few hundred octets.
//
// Other programs may use the tree: mutt, rsync, Dovecot. Their changes are
// found by the mtimes of new and cur; a new, cur or tmp that somebody removed is
// made again, with one log line. Names of message files stay as others spelt
// them. What is no message (a folder, a pipe, a symbolic link to nowhere) and
// what cannot be read is passed over, said once in the log and never touched;
// a file with new rights is found after verify_interval. Two files with one
// base name are two messages: the second is renamed, as Dovecot does. A file
// that is not where the index has it is looked for. Several processes of ours may
// serve one store; the log of each mailbox's index is their common truth, under
// flock, and what belongs to an account is changed under a lock among processes. They wake
// each other (mailstore/notify).
//
// A symbolic link that stands for a home, or for a folder on the way to it, is not
// followed: each use of the account fails for now, with the link in the log. It may
// lead to another account's mail, a removal would delete what it leads to, no sync
// of the store reaches another file system, and no backup looks behind it. No
// protocol makes links; one is an administrator's or came with a tree of
// another server's. Within a home links are followed as Dovecot follows them: one for
// a mailbox (DELETE takes the link and leaves the mail) and one for a message.
//
// A store carries the id of its instance in .toastmaster/instance. [Create] makes
// one; Open never does in production (Options.Instance), and a store that
// vanishes while it is open is not made anew ([ErrAbsent]).
//
// Files that Dovecot's zlib plugin compressed are read as the mail that they are;
// see mailstore/packed. What was unpacked is kept for a minute (store.unpacked_cache),
// because clients read large messages in pieces. Nothing is stored compressed.
//
// # Sessions
//
// A [Session] acts for a [Principal], over one tree of names: the principal's own
// account, in which it may do everything, and what [Options].Namespaces show of others;
// none does today. [Session.Resolve] finds the place of a name, and is where [Rights]
// (RFC 4314) are looked at: who does something says what it needs, and gets a [Mailbox]
// to do it with, or nothing. A list of rights, shared and public folders are a
// [Namespace]: which accounts a principal sees, and what it may do there. A name leads
// into an account by what the namespace says and never by its text, so that no name
// crosses into another.
//
// Subscriptions are the principal's own. COPY and MOVE between accounts are all or none
// for who hears of them, and not over the end of the process, as they are within one.
// A subscription to a name with a dot in a level, such as an address, cannot be kept.
// [User] is one account without a session: an administrator's import and export.
//
// # What it does not do
//
// It makes no log lines of mail events and knows no protocol. It follows no
// mailbox to another host. It filters nothing.
//
// # What "stored" means
//
//   - Deliver without Durable: the message is in the Maildir, and durable after
//     the next Checkpoint. Whoever delivers keeps it until then and repeats the
//     delivery with Replay after a crash. The ID makes the repetition harmless:
//     it neither doubles a message nor brings back one that its owner moved or
//     removed meanwhile. The file is written once more, in place: what can be
//     read of it need not be on the disk.
//   - Deliver with Durable, and Append: the message is also in the store's
//     journal, synced together with others'. A message too large for that is
//     synced by itself, with its name; the first in a mailbox since it was
//     opened causes a checkpoint. The next Open finishes what is missing and
//     keeps the UIDs that were told.
//     When the power fails before that is answered, the file may be there without
//     its content, because its name and its content are not synced. It is no
//     message then: passed over, said in the log, left where it is. A part of it, or
//     an empty one whose record in the index did reach the disk, is shown as it is.
//     Only another sync, of the content before its name, would rule that out.
//   - Flags: in the file name and in the index, not synced. A power loss may
//     take the last seconds of them (store.checkpoint_interval), never more; a
//     kill takes none.
//   - Expunge, Move, Copy: on disk when they return, at the cost of one sync of
//     the journal that is shared by all who wait. The intention is in the
//     journal before the first file changes, and the next Open does again what
//     is not done. So an expunged message stays away, also when the queue
//     repeats its delivery; a moved one, whose file is renamed, is in one of
//     both mailboxes at every moment; of a set of copies all are there or none.
//     What no checkpoint covers yet is made durable by one before it is copied or
//     moved.
//   - Delete, Rename: on disk when they return; a mailbox is renamed with those
//     below it or not at all.
//   - UIDs and UIDNEXT that a client saw are never given again: they are
//     reserved durably, a thousand at a time, before they are shown.
//
// A Checkpoint that fails to sync is never repeated and believed: from then on
// each one returns [ErrNotDurable], and Run ends with it. The next Open, and the
// queue's repeated deliveries, write everything since the last good one again.
//
// What a checkpoint has covered is marked in the journal, and no start looks for
// it again. A message that a start cannot put into its Maildir, because that is
// damaged or the disk is full, stays in the journal for the next one; its folder
// cannot be renamed meanwhile (ErrBusy), and when it keeps half of the journal's
// segments from being used again it goes to corrupt/.
//
// # A full disk
//
// Mail that comes, APPEND and COPY are refused with ErrFull. A mailbox can be
// opened, read and emptied all the same, after an unclean end too: EXPUNGE and
// MOVE use the reserve of the journal, what they write to an index the room of
// store.reserve, which is a file that is cut shorter; when that is used up the
// log of an index holds in memory what a crash may forget. New messages that
// another program has put into a Maildir are shown when there is room.
//
// # Choices
//
// A message stays in new until its flags change: moving all that was seen, as
// other servers do, would cost a rename for each. \Recent is a UID in the
// index. MOVE keeps the file and gives it another name, COPY gives the file a
// second one and copies it only where it has as many as the file system allows.
// A view of a mailbox that is renamed follows it, also where another process
// renamed it; one of a mailbox that is deleted, or that somebody made anew with
// other UIDs, gets ErrGone. An index that is lost while a view is open is written
// again from memory, UIDs and UIDVALIDITY included. dovecot-uidlist is written some time after the changes
// and before a mailbox leaves memory; Dovecot may therefore take the tree over,
// and give it back, but not serve the same mailbox at the same moment. The first
// 26 keywords in a mailbox have a letter in the file names; more, up to
// store.max_keywords (ErrLimit), are in the index and in toastmaster.keywords,
// from which a rebuild takes them.
//
// Default folders (store.default_folders) of a new account are listed, and made
// on the disk when one is first opened, filled or renamed; other programs see
// them from then on. STATUS of one that is not made is that of an empty mailbox,
// unless UIDVALIDITY is asked, which makes it. One that was deleted stays away.
//
// # Limits
//
// An account has at most store.max_folders mailboxes and store.max_subscriptions
// subscriptions, a new name at most store.max_folder_depth levels and
// store.max_folder_name octets (all ErrLimit). What is there already stays.
//
// # Quota
//
// What an account uses is in memory and, with a quota, at once in maildirsize.
// Whoever stores a message first takes room for it; [Store.Reserve] does so for
// the queue when it accepts mail, until the delivery with the same ID. Before
// anybody hears ErrOverQuota the folders are looked at for what other programs
// removed, at most once in store.sync_interval. The last message that comes in
// may exceed the quota by store.quota_grace.
//
// # Locks
//
// Who holds one takes only those below it. internal/lockorder asserts that in every
// test under the race detector; the ranks are in volume/locks.go.
//
//	folders      account.Account: an account's folders and small files (CREATE, DELETE, RENAME, LIST)
//	foldersdisk  the same among processes, an octet of .toastmaster/processes (volume.AccountLock)
//	parents      volume.Volume: the folders above homes
//	box          box.Box: a mailbox in memory; of two, by COPY and MOVE only, the one with the lower path first
//	flock        that of an index log, among processes, each behind its own box; a backup takes those of an
//	             account, but waits for none
//	order        recovery.AccountJournal: shared from Begin to End of an operation and while a message is journaled;
//	             alone by who takes a folder away
//	marks        recovery: one checkpoint of the journal at a time
//	sync         volume.Checkpoints: one sync of the file system at a time
//	usage        account.Quota: what is used, and reservations
//	usagedisk    the same among processes: maildirsize and toastmaster.changes, when there is a quota
//	pool         Store.mu: which accounts and mailboxes are in memory
//	validity     account.Account: the last UIDVALIDITY, under the flock
//	validitydisk the same among processes
//	inner        what is held for a few lines, one at a time: account.Trail, Store.lazyMu, box.Memory; in volume
//	             said, reserve and processes; in recovery unfinished and the operations under way
//
// Those down to sync may be held over a sync, those below are not; usage may wait for
// usagedisk, store.lock_timeout at most, and write the files of that.
//
// Locks among processes are the kernel's (flock(2), fcntl(2)): they end with the process,
// however it ends. They are waited for at most store.lock_timeout.
//
// # Contexts
//
// A method works as long as its caller's context allows: STORE ends with what is
// done, COPY and MOVE undo it. Run's is that of the background work. For a mailbox
// that another process has locked it waits no longer than store.lock_timeout
// (ErrBusy). Last work, on a mailbox that leaves memory and in [Store.Close], is
// nobody's request and has store.close_timeout.
//
// # Parameters
//
// Section [store] of the configuration: configs.Store.
//
// # Results
//
// The closed set in errors.go (of package volume); [DSN] turns it into a delivery status.
//
// # Files
//
// Below the root, in an account's home and for a mailbox "A/B" in ".A.B":
//
//	cur new tmp maildirfolder             Maildir++
//	dovecot-uidlist dovecot-keywords      written as Dovecot does, under NAME.lock
//	dovecot-uidvalidity*                  last UIDVALIDITY (home only)
//	toastmaster.keywords                  keywords without a letter, when there are any
//	subscriptions maildirsize             Dovecot's, Maildir++'s (home only)
//	toastmaster.index toastmaster.index.log toastmaster.cache   see mailstore/index
//	toastmaster.special-use               SPECIAL-USE set at CREATE (home only)
//	toastmaster.default-folders           default folders, made at need (home only)
//	toastmaster.changes                   what processes have reserved of a quota (home only)
//
// The root has .toastmaster, which makes it a store: [Open] refuses a folder
// with other things in it and without that (ErrForeign), so that a tree of
// Dovecot is taken over on purpose only. In it are reserve.tmp, spool/ for messages on their
// way in and mailboxes on their way out, processes, where those on the store meet,
// journal-<n>/ and the socket poke-<n> for each of them, removed/ for accounts that were
// removed lately, and corrupt/ for what was damaged in a journal.
//
// # Standards
//
// RFC 3501 and 9051 (mailboxes, UIDs, flags), RFC 6154 (SPECIAL-USE), RFC 6851
// (MOVE), the Maildir specification (cr.yp.to/proto/maildir.html) and Maildir++
// (www.courier-mta.org/maildir.html). Prepared for RFC 7162 (CONDSTORE, QRESYNC):
// mod-sequences and the UIDs of what was expunged are kept; package imapd does
// not serve it yet.
package mailstore
