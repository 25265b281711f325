package backup

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"toastmaster/internal/clock"
	"toastmaster/internal/testkit/clocktest"
)

// begun is a backup under way, and a section of it.
func begun(t *testing.T, dir string, o BeginOptions) (*Repository, *Writer, *Section) {
	t.Helper()
	r, err := Open(dir)
	must(t, err)
	t.Cleanup(func() { _ = r.Close() })
	if o.Clock == nil {
		o.Clock = clock.System{}
	}
	w, err := r.Begin(o)
	must(t, err)
	s, err := w.Begin("mail/a")
	must(t, err)
	return r, w, s
}

func ended(t *testing.T, r *Repository, w *Writer, s *Section) *Backup {
	t.Helper()
	must(t, errors.Join(s.End(), w.Finish(), r.Close()))
	b, err := Read(w.Path())
	must(t, err)
	return b
}

// forged writes a section's manifest and a manifest of the whole that is right for it.
func forged(t *testing.T, section string, entries ...Entry) string {
	t.Helper()
	dir := t.TempDir()
	b := []byte(sectionTitle + "\n")
	for i := range entries {
		b = appendEntry(b, &entries[i])
	}
	b = seal(b)
	file := manifestPath(dir, section)
	must(t, errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, b, 0o600)))
	_, sum, _ := readSection(dir, section)
	whole := appendSection([]byte(wholeTitle+"\n"), &sectionLine{name: section, sum: sum, files: int64(len(entries))})
	must(t, os.WriteFile(filepath.Join(dir, wholeFile), seal(whole), 0o600))
	return dir
}

// TestNoManifestLeadsOut: whoever wrote a backup decides nothing about files outside of it
// and of where it is restored, not by the name of a section, nor by a link on the way.
func TestNoManifestLeadsOut(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"../x", "/etc", "a/../../x", "", ".."} {
		whole := appendSection([]byte(wholeTitle+"\n"), &sectionLine{name: name})
		if w, err := parseWhole(seal(whole)); !errors.Is(err, ErrDamaged) {
			t.Errorf("section %q: %+v, %v", name, w, err)
		}
	}
	outside := t.TempDir()
	for name, entries := range map[string][]Entry{
		"a link and what is below it":  {{Kind: Link, Path: "l", Target: outside}, {Kind: File, Path: "l/x"}},
		"what is below it, and a link": {{Kind: Dir, Path: "l/x"}, {Kind: Link, Path: "l", Target: outside}},
		"further below":                {{Kind: Link, Path: "d/l", Target: outside}, {Kind: File, Path: "d/l/m/x"}},
	} {
		b, err := Read(forged(t, "mail/a", entries...))
		must(t, err)
		if _, err := b.Entries("mail/a"); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "leads out") {
			t.Errorf("%s: %v", name, err)
		}
		if err := b.Extract(t.Context(), "mail/a", t.TempDir(), ExtractOptions{}); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
	b, err := Read(forged(t, "mail/a", Entry{Kind: Link, Path: "l", Target: "x"}, Entry{Kind: Dir, Path: "l2"}, Entry{Kind: Link, Path: "l2/l", Target: "y"}))
	must(t, err)
	if entries, err := b.Entries("mail/a"); err != nil || len(entries) != 3 {
		t.Errorf("links beside each other: %v, %v", entries, err)
	}
	nested := forged(t, "mail/a", Entry{Kind: Link, Path: "b", Target: outside})
	text, err := os.ReadFile(filepath.Join(nested, wholeFile))
	must(t, err)
	all, err := lines(text, wholeTitle)
	must(t, err)
	for _, below := range []string{"mail/a/b", "mail/a/b/c"} {
		whole := appendSection([]byte(wholeTitle+"\n"+all[0]+"\n"), &sectionLine{name: below})
		must(t, os.WriteFile(filepath.Join(nested, wholeFile), seal(whole), 0o600))
		b, err := Read(nested)
		must(t, err)
		if _, err := b.Entries("mail/a"); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), below) {
			t.Errorf("section %s below a link: %v", below, err)
		}
	}
	_, w, s := begun(t, filepath.Join(t.TempDir(), "b"), BeginOptions{})
	for _, path := range []string{"../x", "/x", "", "a/../.."} {
		if _, err := w.Begin(path); err == nil {
			t.Errorf("section %q begins", path)
		}
		_, written := s.Write(path, 0o600, time.Now(), strings.NewReader("x"))
		if written == nil || s.AddLink(path, "x") == nil || s.AddDir(path, stat(t, outside)) == nil || s.Reuse(path, Earlier{dir: outside}, Entry{Path: "x"}) == nil || s.Rename("x", path) == nil {
			t.Errorf("path %q is taken", path)
		}
	}
}

