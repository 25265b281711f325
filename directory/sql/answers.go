package sql

import (
	"errors"

	"toastmaster/directory"
	"toastmaster/internal/db"
)

// errBadRow is data that the schema does not allow, such as an alias without
// targets.
var errBadRow = errors.New("row does not fit the schema")

// errOther is an answer of another database than the one that was opened.
var errOther = errors.New("another database is in the place of the one that was opened; restart to use it")

// answer turns an error of the database into one of the three other answers.
func answer(table, key string, err error) error {
	return &directory.Error{Outcome: outcome(err), Table: table, Key: key, Cause: err}
}

// outcome is Misconfigured for what waiting does not help, and else Unavailable:
// "not found" is said by whoever saw that there is nothing.
func outcome(err error) directory.Outcome {
	if errors.Is(err, errBadRow) || db.ClassOf(err) == db.Broken {
		return directory.Misconfigured
	}
	return directory.Unavailable
}

// Temporary says that err, of a database of the dialect, may pass: it is locked, its disk
// is in trouble, or its server is away.
func Temporary(d db.Dialect, err error) bool {
	class := db.ClassOf(err)
	if class == db.Other {
		class = d.Classify(err)
	}
	return class == db.Busy
}
