package sql

import (
	dbsql "database/sql"
	"errors"

	"modernc.org/sqlite"
	sqlitelib "modernc.org/sqlite/lib"

	"toastmaster/directory"
)

// errBadRow is data that the schema does not allow, such as an alias without
// targets.
var errBadRow = errors.New("row does not fit the schema")

// errOther is an answer of another database than the one that was opened.
var errOther = errors.New("another database is in the place of the one that was opened; restart to use it")

// answer turns an error of the database into one of the three other answers.
func answer(table, key string, err error) error {
	return &directory.Error{Outcome: outcome(err), Table: table, Key: key, Cause: cause(err)}
}

// Temporary says that err is of a database that may answer the next time: it is
// locked, or its disk is in trouble.
func Temporary(err error) bool {
	var s *sqlite.Error
	return errors.As(err, &s) && outcome(err) == directory.Unavailable
}

func cause(err error) error {
	if errors.Is(err, dbsql.ErrNoRows) {
		return nil
	}
	return err
}

func outcome(err error) directory.Outcome {
	switch {
	case errors.Is(err, dbsql.ErrNoRows):
		return directory.NotFound
	case errors.Is(err, errBadRow):
		return directory.Misconfigured
	}
	var s *sqlite.Error
	if !errors.As(err, &s) {
		return directory.Unavailable
	}
	// The low byte is the primary result code (sqlite.org/rescode.html).
	switch s.Code() & 0xff {
	case sqlitelib.SQLITE_ERROR, // no such table, view or column
		sqlitelib.SQLITE_PERM, sqlitelib.SQLITE_AUTH,
		sqlitelib.SQLITE_CORRUPT, sqlitelib.SQLITE_NOTADB, sqlitelib.SQLITE_FORMAT,
		sqlitelib.SQLITE_MISMATCH, sqlitelib.SQLITE_SCHEMA:
		return directory.Misconfigured
	}
	return directory.Unavailable
}
