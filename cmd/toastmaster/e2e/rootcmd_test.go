package e2e

import (
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"toastmaster/internal/testkit/binary"
	"toastmaster/internal/testkit/peers"
)

// ownedBy fails for everything below dir that is not uid's.
func ownedBy(t *testing.T, dir, uid string) {
	t.Helper()
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if is := fmt.Sprint(info.Sys().(*syscall.Stat_t).Uid); is != uid {
			t.Errorf("%s is of user %s, not %s", path, is, uid)
		}
		return nil
	}))
}

// TestRootLeavesNothingOfItsOwn: an instance of another user, as systemd runs it
// with User= and without main.user, still starts as that user after root typed
// serve, a backup of the stopped instance and init --new; and what root restores is
// the user's too, all of it or one mailbox.
func TestRootLeavesNothingOfItsOwn(t *testing.T) {
	t.Parallel()
	peers.NeedRoot(t, "root's commands on another user's instance are the matter")
	who, err := user.Lookup("nobody")
	must(t, err)
	b := serveWith(t, binary.Options{Init: []string{"--user", who.Username}, Params: map[string]string{"smtp.relayhost": `"[127.0.0.1]:1"`}})
	b.sendOne(t, "a@example.net", bob, "restored")
	b.waitMail(t, bob, 1)
	one := filepath.Join(b.dir, "one")
	b.backup(t, one)
	_, err = b.Run(testContext(t), "", "mailbox", "remove", bob, "--purge")
	must(t, err)
	must(t, b.AddMailbox(testContext(t), bob, bobsWord))
	_, err = b.Run(testContext(t), "", "restore", "-q", one, "--mailbox", bob)
	must(t, err)
	if _, err := os.Stat(filepath.Join(b.Maildir(bob), ".Restored", "cur")); err != nil {
		t.Error(err)
	}
	ownedBy(t, filepath.Dir(b.Maildir(bob)), who.Uid)
	b.sendOne(t, "a@example.net", bob, "kept")
	b.waitMail(t, bob, 1)
	b.queueOutside(t)
	must(t, b.Stop())
	// As the unit of systemd has it: the user is the starter's matter.
	text := strings.Replace(readFile(t, b.ConfigFile()), "user = \""+who.Username+"\"\n", "", 1)
	if strings.Contains(text, "user = ") {
		t.Fatalf("%s", text)
	}
	must(t, os.WriteFile(b.ConfigFile(), []byte(text), 0o640))

	_, err = b.Run(testContext(t), "", "serve")
	if err == nil || !strings.Contains(err.Error(), "exit status 2") || !strings.Contains(err.Error(), "main.user") || !strings.Contains(err.Error(), who.Username) {
		t.Errorf("serve: %v", err)
	}
	ownedBy(t, b.Data(), who.Uid)

	to := filepath.Join(b.dir, "backups")
	b.backup(t, to)
	ownedBy(t, b.Data(), who.Uid)

	queue := filepath.Join(b.Data(), "queue")
	must(t, os.Rename(queue, filepath.Join(b.dir, "queue.away")))
	_, err = b.Run(testContext(t), "", "init", "--new", "queue")
	must(t, err)
	ownedBy(t, b.Data(), who.Uid)

	must(t, os.Rename(b.Data(), filepath.Join(b.dir, "lost")))
	b.toastmaster(t, "restore", to)
	ownedBy(t, b.Data(), who.Uid)

	// Root's serve becomes the user again, and has all mail.
	must(t, os.WriteFile(b.ConfigFile(), []byte(strings.Replace(text, "[main]\n", "[main]\nuser = \""+who.Username+"\"\n", 1)), 0o640))
	b.start(t)
	b.waitMail(t, bob, 1)
	ownedBy(t, b.Data(), who.Uid)
}

// TestRootNamesNoPlaceThatTheServiceMayNotUse: what root writes into the configuration
// of another user's instance, which the service manager starts as that user, is looked
// at with the rights of that user, before a restart leaves nothing that serves.
func TestRootNamesNoPlaceThatTheServiceMayNotUse(t *testing.T) {
	t.Parallel()
	peers.NeedRoot(t, "root's commands on another user's instance are the matter")
	who, err := user.Lookup("nobody")
	must(t, err)
	b := serveWith(t, binary.Options{Init: []string{"--user", who.Username}})
	must(t, b.Stop())
	text := strings.Replace(readFile(t, b.ConfigFile()), "user = \""+who.Username+"\"\n", "", 1)
	must(t, os.WriteFile(b.ConfigFile(), []byte(text), 0o640))
	roots := filepath.Join(b.dir, "roots")
	must(t, os.MkdirAll(filepath.Join(roots, "open"), 0o777))
	must(t, os.Chmod(filepath.Join(roots, "open"), 0o777))
	must(t, os.WriteFile(filepath.Join(roots, "password"), []byte("x y:z\n"), 0o600))
	must(t, os.Chmod(roots, 0o700)) // what is in it is closed, too
	for _, args := range [][2]string{
		{"admin.socket", filepath.Join(roots, "s")}, {"admin.socket", filepath.Join(roots, "open", "s")}, {"log.file", filepath.Join(roots, "log")},
		{"lmtpd.listen", "unix:" + filepath.Join(roots, "l")}, {"smtp.password_file", filepath.Join(roots, "password")},
	} {
		_, err := b.Run(testContext(t), "", "config", "set", args[0], args[1])
		for _, want := range []string{"exit status 2", args[0], who.Username, roots} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v: %v: no %q", args, err, want)
			}
		}
		if got := readFile(t, b.ConfigFile()); got != text {
			t.Errorf("%v: the file is\n%s", args, got)
		}
	}
	place := filepath.Join(b.dir, "place")
	must(t, os.Mkdir(place, 0o700))
	_, err = b.Run(testContext(t), "", "config", "set", "admin.socket", filepath.Join(place, "s"))
	if err == nil {
		t.Error("a folder of root's own was taken")
	}
	uid, err := strconv.Atoi(who.Uid)
	must(t, err)
	must(t, os.Chown(place, uid, -1))
	_, err = b.Run(testContext(t), "", "config", "set", "admin.socket", filepath.Join(place, "s"))
	must(t, err)
	_, err = b.Run(testContext(t), "", "config", "check")
	must(t, err)
	must(t, os.Chown(place, 0, -1))
	_, err = b.Run(testContext(t), "", "config", "check")
	if err == nil || !strings.Contains(err.Error(), "admin.socket") {
		t.Errorf("config check: %v", err)
	}
}
