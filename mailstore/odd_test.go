package mailstore

import (
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"toastmaster/internal/msglog"
	"toastmaster/internal/testkit/clocktest"
	"toastmaster/internal/testkit/peers"
)

// asNobody lets this goroutine see the files as somebody without rights does:
// root reads everything.
func asNobody(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		return
	}
	runtime.LockOSThread()
	check(t, syscall.Setfsgid(nobody))
	check(t, syscall.Setfsuid(nobody))
	t.Cleanup(func() {
		check(t, syscall.Setfsuid(0))
		check(t, syscall.Setfsgid(0))
		runtime.UnlockOSThread()
	})
}

func giveAway(t *testing.T, root string) {
	t.Helper()
	if os.Getuid() != 0 {
		return
	}
	check(t, filepath.WalkDir(root, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, nobody, nobody)
	}))
}

// unreadable takes the owner's rights away.
func unreadable(t *testing.T, path string) {
	t.Helper()
	check(t, os.Chmod(path, 0))
}

// logTo writes the log into b.
func logTo(b *strings.Builder, o *Options) {
	o.Log = msglog.New(slog.NewJSONHandler(b, nil))
}

// TestOddThingsInAMailbox: what is no message, or cannot be read, is passed
// over, said once, and left as it is; all else is served.
func TestOddThingsInAMailbox(t *testing.T) {
	t.Parallel()
	root := peers.TempDir(t)
	for _, sub := range []string{"cur", "new", "tmp"} {
		check(t, os.MkdirAll(home(root, sub), 0o700))
	}
	check(t, os.MkdirAll(filepath.Join(root, Private), 0o700))
	target := home(root, "elsewhere")
	check(t, os.MkdirAll(target, 0o700))
	for _, sub := range []string{"cur", "new"} {
		check(t, os.WriteFile(home(root, sub, "100.good."+sub), []byte("Subject: good\n\nx\n"), 0o600))
		check(t, os.WriteFile(home(root, sub, "101.secret."+sub), []byte("Subject: secret\n\nx\n"), 0o600))
		unreadable(t, home(root, sub, "101.secret."+sub))
		check(t, os.Mkdir(home(root, sub, "102.dir."+sub), 0o700))
		check(t, os.Symlink(target, home(root, sub, "103.dirlink."+sub)))
		check(t, os.Symlink("nothing", home(root, sub, "104.dangling."+sub)))
		check(t, os.Symlink("105.loop."+sub, home(root, sub, "105.loop."+sub)))
		check(t, syscall.Mkfifo(home(root, sub, "106.pipe."+sub), 0o600))
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: shortSocket(t, home(root, sub, "107.socket."+sub))})
		check(t, err)
		l.SetUnlinkOnClose(false)
		check(t, l.Close())
		check(t, os.WriteFile(home(root, sub, ":2,S"), []byte("no name\n"), 0o600))
		check(t, os.WriteFile(home(root, sub, "109.line\nfeed:2,S"), []byte("no name\n"), 0o600))
		check(t, os.WriteFile(home(root, sub, ".nfs0001"), []byte("hidden\n"), 0o600))
	}
	check(t, os.Symlink("../elsewhere.mail", home(root, "cur", "108.link:2,S")))
	check(t, os.WriteFile(home(root, "elsewhere.mail"), []byte("Subject: linked\n\nx\n"), 0o600))
	before := append(files(t, home(root, "cur")), files(t, home(root, "new"))...)
	giveAway(t, root)
	asNobody(t)
	var log strings.Builder
	o := options(root)
	o.Store.VerifyInterval = 1
	logTo(&log, &o)
	s, err := Open(t.Context(), o)
	check(t, err)
	u := openUser(t, s)
	for range 3 {
		v := openView(t, u, "INBOX")
		if v.Len() != 3 {
			t.Fatalf("%d messages\n%s", v.Len(), log.String())
		}
		for seq := range uint32(3) {
			if got := readAllOf(t, v, seq+1); !strings.HasPrefix(got, "Subject: ") {
				t.Errorf("%q", got)
			}
		}
		check(t, v.Close())
	}
	if got := append(files(t, home(root, "cur")), files(t, home(root, "new"))...); !slices.Equal(got, before) {
		t.Errorf("%q\nwant %q", got, before)
	}
	for _, name := range []string{"101.secret", "102.dir", "103.dirlink", "104.dangling", "105.loop", "106.pipe", "107.socket"} {
		for _, sub := range []string{"cur", "new"} {
			if n := strings.Count(log.String(), name+"."+sub+`"`); n != 1 {
				t.Errorf("%s.%s is said %d times", name, sub, n)
			}
		}
	}
	for _, name := range []string{`cur/:2,S"`, `new/:2,S"`, `cur/109.line\nfeed:2,S"`, `new/109.line\nfeed:2,S"`} {
		if n := strings.Count(log.String(), name); n != 1 {
			t.Errorf("%s is said %d times", name, n)
		}
	}
	if strings.Contains(log.String(), ".nfs") {
		t.Error("a hidden file is said")
	}
	// Rights that are given back are seen although no directory changed.
	check(t, os.Chmod(home(root, "new", "101.secret.new"), 0o600))
	v := openView(t, u, "INBOX")
	updateUntil(t, v, true, func(Update) bool { return v.Len() == 4 })
	// A message of the index that cannot be read any more fails alone.
	unreadable(t, home(root, "cur", "100.good.cur"))
	failed := 0
	for seq := range uint32(v.Len()) {
		c, err := v.Read(t.Context(), seq+1)
		switch {
		case err == nil:
			check(t, c.Close())
		case errors.Is(err, ErrUnreadable):
			failed++
		default:
			t.Error(err)
		}
	}
	if failed != 1 {
		t.Error(failed)
	}
	check(t, v.Close())
	check(t, u.Close())
	check(t, s.Close())
}

