package local

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"toastmaster/configs"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/process"
	"toastmaster/internal/testkit/faultfs"
	"toastmaster/internal/testkit/peers"
	"toastmaster/internal/vfs"
)

// spoolOf is a folder in which every user may make a mailbox.
func spoolOf(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "tm-")
	if err == nil {
		err = os.Chmod(dir, 0o777|os.ModeSticky)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func onDisk(dir string, wait time.Duration) func(*configs.Local) {
	return func(p *configs.Local) {
		p.MailSpoolDirectory, p.LockAttempts, p.LockDelay, p.StaleLockTime = dir, 1, wait, time.Hour
	}
}

// holdMailbox makes the mailbox of the user, with a message of another program, and locks it as that would.
func holdMailbox(t *testing.T, dir string) (path string, f vfs.File) {
	t.Helper()
	path, u := filepath.Join(dir, "me"), who(t)
	if err := os.WriteFile(path, []byte("From a@b\n\nold\n\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		if err := os.Chown(path, u.UID, u.GID); err != nil {
			t.Fatal(err)
		}
	}
	f, err := vfs.OS{}.OpenFile(path, os.O_RDWR, 0)
	if err == nil {
		err = f.TryLockAt(0)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return path, f
}

// TestALockedMailboxWaits: while another program has either lock nothing is written, and the mail waits; a lock that is given up in
// time is waited for, and one that is stale is taken away.
func TestALockedMailboxWaits(t *testing.T) {
	t.Parallel()
	busy := func(dir string) {
		t.Helper()
		got := deliver(t, request("me@here.test"), made(t, vfs.OS{}, &queued{}, "", onDisk(dir, 10*time.Millisecond)))[0]
		if got.Err == nil || got.Err.Status != dsn.Make(4, 2, 0) || !strings.HasPrefix(got.Err.Text, "unable to lock for exclusive access") {
			t.Errorf("%+v", got)
		}
	}
	dir := spoolOf(t)
	path, f := holdMailbox(t, dir)
	busy(dir)
	if _, err := os.Stat(path + ".lock"); !os.IsNotExist(err) {
		t.Errorf("the dot file is left: %v", err)
	}
	if err := f.UnlockAt(0); err != nil {
		t.Fatal(err)
	}
	lock := path + ".lock"
	if err := os.WriteFile(lock, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	busy(dir)
	if text := content(vfs.OS{}, path); text != "From a@b\n\nold\n\n" {
		t.Errorf("%q", text)
	}
	if old := time.Now().Add(-2 * time.Hour); os.Chtimes(lock, old, old) != nil {
		t.Fatal()
	}
	if os.Geteuid() == 0 { // another user's file in a folder with the sticky bit is nobody else's to take away
		u := who(t)
		if err := os.Chown(lock, u.UID, u.GID); err != nil {
			t.Fatal(err)
		}
	}
	if got := deliver(t, request("me@here.test"), made(t, vfs.OS{}, &queued{}, "", onDisk(dir, time.Minute)))[0]; got.Err != nil {
		t.Errorf("%+v", got)
	}
	if text := content(vfs.OS{}, path); strings.Count(text, "\nFrom ") != 1 || !strings.HasPrefix(text, "From a@b\n\nold\n\nFrom s@x.test") {
		t.Errorf("%q", text)
	}
}

// TestALockIsWaitedFor: each of many deliveries into one mailbox gets its turn, and none writes into another's message.
func TestALockIsWaitedFor(t *testing.T) {
	t.Parallel()
	dir := spoolOf(t)
	path, f := holdMailbox(t, dir)
	a := made(t, vfs.OS{}, &queued{}, "", onDisk(dir, 10*time.Minute))
	const all = 8
	done := make(chan *dsn.Error, all)
	for range all {
		go func() { done <- deliver(t, request("me@here.test"), a)[0].Err }()
	}
	if err := f.UnlockAt(0); err != nil {
		t.Fatal(err)
	}
	for range all {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	text := content(vfs.OS{}, path)
	if whole := strings.Count(text, "\n"+fields+">From y\n\n"); whole != all {
		t.Errorf("%d whole messages of %d: %q", whole, all, text)
	}
}

// TestReservedBlocksAreNoMailboxes: on a real disk that is full for users a delivery of root's server waits, the file is as it
// was, and what is reserved for root is there still.
func TestReservedBlocksAreNoMailboxes(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Log("users have no reserved blocks")
		return
	}
	dir, u := peers.SmallDisk(t), who(t)
	if dir == "" {
		return
	}
	err := process.As(u, -1, func() error {
		f, err := os.Create(filepath.Join(dir, "fills"))
		for block := make([]byte, 16<<10); err == nil; {
			_, err = f.Write(block)
		}
		return errors.Join(err, f.Close())
	})
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	free := func() (octets int64) {
		var st syscall.Statfs_t
		if err := syscall.Statfs(dir, &st); err != nil {
			t.Fatal(err)
		}
		return int64(st.Bfree) * st.Bsize
	}
	before, large := free(), request("me@here.test", "box@here.test")
	large.Content = envelope.Memory("Subject: x\n\n" + strings.Repeat("y\n", 200<<10))
	if err := os.MkdirAll(filepath.Join(dir, "maildirs"), 0o777); err != nil || os.Chmod(filepath.Join(dir, "maildirs"), 0o777) != nil {
		t.Fatal(err)
	}
	for _, spool := range []string{dir, dir + "/maildirs/"} {
		a := made(t, vfs.OS{}, &queued{}, fmt.Sprintf("{box = %s/box}", dir), onDisk(spool, time.Second))
		for _, got := range deliver(t, large, a) {
			if got.Err == nil || got.Err.Status != dsn.SystemFull {
				t.Errorf("%+v", got)
			}
		}
	}
	if after := free(); before < 1<<20 || after < before-64<<10 {
		t.Errorf("of %d octets that are root's %d are left", before, after)
	}
	for _, name := range []string{"me", "box"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err == nil && !info.IsDir() && info.Size() != 0 {
			t.Errorf("%s has %d octets", name, info.Size())
		}
	}
}

// TestAFullQuotaIsTheUsers: without room for the user, or on the disk, mail waits with the status of each, in a mailbox file and a
// Maildir, and the file is as it was.
func TestAFullQuotaIsTheUsers(t *testing.T) {
	t.Parallel()
	for err, want := range map[error]dsn.Status{syscall.EDQUOT: dsn.MailboxFullNow, syscall.ENOSPC: dsn.SystemFull, syscall.EIO: dsn.Make(4, 2, 0), syscall.EROFS: dsn.Make(4, 2, 0)} {
		d := disk(t)
		const before = "From a@b\n\nold\n\n"
		if err := vfs.Replace(d, "/spool/me", []byte(before)); err != nil {
			t.Fatal(err)
		}
		faults := faultfs.Wrap(d)
		faults.FailNth(faultfs.Write, 1, err)
		got := deliver(t, request("me@here.test"), made(t, faults, &queued{}, "", nil))[0]
		if got.Err == nil || got.Err.Status != want || content(d, "/spool/me") != before {
			t.Errorf("%v: %+v %q", err, got, content(d, "/spool/me"))
		}
		// A file of aliases(5) has the same.
		faults.Reset()
		faults.FailNth(faultfs.Write, 1, err)
		got = deliver(t, request("box@here.test"), made(t, faults, &queued{}, "{box = /spool/box}", nil))[0]
		if got.Err == nil || got.Err.Status != want || content(d, "/spool/box") != "" {
			t.Errorf("%v: %+v %q", err, got, content(d, "/spool/box"))
		}
	}
}
