package mailstore

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/emersion/go-imap/v2"
)

// TestAnotherProcessRenamesAndDeletes: a view goes where another process has
// renamed its mailbox to, and ends with one that another process has deleted or
// given other UIDs.
func TestAnotherProcessRenamesAndDeletes(t *testing.T) {
	t.Parallel()
	s, u, root := openEmpty(t, "A", "B", "C")
	other := openStore(t, root)
	their := openUser(t, other)
	for _, folder := range []string{"A", "B", "C"} {
		deliver(t, s, Delivery{Folder: folder, Content: message(folder)})
	}
	a, b, c := openView(t, u, "A"), openView(t, u, "B"), openView(t, u, "C")
	validity := a.Info().UIDValidity

	for _, to := range []string{"D", "E/F", "A"} {
		from := a.Info().Name
		check(t, their.Rename(t.Context(), from, to))
		deliver(t, other, Delivery{Folder: to, Content: message("new in " + to)})
		n := a.Len()
		updateUntil(t, a, true, func(Update) bool { return a.Len() == n+1 })
		if a.Info().Name != to || a.Info().UIDValidity != validity {
			t.Errorf("%+v", a.Info())
		}
	}
	check(t, a.Expunge(t.Context(), []uint32{1}))

	check(t, their.Delete(t.Context(), "B"))
	if _, err := b.Update(t.Context(), true); !errors.Is(err, ErrGone) {
		t.Errorf("%v", err)
	}

	// The index of C is lost, and a process that does not have it in memory is
	// the first to miss it.
	for _, pattern := range []string{"toastmaster.*", "dovecot-uid*"} {
		names, err := filepath.Glob(home(root, ".C", pattern))
		check(t, err)
		for _, name := range names {
			check(t, os.Remove(name))
		}
	}
	w := openView(t, their, "C")
	if w.Info().UIDValidity == c.Info().UIDValidity || w.Len() != 1 {
		t.Errorf("%+v", w.Info())
	}
	for what, err := range map[string]error{
		"flags":  ignore(c.SetFlags(t.Context(), []uint32{1}, FlagsAdd, []imap.Flag{imap.FlagSeen}, 0)),
		"update": ignore(c.Update(t.Context(), true)),
	} {
		if !errors.Is(err, ErrGone) {
			t.Errorf("%s: %v", what, err)
		}
	}
	again := openView(t, u, "C")
	if again.Info().UIDValidity != w.Info().UIDValidity {
		t.Errorf("%+v, %+v", again.Info(), w.Info())
	}
	for _, v := range []*View{a, b, c, w, again} {
		check(t, v.Close())
	}
	for _, x := range []*User{u, their} {
		check(t, x.Close())
	}
	check(t, s.Close())
	check(t, other.Close())
}

func ignore[T any](_ T, err error) error { return err }
