package storetest

import (
	"database/sql"
	"path/filepath"
	"testing"

	"toastmaster/admin/store"
	"toastmaster/configs"
	"toastmaster/directory"
	"toastmaster/directory/password"
	dirsql "toastmaster/directory/sql"
	"toastmaster/internal/clock"
	"toastmaster/internal/db"
	"toastmaster/migrations"
)

// Kit is a store with what lies under it. All is closed when the test ends.
type Kit struct {
	*store.Store
	// Database says which it is, to open it once more.
	Database       dirsql.Options
	Dialect        db.Dialect
	Writer, Reader *sql.DB
}

// Config is the default with hashes that cost nothing.
func Config() *configs.Config {
	c := configs.Default()
	c.Auth.Argon2Memory, c.Auth.Argon2Time, c.Auth.BulkArgon2Memory = 128<<10, 1, 64<<10
	return c
}

// Open makes a file of SQLite with the newest schema and opens a store on it, by c.
// change, which may be nil, changes its options.
func Open(t testing.TB, c *configs.Config, change func(*store.Options)) *Kit {
	t.Helper()
	file := dirsql.Options{Dialect: db.SQLite{}, Source: filepath.Join(t.TempDir(), "dir with ? and %41.db"), Params: c.Directory}
	if err := dirsql.Create(file.Source); err != nil {
		t.Fatal(err)
	}
	return On(t, Options{Config: c, Database: file, Change: change})
}

// Options say where a store is opened.
type Options struct {
	Config *configs.Config
	// Database is empty.
	Database dirsql.Options
	// Change, which may be nil, changes the store's options.
	Change func(*store.Options)
}

// On brings a database to the newest schema and opens a store on it.
func On(t testing.TB, in Options) *Kit {
	t.Helper()
	c := in.Config
	k := &Kit{Database: in.Database, Dialect: in.Database.Dialect}
	var err error
	if k.Writer, err = dirsql.OpenWriter(t.Context(), k.Database); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { k.Writer.Close() })
	if err := migrations.For(k.Dialect).Up(t.Context(), k.Writer); err != nil {
		t.Fatal(err)
	}
	if k.Reader, err = dirsql.OpenReader(k.Database); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { k.Reader.Close() })
	o := store.Options{
		Writer: k.Writer, Reader: k.Reader, Dialect: k.Dialect, Hasher: password.NewHasher(c.Auth), Clock: clock.System{}, Workers: 2,
		Aliases: directory.Limits{Depth: 10, Addresses: 1000},
	}
	if in.Change != nil {
		in.Change(&o)
	}
	if k.Store, err = store.New(o); err != nil {
		t.Fatal(err)
	}
	return k
}
