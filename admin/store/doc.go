// Package store is the write side of the hosted data: what the admin API does
// to the database, and the listings that only administrators read.
//
// # What it does
//
// Each change is one transaction on the single writing connection, with its
// row in the table audit in the same transaction: a change without an audit
// row, or the reverse, does not exist. After the commit Options.Changed is
// called, so that the directory's cache forgets. Passwords are hashed before
// the transaction begins, so that nobody waits for a hash with the database
// locked.
//
// All SQL stands in queries.sql, by name, and no query reads a table through: a
// test asks for the plan of each on a large host. The checks of a change walk over
// addresses by directory.Directory, as the mail services do, on a back end that sees
// the transaction.
//
// Of many changes at once each is checked before anything is written, and the rows of
// a table are written together at the end (batch.go).
//
// Listings are paged by key (address, name, number): a page costs the same at
// the end as at the start, and entries that come or go meanwhile neither hide
// nor repeat others.
//
// # What it does not do
//
// It does not ask who may (admin/authz) and removes no mail (admin/api does,
// before the row goes).
//
// # Parameters
//
// directory.path and directory.busy_timeout (the connections are opened by
// directory/sql); admin.bulk_workers.
//
// # Results
//
// Errors are *model.Error. A locked or full database is Unavailable; anything
// that is not understood is Internal with the cause for the log.
//
// # Files and locks
//
// The database is in WAL mode with synchronous=FULL: a change that was
// confirmed is on disk. Readers do not wait for the writer.
package store
