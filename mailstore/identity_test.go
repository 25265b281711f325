package mailstore

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"toastmaster/internal/identity"
	"toastmaster/internal/vfs"
)

// created is a store of an instance.
func created(t *testing.T) Options {
	t.Helper()
	o := options(filepath.Join(t.TempDir(), "mail"))
	o.Instance = identity.New()
	if err := Create(o.FS, o.Root, o.Instance, false); err != nil {
		t.Fatal(err)
	}
	return o
}

// TestOpenMakesNoStore: what is not there, or is another instance's, is
// refused and nothing is made.
func TestOpenMakesNoStore(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(root string) error{
		"missing":                  os.RemoveAll,
		"a mount point":            func(root string) error { return errors.Join(os.RemoveAll(root), os.Mkdir(root, 0o700)) },
		"another instance's":       func(root string) error { return identity.Write(vfs.OS{}, filepath.Join(root, Private), identity.New()) },
		"no id":                    func(root string) error { return os.Remove(filepath.Join(root, Private, identity.File)) },
		"an id that is none":       func(root string) error { return os.Truncate(filepath.Join(root, Private, identity.File), 3) },
		"its journal is not there": func(root string) error { return os.Remove(filepath.Join(root, Private, firstJournal)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := created(t)
			if err := spoil(o.Root); err != nil {
				t.Fatal(err)
			}
			before := everyName(t, filepath.Dir(o.Root))
			s, err := Open(t.Context(), o)
			if err == nil {
				t.Fatal(errors.Join(errors.New("it was opened"), s.Close()))
			}
			if after := everyName(t, filepath.Dir(o.Root)); after != before {
				t.Errorf("before:\n%s\nafter:\n%s", before, after)
			}
		})
	}
}

// everyName lists all names below a folder.
func everyName(t *testing.T, root string) string {
	t.Helper()
	all := ""
	err := filepath.WalkDir(root, func(path string, _ os.DirEntry, err error) error {
		all += path + "\n"
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// segmentMaker tells when the journal has made its first segment.
type segmentMaker struct {
	vfs.FS
	made chan struct{}
	once sync.Once
}

func (m *segmentMaker) SyncDir(name string) error {
	err := m.FS.SyncDir(name)
	segments, _ := filepath.Glob(filepath.Join(name, "segment-*"))
	if err == nil && len(segments) > 0 {
		m.once.Do(func() { close(m.made) })
	}
	return err
}

// TestAStoreThatVanishesIsNotMadeAnew moves the store away while it is open, as
// umount does, and puts an empty folder, then another store, in its place.
func TestAStoreThatVanishesIsNotMadeAnew(t *testing.T) {
	t.Parallel()
	for name, replace := range map[string]func(root string) error{
		"nothing":       func(string) error { return nil },
		"a mount point": func(root string) error { return os.Mkdir(root, 0o700) },
		"another store": func(root string) error { return Create(vfs.OS{}, root, identity.New(), false) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := created(t)
			segment := &segmentMaker{FS: vfs.OS{}, made: make(chan struct{})}
			o.FS = segment
			s, err := Open(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			<-segment.made // the journal makes it by its path, beside us
			old, fresh := Account{Home: "example.test/old"}, Account{Home: "example.test/new"}
			if err := s.Deliver(t.Context(), old, &Delivery{Content: message("one")}); err != nil {
				t.Fatal(err)
			}
			u, err := s.User(t.Context(), old)
			if err != nil {
				t.Fatal(err)
			}
			defer u.Close()
			if err := os.Rename(o.Root, o.Root+".away"); err != nil {
				t.Fatal(err)
			}
			if err := replace(o.Root); err != nil {
				t.Fatal(err)
			}
			before := everyName(t, filepath.Dir(o.Root))
			for what, err := range map[string]error{
				"delivery to a new account": s.Deliver(t.Context(), fresh, &Delivery{Content: message("two")}),
				"delivery to an old one":    s.Deliver(t.Context(), old, &Delivery{Content: message("three")}),
				"CREATE":                    u.Create(t.Context(), "Box", ""),
				"Present":                   s.Present(),
				"HasAccount":                second(s.HasAccount(old)),
				"HasAccount of nobody":      second(s.HasAccount(fresh)),
				"Usage":                     second(s.Usage(t.Context(), old)),
				"Usage of nobody":           second(s.Usage(t.Context(), fresh)),
				"RemoveAccount":             s.RemoveAccount(t.Context(), old),
				"RemoveAccount of nobody":   s.RemoveAccount(t.Context(), fresh),
				"STATUS":                    second(u.Status(t.Context(), "Other")),
			} {
				if err == nil || !DSN(err).Temporary() || errors.Is(err, ErrNotFound) {
					t.Errorf("%s: %v", what, err)
				}
			}
			if after := everyName(t, filepath.Dir(o.Root)); after != before {
				t.Errorf("before:\n%s\nafter:\n%s", before, after)
			}
			// What was delivered since the last checkpoint is not believed.
			if err := s.Checkpoint(t.Context()); !errors.Is(err, ErrNotDurable) {
				t.Errorf("checkpoint: %v", err)
			}
		})
	}
}

func second[T any](_ T, err error) error { return err }

// TestNoFolderInAnotherStore: another store is mounted in the place of the one
// that is open, which has an account of the same name.
func TestNoFolderInAnotherStore(t *testing.T) {
	t.Parallel()
	o := created(t)
	s, err := Open(t.Context(), o)
	check(t, err)
	acc := Account{Home: "example.test/old"}
	check(t, s.Deliver(t.Context(), acc, &Delivery{Content: message("one")}))
	u, err := s.User(t.Context(), acc)
	check(t, err)
	check(t, s.Checkpoint(t.Context()))
	check(t, os.Rename(o.Root, o.Root+".away"))
	check(t, Create(vfs.OS{}, o.Root, identity.New(), false))
	for _, sub := range []string{"tmp", "new", "cur"} {
		check(t, os.MkdirAll(filepath.Join(o.Root, acc.Home, sub), 0o700))
	}
	before := everyName(t, o.Root)
	if err := u.Create(t.Context(), "Box", ""); !errors.Is(err, ErrAbsent) || !DSN(err).Temporary() {
		t.Errorf("CREATE: %v", err)
	}
	if after := everyName(t, o.Root); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
	check(t, errors.Join(os.Rename(o.Root, o.Root+".other"), os.Rename(o.Root+".away", o.Root)))
	check(t, u.Create(t.Context(), "Box", ""))
	check(t, u.Close())
	check(t, s.Close())
}

func TestInspect(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), "mail")
	want := func(state identity.State, used bool) {
		t.Helper()
		if f, err := Inspect(vfs.OS{}, root); err != nil || f.State != state || f.Used != used {
			t.Errorf("%+v, %v", f, err)
		}
	}
	folder := func(parts ...string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Join(append([]string{root}, parts...)...), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	want(identity.Absent, false)
	folder("lost+found")
	want(identity.Absent, false)
	folder("example.test", "alice")
	if _, err := Inspect(vfs.OS{}, root); !errors.Is(err, ErrForeign) {
		t.Errorf("%v", err)
	}
	if err := Create(vfs.OS{}, root, identity.New(), false); !errors.Is(err, ErrForeign) {
		t.Errorf("%v", err)
	}
	folder(Private)
	want(identity.Claimed, true)
	folder(Private, "journal-0")
	want(identity.Unmarked, true)
	if err := Create(vfs.OS{}, root, identity.New(), false); err != nil {
		t.Fatal(err)
	}
	want(identity.Marked, true)
}
