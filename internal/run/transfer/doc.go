// Package transfer moves the mail of a mailbox out into plain files and in from them,
// through the admin API of an instance that runs.
//
// # What it does
//
// [Export] writes a Maildir++ tree or an mbox, [Import] brings one in, of whatever
// program. Flags, keywords, dates, folders and subscriptions go along, and every octet
// of every message. The files are read and written here, with the rights of who calls;
// mail is read and stored by the service alone, so whatever it is doing meanwhile, its
// sessions, its quota and its other deliveries see each message at once.
//
//	Export:  folders -> pages of messages -> archives (admin/api) -> plainmaildir, mbox
//	Import:  maildirSource, mboxSource -> spool, checksum -> archives -> admin/api
//
// # Again
//
// Both can be interrupted at any moment and run again. An export knows what it has by the
// base names of the files, or by what internal/mbox notes in an mbox. At the end of an
// mbox it cuts off the beginning of what it writes itself, and nothing else; with a
// message that no export wrote it does not go on. A message that is
// imported has an ID made of its content ([ID]), which is in the name of its file in
// the store; the service passes over an ID that a folder has had, also when its owner has
// moved or deleted the message since, for as long as store.expunge_memory. The same
// content twice in a source is two messages, here and there.
//
// # Whom it trusts
//
// Nobody who made the files. No symbolic link of a Maildir is followed and nothing but
// plain files is opened; on the way to a source only links of root and of the caller are.
// Names of folders come through mailstore/maildir, which makes no path of them. An export
// is written into folders and files that nobody else can change, below folders of root or
// the caller that no others may write to unless they are sticky
// (plainmaildir.ErrNotOurs). Flags of a source, warnings and failures have a bound.
//
// # What it does not do
//
// UIDs and UIDVALIDITY do not go in with an import: `dovecot-uidlist` is written, for
// Dovecot, and not read. A backup (internal/backup) is another thing.
//
// # Results
//
// A message that cannot be read, or is refused, is told ([Result.Failed]) and the others
// go on. An error is what ends all. Without one all is on disk, also flags.
package transfer
