package mailstore

import (
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"toastmaster/internal/testkit/faultfs"
)

// TestACopyWhileTheOriginalIsExpunged: one session copies a message in the moment in
// which another expunges it. Whoever is answered OK is
// right after a power cut: a copy that was made is there, and else none was.
func TestACopyWhileTheOriginalIsExpunged(t *testing.T) {
	t.Parallel()
	disk := faultfs.NewDisk()
	f := faultfs.Wrap(disk)
	s, err := Open(t.Context(), newStory(f).options())
	check(t, err)
	u := openUser(t, s)
	check(t, u.Create(t.Context(), "Kept", ""))
	deliver(t, s, Delivery{Prefix: []byte("Subject: one\n\n")})
	check(t, s.Checkpoint(t.Context()))
	from, also, kept := openView(t, u, "INBOX"), openView(t, u, "INBOX"), openView(t, u, "Kept")

	// The copy has looked at the original and comes to its mailbox: now the expunge
	// begins. It takes the file when the copy is made. Where one waits for the other,
	// which cannot be seen from here, the pauses end by themselves.
	var copying, expunging sync.Once
	armed := make(chan struct{})
	begun, copied, expunged := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	await := func(c <-chan struct{}) {
		select {
		case <-c:
		case <-time.After(300 * time.Millisecond):
		}
	}
	f.Hook(func(op faultfs.Op, name string) error {
		select {
		case <-armed:
		default:
			return nil
		}
		switch dir := filepath.Base(filepath.Dir(name)); {
		case op == faultfs.Sync && strings.Contains(name, "journal"):
			expunging.Do(func() { close(begun) })
		case strings.Contains(name, ".Kept"):
			copying.Do(func() {
				go func() { expunged <- from.Expunge(t.Context(), []uint32{1}) }()
				await(begun)
			})
		case op == faultfs.Remove && (dir == "cur" || dir == "new"):
			await(copied)
		}
		return nil
	})
	close(armed)
	_, _, failed := also.Copy(t.Context(), []uint32{1}, "Kept")
	close(copied)
	check(t, <-expunged)
	cut := disk.Crash()
	check(t, from.Close())
	check(t, also.Close())
	check(t, kept.Close())
	check(t, u.Close())
	check(t, s.Close())
	want := "INBOX:0 Kept:1 "
	if failed != nil {
		want = "INBOX:0 Kept:0 "
	}
	if got := foldersAfter(t, cut, "INBOX", "Kept"); got != want {
		t.Errorf("after the copy (%v) and a power cut %s, want %s", failed, got, want)
	}
}
