package faultfs

import (
	"bytes"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"testing"

	"toastmaster/internal/vfs"
)

func write(t *testing.T, d vfs.FS, name, text string, sync bool) {
	t.Helper()
	f, err := d.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte(text), 0); err != nil {
		t.Fatal(err)
	}
	if sync {
		if err := f.Sync(); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, d vfs.FS, name string) string {
	t.Helper()
	f, err := d.OpenFile(name, os.O_RDONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return "(none)"
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, 1000)
	n, _ := f.ReadAt(b, 0)
	return string(b[:n])
}

func TestCrashDropsWhatWasNotSynced(t *testing.T) {
	t.Parallel()
	d := NewDisk()
	if err := d.MkdirAll("/a/b", 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, d, "/a/b/nosync", "x", false)
	write(t, d, "/a/b/nodir", "x", true)
	if _, err := d.Crash().Stat("/a"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("/a survived: %v", err)
	}
	for _, dir := range []string{"/", "/a", "/a/b"} {
		if err := d.SyncDir(dir); err != nil {
			t.Fatal(err)
		}
	}
	write(t, d, "/a/b/late", "x", true)
	write(t, d, "/a/b/nodir", "yy", false)
	c := d.Crash()
	for name, want := range map[string]string{"nosync": "", "nodir": "x", "late": "(none)"} {
		if got := read(t, c, "/a/b/"+name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	k := d.Clone()
	if got := read(t, k, "/a/b/nodir"); got != "yy" {
		t.Errorf("clone: %q", got)
	}
	if got := read(t, k.Crash(), "/a/b/nodir"); got != "x" {
		t.Errorf("crash of the clone: %q", got)
	}
	if err := syncFS(d); err != nil {
		t.Fatal(err)
	}
	if got := read(t, d.Crash(), "/a/b/late"); got != "x" {
		t.Errorf("after SyncFS: %q", got)
	}
}

func TestRenameAndRemoveNeedTheDirectorySync(t *testing.T) {
	t.Parallel()
	d := NewDisk()
	write(t, d, "/old", "1", true)
	write(t, d, "/new", "2", true)
	if err := d.SyncDir("/"); err != nil {
		t.Fatal(err)
	}
	if err := d.Rename("/old", "/new"); err != nil {
		t.Fatal(err)
	}
	c := d.Crash()
	if read(t, c, "/old") != "1" || read(t, c, "/new") != "2" || read(t, d, "/new") != "1" || read(t, d, "/old") != "(none)" {
		t.Error("rename was durable too early")
	}
	if err := d.Remove("/new"); err != nil {
		t.Fatal(err)
	}
	if err := d.SyncDir("/"); err != nil {
		t.Fatal(err)
	}
	if read(t, d.Crash(), "/new") != "(none)" || d.Used() != 0 {
		t.Errorf("remove: used %d", d.Used())
	}
}

func TestCrashRandomIsSectorsOfOldAndNew(t *testing.T) {
	t.Parallel()
	d := NewDisk()
	write(t, d, "/f", string(bytes.Repeat([]byte("o"), 4096)), true)
	if err := d.SyncDir("/"); err != nil {
		t.Fatal(err)
	}
	write(t, d, "/f", string(bytes.Repeat([]byte("n"), 4096)), false)
	seen := map[byte]bool{}
	for seed := range uint64(20) {
		c := d.CrashRandom(rand.New(rand.NewPCG(seed, 1)))
		again := d.CrashRandom(rand.New(rand.NewPCG(seed, 1)))
		data, other := make([]byte, 4096), make([]byte, 4096)
		c.root.entries["f"].data.readAt(data, 0)
		again.root.entries["f"].data.readAt(other, 0)
		if !bytes.Equal(data, other) {
			t.Fatal("not decided by the seed")
		}
		for i := 0; i < len(data); i += sector {
			one := data[i : i+sector]
			if !bytes.Equal(one, bytes.Repeat(one[:1], sector)) {
				t.Fatal("torn inside a sector")
			}
			seen[one[0]] = true
		}
	}
	if !seen['o'] || !seen['n'] {
		t.Error("only one kind of sector")
	}
}

func TestLimit(t *testing.T) {
	t.Parallel()
	d := NewDisk()
	d.Limit(10)
	f, err := d.OpenFile("/f", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := f.Write([]byte("0123456789abc")); n != 10 || !errors.Is(err, ENOSPC) {
		t.Fatalf("%d %v", n, err)
	}
	if _, err := f.WriteAt([]byte("xx"), 3); err != nil {
		t.Error("overwriting needs no space")
	}
	if err := d.Remove("/f"); err != nil {
		t.Fatal(err)
	}
	if d.Used() != 10 {
		t.Error("space of an open file was given back")
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if d.Used() != 0 {
		t.Error("space was not given back")
	}
}

func TestTempLinkLockAreLikeTheSystems(t *testing.T) {
	t.Parallel()
	for _, disk := range []vfs.FS{NewDisk(), vfs.OS{}, Wrap(vfs.OS{})} {
		dir := t.TempDir()
		if err := disk.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		f, err := disk.OpenTemp(dir, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteV([][]byte{[]byte("a"), nil, []byte("bc")}, 1); err != nil {
			t.Fatal(err)
		}
		if err := f.LinkTo(dir + "/x"); err != nil {
			t.Fatal(err)
		}
		if err := f.LinkTo(dir + "/x"); !errors.Is(err, fs.ErrExist) {
			t.Error(err)
		}
		g, err := disk.OpenFile(dir+"/x", os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.TryLock(); err != nil {
			t.Error(err)
		}
		if err := g.TryLock(); !errors.Is(err, vfs.ErrLocked) {
			t.Error(err)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		if err := g.TryLock(); err != nil {
			t.Error(err)
		}
		if got := read(t, disk, dir+"/x"); got != "\x00abc" {
			t.Errorf("%q", got)
		}
		_ = g.Close()
		if _, err := disk.OpenFile(dir+"/x", os.O_CREATE|os.O_EXCL, 0o600); !errors.Is(err, fs.ErrExist) {
			t.Error(err)
		}
		if err := disk.Mkdir(dir, 0o700); !errors.Is(err, fs.ErrExist) {
			t.Error(err)
		}
	}
}

func TestFaultsCountAndFail(t *testing.T) {
	t.Parallel()
	f := Wrap(NewDisk())
	f.FailNth(Sync, 2, EIO)
	write(t, f, "/a", "1", true)
	x, err := f.OpenFile("/a", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := x.Datasync(); !errors.Is(err, EIO) {
		t.Error(err)
	}
	if err := x.Sync(); err != nil {
		t.Error(err)
	}
	if f.Count(Sync) != 3 || f.Count(Any) != 5 { // create, write, three syncs
		t.Errorf("%d %d", f.Count(Sync), f.Count(Any))
	}
	f.FailFrom(Any, 6, ENOSPC)
	if n, err := x.WriteAt([]byte("abcd"), 0); n != 2 || !errors.Is(err, ENOSPC) {
		t.Errorf("%d %v", n, err)
	}
	if err := f.Rename("/a", "/b"); !errors.Is(err, ENOSPC) {
		t.Error(err)
	}
	if _, err := f.Stat("/a"); err != nil {
		t.Error("Stat changes nothing")
	}
	f.Heal()
	f.Hook(func(op Op, name string) error { return errors.New("hooked") })
	if err := f.Remove("/a"); err == nil || err.Error() != "hooked" {
		t.Error(err)
	}
}

func TestRenameIsAtomicWhateverTheLuck(t *testing.T) {
	t.Parallel()
	d := NewDisk()
	for _, dir := range []string{"/a", "/b"} {
		if err := d.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	write(t, d, "/a/f", "1", true)
	if err := syncFS(d); err != nil {
		t.Fatal(err)
	}
	if err := d.Rename("/a/f", "/b/f"); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	renamed, err := d.Stat("/b")
	if err != nil {
		t.Fatal(err)
	}
	for seed := range uint64(40) {
		c := d.CrashRandom(rand.New(rand.NewPCG(seed, 1)))
		at := read(t, c, "/a/f") + read(t, c, "/b/f")
		seen[at] = true
		// Who trusts the times of directories must see that it changed.
		if b, err := c.Stat("/b"); err != nil || (at == "(none)1") != b.ModTime().Equal(renamed.ModTime()) {
			t.Errorf("%s: the time of /b is %v, %v", at, b.ModTime(), err)
		}
	}
	if len(seen) != 2 || !seen["1(none)"] || !seen["(none)1"] {
		t.Errorf("%v", seen)
	}
}

// TestASyncOfOneDirectoryHasTheWholeRename: a file that was moved twice is at its
// last place, and there alone, whichever directory was synced.
func TestASyncOfOneDirectoryHasTheWholeRename(t *testing.T) {
	t.Parallel()
	for _, synced := range []string{"/a", "/b", "/c"} {
		d := NewDisk()
		for _, dir := range []string{"/a", "/b", "/c"} {
			if err := d.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		write(t, d, "/a/f", "1", true)
		if err := syncFS(d); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(d.Rename("/a/f", "/b/f"), d.Rename("/b/f", "/c/f")); err != nil {
			t.Fatal(err)
		}
		d = d.Clone() // a kill changes nothing of it
		if err := d.SyncDir(synced); err != nil {
			t.Fatal(err)
		}
		for seed := range uint64(8) {
			c := d.CrashRandom(rand.New(rand.NewPCG(seed, 1)))
			if got := read(t, c, "/a/f") + read(t, c, "/b/f") + read(t, c, "/c/f"); got != "(none)(none)1" {
				t.Errorf("%s synced: %s", synced, got)
			}
		}
	}
}

func syncFS(d *Disk) error {
	root, err := d.OpenFile("/", os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	return errors.Join(root.SyncFS(), root.Close())
}

// TestFailedSyncLoses: what a failed sync should have written can be read, also
// by the next process, and is gone after a power loss, whatever is synced later.
func TestFailedSyncLoses(t *testing.T) {
	t.Parallel()
	for _, op := range []Op{Sync, SyncFS} {
		d := NewDisk()
		write(t, d, "/f", "old", true)
		if err := d.SyncDir("/"); err != nil {
			t.Fatal(err)
		}
		f := Wrap(d)
		file, err := f.OpenFile("/f", os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		sync := file.Sync
		if op == SyncFS {
			sync = file.SyncFS
		}
		if _, err := file.WriteAt([]byte("new"), 0); err != nil {
			t.Fatal(err)
		}
		f.FailNth(op, 1, EIO)
		if err := sync(); !errors.Is(err, EIO) {
			t.Fatal(err)
		}
		if err := sync(); err != nil {
			t.Fatal(err)
		}
		if now, after := read(t, d.Clone(), "/f"), read(t, d.Crash(), "/f"); now != "new" || after != "old" {
			t.Errorf("%s: %q, after a power loss %q", op, now, after)
		}
		if _, err := file.WriteAt([]byte("new"), 0); err != nil {
			t.Fatal(err)
		}
		if err := sync(); err != nil {
			t.Fatal(err)
		}
		if got := read(t, d.Crash(), "/f"); got != "new" {
			t.Errorf("%s: written anew: %q", op, got)
		}
	}
}