func stat(t *testing.T, path string) fs.FileInfo {
	t.Helper()
	info, err := os.Lstat(path)
	must(t, err)
	return info
}

// TestWhatABackupKeepsOfAFile: octets, mode, time, owner, and the facts and counts of the whole.
func TestWhatABackupKeepsOfAFile(t *testing.T) {
	t.Parallel()
	at := time.Unix(1e9, 123456789)
	r, w, s := begun(t, filepath.Join(t.TempDir(), "b"), BeginOptions{})
	source := filepath.Join(t.TempDir(), "x")
	must(t, errors.Join(os.WriteFile(source, []byte("copied"), 0o600), os.Chmod(source, 0o640), os.Chtimes(source, at, at)))
	if e, err := s.Copy("copy", source); err != nil || e.Size != 6 || e.Mode != 0o640 || !e.Time.Equal(at) {
		t.Errorf("%+v, %v", e, err)
	}
	if e, err := s.Write("deep/down/written", 0o444, at.Add(time.Hour), strings.NewReader("12345")); err != nil || e.Size != 5 {
		t.Errorf("%+v, %v", e, err)
	}
	must(t, os.WriteFile(s.Where("adopted"), []byte("adopted"), 0o644))
	must(t, s.Adopt("adopted", stat(t, source)))
	must(t, s.AddDir("empty", stat(t, t.TempDir())))
	_, err := s.Write("dropped", 0o600, at, strings.NewReader("x"))
	must(t, errors.Join(err, s.Drop("dropped")))
	_, err = s.Write("before", 0o600, at, strings.NewReader("renamed"))
	must(t, errors.Join(err, s.Rename("before", "new/after")))
	if !s.Has("new/after") || s.Has("before") || s.Has("dropped") || !s.Has("empty") {
		t.Error("Has is wrong")
	}
	w.Fact("name", "one\t\"two\"\nthree")
	w.Fact("a", "")
	if want := (Count{5, 6 + 5 + 7 + 1 + 7}); w.Copied != want || w.Linked != (Count{}) {
		t.Errorf("copied %+v, linked %+v", w.Copied, w.Linked)
	}
	b := ended(t, r, w, s)
	if b.Fact("name") != "one\t\"two\"\nthree" || b.Fact("none") != "" || b.Path() != w.Path() || !slices.Equal(b.Sections(), []string{"mail/a"}) {
		t.Errorf("%q %q %q", b.Fact("name"), b.Path(), b.Sections())
	}
	if want := (Count{4, 25}); b.Total() != want || b.Total("mail/a") != want || b.Total("mail/b") != (Count{}) {
		t.Errorf("%+v, %+v, %+v", b.Total(), b.Total("mail/a"), b.Total("mail/b"))
	}
	to := t.TempDir()
	var seen Count
	must(t, b.Extract(t.Context(), "mail/a", to, ExtractOptions{Owner: os.Geteuid() == 0, Progress: func(c Count) { seen.Files += c.Files; seen.Bytes += c.Bytes }}))
	if seen != (Count{4, 25}) {
		t.Errorf("progress %+v", seen)
	}
	for name, want := range map[string]struct {
		text string
		mode fs.FileMode
		at   time.Time
	}{
		"copy": {"copied", 0o640, at}, "deep/down/written": {"12345", 0o444, at.Add(time.Hour)}, "adopted": {"adopted", 0o600, time.Time{}}, "new/after": {"renamed", 0o600, at},
	} {
		text, err := os.ReadFile(filepath.Join(to, name))
		info := stat(t, filepath.Join(to, name))
		if err != nil || string(text) != want.text || info.Mode() != want.mode || !want.at.IsZero() && !info.ModTime().Equal(want.at) {
			t.Errorf("%s: %q %v %v, %v", name, text, info.Mode(), info.ModTime(), err)
		}
	}
	if names, _ := filepath.Glob(filepath.Join(to, "*.restoring")); len(names) > 0 || !stat(t, filepath.Join(to, "empty")).IsDir() {
		t.Errorf("left %q", names)
	}
}

