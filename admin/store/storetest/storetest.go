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
	"toastmaster/migrations"
)

// Kit is a store with what lies under it. All is closed when the test ends.
type Kit struct {
	*store.Store
	// Path is the database's file.
	Path           string
	Writer, Reader *sql.DB
}

// Config is the default with hashes that cost nothing.
func Config() *configs.Config {
	c := configs.Default()
	c.Auth.Argon2Memory, c.Auth.Argon2Time, c.Auth.BulkArgon2Memory = 128<<10, 1, 64<<10
	return c
}

// Open makes a database with the newest schema and opens a store on it, by c. change,
// which may be nil, changes its options.
func Open(t testing.TB, c *configs.Config, change func(*store.Options)) *Kit {
	t.Helper()
	k := &Kit{Path: filepath.Join(t.TempDir(), "x.db")}
	if err := dirsql.Create(k.Path); err != nil {
		t.Fatal(err)
	}
	var err error
	if k.Writer, err = dirsql.OpenWriter(t.Context(), dirsql.Options{Path: k.Path, Params: c.Directory}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { k.Writer.Close() })
	if err := migrations.Up(t.Context(), k.Writer); err != nil {
		t.Fatal(err)
	}
	if k.Reader, err = dirsql.OpenReader(dirsql.Options{Path: k.Path, Params: c.Directory}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { k.Reader.Close() })
	o := store.Options{
		Writer: k.Writer, Reader: k.Reader, Hasher: password.NewHasher(c.Auth), Clock: clock.System{}, Workers: 2,
		Aliases: directory.Limits{Depth: 10, Addresses: 1000},
	}
	if change != nil {
		change(&o)
	}
	if k.Store, err = store.New(o); err != nil {
		t.Fatal(err)
	}
	return k
}
