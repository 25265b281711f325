package parts

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"toastmaster/configs"
	"toastmaster/directory"
	"toastmaster/directory/sql"
	"toastmaster/internal/db"
	"toastmaster/internal/identity"
	"toastmaster/internal/run/rights"
	"toastmaster/migrations"

	"golang.org/x/sys/unix"
)

// sqlite is the database that SQLite keeps in directory.path.
func sqlite() database {
	return database{
		param: "directory.path", location: func(c *configs.Config) string { return c.Path(c.Directory.Path) },
		inspect: inspectSQLite, create: createSQLite, open: openSQLite,
		temporary: func(err error) bool { return sql.Temporary(db.SQLite{}, err) },
		check:     checkSQLite, allowed: "a SQLite database that can be written",
	}
}

// inspectSQLite refuses one of a later version of this program, too.
func inspectSQLite(ctx context.Context, c *configs.Config) (identity.Found, error) {
	path := c.Path(c.Directory.Path)
	found, err := sql.Inspect(ctx, sql.Options{Source: path, Params: c.Directory})
	if err != nil || found.State == identity.Absent {
		return found, err
	}
	r, err := sql.OpenReader(sql.Options{Source: path, Params: c.Directory})
	if err != nil {
		return found, err
	}
	err = errors.Join(migrations.For(db.SQLite{}).Known(ctx, r), r.Close())
	return found, err
}

// createSQLite makes a database, or brings the one that is there up to date.
func createSQLite(ctx context.Context, c *configs.Config, id identity.ID) (err error) {
	path := c.Path(c.Directory.Path)
	if err := sql.Create(path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	w, err := sql.OpenWriter(ctx, sql.Options{Source: path, Params: c.Directory})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	if err := migrations.For(db.SQLite{}).Up(ctx, w); err != nil {
		return err
	}
	return sql.SetInstance(ctx, w, db.SQLite{}, id)
}

// openSQLite opens the write side first, because it brings the schema up to date.
func openSQLite(ctx context.Context, c *configs.Config) (h Hosted, err error) {
	path := c.Path(c.Directory.Path)
	h.Dialect = db.SQLite{}
	if h.Writer, err = sql.OpenWriter(ctx, sql.Options{Source: path, Params: c.Directory}); err != nil {
		return h, err
	}
	if err = migrations.For(h.Dialect).Up(ctx, h.Writer); err == nil {
		h.Reader, err = sql.OpenReader(sql.Options{Source: path, Params: c.Directory})
	}
	if err != nil {
		return h, errors.Join(err, h.Writer.Close())
	}
	h.id = func(ctx context.Context) (identity.ID, error) { return sql.Instance(ctx, h.Writer) }
	return h, nil
}

// answersOfSQLite opens the pool of readers that mail asks.
func answersOfSQLite(c *configs.Config) (directory.Backend, func() error, error) {
	d, err := sql.Open(sql.Options{Source: c.Path(c.Directory.Path), Params: c.Directory})
	if err != nil {
		return nil, nil, err
	}
	return d, d.Close, nil
}

// checkSQLite looks at the file only; what is in it is Look's.
func checkSQLite(c *configs.Config) error {
	path := c.Path(c.Directory.Path)
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil // Look says what to do
	case err != nil:
		return err
	case info.IsDir():
		return fmt.Errorf("%s is a folder", path)
	}
	// SQLite makes files beside it.
	return errors.Join(rights.Access(path, unix.R_OK|unix.W_OK), rights.WritableFolder(filepath.Dir(path)))
}
