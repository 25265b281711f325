// Package identity is the id of an instance, by which its parts know one
// another: database, mail store and queue each carry it, and the configuration
// may name it (main.instance).
//
// # What it does
//
// [New] makes an id, [Read] and [Write] keep it in the file "instance" of a
// folder. What is found where a part should be is a [Found]: each part says for
// itself how it looks ([toastmaster/mailstore.Inspect],
// [toastmaster/mta/queue.Inspect], [toastmaster/directory/sql.Inspect]). [Verify] holds
// it against the id that it should have, at the open and whenever somebody asks whether
// the part is still there; [VerifyFolder] is the same for one read.
//
// # What it does not do
//
// It decides nothing: which parts belong together, and what a start does about
// those that do not, is internal/run's. It is no secret and no licence.
//
// # Files
//
// "instance" is one line, the id, mode 0600. It is written under the name
// "instance.new" and renamed, with both synced, so that it is whole or not there.
package identity
