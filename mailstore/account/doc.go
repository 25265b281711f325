// Package account is one account of a store without its mailboxes: names and small
// files.
//
// # What it does
//
// An [Account] makes, lists and names the folders of a Maildir++ tree, and keeps
// what lies beside them: default folders that wait to be made, subscriptions,
// special use, the last UIDVALIDITY. [Quota] is what the account uses and may use,
// with the room that was reserved for mail on its way. [Trail] is where mailboxes
// went that were renamed while sessions had them open.
//
// # What it does not do
//
// It opens no mailbox and knows no message. What needs both, as RENAME, DELETE and
// a count of what all mailboxes hold, is of package mailstore; the count is a
// function that an Account is given.
//
// # Locks
//
// Account.Lock is for the folders and their small files (place folders), Quota has
// its own (usage), and so have the UIDVALIDITY and the trail. The table is in the
// doc.go of package mailstore. Inside each but the trail's is one among processes
// (volume.AccountLock): every small file is read, changed and replaced under both.
//
// # Several processes
//
// What is used is in maildirsize, where each process adds a line for what it did, and
// what is reserved in toastmaster.changes, where each says what it has reserved, all
// together. Who makes a reservation reads both under the lock, so the last room is given
// once. What could not be written, because the disk failed or another process kept the lock,
// is owed: the account stays in memory until it is paid. A process that was killed leaves
// what it had reserved there: whoever meets that knows that it was in the middle of
// something, and has the account counted anew. The format is in changes.go.
//
// # Parameters
//
// Of section [store]: separator, default_folders, max_folders, max_folder_depth,
// max_folder_name, max_subscriptions, sync_interval, quota_grace,
// quota_reservation_time.
//
// # Results
//
// Errors of package volume.
//
// # Files
//
// In the home: subscriptions, toastmaster.special-use, toastmaster.default-folders,
// maildirsize, toastmaster.changes, dovecot-uidvalidity; for each mailbox "A/B" the folder .A.B with cur,
// new, tmp and maildirfolder.
//
// # Standards
//
// Maildir++ (www.courier-mta.org/maildir.html), RFC 6154 (SPECIAL-USE), RFC 5258 (what a
// listing has of parents and subscriptions).
package account
