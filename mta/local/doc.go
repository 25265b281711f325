// Package local is the delivery agent for the users of this host: Postfix's local(8).
//
// # What it does
//
// For each recipient it finds what is to be done, and changes nothing meanwhile: aliases, :include: lists, the
// user's .forward, then his mailbox. Then it does it. An address elsewhere gets the message by the queue, as a
// new message with Delivered-To before it ([envelope.Submitter]).
//
//	|command      gets the message (internal/process), with the variables of local(8)
//	/file/name    a mailbox file; /folder/name/ a Maildir
//	:include:     a list of recipients
//	\user         his mailbox, without .forward
//	user, a@b     somebody here, or elsewhere
//
// Behind aliases and .forward a mailbox may be another transport's (mailbox_transport, fallback_transport): its agent gets the
// message for this recipient alone, and what it says is the result. [Agent.Probe] finds what would be done, and does nothing.
//
// Names are folded. The whole local part is looked up first, then without its extension. With an alias owner-NAME
// the sender of what is sent on, and of reports about it, is owner-NAME. Users of this host that stand in a list with an owner, in an
// :include: file, or in the .forward of another get the message by the queue, each as a recipient of his own: what fails for one is
// tried again for him alone.
//
// # Rights
//
// Everything is done as the user, or as the owner of the alias file or :include: list, or as
// local.default_privs where that is root; never as root. A list that an alias of root's names is read as root as long as only root can change
// what its path leads to; from the first folder on that is a user's, as that user, and where a group or all may write as local.default_privs with that group:
// no link of theirs shows what is not for them. A process that is not root's
// delivers to its own user; other mail waits with 4.3.5 and the log says why. In a spool folder that a
// group may write to, a delivery has that group. Files with several names, links, and mailboxes that
// are another user's are not written to.
//
// # Durability
//
// A mailbox file is locked (name.lock, and fcntl), synced before success is told, and cut back to what it was when a write
// fails. A message in a Maildir has a name that is the same when it is handed out again. What
// a command or a mailbox file got before a crash it gets again: that is Postfix's window, too. When a part of an
// expansion has to be tried again, the parts that are done, or have failed for good, are not done again, as
// long as the process lives: commands, files, and what was sent on, each sender's for itself.
//
// # Loops
//
// A recipient in a Delivered-To field of the message gets 5.4.6. An alias in its own expansion is
// the user, as is a user in his own .forward; deeper than 100 it is 5.4.6. Beyond local.alias_expansion_limit parts, and 64 MiB of a list, nothing
// is delivered, and it is 5.2.4.
//
// # Results
//
//	2.0.0  delivered, or sent on
//	5.1.1  neither an alias nor a user
//	5.2.2  mailbox_size_limit; 4.2.2 the file system's quota
//	4.2.0  the mailbox is locked, or cannot be written
//	4.3.0  a table, a list or a .forward cannot be read; 4.3.1 disk full
//	4.3.5  this process cannot become the user
//	5.4.6  loops;  5.2.4  more than local.alias_expansion_limit
//	5.7.1  a command or file where none may stand
//	other  see internal/process
//
// A recipient has one result: the first failure of its parts, temporary ones before others.
//
// # Parameters
//
// Section [local]; main.recipient_delimiter, main.export_environment.
//
// # What it does not do
//
// It tells nobody of new mail (biff), and knows only users of /etc/passwd. A transport that it hands mail to is not asked for its
// limits of concurrency, and is neither local nor virtual. Delivered-To does not change within an expansion (frozen_delivered_to).
//
// # Files
//
// /etc/passwd, the files of aliases, $home/.forward, /var/mail/user, /var/mail/user.lock.
package local
