package transfer

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"toastmaster/internal/plainmaildir"
	"toastmaster/internal/testkit/peers"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o700))
	must(t, os.WriteFile(path, []byte(text), 0o600))
}

const tenant = 65534

// TestLinksOfOthers: a link in the path of a source is followed when it is root's or
// one's own, and named when it is a tenant's.
func TestLinksOfOthers(t *testing.T) {
	t.Parallel()
	peers.NeedRoot(t, "files get other owners")
	dir, err := filepath.EvalSymlinks(t.TempDir())
	must(t, err)
	write(t, filepath.Join(dir, "bob", "Maildir", "cur", "1.x:2,"), "Subject: bob's\n\n")
	write(t, filepath.Join(dir, "bob", "mbox"), "From a Thu Nov 26 10:00:00 2026\nSubject: bob's\n\n")
	must(t, os.MkdirAll(filepath.Join(dir, "alice", "sub"), 0o700))
	link := func(to, name string, uid int) {
		t.Helper()
		name = filepath.Join(dir, "alice", name)
		must(t, errors.Join(os.Symlink(to, name), os.Lchown(name, uid, uid)))
	}
	link("../bob/Maildir", "Maildir", tenant)
	link("../bob/mbox", "mbox", tenant)
	link(filepath.Join(dir, "bob"), "bob", tenant)
	link("bob", "twice", 0)
	link("../bob", "ours", 0)
	link(filepath.Join(dir, "alice", "ours"), "ours2", 0)
	link("loop", "loop", 0)
	for _, c := range []struct{ path, says string }{
		{"alice/Maildir", "alice/Maildir is a symbolic link of user 65534"},
		{"alice/Maildir/", "alice/Maildir is a symbolic link of user 65534"},
		{"alice/mbox", "alice/mbox is a symbolic link of user 65534"},
		{"alice/bob/Maildir", "alice/bob is a symbolic link of user 65534"},
		{"alice/bob/mbox", "alice/bob is a symbolic link of user 65534"},
		{"alice/bob/../bob/mbox", "alice/bob is a symbolic link of user 65534"},
		{"alice/twice/mbox", "give the real path"},
		{"alice/loop", "too many levels"},
		{"alice/none", "no such file"},
		{"bob/mbox/x", "not a directory"},
		{"alice/ours/mbox", ""},
		{"alice/ours2/Maildir", ""},
		{"alice/./sub/..//ours/../bob/mbox", ""},
	} {
		src, err := open(&ImportOptions{From: dir + "/" + c.path, Form: Auto})
		if err == nil {
			must(t, src.close())
		}
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", c.path, err, c.says)
		}
	}
}

// TestPlaceOfExport: an export is written where nobody else can put another folder or
// file in its place, and the folder that is wrong is named.
func TestPlaceOfExport(t *testing.T) {
	t.Parallel()
	peers.NeedRoot(t, "files get other owners")
	dir, err := filepath.EvalSymlinks(t.TempDir())
	must(t, err)
	make := func(name string, uid int, mode os.FileMode) {
		t.Helper()
		name = filepath.Join(dir, name)
		must(t, errors.Join(os.MkdirAll(name, 0o700), os.Chown(name, uid, uid), os.Chmod(name, mode)))
	}
	make("own/deep", 0, 0o755)
	make("mine", 0, 0o755)
	make("sticky", 0, 0o777|os.ModeSticky)
	make("open", 0, 0o777)
	make("open/below", 0, 0o700)
	make("group", 0, 0o775)
	make("theirs", tenant, 0o755)
	make("theirs/below", 0, 0o700)
	must(t, os.Symlink("own/deep", filepath.Join(dir, "link")))
	must(t, os.Symlink("../mine", filepath.Join(dir, "theirs", "link")))
	must(t, os.Lchown(filepath.Join(dir, "theirs", "link"), tenant, tenant))
	for _, form := range []Form{Maildir, Mbox} {
		for _, c := range []struct{ in, wrong string }{
			{"own", ""}, {"own/deep", ""}, {"sticky", ""}, {"link", ""}, {"theirs/../own", ""},
			{"open", "open: another user could change what is written there: its mode is -rwxrwxrwx"},
			{"open/below", "open: another user could change"},
			{"group", "group: another user could change"},
			{"theirs", "theirs: another user could change what is written there: it belongs to user 65534"},
			{"theirs/below", "theirs: another user could change"},
			{"theirs/link", "theirs/link is a symbolic link of user 65534"},
		} {
			path := filepath.Join(dir, c.in, string(form))
			var to target
			o := &ExportOptions{Address: "a@b", To: path}
			if form == Maildir {
				to, err = openMaildirTarget(o)
			} else {
				to, err = openMboxTarget(o, nil)
			}
			if err == nil {
				must(t, to.close())
			}
			if (err == nil) != (c.wrong == "") || err != nil && !strings.Contains(err.Error(), filepath.Join(dir, c.wrong)) {
				t.Errorf("%s %s: %v, want %q", form, c.in, err, c.wrong)
			}
			if _, there := os.Stat(path); (there == nil) != (c.wrong == "") {
				t.Errorf("%s %s: %v", form, c.in, there)
			}
		}
	}
}

// TestFileOfExport: an mbox that somebody else can write to, or that is also another file,
// is not written.
func TestFileOfExport(t *testing.T) {
	t.Parallel()
	peers.NeedRoot(t, "files get other owners")
	dir := t.TempDir()
	for what, prepare := range map[string]func(path string) error{
		"it belongs to user 65534": func(path string) error { return os.Chown(path, tenant, tenant) },
		"its mode is":              func(path string) error { return os.Chmod(path, 0o620) },
		"it has another name, too": func(path string) error { return os.Link(path, path+".too") },
		"it is a symbolic link": func(path string) error {
			return errors.Join(os.Rename(path, path+".real"), os.Symlink(path+".real", path))
		},
		"is no plain file": func(path string) error { return errors.Join(os.Remove(path), syscall.Mkfifo(path, 0o600)) },
	} {
		path := filepath.Join(dir, what)
		must(t, os.WriteFile(path, nil, 0o600))
		must(t, prepare(path))
		to, err := openMboxTarget(&ExportOptions{Address: "a@b", To: path}, nil)
		if err == nil {
			must(t, to.close())
			t.Errorf("%s: it is written", what)
			continue
		}
		if !strings.Contains(err.Error(), what) || !strings.Contains(err.Error(), "plain file") && !errors.Is(err, plainmaildir.ErrNotOurs) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