// TestWhatIsNoFileIsNotCopied: a pipe would wait for ever, and a link may lead anywhere.
func TestWhatIsNoFileIsNotCopied(t *testing.T) {
	t.Parallel()
	_, w, s := begun(t, filepath.Join(t.TempDir(), "b"), BeginOptions{})
	dir := t.TempDir()
	must(t, errors.Join(syscall.Mkfifo(dir+"/pipe", 0o600), os.Symlink("/etc/passwd", dir+"/link")))
	for _, name := range []string{"pipe", "link", ".", "none"} {
		if e, err := s.Copy(name, filepath.Join(dir, name)); err == nil || s.Has(name) {
			t.Errorf("%s: %+v", name, e)
		}
	}
	if _, err := s.Write("x", 0o600, time.Now(), strings.NewReader("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write("x", 0o600, time.Now(), strings.NewReader("y")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("written twice: %v", err)
	}
	if text, err := os.ReadFile(s.Where("x")); err != nil || string(text) != "x" {
		t.Errorf("the first is %q, %v", text, err)
	}
	broken := errors.New("the disk of the source")
	if _, err := s.Write("half", 0o600, time.Now(), &half{err: broken}); !errors.Is(err, broken) || s.Has("half") {
		t.Errorf("%v", err)
	}
	if _, err := os.Lstat(s.Where("half")); !errors.Is(err, fs.ErrNotExist) || w.Copied.Files != 1 {
		t.Errorf("half a file stays: %v, %+v", err, w.Copied)
	}
}

// half reads some and fails.
type half struct{ err error }

func (h *half) Read(p []byte) (int, error) { return copy(p, "half"), h.err }

// TestADamagedFileIsNotRestored, and what it would have replaced stays.
func TestADamagedFileIsNotRestored(t *testing.T) {
	t.Parallel()
	dir := makeOne(t, filepath.Join(t.TempDir(), "b"), map[string]string{"cur/1": "one"})
	must(t, os.WriteFile(dir+"/mail/a/cur/1", []byte("onE"), 0o600))
	b, err := Read(dir)
	must(t, err)
	to := t.TempDir()
	must(t, errors.Join(os.Mkdir(to+"/cur", 0o700), os.WriteFile(to+"/cur/1", []byte("here before"), 0o600)))
	if err := b.Extract(t.Context(), "mail/a", to, ExtractOptions{}); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "cur/1") {
		t.Errorf("%v", err)
	}
	if text, err := os.ReadFile(to + "/cur/1"); err != nil || string(text) != "here before" {
		t.Errorf("%q, %v", text, err)
	}
	if names, _ := filepath.Glob(to + "/cur/*"); len(names) != 1 {
		t.Errorf("left %q", names)
	}
	if err := b.Extract(t.Context(), "mail/b", to, ExtractOptions{}); err == nil || !strings.Contains(err.Error(), "no section mail/b") {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := errors.Join(b.Extract(ctx, "mail/a", t.TempDir(), ExtractOptions{})); !errors.Is(err, context.Canceled) {
		t.Errorf("nobody waits any more: %v", err)
	}
	if err := b.Verify(ctx, func(Problem) {}, func(Count) {}); !errors.Is(err, context.Canceled) {
		t.Errorf("nobody waits any more: %v", err)
	}
}

// TestARestoreGoesOverAnother: what is there, of an earlier try or of somebody, is replaced.
func TestARestoreGoesOverAnother(t *testing.T) {
	t.Parallel()
	b, err := Read(makeOne(t, filepath.Join(t.TempDir(), "b"), map[string]string{"cur/1": "one", "cur/2": "two"}))
	must(t, err)
	for name, there := range map[string]func(to string) error{
		"nothing":        func(string) error { return nil },
		"all of it":      func(to string) error { return b.Extract(context.Background(), "mail/a", to, ExtractOptions{}) },
		"another file":   func(to string) error { return os.WriteFile(to+"/cur/1", []byte("longer than one"), 0o400) },
		"half a file":    func(to string) error { return os.WriteFile(to+"/cur/1.restoring", []byte("longer than one"), 0o600) },
		"a link as half": func(to string) error { return os.Symlink(to+"/../elsewhere", to+"/cur/1.restoring") },
		"another link":   func(to string) error { return os.Symlink("elsewhere", to+"/link") },
		"a file as link": func(to string) error { return os.WriteFile(to+"/link", nil, 0o600) },
		"a link as file": func(to string) error { return os.Symlink("/etc/passwd", to+"/cur/1") },
	} {
		to := t.TempDir()
		must(t, errors.Join(os.Mkdir(to+"/cur", 0o500), os.Chmod(to+"/cur", 0o700), there(to)))
		if err := b.Extract(t.Context(), "mail/a", to, ExtractOptions{}); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		text, err := os.ReadFile(to + "/cur/1")
		target, linked := os.Readlink(to + "/link")
		if err != nil || linked != nil || string(text) != "one" || target != "cur/\tx" || !stat(t, to+"/cur/1").Mode().IsRegular() {
			t.Errorf("%s: %q, %v, %q, %v", name, text, err, target, linked)
		}
		if _, err := os.Lstat(to + "/../elsewhere"); err == nil {
			t.Errorf("%s: the restore went through it", name)
		}
		if names, _ := filepath.Glob(to + "/*"); len(names) != 2 {
			t.Errorf("%s: %q", name, names)
		}
	}
}

// TestASectionBelowAnother: each knows its own files, and what is in neither is found.
func TestASectionBelowAnother(t *testing.T) {
	t.Parallel()
	r, err := Open(filepath.Join(t.TempDir(), "b"))
	must(t, err)
	w, err := r.Begin(BeginOptions{Clock: clock.System{}})
	must(t, err)
	for _, name := range []string{"mail/x/b/c", "mail/x", "queue"} {
		s, err := w.Begin(name)
		must(t, err)
		_, err = s.Write("cur/1", 0o600, time.Now(), strings.NewReader(name))
		must(t, errors.Join(err, s.End()))
	}
	must(t, errors.Join(w.Finish(), r.Close()))
	b, err := Read(w.Path())
	must(t, err)
	if !slices.Equal(b.Sections(), []string{"mail/x", "mail/x/b/c", "queue"}) {
		t.Errorf("%q", b.Sections())
	}
	if p := problems(t, b.Path()); len(p) > 0 {
		t.Errorf("%q", p)
	}
	must(t, os.WriteFile(b.File("mail/x", "b/stray"), nil, 0o600))
	must(t, os.Mkdir(b.File("mail/x/b/c", "d"), 0o700))
	p := problems(t, b.Path())
	if slices.Sort(p); !slices.Equal(p, []string{"d: not in the manifest", "stray: not in the manifest"}) {
		t.Errorf("%q", p)
	}
	// A manifest of an earlier time is as right as any, and not the one of this backup.
	other := appendEntry([]byte(sectionTitle+"\n"), &Entry{Kind: Dir, Path: "cur"})
	must(t, os.WriteFile(manifestPath(b.Path(), "queue"), seal(other), 0o600))
	if _, err := b.Entries("queue"); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "section queue is another") {
		t.Errorf("%v", err)
	}
}

