package box_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"toastmaster/internal/msglog"
	"toastmaster/internal/testkit/faultfs"
	"toastmaster/internal/testkit/logtest"
	"toastmaster/mailstore"
	"toastmaster/mailstore/volume"
)

// TestAReadErrorIsNoDamage: a disk that does not give a compressed message now is not a message
// that cannot be read: nothing is learned from it, and the next who asks has the mail. It
// fails at each place at which a file is read: where the index has the message, and where
// it is seen for the first time, with sizes in its name and without.
func TestAReadErrorIsNoDamage(t *testing.T) {
	t.Parallel()
	text := longText(7, 300<<10)
	packed := gzipped(t, text)
	for what, name := range map[string]string{
		"known by its size": fmt.Sprintf("10.x,S=%d,W=%d:2,S", len(text), len(text)+strings.Count(text, "\n")),
		"without sizes":     "10.x:2,S",
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			failed := 0
			for n := 1; ; n++ {
				root := t.TempDir()
				foreign(t, root)
				check(t, os.WriteFile(home(root, "cur", name), packed, 0o600))
				o := options(root)
				faults := faultfs.Wrap(o.FS)
				var said logtest.Buffer
				o.FS, o.Log, o.Store.UnpackedCache = faults, msglog.New(slog.NewTextHandler(&said, nil)), 0
				reads := 0
				faults.Hook(func(op faultfs.Op, file string) error {
					if op == faultfs.Read && filepath.Base(filepath.Dir(file)) == "cur" {
						if reads++; reads == n {
							return syscall.EIO
						}
					}
					return nil
				})
				s, err := mailstore.Open(t.Context(), o)
				check(t, err)
				u, err := s.User(t.Context(), alice())
				check(t, err)
				v, err := u.Open(t.Context(), "INBOX", false)
				if err != nil {
					if !errors.Is(err, syscall.EIO) {
						t.Errorf("read %d, open: %v", n, err)
					}
					v, err = u.Open(t.Context(), "INBOX", false)
					check(t, err)
				}
				c, err := v.Read(t.Context(), 1)
				if err == nil {
					check(t, c.Close())
				} else if !errors.Is(err, syscall.EIO) || errors.Is(err, volume.ErrUnreadable) {
					t.Errorf("read %d: %v", n, err)
				}
				tries := reads
				faults.Hook(nil)
				if got := readAllOf(t, v, 1); got != text {
					t.Errorf("read %d: afterwards it has %d octets, not %d", n, len(got), len(text))
				}
				if size := v.Message(1).Size; size != int64(len(text)+strings.Count(text, "\n")) {
					t.Errorf("read %d: the index has the size %d", n, size)
				}
				if log := said.String(); strings.Contains(log, "compressed, and cannot be read") {
					t.Errorf("read %d: %s", n, log)
				}
				check(t, errors.Join(v.Close(), u.Close(), s.Close()))
				if tries < n {
					break
				}
				failed++
			}
			if failed < 2 {
				t.Errorf("%d reads", failed)
			}
		})
	}
}

// TestWhoGoesAwayWhileAMessageIsUnpacked: has the error of its context, also while it waits for
// its turn, and leaves the turn and no file behind.
func TestWhoGoesAwayWhileAMessageIsUnpacked(t *testing.T) {
	t.Parallel()
	text := longText(3, 200<<10)
	root := t.TempDir()
	foreign(t, root)
	check(t, os.WriteFile(home(root, "cur", fmt.Sprintf("10.x,S=%d,W=%d:2,S", len(text), len(text)+strings.Count(text, "\n"))), gzipped(t, text), 0o600))
	o := options(root)
	o.Store.UnpackConcurrency, o.Store.UnpackedCache = 1, 0
	faults := faultfs.Wrap(o.FS)
	o.FS = faults
	_, u := open(t, o)
	v, w := inbox(t, u), inbox(t, u)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	inside, goOn := make(chan struct{}), make(chan struct{})
	first := true
	faults.Hook(func(op faultfs.Op, file string) error {
		if op == faultfs.Read && filepath.Base(filepath.Dir(file)) == "cur" && first {
			first = false
			close(inside)
			<-goOn
		}
		return nil
	})
	ended := make(chan error, 1)
	go func() { // its context ends in the middle
		_, err := v.Read(ctx, 1)
		ended <- err
	}()
	<-inside
	faults.Hook(nil)
	cancel()
	if _, err := w.Read(ctx, 1); !errors.Is(err, context.Canceled) { // waits for the turn of v
		t.Errorf("%v", err)
	}
	close(goOn)
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if got := readAllOf(t, w, 1); got != text {
		t.Errorf("%d octets", len(got))
	}
}
