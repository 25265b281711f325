// Package overlay is a file system over another one that is only read: what is written is kept
// in memory and forgotten with it.
//
// # What it does
//
// A program that recovers when it opens its files can be run over an [FS] to see what it would
// find, while the files stay as they are: the queue of an instance that nobody serves is
// listed so. Whatever the [vfs.FS] below has is seen through it, until it is written, renamed
// or removed here.
//
// # What it does not do
//
// It locks nothing, neither below nor here, and syncs nothing. It is no snapshot: what another program
// changes below is seen as far as it is not covered by a change here. Folders are made, and
// not renamed or removed.
//
// # Memory
//
// What is written, in blocks of 64 KiB; what is allocated and not written costs nothing.
package overlay
