// Package plainmaildir writes into a Maildir that is not our store: what an export
// makes, and the Maildirs of users of this host.
//
// # What it does
//
// [Open] makes a Maildir, or takes one that is there. [Folder.Put] adds messages, each
// under the base name that its owner gives it, so that adding one again finds it
// there; [Folder.Commit] makes them durable and then gives them their names.
// [Folder.SetFlags] changes the flags of one that is there, durable with the next Commit.
//
// It stands on github.com/emersion/go-maildir, which makes the folders (Dir.Init) and reads
// what is there (Dir.Walk). Writing is ours: the package's Delivery, Create and
// Message.SetFlags sync neither file nor name, and the first two give messages names by
// chance, so that who is interrupted cannot know what is done.
//
// # What "added" means
//
// Commit syncs the contents, then renames from tmp to cur, then syncs the names. A
// message that has its name in cur has its content, whatever happened. A change of flags is
// a rename in cur, which the same sync makes durable. What
// lies in tmp after a crash is written again by the next Put of that name.
//
// # Whose folders
//
// Nothing is written through a symbolic link, or into a folder that somebody else
// could change meanwhile ([ErrNotOurs]): one of its own folders that is a link, that
// belongs to another user, or that others may write to. So root may export to a
// folder that is root's, and gives it away afterwards. What is above the path that
// [Open] gets is its caller's to look at: internal/run/transfer does.
//
// # What it does not do
//
// It reads no message, and no Maildir of others: Dir.Walk knows nothing of new, and drops
// names that are spelt otherwise. It knows no tree of folders and no quota.
//
// # Standards
//
// cr.yp.to/proto/maildir.html.
package plainmaildir
