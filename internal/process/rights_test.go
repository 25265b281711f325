package process

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"toastmaster/internal/testkit/peers"
)

// lineOf is the value of a line of /proc/.../status.
func lineOf(t *testing.T, file, name string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.Join(strings.Fields(value), " ")
		}
	}
	t.Fatalf("%s has no %s", file, name)
	return ""
}

// TestAsHasNoRights: the thread has no capability of root's, and the user's numbers; by the real and the saved ones
// nobody but root may signal it. No other thread has changed, the first one neither.
func TestAsHasNoRights(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Log("nothing is given up by who is not root")
		return
	}
	u := nobody(t)
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			err := As(u, 4242, func() error {
				const own = "/proc/thread-self/status"
				want := fmt.Sprintf("0 %d 0 %[1]d", u.UID)
				if caps, uids, gids := lineOf(t, own, "CapEff"), lineOf(t, own, "Uid"), lineOf(t, own, "Gid"); strings.Trim(caps, "0") != "" || uids != want || gids != fmt.Sprintf("0 %d 0 %[1]d", u.GID) {
					t.Errorf("capabilities %s, users %s, groups %s", caps, uids, gids)
				}
				if groups := lineOf(t, own, "Groups"); groups != fmt.Sprintf("4242 %d", u.GID) && groups != fmt.Sprintf("%d 4242", u.GID) {
					t.Errorf("groups %s", groups)
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		file := filepath.Join("/proc/self/task", task.Name(), "status")
		text, err := os.ReadFile(file)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue // a thread that ends just now
		}
		if err == nil && strings.Contains(string(text), fmt.Sprintf("Uid:\t0\t%d", u.UID)) && task.Name() == fmt.Sprint(os.Getpid()) {
			t.Errorf("the process is the user's: %s", text)
		}
	}
	held, release := make(chan int), make(chan struct{})
	go func() {
		err := As(u, -1, func() error {
			held <- unix.Gettid()
			<-release
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		close(held)
	}()
	tid := <-held
	for _, id := range []int{tid, os.Getpid()} {
		if got := run(t, sh(t, fmt.Sprintf("kill -0 %d && echo may", id))); strings.Contains(got.Output, "may") {
			t.Errorf("the user may signal %d", id)
		}
	}
	close(release)
	<-held
}

// TestReservedBlocksAreRoots: on a file system that is full for users, a root server that works as a user gets the
// user's answer, and leaves root's blocks alone.
func TestReservedBlocksAreRoots(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Log("users have no reserved blocks")
		return
	}
	dir, u := peers.SmallDisk(t), nobody(t)
	if dir == "" {
		return
	}
	name := filepath.Join(dir, "mailbox")
	fill := func() error {
		f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
		if err != nil {
			return err
		}
		defer f.Close()
		for block := bytes.Repeat([]byte("x"), 64<<10); ; {
			if _, err := f.Write(block); err != nil {
				return err
			}
		}
	}
	if err := As(u, -1, fill); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("the user's file: %v", err)
	}
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		t.Fatal(err)
	}
	if left := int64(st.Bfree) * st.Bsize; left < 1<<20 {
		t.Errorf("%d octets are left of what is reserved for root", left)
	}
}
