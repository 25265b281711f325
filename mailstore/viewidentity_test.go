package mailstore

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/emersion/go-imap/v2"

	"toastmaster/mailstore/index"
	"toastmaster/mailstore/maildir"
)

// TestALowerUIDThatTurnsUpShiftsNothing: a file comes back with its old UID, and
// the sessions that were told of its end keep their numbers when mail comes.
func TestALowerUIDThatTurnsUpShiftsNothing(t *testing.T) {
	t.Parallel()
	s, u, root := openEmpty(t)
	for _, text := range []string{"one", "two", "three"} {
		deliver(t, s, Delivery{Content: message(text)})
	}
	v := openView(t, u, "INBOX")
	mb := s.boxes[home(root)]
	check(t, mb.Tidy(t.Context(), 0)) // dovecot-uidlist
	check(t, s.Checkpoint(t.Context()))
	var backup string
	var content []byte
	for _, name := range files(t, home(root, "new")) { // whose order is not that of the UIDs
		data, err := os.ReadFile(home(root, "new", name))
		check(t, err)
		if strings.Contains(string(data), "Subject: two\n") {
			backup, content = home(root, "new", name), data
		}
	}
	list, err := os.ReadFile(home(root, uidListFile))
	check(t, err)
	check(t, v.Expunge(t.Context(), []uint32{2}))
	if got := update(t, v, true); len(got.Expunged) != 1 {
		t.Fatalf("%+v", got)
	}
	check(t, s.Checkpoint(t.Context()))
	check(t, mb.Tidy(t.Context(), s.vol.Points.Durable())) // the file is gone for good
	// Restored from a backup, with the list, and the index is lost.
	check(t, os.WriteFile(backup, content, 0o600))
	check(t, os.WriteFile(home(root, uidListFile), list, 0o600))
	check(t, os.Remove(home(root, index.LogFile)))
	update(t, v, true)
	deliver(t, s, Delivery{Content: message("four")})
	update(t, v, true)
	deliver(t, s, Delivery{Content: message("five")})
	if got := update(t, v, true); got.Exists == 0 {
		t.Errorf("%+v", got)
	}
	later := openView(t, u, "INBOX")
	if later.Len() != 5 || later.UID(2) != 2 {
		t.Fatalf("the message did not come back with its UID: %v", uidsOf(later))
	}
	if v.Len() != 4 {
		t.Errorf("a session of before has %d messages", v.Len())
	}
	for seq, want := range map[uint32]string{1: "one", 2: "three"} {
		if got := readAllOf(t, v, seq); !strings.Contains(got, "Subject: "+want) {
			t.Errorf("message %d is\n%s", seq, got)
		}
	}
	if !slices.IsSorted(uidsOf(v)) || v.Seq(2) != 0 {
		t.Errorf("%v", uidsOf(v))
	}
	// Each has its own number of the first that is unseen, whoever asks first.
	_, err = later.SetFlags(t.Context(), []uint32{1, 2}, FlagsAdd, []imap.Flag{imap.FlagSeen}, 0)
	check(t, err)
	for _, order := range [][]*View{{later, v}, {v, later}} {
		for _, one := range order {
			update(t, one, true)
		}
		for _, one := range order {
			want := one.Seq(3)
			if got := one.Info().FirstUnseen; got != want {
				t.Errorf("the first unseen is %d, want %d", got, want)
			}
		}
		deliver(t, s, Delivery{Content: message("another version")})
	}
	check(t, later.Close())
	check(t, v.Close())
	check(t, u.Close())
	check(t, s.Close())
}

func uidsOf(v *View) (uids []imap.UID) {
	for seq := range v.Len() {
		uids = append(uids, v.UID(uint32(seq)+1))
	}
	return uids
}

// TestAUIDOfTwoMessages: another process makes the index anew and gives a UID that
// a session knows to another message. The session ends; under its numbers is
// never the other message.
func TestAUIDOfTwoMessages(t *testing.T) {
	t.Parallel()
	s, u, root := openEmpty(t)
	for _, text := range []string{"one", "two", "three"} {
		deliver(t, s, Delivery{Content: message(text)})
	}
	v := openView(t, u, "INBOX")
	check(t, s.boxes[home(root)].Tidy(t.Context(), 0))
	name := home(root, uidListFile)
	data, err := os.ReadFile(name)
	check(t, err)
	list, err := maildir.ParseUIDList(data)
	check(t, err)
	list.Entries[1].Base, list.Entries[2].Base = list.Entries[2].Base, list.Entries[1].Base
	check(t, os.WriteFile(name, list.Append(nil), 0o600))
	for _, file := range []string{index.LogFile, index.SnapshotFile} {
		if err := os.Remove(filepath.Join(home(root), file)); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	other := openStore(t, root)
	deliver(t, other, Delivery{Content: message("four")})
	check(t, other.Close())
	if _, err := v.Update(t.Context(), true); !errors.Is(err, ErrGone) {
		t.Errorf("%v", err)
	}
	if c, err := v.Read(t.Context(), 2); err == nil {
		check(t, c.Close())
		t.Errorf("read %q", readAllOf(t, v, 2))
	}
	later := openView(t, u, "INBOX")
	if got := readAllOf(t, later, 2); !strings.Contains(got, "Subject: three") {
		t.Errorf("the test gave no UID to another message: %s", got)
	}
	check(t, later.Close())
	check(t, v.Close())
	check(t, u.Close())
	check(t, s.Close())
}
