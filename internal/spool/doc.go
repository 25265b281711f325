// Package spool receives a message of unknown size with bounded memory: up to
// a limit it lies in a pooled buffer, beyond it in an unnamed file.
//
// A [Dir] says where the files go; the place matters, because the owner later
// links the file into its own folder (queue, store) instead of copying it. A
// [Buffer] is an io.Writer while the message arrives and an envelope.Content
// afterwards, with the checksum of a large one ([Buffer.Sum]). [Buffer.Close] gives memory and file back, whatever happened.
//
// Results: a write that fails for want of space is dsn 4.3.1, any other 4.3.0.
package spool
