package backup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"toastmaster/internal/clock"
	"toastmaster/internal/testkit/clocktest"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// make makes a backup with one section "mail/a" of files, of which those in reuse
// are taken from the backup before.
func makeOne(t *testing.T, dir string, files map[string]string, reuse ...string) string {
	t.Helper()
	r, err := Open(dir)
	must(t, err)
	defer r.Close()
	w, err := r.Begin(BeginOptions{Clock: clock.System{}})
	must(t, err)
	fill(t, w, files, reuse...)
	must(t, w.Finish())
	return w.Path()
}

func fill(t *testing.T, w *Writer, files map[string]string, reuse ...string) {
	t.Helper()
	s, err := w.Begin("mail/a")
	must(t, err)
	earlier := w.Earlier("mail/a")
	for name, text := range files {
		if slices.Contains(reuse, name) {
			i := slices.IndexFunc(earlier.Entries, func(e Entry) bool { return e.Path == name })
			if i < 0 {
				t.Fatalf("%s is in no earlier backup", name)
			}
			must(t, s.Reuse(name, earlier, earlier.Entries[i]))
			continue
		}
		source := filepath.Join(t.TempDir(), "x")
		must(t, os.WriteFile(source, []byte(text), 0o600))
		_, err := s.Copy(name, source)
		must(t, err)
	}
	info, err := os.Stat(t.TempDir())
	must(t, err)
	must(t, s.AddDir("cur", info))
	must(t, s.AddLink("link", "cur/\tx"))
	must(t, s.End())
}

func problems(t *testing.T, dir string) (out []string) {
	t.Helper()
	b, err := Read(dir)
	must(t, err)
	must(t, b.Verify(context.Background(), func(p Problem) {
		out = append(out, filepath.Base(p.Path)+": "+p.What)
	}, func(Count) {}))
	return out
}

// TestABackupLivesWithoutThoseBefore: what is linked stays when the older backup
// is removed, under a new name too.
func TestABackupLivesWithoutThoseBefore(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "b")
	first := makeOne(t, dir, map[string]string{"cur/1:2,S": "one", "cur/2:2,": "two\n\"\t\xff"})
	second := makeOne(t, dir, map[string]string{"cur/1:2,S": "one", "cur/3:2,": "three"}, "cur/1:2,S")
	a, err := os.Stat(filepath.Join(first, "mail/a/cur/1:2,S"))
	must(t, err)
	b, err := os.Stat(filepath.Join(second, "mail/a/cur/1:2,S"))
	must(t, err)
	if !os.SameFile(a, b) {
		t.Error("an unchanged file was copied")
	}
	must(t, os.RemoveAll(first))
	if p := problems(t, second); len(p) != 0 {
		t.Errorf("problems: %q", p)
	}
	to := filepath.Join(t.TempDir(), "restored")
	read, err := Find(dir)
	must(t, err)
	must(t, read.Extract(context.Background(), "mail/a", to, ExtractOptions{}))
	for name, want := range map[string]string{"cur/1:2,S": "one", "cur/3:2,": "three"} {
		if text, err := os.ReadFile(filepath.Join(to, name)); err != nil || string(text) != want {
			t.Errorf("%s: %q %v", name, text, err)
		}
	}
	if target, err := os.Readlink(filepath.Join(to, "link")); err != nil || target != "cur/\tx" {
		t.Errorf("link: %q %v", target, err)
	}
}

// TestInterruptedBackupsAreNone, but the next takes what is known to be on disk,
// and nothing else.
func TestInterruptedBackupsAreNone(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "b")
	r, err := Open(dir)
	must(t, err)
	w, err := r.Begin(BeginOptions{Clock: clock.System{}})
	must(t, err)
	fill(t, w, map[string]string{"cur/1:2,S": "one"})
	if _, err := Open(dir); !errors.Is(err, ErrInUse) {
		t.Errorf("two at once: %v", err)
	}
	must(t, r.Close()) // killed: neither Finish nor Abandon
	if names, err := List(dir); err != nil || len(names) != 0 {
		t.Errorf("listed: %v %v", names, err)
	}
	if _, err := Find(dir); err == nil {
		t.Error("an interrupted backup is found")
	}
	if _, err := Find(w.dir); err == nil {
		t.Error("an interrupted backup is read")
	}
	r, err = Open(dir)
	must(t, err)
	w, err = r.Begin(BeginOptions{Clock: clock.System{}})
	must(t, err)
	if e := w.Earlier("mail/a"); len(e.Entries) != 0 {
		t.Error("what may not be on the disk is trusted")
	}
	fill(t, w, map[string]string{"cur/1:2,S": "one"})
	must(t, w.Abandon()) // which syncs
	must(t, r.Close())
	path := makeOne(t, dir, map[string]string{"cur/1:2,S": "one"}, "cur/1:2,S")
	if p := problems(t, path); len(p) != 0 {
		t.Errorf("problems: %q", p)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, unfinished+"*")); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