// TestNamesOfBackups: each its second, in order, whatever else lies there.
func TestNamesOfBackups(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "b")
	now := clocktest.New(time.Date(2026, 11, 27, 9, 59, 59, 0, time.FixedZone("", 3600)))
	var names []string
	for range 3 {
		r, w, s := begun(t, dir, BeginOptions{Clock: now})
		names = append(names, filepath.Base(ended(t, r, w, s).Path()))
	}
	if want := []string{"2026-11-27T085959Z", "2026-11-27T090000Z", "2026-11-27T090001Z"}; !slices.Equal(names, want) {
		t.Errorf("%q", names)
	}
	for _, other := range []string{".hidden", "folder", "2027-01-01T000000Z"} {
		must(t, os.Mkdir(filepath.Join(dir, other), 0o700))
	}
	must(t, errors.Join(os.WriteFile(filepath.Join(dir, "zfile"), nil, 0o600), os.WriteFile(filepath.Join(dir, ".hidden", wholeFile), nil, 0o600)))
	if got, err := List(dir); err != nil || !slices.Equal(got, names) {
		t.Errorf("%q, %v", got, err)
	}
	b, err := Find(dir)
	if err != nil || filepath.Base(b.Path()) != names[2] {
		t.Errorf("%v, %v", b, err)
	}
	if b, err = Find(filepath.Join(dir, names[0])); err != nil || filepath.Base(b.Path()) != names[0] {
		t.Errorf("%v, %v", b, err)
	}
	for path, says := range map[string]string{t.TempDir(): "has no whole backup in it", filepath.Join(dir, "none"): "no such file"} {
		if _, err := Find(path); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// TestAFullBackupTakesNothing of earlier ones, and is the way out when the newest cannot be read.
func TestAFullBackupTakesNothing(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "b")
	first := makeOne(t, dir, map[string]string{"cur/1": "one"})
	_, w, _ := begunAgain(t, dir, BeginOptions{Full: true})
	if e := w.Earlier("mail/a"); len(e.Entries) != 0 {
		t.Errorf("%v", e)
	}
	must(t, w.Abandon())
	must(t, os.Truncate(filepath.Join(first, wholeFile), 30))
	r, err := Open(dir)
	must(t, err)
	defer r.Close()
	if _, err := r.Begin(BeginOptions{Clock: clock.System{}}); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "--full") {
		t.Errorf("%v", err)
	}
	w, err = r.Begin(BeginOptions{Clock: clock.System{}, Full: true})
	must(t, err)
	must(t, w.Finish())
}

