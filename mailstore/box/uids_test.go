package box_test

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"toastmaster/internal/msglog"
	"toastmaster/internal/testkit/logtest"
	"toastmaster/mailstore"
)

// TestTheLastUIDs: a mailbox whose UIDs are used up, as the dovecot-uidlist of a host that
// moved here may say, takes no more mail, and says so: from a delivery, an APPEND, COPY,
// MOVE, and another program. An answer of OK would be for a message that nobody can ever see.
// What is there can be read and moved away.
func TestTheLastUIDs(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	foreign(t, root)
	check(t, os.WriteFile(home(root, "dovecot-uidlist"), []byte("3 V7 N4294967292\n"), 0o600))
	o, log := options(root), &logtest.Buffer{}
	o.Log = msglog.New(slog.NewTextHandler(log, nil))
	s, u := open(t, o)
	check(t, u.Create(t.Context(), "Other", ""))
	v := inbox(t, u)
	_, _, err := u.Append(t.Context(), "Other", nil, v.Message(1).Date, message("other"))
	check(t, err)
	other, err := u.Open(t.Context(), "Other", false)
	check(t, err)
	defer other.Close()

	has := func(n int) {
		t.Helper()
		_, err := v.Update(t.Context(), true)
		check(t, err)
		status, err := u.Status(t.Context(), "INBOX")
		check(t, err)
		files, err := os.ReadDir(home(root, "new"))
		check(t, err)
		if v.Len() != n || int(status.Messages) != n || len(files) != n {
			t.Fatalf("%d messages, status %d, %d files, and %d were answered for", v.Len(), status.Messages, len(files), n)
		}
	}
	deliver(t, s, "one")
	deliver(t, s, "two")
	has(2)
	// One UID is left: of two copies neither is made.
	if _, _, err := v.Copy(t.Context(), []uint32{1, 2}, "INBOX"); !errors.Is(err, mailstore.ErrLimit) {
		t.Errorf("two copies into the last UID: %v", err)
	}
	has(2)
	deliver(t, s, "three")
	has(3)
	if v.UID(3) != 4294967294 || v.Info().UIDNext != 4294967295 {
		t.Errorf("the last has UID %d, UIDNEXT %d", v.UID(3), v.Info().UIDNext)
	}
	for name, store := range map[string]func() error{
		"delivery": func() error {
			return s.Deliver(t.Context(), alice(), &mailstore.Delivery{Content: message("four"), Durable: true})
		},
		"append": func() error {
			_, _, err := u.Append(t.Context(), "INBOX", nil, v.Message(1).Date, message("four"))
			return err
		},
		"copy": func() error { _, _, err := other.Copy(t.Context(), []uint32{1}, "INBOX"); return err },
		"move": func() error { _, _, err := other.Move(t.Context(), []uint32{1}, "INBOX"); return err },
	} {
		if err := store(); !errors.Is(err, mailstore.ErrLimit) || !strings.Contains(fmt.Sprint(err), "dovecot-uidlist") {
			t.Errorf("%s: %v", name, err)
		}
		has(3)
	}
	if text := readAllOf(t, other, 1); !strings.Contains(text, "body of other") {
		t.Errorf("what was not moved: %q", text)
	}
	// Another program's is left where it is.
	check(t, os.WriteFile(home(root, "new", "1.foreign"), []byte("Subject: foreign\n\nx\n"), 0o600))
	// A change in the same tick of the file system's clock as ours is seen at the next look.
	for end := time.Now().Add(time.Minute); !strings.Contains(log.String(), "1.foreign") && time.Now().Before(end); {
		_, err = v.Update(t.Context(), true)
		check(t, err)
	}
	if _, err := os.Stat(home(root, "new", "1.foreign")); err != nil || v.Len() != 3 || !strings.Contains(log.String(), "1.foreign") {
		t.Errorf("%d messages, %v, log %s", v.Len(), err, log)
	}
	check(t, os.Remove(home(root, "new", "1.foreign")))
	_, _, err = v.Move(t.Context(), []uint32{1, 2, 3}, "Other")
	check(t, err)
	has(0)
}
