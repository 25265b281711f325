// Package backup makes backups of an instance, restores and verifies them.
//
// # What it does
//
// [Make] copies an instance, served or not, into a folder of internal/backup: the
// configuration and its keys, the database, the queue, then each account as it is at one
// moment (mailstore/snapshot). [Restore] brings it back, [RestoreMailbox] the mail of one mailbox, [Verify] reads it.
//
// The order decides what is in it. A mailbox of which somebody was told is in the
// database before mail for it is accepted; a message that leaves the queue is in the store
// before. So: database, queue, store. A message that is in both is delivered once, as
// after a crash.
//
// # What it does not do
//
// It prints nothing; how far it is, it tells a [Progress]. It removes no backup.
//
// # Files
//
// Sections of a backup: config, directory, queue, store, and mail/HOME for each account.
// <data_dir>/restoring says that a restore has not ended; serve refuses to start then.
package backup
