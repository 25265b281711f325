package db

import (
	"database/sql"
	"errors"
)

// Error is an error of a database with its class.
type Error struct {
	Class Class
	Cause error
}

// Error is the driver's text.
func (e *Error) Error() string { return e.Cause.Error() }

// Unwrap gives the driver's error.
func (e *Error) Unwrap() error { return e.Cause }

// ClassOf is the class of an error that a Pool or a Tx gave, also inside of
// others.
func ClassOf(err error) Class {
	var e *Error
	if errors.As(err, &e) {
		return e.Class
	}
	return Other
}

// classed adds the class.
func classed(d Dialect, err error) error {
	if err == nil {
		return nil
	}
	return &Error{Class: d.Classify(err), Cause: err}
}

// Row is one row, or why there is none.
type Row struct {
	dialect Dialect
	row     *sql.Row
	err     error
}

// Scan is that of sql.Row. Its error has the class NoRows when there is none.
func (r Row) Scan(dest ...any) error {
	if r.err == nil {
		r.err = r.row.Scan(dest...)
	}
	return classed(r.dialect, r.err)
}

// Rows are several.
type Rows struct {
	dialect Dialect
	rows    *sql.Rows
}

func newRows(d Dialect, rows *sql.Rows, err error) (*Rows, error) {
	if err != nil {
		return nil, classed(d, err)
	}
	return &Rows{d, rows}, nil
}

// Next and the others are those of sql.Rows.
func (r *Rows) Next() bool { return r.rows.Next() }

// Scan reads the row.
func (r *Rows) Scan(dest ...any) error { return classed(r.dialect, r.rows.Scan(dest...)) }

// Err is why Next ended, nil at the end.
func (r *Rows) Err() error { return classed(r.dialect, r.rows.Err()) }

// Close ends the question. It must be called.
func (r *Rows) Close() error { return classed(r.dialect, r.rows.Close()) }
