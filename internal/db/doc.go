// Package db is the seam to an SQL database: what differs between databases is
// a [Dialect], and the queries are text in files.
//
// # What it does
//
// A [Dialect] opens a database, says what an error means, writes placeholders,
// takes the lock of writers and tells the id of a new row. There are [SQLite]
// (modernc.org/sqlite, no cgo) and [Postgres] (lib/pq).
//
// [Load] reads the queries of a package from its files: those that every
// dialect understands, and those that a dialect says in its own way, which take
// the place of the former. A query has a name and is asked by it, through a [Pool]
// that prepares each once, or a [Tx]:
//
//	-- name: domain-by-name
//	SELECT id, name FROM domains WHERE name = ?1
//
// # What it does not do
//
// It knows no schema (migrations) and builds no SQL: what the database gets
// stands in a file, where a test can ask for its plan.
//
// # Results
//
// Errors are an [*Error]: the driver's, with one of a few classes, which is all
// that is asked about them ([ClassOf]). No package beside this one knows the codes of
// a driver.
//
// # Files and locks
//
// SQLite runs in WAL mode: readers do not wait for the writer. Beside the file
// lie file-wal and file-shm. The writer syncs the WAL at each commit
// (synchronous=FULL). All connections of a pool stay with the file that was there
// first: while it is removed, replaced or cut to nothing, and while another
// instance's content was copied over it, every use fails with [ErrLost].
package db
