package run

import (
	"context"
	dbsql "database/sql"
	"errors"
	"fmt"
	"io/fs"

	"toastmaster/configs"
	"toastmaster/directory"
	"toastmaster/directory/sql"
	"toastmaster/internal/db"
	"toastmaster/internal/identity"
	"toastmaster/migrations"
)

// directoryRow is one kind of database of what is hosted, by the name that
// directory.type calls it: where mail asks, and where the administration writes. A new
// one is a row here, and its name one in configs.DirectoryTypes.
type directoryRow struct {
	name string
	// param is the parameter that says where it lies, place that in a sentence.
	param string
	place func(*configs.Config) string
	// inspect and create are those of the part of the instance.
	inspect func(context.Context, *configs.Config) (identity.Found, error)
	create  func(context.Context, *configs.Config, identity.ID) error
	// check is what config check can see of it without opening it.
	check   func(*configs.Config) error
	allowed string
	// temporary says that an error may pass: somebody else has it locked, say.
	temporary func(error) bool
	// open opens the side that is written and listed, with its schema up to date.
	open func(context.Context, *configs.Config) (hosted, error)
	// answers opens the side that mail asks; the caller calls close at the end.
	answers func(*configs.Config) (b directory.Backend, close func() error, err error)
}

// hosted is what a row opens for the administration.
type hosted struct {
	writer, reader *dbsql.DB
	dialect        db.Dialect
	// id is that of the database, "" for none yet.
	id func(context.Context) (identity.ID, error)
}

func (h hosted) close() error { return errors.Join(h.reader.Close(), h.writer.Close()) }

func directoryTable() []directoryRow {
	return []directoryRow{
		{
			name: "sqlite", param: "directory.path",
			place:   func(c *configs.Config) string { return c.Path(c.Directory.Path) },
			inspect: inspectSQLite, create: createSQLite, check: checkSQLite, allowed: "a SQLite database that can be written", temporary: sql.Temporary,
			open: openSQLite, answers: answersOfSQLite,
		},
	}
}

// directoryOf is the row that the configuration names.
func directoryOf(c *configs.Config) (directoryRow, error) {
	for _, row := range directoryTable() {
		if row.name == c.Directory.Type {
			return row, nil
		}
	}
	return directoryRow{}, fmt.Errorf("no directory of type %q", c.Directory.Type)
}

// openAnswers opens the source of the answers that the configuration names.
func openAnswers(c *configs.Config) (directory.Backend, func() error, error) {
	row, err := directoryOf(c)
	if err != nil {
		return nil, nil, err
	}
	return row.answers(c)
}

// inspectSQLite refuses one of a later version of this program, too.
func inspectSQLite(ctx context.Context, c *configs.Config) (identity.Found, error) {
	path := c.Path(c.Directory.Path)
	found, err := sql.Inspect(ctx, path, c.Directory)
	if err != nil || found.State == identity.Absent {
		return found, err
	}
	r, err := sql.OpenReader(path, c.Directory)
	if err != nil {
		return found, err
	}
	err = errors.Join(migrations.Known(ctx, r), r.Close())
	return found, err
}

// createSQLite makes a database, or brings the one that is there up to date.
func createSQLite(ctx context.Context, c *configs.Config, id identity.ID) (err error) {
	path := c.Path(c.Directory.Path)
	if err := sql.Create(path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	w, err := sql.OpenWriter(ctx, path, c.Directory)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	if err := migrations.Up(ctx, w); err != nil {
		return err
	}
	return sql.SetInstance(ctx, w, id)
}

// openSQLite opens the write side first, because it brings the schema up to date.
func openSQLite(ctx context.Context, c *configs.Config) (h hosted, err error) {
	path := c.Path(c.Directory.Path)
	h.dialect = sql.Dialect()
	if h.writer, err = sql.OpenWriter(ctx, path, c.Directory); err != nil {
		return h, err
	}
	if err = migrations.Up(ctx, h.writer); err == nil {
		h.reader, err = sql.OpenReader(path, c.Directory)
	}
	if err != nil {
		return h, errors.Join(err, h.writer.Close())
	}
	h.id = func(ctx context.Context) (identity.ID, error) { return sql.Instance(ctx, h.writer) }
	return h, nil
}

// answersOfSQLite opens the pool of readers that mail asks.
func answersOfSQLite(c *configs.Config) (directory.Backend, func() error, error) {
	d, err := sql.Open(c.Path(c.Directory.Path), c.Directory)
	if err != nil {
		return nil, nil, err
	}
	return d, d.Close, nil
}