// begunAgain is begun, closed for the next one.
func begunAgain(t *testing.T, dir string, o BeginOptions) (*Repository, *Writer, *Section) {
	t.Helper()
	r, w, s := begun(t, dir, o)
	must(t, r.Close())
	return r, w, s
}

// TestADamagedManifestOfBeforeCostsACopy and not the backup; what has gone from it is told.
func TestADamagedManifestOfBeforeCostsACopy(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "b")
	first := makeOne(t, dir, map[string]string{"cur/1": "one", "cur/2": "two"})
	_, w, s := begunAgain(t, dir, BeginOptions{})
	earlier := w.Earlier("mail/a")
	i := slices.IndexFunc(earlier.Entries, func(e Entry) bool { return e.Path == "cur/1" })
	must(t, os.Remove(first+"/mail/a/cur/1"))
	if err := s.Reuse("cur/1", earlier, earlier.Entries[i]); !errors.Is(err, fs.ErrNotExist) || s.Has("cur/1") {
		t.Errorf("%v", err)
	}
	i = slices.IndexFunc(earlier.Entries, func(e Entry) bool { return e.Path == "cur/2" })
	must(t, s.Reuse("new/2", earlier, earlier.Entries[i]))
	if w.Linked != (Count{1, 3}) || w.Copied != (Count{}) || s.entries["new/2"].Path != "new/2" {
		t.Errorf("%+v %+v %+v", w.Linked, w.Copied, s.entries)
	}
	if e := w.Earlier("mail/b"); len(e.Entries) != 0 {
		t.Errorf("%v", e)
	}
	must(t, os.Truncate(manifestPath(first, "mail/a"), 30))
	if e := w.Earlier("mail/a"); len(e.Entries) != 0 {
		t.Errorf("%v", e)
	}
	must(t, w.Abandon())
}

