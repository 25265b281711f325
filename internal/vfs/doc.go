// Package vfs is the small set of file operations that durable code may use,
// behind an interface, so that a test can make each one of them fail.
//
// # What it does
//
// [FS] opens, renames, links, removes and, above all, syncs. [OS] is the real
// one, [OfFolder] the same where several users work in it, whose files have the owner or the group of their folder. The
// other implementation is testkit's: it fails the n-th operation of a
// kind, runs out of space, or forgets what was never synced.
//
// # What it does not do
//
// It is no general file abstraction: there is no Walk, no Glob, no current
// directory. Names are absolute or relative to the process, never joined here.
//
// # Durability
//
// A file's bytes are durable after [File.Datasync] or [File.Sync]; its name
// is durable after [FS.SyncDir] of the directory; [FS.SyncFS] makes everything
// durable that was written to the file system before the call (syncfs(2)).
// [Replace], [Move] and [MoveAway] put them in the order that a power loss cannot
// harm.
package vfs
