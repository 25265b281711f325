// Package sql is the directory in an SQL database, by way of internal/db:
// SQLite or PostgreSQL.
//
// # What it does
//
// [Open] opens the database for reading and [Directory] asks its views, never
// its tables (migrations), one query for each question and for a whole walk;
// they stand in queries.sql. [OpenWriter] opens the one connection that admin/store
// and migrations write through.
//
// [Create] makes a database, and nothing else does: a file that is missing stays
// missing. [Inspect], [Instance] and [SetInstance] are about the id of the
// instance that a database belongs to. All connections stay with the file
// that was there first: while it is removed, replaced or cut to nothing, and
// while another instance's content was copied over it, every answer is
// Unavailable and every change refused, because "not found" would bounce mail.
//
// # What it does not do
//
// It does not create or migrate the schema, does not cache (directory/cache)
// and does not check passwords (directory/password).
//
// # Parameters
//
// directory.path, directory.url, directory.reader_url, directory.password_file,
// directory.timeout, directory.readers and directory.busy_timeout.
//
// # Results
//
// A row is Found and no row is NotFound. A missing table, view or column, a
// file that is no database or is damaged, and a missing permission are
// Misconfigured: waiting will not help, an operator must act. Everything else,
// above all a locked database, a server that is away, an I/O error and a context that is
// over, is Unavailable. A text with a NUL in it, or that is not UTF-8, is NotFound without a
// question: PostgreSQL has none.
//
// # Files and locks
//
// See internal/db. What the API confirmed is on disk.
package sql
