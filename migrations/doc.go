// Package migrations holds the schema of the database as numbered SQL and
// applies it.
//
// # Files
//
// sqlite/NNNN_name.up.sql takes the schema of SQLite from version NNNN-1 to NNNN,
// NNNN_name.down.sql takes it back; postgres/ has the same for PostgreSQL, from version 6
// on, which stands for all before. A number means the same on both. The files are
// embedded. A file that was released is never changed; a change of schema is a new number.
//
// # What it does
//
// [For] is the schema of a dialect. [Schema.Up] applies what is missing, [Schema.Down]
// takes back to a version. Each step is one transaction together with its row
// in the table schema_migrations, so a crash leaves a whole version. Two
// processes that start at once are ordered by the write lock that each step's
// transaction takes before it reads the version.
//
// # Errors
//
// [ErrNewer], which [Schema.Known] says without a change: the database was written by a newer binary. It is refused, by Up
// and Down alike: code that guesses at an unknown schema loses data.
package migrations