// TestOnlySyncedSectionsAreTrusted: of an interrupted backup that was synced in
// between, the next one takes what was written before that, and no line of the
// note that was cut off.
func TestOnlySyncedSectionsAreTrusted(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "b")
	now := clocktest.New(time.Unix(1e9, 0))
	r, err := Open(dir)
	must(t, err)
	w, err := r.Begin(BeginOptions{Clock: now})
	must(t, err)
	section := func(name string) {
		t.Helper()
		s, err := w.Begin(name)
		must(t, err)
		_, err = s.Write("cur/1", 0o600, now.Now(), strings.NewReader(name))
		must(t, err)
		must(t, s.End())
	}
	now.Advance(syncEvery)
	section("mail/a")
	section("mail/b")
	section("mail/c")
	must(t, r.Close()) // killed
	f, err := os.OpenFile(filepath.Join(w.dir, syncedFile), os.O_WRONLY|os.O_APPEND, 0)
	must(t, err)
	_, err = f.WriteString("mail/c")
	must(t, errors.Join(err, f.Close()))

	r, err = Open(dir)
	must(t, err)
	w, err = r.Begin(BeginOptions{Clock: now})
	must(t, err)
	for name, want := range map[string]int{"mail/a": 1, "mail/b": 0, "mail/c": 0} {
		if got := w.Earlier(name).Entries; len(got) != want {
			t.Errorf("%s: %v", name, got)
		}
	}
	must(t, w.Abandon())
	must(t, r.Close())
}

// TestVerifyFindsEverything that can happen to a file.
func TestVerifyFindsEverything(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil func(dir string) error
		want  string
	}{
		"altered": {func(d string) error { return os.WriteFile(d+"/mail/a/cur/1", []byte("onE"), 0o600) }, "1: other octets"},
		"longer":  {func(d string) error { return os.WriteFile(d+"/mail/a/cur/1", []byte("one more"), 0o600) }, "1: 8 octets, not 3"},
		"gone":    {func(d string) error { return os.Remove(d + "/mail/a/cur/1") }, "1: missing"},
		"more":    {func(d string) error { return os.WriteFile(d+"/mail/a/new", nil, 0o600) }, "new: not in the manifest"},
		"link": {func(d string) error {
			return errors.Join(os.Remove(d+"/mail/a/link"), os.Symlink("y", d+"/mail/a/link"))
		}, `link: links to "y"`},
		"folder": {func(d string) error {
			return errors.Join(os.RemoveAll(d+"/mail/a/cur"), os.WriteFile(d+"/mail/a/cur", nil, 0o600))
		}, "cur: another kind"},
		"section": {func(d string) error { return os.Remove(d + "/manifests/mail/a/.manifest") }, "a: the backup is damaged"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := makeOne(t, filepath.Join(t.TempDir(), "b"), map[string]string{"cur/1": "one"})
			if p := problems(t, dir); len(p) != 0 {
				t.Fatalf("before: %q", p)
			}
			must(t, c.spoil(dir))
			if p := problems(t, dir); !slices.ContainsFunc(p, func(s string) bool { return strings.HasPrefix(s, c.want) }) {
				t.Errorf("found %q, want %q", p, c.want)
			}
		})
	}
}

// TestManifestsSayWhenTheyAreAltered in any octet, and none leads out of its
// folder.
func TestManifestsSayWhenTheyAreAltered(t *testing.T) {
	t.Parallel()
	dir := makeOne(t, filepath.Join(t.TempDir(), "b"), map[string]string{"cur/1": "one"})
	file := filepath.Join(dir, wholeFile)
	text, err := os.ReadFile(file)
	must(t, err)
	for i := range text {
		spoilt := slices.Clone(text)
		spoilt[i] ^= 1
		if w, err := parseWhole(spoilt); err == nil {
			t.Fatalf("octet %d altered: %+v", i, w)
		}
		if w, err := parseWhole(text[:i]); err == nil {
			t.Fatalf("cut at %d: %+v", i, w)
		}
	}
	for _, path := range []string{"../x", "/etc/passwd", "a/../../x", ""} {
		b := []byte(sectionTitle + "\n")
		b = appendEntry(b, &Entry{Kind: File, Path: path})
		if _, err := parseSection(seal(b)); err == nil {
			t.Errorf("path %q is taken", path)
		}
	}
}

// TestForeignFoldersAreRefused: nobody's folder becomes one of backups.
func TestForeignFoldersAreRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "photo"), nil, 0o600))
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "photo") {
		t.Errorf("Open: %v", err)
	}
}

func FuzzManifest(f *testing.F) {
	b := appendEntry([]byte(sectionTitle+"\n"), &Entry{Kind: Link, Path: "a", Target: "b"})
	f.Add(string(b))
	f.Add(fmt.Sprintf("%s\nfile\t%064x\t1\t600\t0\t0\t5\t\"cur/1:2,S\"\n", sectionTitle, 1))
	f.Fuzz(func(t *testing.T, text string) {
		entries, err := parseSection(seal([]byte(text)))
		if err != nil {
			return
		}
		for i := range entries {
			again := Entry{}
			line := strings.TrimSuffix(string(appendEntry(nil, &entries[i])), "\n")
			if err := again.parse(line); err != nil || again.Path != entries[i].Path || !filepath.IsLocal(again.Path) {
				t.Fatalf("%q: %+v %v", line, again, err)
			}
		}
	})
}
