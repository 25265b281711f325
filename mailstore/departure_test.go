package mailstore

import (
	"errors"
	"os"
	"testing"
	"time"

	"toastmaster/internal/envelope"
)

// TestDeliveryIntoWhatHasGone: another process, or program, has taken a mailbox or a whole
// account away that is in memory here, and nobody has told yet. A delivery is no failure of
// the disk: the mailbox does not exist, and the account is made anew for mail that was
// asked for since.
func TestDeliveryIntoWhatHasGone(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	s := openStore(t, root)
	u := openUser(t, s)
	check(t, u.Create(t.Context(), "Sub", ""))
	store := func(folder string) error {
		_, _, err := u.Append(t.Context(), folder, nil, s.vol.Clock.Now(), message("x"))
		return err
	}
	check(t, store("Sub"))
	check(t, os.Rename(home(root, ".Sub"), home(root, "Sub")))
	if err := store("Sub"); !errors.Is(err, ErrNotFound) {
		t.Errorf("APPEND to a mailbox that has gone: %v", err)
	}
	check(t, os.Rename(home(root, "Sub"), home(root, ".Sub")))
	check(t, store("Sub"))

	deliver := func(folder string, asked time.Time) error {
		a := alice()
		a.Asked = asked
		return s.Deliver(t.Context(), a, &Delivery{Folder: folder, Content: envelope.Memory("Subject: y\n\ny\n")})
	}
	check(t, deliver("", s.vol.Clock.Now()))
	check(t, os.Rename(home(root), root+"/aside"))
	if err := store("INBOX"); !errors.Is(err, ErrNotFound) {
		t.Errorf("APPEND to an account that has gone: %v", err)
	}
	check(t, u.Close())
	for _, folder := range []string{"", "Sub"} {
		u = openUser(t, s)
		check(t, u.Close())
		check(t, os.RemoveAll(home(root)))
		err := deliver(folder, s.vol.Clock.Now())
		if folder == "" {
			check(t, err)
			if got := files(t, home(root, "new")); len(got) != 1 {
				t.Errorf("in the account made anew are %q", got)
			}
		} else if !errors.Is(err, ErrNotFound) {
			t.Errorf("a delivery to a mailbox of an account made anew: %v", err)
		}
	}
	check(t, s.Close())
}