// TestACacheThatCannotBeRead any more costs time and nothing else.
func TestACacheThatCannotBeRead(t *testing.T) {
	t.Parallel()
	root := peers.TempDir(t)
	s := openStore(t, root)
	deliver(t, s, Delivery{Content: message("x")})
	u := openUser(t, s)
	v := openView(t, u, "INBOX")
	before, err := recordOf(t.Context(), v, 1)
	check(t, err)
	want := string(before)
	check(t, v.Close())
	check(t, u.Close())
	check(t, s.Close())
	if info, err := os.Stat(home(root, "toastmaster.cache")); err != nil || info.Size() == 0 {
		t.Errorf("nothing is in the cache: %v", err)
	}
	unreadable(t, home(root, "toastmaster.cache"))
	giveAway(t, root)
	asNobody(t)
	s = openStore(t, root)
	u = openUser(t, s)
	v = openView(t, u, "INBOX")
	if got, err := recordOf(t.Context(), v, 1); err != nil || string(got) != want {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
	check(t, v.Close())
	check(t, u.Close())
	check(t, s.Close())
}

// shortSocket is a name for path that is short enough for a socket's address.
func shortSocket(t *testing.T, path string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "s")
	check(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	check(t, os.Symlink(filepath.Dir(path), filepath.Join(dir, "d")))
	return filepath.Join(dir, "d", filepath.Base(path))
}

// TestOddThingsInAnAccount: Pigeonhole's symbolic link, a folder that cannot be
// looked into, files where folders are expected.
func TestOddThingsInAnAccount(t *testing.T) {
	t.Parallel()
	root := peers.TempDir(t)
	for _, sub := range []string{"cur", "new", "tmp", ".Good/cur", ".Good/new", ".Good/tmp", ".Good.secret/cur", ".Good.secret/new", ".Good.secret/tmp", ".only-a-folder", "sieve"} {
		check(t, os.MkdirAll(home(root, sub), 0o700))
	}
	check(t, os.MkdirAll(filepath.Join(root, Private), 0o700))
	check(t, os.WriteFile(home(root, "sieve", "main.sieve"), []byte("keep;\n"), 0o600))
	check(t, os.Symlink("sieve/main.sieve", home(root, ".dovecot.sieve")))
	check(t, os.Symlink("nothing", home(root, ".dangling")))
	check(t, os.Symlink(".loop", home(root, ".loop")))
	check(t, os.WriteFile(home(root, ".dovecot.svbin"), []byte("x"), 0o600))
	check(t, syscall.Mkfifo(home(root, ".pipe"), 0o600))
	check(t, syscall.Mkfifo(home(root, "subscriptions"), 0o600))
	check(t, os.Mkdir(home(root, "toastmaster.special-use"), 0o700))
	check(t, os.Mkdir(home(root, "maildirsize"), 0o700))
	check(t, os.WriteFile(home(root, "dovecot-uidvalidity"), []byte("12345678"), 0o600))
	unreadable(t, home(root, "dovecot-uidvalidity"))
	check(t, os.WriteFile(home(root, "toastmaster.cache"), nil, 0o600))
	unreadable(t, home(root, "toastmaster.cache"))
	check(t, os.WriteFile(home(root, "dovecot-keywords"), []byte("0 x\n"), 0o600))
	unreadable(t, home(root, "dovecot-keywords"))
	unreadable(t, home(root, ".Good.secret"))
	giveAway(t, root)
	asNobody(t)
	var log strings.Builder
	o := options(root)
	logTo(&log, &o)
	s, err := Open(t.Context(), o)
	check(t, err)
	u := openUser(t, s)
	for range 2 {
		if got, want := names(t, u), "INBOX Good"; got != want {
			t.Errorf("have %s, want %s\n%s", got, want, log.String())
		}
	}
	for _, name := range []string{".Good.secret", "subscriptions", "toastmaster.special-use"} {
		if n := strings.Count(log.String(), "/"+name+`"`); n != 1 {
			t.Errorf("%s is said %d times", name, n)
		}
	}
	limited := alice()
	limited.QuotaMessages = 100
	check(t, s.Deliver(t.Context(), limited, &Delivery{Content: message("x")}))
	if used, err := s.Usage(t.Context(), limited); err != nil || used.Messages != 1 {
		t.Errorf("%+v %v", used, err)
	}
	v := openView(t, u, "INBOX")
	if got, err := recordOf(t.Context(), v, 1); err != nil || len(got) == 0 || readAllOf(t, v, 1) == "" {
		t.Errorf("%v", err)
	}
	check(t, v.Close())
	check(t, u.Create(t.Context(), "Made", ""))
	made := openView(t, u, "Made")
	check(t, made.Close())
	check(t, u.Delete(t.Context(), "Made"))
	check(t, u.Rename(t.Context(), "Good", "Better"))
	if got, want := names(t, u), "INBOX Better"; got != want {
		t.Errorf("have %s, want %s", got, want)
	}
	if _, err := os.Lstat(home(root, ".Better.secret")); err != nil {
		t.Error(err)
	}
	check(t, u.Close())
	check(t, s.Close())
	check(t, os.Chmod(home(root, ".Better.secret"), 0o700)) // for the test's end
}

// TestOneNameTwice: two messages with one base name are two messages; two names
// of one file are one.
func TestOneNameTwice(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	oddMailbox(t, root)
	check(t, os.RemoveAll(home(root, "cur")))
	check(t, os.Mkdir(home(root, "cur"), 0o700))
	check(t, os.WriteFile(home(root, "new", "100.a,S=18"), []byte("Subject: a new\n\nx\n"), 0o600))
	check(t, os.WriteFile(home(root, "cur", "100.a,S=18:2,S"), []byte("Subject: a cur\n\nx\n"), 0o600))
	check(t, os.WriteFile(home(root, "cur", "100.a,S=18:2,SX"), []byte("Subject: a odd\n\nx\n"), 0o600))
	check(t, os.WriteFile(home(root, "new", "200.b"), []byte("Subject: b\n\nx\n"), 0o600))
	check(t, os.Link(home(root, "new", "200.b"), home(root, "cur", "200.b:2,F")))
	o := options(root)
	now := clocktest.New(time.Now().Add(time.Minute))
	o.Clock = now
	s, err := Open(t.Context(), o)
	check(t, err)
	u := openUser(t, s)
	v := openView(t, u, "INBOX")
	subjects := map[string]bool{}
	for seq := range uint32(v.Len()) {
		subjects[readAllOf(t, v, seq+1)] = true
	}
	if v.Len() != 4 || len(subjects) != 4 {
		t.Errorf("%d messages: %v", v.Len(), subjects)
	}
	if got := files(t, home(root, "new")); len(got) != 1 {
		t.Errorf("%q", got)
	}
	// Nothing comes back.
	check(t, v.Expunge(t.Context(), allOf(v)))
	check(t, v.Close())
	check(t, u.Close())
	check(t, s.Close())
	if got := append(files(t, home(root, "new")), files(t, home(root, "cur"))...); len(got) != 0 {
		t.Errorf("%q", got)
	}
}

// TestFolderWithoutAName is used, renamed and deleted like any other.
func TestFolderWithoutAName(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	oddMailbox(t, root)
	for _, dir := range []string{".&bad", ".&bad.below", ".x\xff"} {
		for _, sub := range []string{"cur", "new", "tmp"} {
			check(t, os.MkdirAll(home(root, dir, sub), 0o700))
		}
		check(t, os.WriteFile(home(root, dir, "cur", "100.a:2,S"), []byte("Subject: a\n\nx\n"), 0o600))
	}
	s := openStore(t, root)
	u := openUser(t, s)
	if got, want := names(t, u), "INBOX x\uFFFDFF \uFFFD26bad+ \uFFFD26bad/below"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	for _, name := range []string{"\uFFFD26bad", "x\uFFFDFF", "\uFFFD26bad/below"} {
		v := openView(t, u, name)
		if v.Len() != 1 || readAllOf(t, v, 1) != "Subject: a\n\nx\n" {
			t.Errorf("%q: %d", name, v.Len())
		}
		_, _, err := v.Copy(t.Context(), []uint32{1}, name)
		check(t, err)
		check(t, v.Close())
	}
	check(t, u.Subscribe(t.Context(), "x\uFFFDFF", true))
	if err := u.Create(t.Context(), "\uFFFD26more", ""); !errors.Is(err, ErrInvalidName) {
		t.Errorf("%v", err)
	}
	if err := u.Create(t.Context(), "x\uFFFDFF", ""); !errors.Is(err, ErrExists) {
		t.Errorf("%v", err)
	}
	if err := u.Rename(t.Context(), "INBOX", "\uFFFD26more"); !errors.Is(err, ErrInvalidName) {
		t.Errorf("%v", err)
	}
	check(t, u.Rename(t.Context(), "\uFFFD26bad", "good"))
	if got, want := names(t, u), "INBOX good+ good/below x\uFFFDFF*"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	check(t, u.Delete(t.Context(), "x\uFFFDFF"))
	if got := files(t, filepath.Dir(home(root, "cur"))); slices.Contains(got, ".x\xff") || slices.Contains(got, ".&bad") {
		t.Errorf("%q", got)
	}
	check(t, u.Close())
	check(t, s.Close())
}

// TestNameAsUniqueID: the name of a file is a POP3 unique id where clients can be told
// it, and without its flags.
func TestNameAsUniqueID(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	oddMailbox(t, root)
	for _, name := range []string{"100.a:2,S", "101.b c:2,S"} {
		check(t, os.WriteFile(home(root, "", "cur", name), []byte("Subject: a\n\nx\n"), 0o600))
	}
	s := openStore(t, root)
	u := openUser(t, s)
	v := openView(t, u, "INBOX")
	seen := map[string]int{}
	for seq := range v.Len() {
		seen[v.FileUIDL(v.Message(uint32(seq+1)).UID)]++
	}
	if seen["100.a"] != 1 || seen[""] == 0 || v.FileUIDL(4000000000) != "" {
		t.Errorf("%v", seen)
	}
	for id := range seen {
		if strings.ContainsAny(id, " :") {
			t.Errorf("%q", id)
		}
	}
	check(t, errors.Join(v.Close(), u.Close(), s.Close()))
}
