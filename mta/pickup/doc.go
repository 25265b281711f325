// Package pickup takes the mail of programs of this host into the queue (Postfix pickup(8), and what postdrop(1)
// checks): from a unix socket while it runs, and from the folder where sendmail left it while it did not.
//
// # What it does
//
// [Service] answers on the socket pickup of pickup.directory, HTTP with one request for a message in the form of
// internal/maildrop, and looks into the folder drop at the start and every pickup.wakeup_time. Who hands a message in is known by the
// kernel: the peer of the socket (SO_PEERCRED), the owner of the file. What the message says is not asked.
//
// Who may: pickup.authorized_submit_users, and as whom: pickup.local_login_sender_maps. The message says who it was in its
// Received field and, to hosts that take it, by AUTH=. Recipients are not looked up: what cannot be delivered
// comes back as a report, as from Postfix's pickup. Addresses without a domain are of main.hostname.
//
// On the same socket users may see the queue (pickup.authorized_mailq_users) and have it tried
// (pickup.authorized_flush_users).
//
// # From the folder into the queue
//
//	drop/m<name>  a whole message, put there by a rename
//	   |  rename into a folder that its owner may not enter, under the ID that it will have; both folders synced
//	taken/<ID>.<name>
//	   |  read by a descriptor: a regular file, one link, its own name inside, its sum right; then the queue, durable
//	gone          unlinked, and the folder synced
//
// A start finds in taken what a kill has left. What the queue knows by its ID is unlinked, before
// anything is delivered; else it is handed in under that ID. So a kill at any moment loses nothing, and doubles a message only when it came
// between the queue's answer and the unlink, and the message was delivered in that moment, too.
//
// Users take turns: pickup.batch_limit messages of one, then others have theirs. What is no message (another
// name, a link, a pipe, half a file) goes to bad, up to 1,000 files, with a line in the log; more are removed. A half-written
// file that is a day old is removed. What can be neither taken nor moved stays, with one line in the log for all of it.
//
// # What the queue cannot take
//
// A message that is refused for now stays in taken. It is tried again after pickup.wakeup_time, then after twice as long each time, up to
// qmgr.maximal_backoff_time; a start tries all. When it is older than qmgr.queue_lifetime, by the time of its file or by when this process has first
// tried it, its sender gets it back with 4.4.7, or the postmaster where it has no sender; who hands in as somebody else before it was
// decided whether he may, gets it himself. The file goes to bad after the report is in the queue: a kill between the two makes
// a second report. Nobody is told of a file that cannot be read: it is set aside, and the log says so. Both are in the log as "message given up", and in the
// metrics: toastmaster_pickup_waiting_messages, toastmaster_pickup_expired_messages_total. A full disk (4.3.1) gives nothing up.
// A file of bad that gets its own name again, "m" and what is behind the dot, in drop is handed in once more.
//
// # What it does not do
//
// It keeps nobody from filling the disk with files: quotas of the file system do, or a file system of
// its own for pickup.directory.
//
// # Results
//
// On the socket: the status of internal/maildrop.Answer. Of the folder: a refusal that is final is reported to
// the sender, who is the owner of the file when it was about the sender.
//
//	5.7.1  the user may not hand in mail, or not as that sender
//	5.3.4  larger than smtpd.message_size_limit
//	5.1.7, 5.1.3  an address that is none;  5.5.2  no message
//	4.3.1  the disk is full;  and those of mta/cleanup
//	4.4.7  it was refused for now until it was too old
//
// # Parameters
//
// The section [pickup]; smtpd.message_size_limit, qmgr.queue_lifetime, qmgr.maximal_backoff_time.
package pickup
