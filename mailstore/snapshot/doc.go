// Package snapshot takes a consistent picture of one account of a store that
// may be in use, for a backup.
//
// # What it does
//
// [Homes] finds the accounts below the root of a store. [Take] locks all
// mailboxes of one, as every process of ours that changes one does (the lock of
// mailstore/index), lists the messages, takes hold of the files, and unlocks. A
// picture of an account is one moment: a message that a client moves is in it
// once. While the locks are held nothing is copied but small files: a message is
// taken hold of by a second name of its file, in a folder on the same file system.
// The owner copies them afterwards at its leisure, and calls [Picture.Close].
//
// What the owner has copied before, without a lock ([Options.Have]), is not taken
// hold of: Maildir files never change what they contain, only their names.
//
// # What it does not do
//
// It reads no message and no index. It waits for locks, but holds none while it
// waits: who has a mailbox locked for long fails the picture ([ErrLocked]), and
// nobody who asks for two mailboxes can wait for it for ever.
//
// # What is in a picture
//
// Messages in cur and new, and all other regular files and symbolic links below
// the home (a message that is a link is a link in the picture, and a mailbox that
// is one: what they point to is not the account's), but for what is made anew at need: toastmaster.cache, maildirsize,
// lock files, and what lies in tmp.
//
// # Files
//
// Below the store's root: .toastmaster/backup-<n>/, removed by Close, or by the
// next [Clean] when the process was killed.
package snapshot
