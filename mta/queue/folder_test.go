package queue

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"toastmaster/internal/dsn"
	"toastmaster/internal/identity"
	"toastmaster/internal/testkit/clocktest"
	"toastmaster/internal/vfs"
)

// created is a queue of an instance.
func created(t *testing.T) Options {
	t.Helper()
	o := options(vfs.OS{})
	o.Dir, o.Instance = filepath.Join(t.TempDir(), "queue"), identity.New()
	if err := Create(o.FS, o.Dir, o.Instance); err != nil {
		t.Fatal(err)
	}
	return o
}

// TestOpenMakesNoQueue: what is not there, lacks a folder with mail, or is
// another instance's, is refused and nothing is made.
func TestOpenMakesNoQueue(t *testing.T) {
	t.Parallel()
	in := func(name string) func(string) error {
		return func(dir string) error { return os.RemoveAll(filepath.Join(dir, name)) }
	}
	for name, spoil := range map[string]func(dir string) error{
		"missing":            os.RemoveAll,
		"a mount point":      func(dir string) error { return errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o700)) },
		"another instance's": func(dir string) error { return identity.Write(vfs.OS{}, dir, identity.New()) },
		"no id":              in(identity.File),
		"no deferred mail":   in("deferred"),
		"no mail on hold":    in("hold"),
		"no contents":        in("content"),
		"no journal":         in("journal"),
		"no epoch":           in("epoch"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := created(t)
			closeQueue(t, open(t, o))
			if err := spoil(o.Dir); err != nil {
				t.Fatal(err)
			}
			names := func() string {
				all, err := identity.Entries(o.FS, o.Dir)
				if err != nil {
					t.Fatal(err)
				}
				return strings.Join(all, " ")
			}
			before := names()
			q, err := Open(t.Context(), o)
			if err == nil {
				closeQueue(t, q)
				t.Fatal("it was opened")
			}
			if after := names(); after != before {
				t.Errorf("before: %s\nafter: %s", before, after)
			}
		})
	}
}

// TestAQueueThatVanishesTakesNoMail: its volume is unmounted, and another one
// mounted there, while it is open.
func TestAQueueThatVanishesTakesNoMail(t *testing.T) {
	t.Parallel()
	o := created(t)
	now := clocktest.New(time.Unix(1e9, 0))
	o.Clock = now
	q := open(t, o)
	defer closeQueue(t, q)
	want := func(what string, room bool) {
		t.Helper()
		now.Advance(time.Second)
		if err := q.Room(1); (err == nil) != room || err != nil && dsn.From(err).Status != dsn.MailSystem {
			t.Errorf("%s: %v", what, err)
		}
		if err := q.Present(); (err == nil) != room || err != nil && (!errors.Is(err, ErrAbsent) || !strings.Contains(err.Error(), o.Dir)) {
			t.Errorf("%s: Present: %v", what, err)
		}
	}
	want("in its place", true)
	if err := os.Rename(o.Dir, o.Dir+".away"); err != nil {
		t.Fatal(err)
	}
	want("unmounted", false)
	if err := Create(o.FS, o.Dir, identity.New()); err != nil {
		t.Fatal(err)
	}
	want("another one", false)
	if err := errors.Join(os.Rename(o.Dir, o.Dir+".other"), os.Rename(o.Dir+".away", o.Dir)); err != nil {
		t.Fatal(err)
	}
	want("back again", true)
	deferred := filepath.Join(o.Dir, "deferred")
	if err := os.Rename(deferred, deferred+".away"); err != nil {
		t.Fatal(err)
	}
	if err := q.Present(); !errors.Is(err, ErrAbsent) || !strings.Contains(err.Error(), deferred+" is missing") {
		t.Errorf("without a folder: %v", err)
	}
	if err := os.Rename(deferred+".away", deferred); err != nil {
		t.Fatal(err)
	}
	want("whole again", true)
}
