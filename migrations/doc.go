// Package migrations holds the schema of the database as numbered SQL and
// applies it.
//
// # Files
//
// sqlite/NNNN_name.up.sql takes the schema from version NNNN-1 to NNNN,
// NNNN_name.down.sql takes it back. The files are embedded. A file that was
// released is never changed; a change of schema is a new number.
//
// # What it does
//
// [Up] applies what is missing, [Down] takes back to a version. Each step is one transaction together with its row
// in the table schema_migrations, so a crash leaves a whole version. Two
// processes that start at once are ordered by the write lock that each step's
// transaction takes before it reads the version.
//
// # Errors
//
// [ErrNewer], which [Known] says without a change: the database was written by a newer binary. It is refused, by Up
// and Down alike: code that guesses at an unknown schema loses data.
package migrations