// TestWhatCannotBeLinkedIsCopied: from another file system, or a file with all the links that it
// may have. The copy has the owner and mode that were noted, and must be the same octets.
func TestWhatCannotBeLinkedIsCopied(t *testing.T) {
	t.Parallel()
	earlier := Earlier{dir: "/proc/sys/kernel"}
	old := Entry{Kind: File, Path: "ostype", Mode: 0o640, UID: 12345, GID: 54321, Size: 6, Sum: sha256.Sum256([]byte("Linux\n"))}
	_, w, s := begun(t, filepath.Join(t.TempDir(), "b"), BeginOptions{})
	must(t, s.Reuse("cur/1", earlier, old))
	if e := s.entries["cur/1"]; e.Path != "cur/1" || e.Mode != 0o640 || e.UID != 12345 || e.GID != 54321 || e.Size != 6 || e.Sum != old.Sum {
		t.Errorf("%+v", e)
	}
	if text, err := os.ReadFile(s.Where("cur/1")); err != nil || string(text) != "Linux\n" || w.Linked.Files != 0 || w.Copied != (Count{1, 6}) {
		t.Errorf("%q, %v, %+v", text, err, w.Copied)
	}
	old.Sum[0]++
	if err := s.Reuse("cur/2", earlier, old); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "/proc/sys/kernel/ostype") {
		t.Errorf("other octets: %v", err)
	}
}

// TestManifestLines: each field of a line is looked at, also where the sum is right.
func TestManifestLines(t *testing.T) {
	t.Parallel()
	sum := strings.Repeat("0a", 32)
	for line, good := range map[string]bool{
		"file\t" + sum + "\t1\t600\t0\t0\t5\t\"x\"": true, "file\t" + sum[2:] + "\t1\t600\t0\t0\t5\t\"x\"": false, "file\t" + sum + "\tx\t600\t0\t0\t5\t\"x\"": false,
		"file\t" + sum + "\t1\t800\t0\t0\t5\t\"x\"": false, "file\t" + sum + "\t1\t600\tx\t0\t5\t\"x\"": false, "file\t" + sum + "\t1\t600\t0\tx\t5\t\"x\"": false,
		"file\t" + sum + "\t1\t600\t0\t0\tx\t\"x\"": false, "file\t" + sum + "\t1\t600\t0\t0\t5\tx": false, "file\t" + sum + "\t1\t600\t0\t0\t5": false, "file\tzz\t1\t600\t0\t0\t5\t\"x\"": false,
		"dir\t700\t0\t0\t\"x\"": true, "dir\t7x\t0\t0\t\"x\"": false, "dir\t700\tx\t0\t\"x\"": false, "dir\t700\t0\tx\t\"x\"": false, "dir\t700\t0\t\"x\"": false,
		"link\t\"y\"\t\"x\"": true, "link\ty\t\"x\"": false, "pipe\t" + sum + "\t1\t600\t0\t0\t5\t\"x\"": false, "link\t\"y\"": false, "pipe\t\"x\"": false, "": false,
	} {
		entries, err := parseSection(seal([]byte(sectionTitle + "\n" + line + "\n")))
		if (err == nil) != good || !good && !errors.Is(err, ErrDamaged) {
			t.Errorf("%q: %+v, %v", line, entries, err)
		}
	}
	for line, good := range map[string]bool{
		"fact\ta\t\"b\"": true, "fact\ta\tb": false, "fact\ta": false, "sect\t" + sum + "\t1\t2\t\"x\"": true, "sect\t" + sum + "\tx\t2\t\"x\"": false,
		"sect\t" + sum + "\t1\tx\t\"x\"": false, "sect\t" + sum + "\t1\t2\tx": false, "sect\tzz\t1\t2\t\"x\"": false, "sect\t" + sum + "\t1\t\"x\"": false, "x": false,
	} {
		w, err := parseWhole(seal([]byte(wholeTitle + "\n" + line + "\n")))
		if (err == nil) != good || !good && !errors.Is(err, ErrDamaged) {
			t.Errorf("%q: %+v, %v", line, w, err)
		}
	}
	// A later version is no damage.
	if _, err := parseWhole(seal([]byte("toastmaster-backup 2\n"))); err == nil || errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), `"toastmaster-backup 2"`) {
		t.Errorf("%v", err)
	}
	e := Entry{}
	if err := e.parse(fmt.Sprintf("file\t%s\t1\t4755\t0\t0\t5\t\"x\"", sum)); err != nil || e.Mode != 0o755 {
		t.Errorf("%v, %v", e.Mode, err)
	}
}
