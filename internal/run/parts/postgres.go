package parts

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"

	"toastmaster/configs"
	"toastmaster/directory"
	"toastmaster/directory/sql"
	"toastmaster/internal/db"
	"toastmaster/internal/identity"
	"toastmaster/migrations"
)

// postgres is the database of directory.url. The database itself and its users are an
// administrator's to make; init makes the schema in it.
func postgres() database {
	return database{
		param: "directory.url", location: func(c *configs.Config) string { return db.Redacted(c.Directory.URL) },
		inspect: inspectPostgres, create: createPostgres, open: openPostgres,
		temporary: func(err error) bool { return sql.Temporary(db.Postgres{}, err) },
		check:     checkPostgres, allowed: "a PostgreSQL database",
	}
}

// onServer are the options of the side that is written and listed.
func onServer(c *configs.Config) sql.Options {
	o := sql.Options{Dialect: db.Postgres{}, Source: c.Directory.URL, Params: c.Directory}
	if c.Directory.PasswordFile != "" {
		o.PasswordFile = c.Path(c.Directory.PasswordFile)
	}
	return o
}

func inspectPostgres(ctx context.Context, c *configs.Config) (identity.Found, error) {
	if err := checkPostgres(c); err != nil {
		return identity.Found{}, err
	}
	found, err := sql.Inspect(ctx, onServer(c))
	if err != nil || found.State == identity.Absent {
		return found, err
	}
	r, err := sql.OpenReader(onServer(c))
	if err != nil {
		return found, err
	}
	err = errors.Join(migrations.For(db.Postgres{}).Known(ctx, r), r.Close())
	return found, err
}

// createPostgres makes the schema in a database that is there, or brings that up to date.
func createPostgres(ctx context.Context, c *configs.Config, id identity.ID) (err error) {
	o := onServer(c)
	o.Patient = true
	w, err := sql.OpenWriter(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	if err := migrations.For(db.Postgres{}).Up(ctx, w); err != nil {
		return err
	}
	return sql.SetInstance(ctx, w, db.Postgres{}, id)
}

func openPostgres(ctx context.Context, c *configs.Config) (h Hosted, err error) {
	o := onServer(c)
	o.Patient = true
	migrator, err := sql.OpenWriter(ctx, o)
	if err != nil {
		return h, err
	}
	if err = errors.Join(migrations.For(db.Postgres{}).Up(ctx, migrator), migrator.Close()); err != nil {
		return h, err
	}
	h.Dialect, o.Patient = db.Postgres{}, false
	if h.Writer, err = sql.OpenWriter(ctx, o); err != nil {
		return h, err
	}
	if h.Reader, err = sql.OpenReader(o); err != nil {
		return h, errors.Join(err, h.Writer.Close())
	}
	h.id = func(ctx context.Context) (identity.ID, error) { return sql.Instance(ctx, h.Writer) }
	return h, nil
}

// answersOfPostgres opens the pool of readers that mail asks.
func answersOfPostgres(c *configs.Config) (directory.Backend, func() error, error) {
	o := onServer(c)
	o.Source = cmp.Or(c.Directory.ReaderURL, o.Source)
	d, err := sql.Open(o)
	if err != nil {
		return nil, nil, err
	}
	return d, d.Close, nil
}

// checkPostgres looks at what is said of the database only; what is in it is Look's.
func checkPostgres(c *configs.Config) error {
	if c.Directory.URL == "" {
		return errors.New("directory.type is postgres, and no database is named")
	}
	if c.Directory.PasswordFile == "" {
		return nil
	}
	file := c.Path(c.Directory.PasswordFile)
	info, err := os.Stat(file)
	if err != nil {
		return fmt.Errorf("directory.password_file: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("directory.password_file: %s is not its owner's alone: chmod 600 it", file)
	}
	return nil
}
