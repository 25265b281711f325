package rights

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"toastmaster/configs"
	"toastmaster/internal/run/usage"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// instance is a configuration whose data lies in a folder of its own.
func instance(t *testing.T, text string) *configs.Config {
	t.Helper()
	dir := t.TempDir()
	c, err := configs.Parse(filepath.Join(dir, "toastmaster.toml"), []byte("[main]\ndata_dir = \".\"\n"+text))
	must(t, err)
	must(t, os.Mkdir(filepath.Join(dir, configs.QueueDir), 0o700))
	return c
}

// known is a user of this machine who is not root and has groups.
func known(t *testing.T) (name string, uid, gid int, groups []int) {
	t.Helper()
	u, err := user.Lookup("nobody")
	must(t, err)
	_, err = fmt.Sscan(u.Uid+" "+u.Gid, &uid, &gid)
	must(t, err)
	ids, err := u.GroupIds()
	must(t, err)
	for _, id := range ids {
		n := 0
		_, err := fmt.Sscan(id, &n)
		must(t, err)
		groups = append(groups, n)
	}
	return u.Username, uid, gid, groups
}

// TestLookup: a name, a name with a group, numbers; never root, whatever it is called.
func TestLookup(t *testing.T) {
	t.Parallel()
	name, uid, gid, groups := known(t)
	for text, want := range map[string]User{
		name:             {name, uid, gid, groups},
		name + ":4321":   {name, uid, 4321, append(slices.Clone(groups), 4321)},
		name + ":root":   {name, uid, 0, append(slices.Clone(groups), 0)},
		"54321:12345":    {"54321", 54321, 12345, []int{12345}},
		"54321:" + "sys": {"54321", 54321, 3, []int{3}},
	} {
		got, err := lookup(text)
		if err != nil || got.Name != want.Name || got.uid != want.uid || got.gid != want.gid || !slices.Equal(got.groups, want.groups) {
			t.Errorf("%s: %+v, %v; want %+v", text, got, err, want)
		}
	}
	for text, says := range map[string]string{
		"root": "is root", "0:0": "is root", "-5:1": `no user "-5"`, "0": "is root", "54321": `"54321" has no entry in /etc/passwd: its group is needed, as "user:group"`,
		"nosuchuser": `no user "nosuchuser"`, "nosuchuser:sys": "no user", name + ":nosuchgroup": `no group "nosuchgroup"`, "54321:": `no group ""`, "": `no user ""`, ":1": `no user ""`, "54321:-7": `no group "-7"`,
	} {
		if got, err := lookup(text); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
}

// TestMay looks at the bits of the class that counts, and at none other: an owner without a
// right does not have it by the group's.
func TestMay(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "x")
	must(t, os.WriteFile(file, nil, 0o600))
	st := syscall.Stat_t{}
	must(t, syscall.Stat(file, &st))
	own, group := int(st.Uid), int(st.Gid)
	const r, w, x = 4, 2, 1
	for _, c := range []struct {
		mode  fs.FileMode
		who   User
		asked uint32
		may   bool
	}{
		{0o600, User{uid: own}, r | w, true}, {0o400, User{uid: own}, w, false}, {0o077, User{uid: own, groups: []int{group}}, r, false}, {0o700, User{uid: own}, r | w | x, true},
		{0o600, User{uid: own + 1, groups: []int{group}}, r, false}, {0o640, User{uid: own + 1, groups: []int{7777, group}}, r, true}, {0o640, User{uid: own + 1, groups: []int{group}}, r | w, false},
		{0o607, User{uid: own + 1, groups: []int{group}}, r, false}, {0o670, User{uid: own + 1, groups: []int{group + 1}}, r, false}, {0o604, User{uid: own + 1}, r, true}, {0o605, User{uid: own + 1}, r | x, true},
		{0o606, User{uid: own + 1}, r | x, false}, {0o000, User{uid: own}, 0, true},
	} {
		must(t, os.Chmod(file, c.mode))
		c.who.Name = "who"
		err := c.who.May(file, c.asked)
		if (err == nil) != c.may || !c.may && (!errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "access by who "+file)) {
			t.Errorf("%04o, %+v asks %o: %v", c.mode, c.who, c.asked, err)
		}
	}
	if err := (&User{}).May(file+"none", r); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

// TestOwnerOf is the first of data and queue that is not root's; a number without an entry is
// told with its group, as lookup wants it.
func TestOwnerOf(t *testing.T) {
	t.Parallel()
	c := instance(t, "")
	if os.Geteuid() != 0 {
		me, err := user.Current()
		must(t, err)
		if owner, path := OwnerOf(c); owner != me.Username || path != c.Dir() {
			t.Errorf("%q %q", owner, path)
		}
		return
	}
	name, uid, gid, _ := known(t)
	queue := c.Path(configs.QueueDir)
	for _, step := range []struct {
		path        string
		uid, gid    int
		owner, at   string
		refusesRoot bool
	}{
		{queue, 0, 0, "", "", false}, {queue, uid, gid, name, queue, true}, {c.Dir(), 54321, 12345, "54321:12345", c.Dir(), true}, {c.Dir(), 0, 0, name, queue, true},
	} {
		must(t, os.Chown(step.path, step.uid, step.gid))
		if owner, at := OwnerOf(c); owner != step.owner || at != step.at {
			t.Errorf("%s of %d: %q %q", step.path, step.uid, owner, at)
		}
		err := NotRootsOwn(c)
		var m *configs.Error
		if step.refusesRoot != errors.As(err, &m) || step.refusesRoot && (m.Param != "main.user" || !strings.Contains(err.Error(), "config set main.user "+step.owner) || !strings.Contains(err.Error(), step.at)) {
			t.Errorf("%s of %d: %v", step.path, step.uid, err)
		}
	}
	c.Main.User = name
	if err := NotRootsOwn(c); err != nil {
		t.Errorf("with main.user: %v", err)
	}
	must(t, os.RemoveAll(queue))
	if owner, at := OwnerOf(c); owner != "" || at != "" {
		t.Errorf("without a queue: %q %q", owner, at)
	}
}

// TestRunAs is nobody else's business: root becomes the user, the user goes on, another is told.
func TestRunAs(t *testing.T) {
	t.Parallel()
	c := instance(t, "")
	if who, err := RunAs(c); who != nil || err != nil {
		t.Errorf("%+v, %v", who, err)
	}
	c.Main.User = "nosuchuser"
	var m *configs.Error
	if who, err := RunAs(c); who != nil || !errors.As(err, &m) || m.Param != "main.user" {
		t.Errorf("%+v, %v", who, err)
	}
	c.Main.User = "54321:12345"
	who, err := RunAs(c)
	if os.Geteuid() == 0 {
		if err != nil || who.uid != 54321 || who.gid != 12345 {
			t.Errorf("%+v, %v", who, err)
		}
	} else if who != nil || !errors.As(err, &m) || !strings.Contains(err.Error(), "neither root nor 54321") {
		t.Errorf("%+v, %v", who, err)
	}
}

// TestSocketGroup is one that the service's user is in, who could not give the socket away.
func TestSocketGroup(t *testing.T) {
	t.Parallel()
	name, _, gid, _ := known(t)
	for _, s := range []struct {
		group, user string
		want        int
		says        string
	}{
		{"", "", -1, ""}, {"nosuchgroup", "", -1, `no group "nosuchgroup"`}, {"-3", "", -1, "no group"}, {fmt.Sprint(gid), name, gid, ""}, {"12345", "54321:12345", 12345, ""},
		{"sys", name, -1, name + " is not in the group \"sys\": `usermod -a -G sys " + name + "`"}, {"sys", "nosuchuser", -1, "no user"},
	} {
		c := instance(t, "")
		c.LMTPD.UnixGroup, c.Main.User = s.group, s.user
		if os.Geteuid() != 0 && s.user != "" {
			continue // RunAs says who it must be
		}
		got, err := SocketGroup(c, "lmtpd.unix_listener_group", c.LMTPD.UnixGroup)
		if got != s.want || (err == nil) != (s.says == "") || err != nil && !strings.Contains(err.Error(), s.says) {
			t.Errorf("%q for %q: %d, %v", s.group, s.user, got, err)
		}
	}
	c := instance(t, "")
	c.LMTPD.UnixGroup = "sys"
	if os.Geteuid() != 0 {
		c.LMTPD.UnixGroup = fmt.Sprint(os.Getegid())
	}
	if got, err := SocketGroup(c, "lmtpd.unix_listener_group", c.LMTPD.UnixGroup); got < 0 || err != nil {
		t.Errorf("its own: %d, %v", got, err)
	}
	if os.Geteuid() == 0 { // it looks for the owner, whose groups count
		must(t, os.Chown(c.Dir(), 54321, 12345))
		if got, err := SocketGroup(c, "lmtpd.unix_listener_group", c.LMTPD.UnixGroup); err == nil || !strings.Contains(err.Error(), "54321 is not in the group") {
			t.Errorf("the owner's: %d, %v", got, err)
		}
		c.LMTPD.UnixGroup = "12345"
		if got, err := SocketGroup(c, "lmtpd.unix_listener_group", c.LMTPD.UnixGroup); got != 12345 || err != nil {
			t.Errorf("the owner's: %d, %v", got, err)
		}
	}
}

// TestWithOwner says which folder to give away, for a denied file and nothing else.
func TestWithOwner(t *testing.T) {
	t.Parallel()
	c := instance(t, "[store]\npath = \"/srv/mail\"\n")
	other := errors.New("other")
	if err := WithOwner(c, other); err != other {
		t.Errorf("%v", err)
	}
	if err := WithOwner(c, fs.ErrPermission); err != fs.ErrPermission {
		t.Errorf("without a path: %v", err)
	}
	for path, top := range map[string]string{"/srv/mail/a/cur/1": "/srv/mail", "/srv/mail": "/srv/mail", c.Path("directory.db"): c.Dir(), "/var/log/x": "/var/log/x", "/srv/mailbox": "/srv/mailbox"} {
		err := WithOwner(c, fmt.Errorf("store: %w", &fs.PathError{Op: "open", Path: path, Err: syscall.EACCES}))
		if !errors.Is(err, fs.ErrPermission) || !strings.HasSuffix(err.Error(), ": "+top+"` gives it its files") || !strings.HasPrefix(err.Error(), "store: open "+path) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// TestAccess has the path in its error, which access(2) does not.
func TestAccess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, f := range []func(string, uint32) error{Access, EffectiveAccess} {
		if err := f(dir, 7); err != nil {
			t.Error(err)
		}
		if err := f(dir+"/none", 4); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), dir+"/none") {
			t.Error(err)
		}
		// Nobody, root neither, may execute a file without any such bit.
		must(t, os.WriteFile(dir+"/file", nil, 0o600))
		if err := f(dir+"/file", 1); !errors.Is(err, fs.ErrPermission) {
			t.Error(err)
		}
	}
	if err := errors.Join(WritableFolder(dir)); err != nil {
		t.Error(err)
	}
	if err := WritableFolder(dir + "/none"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// asRoot says in the environment of a second process of this test what it does.
const asRoot = "RIGHTS_TEST"

// TestMain is also the second process, which gives up root: that is for good.
func TestMain(m *testing.M) {
	if dir, isSecond := os.LookupEnv(asRoot); isSecond {
		if err := second(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// second works as the owner of an instance for a while and then for ever.
func second(dir string) error {
	c, err := configs.Parse(filepath.Join(dir, "toastmaster.toml"), []byte("[main]\ndata_dir = \".\"\nuser = \"54321:12345\"\n"))
	if err != nil {
		return err
	}
	failed := errors.New("failed")
	make := func(name string) func() error {
		return func() error { return os.Mkdir(filepath.Join(dir, name), 0o700) }
	}
	if err := AsOwner(c, func() error {
		if os.Geteuid() != 54321 || os.Getegid() != 12345 {
			return fmt.Errorf("works as %d:%d", os.Geteuid(), os.Getegid())
		}
		if groups, err := os.Getgroups(); err != nil || !slices.Equal(groups, []int{12345}) {
			return fmt.Errorf("groups %v, %w", groups, err)
		}
		return errors.Join(make("awhile")(), failed)
	}); err == nil || !errors.Is(err, failed) || err.Error() != "failed" {
		return fmt.Errorf("as owner: %w", err)
	}
	if os.Geteuid() != 0 || os.Getegid() != 0 {
		return fmt.Errorf("root is now %d:%d", os.Geteuid(), os.Getegid())
	}
	c.Main.User = "nosuchuser"
	if err := AsOwner(c, func() error { return errors.New("it ran") }); err == nil || !strings.Contains(err.Error(), "no user") {
		return fmt.Errorf("as nobody: %w", err)
	}
	c.Main.User = ""
	if err := errors.Join(AsOwner(c, make("root")), BecomeOwner("", dir)); err != nil {
		return err
	}
	if err := BecomeOwner("nosuchuser", ""); !errors.Is(err, usage.Err) {
		return fmt.Errorf("becoming nobody: %w", err)
	}
	if err := BecomeOwner("54321:12345", filepath.Join(dir, "new")); err != nil {
		return err
	}
	if err := errors.Join(make("new/forever")(), BecomeOwner("65000:65000", filepath.Join(dir, "none"))); err != nil {
		return err
	}
	if syscall.Setuid(0) == nil || syscall.Setresgid(0, 0, 0) == nil || os.Geteuid() != 54321 {
		return errors.New("root is still there")
	}
	return nil
}

// TestGivingUpRoot: what is made meanwhile is the owner's, and there is no way back where none
// should be.
func TestGivingUpRoot(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		c := instance(t, "user = \"54321:12345\"\n")
		ran := errors.New("it ran")
		if err := AsOwner(c, func() error { return ran }); err != ran {
			t.Errorf("who is not root works as who it is: %v", err)
		}
		if err := BecomeOwner("54321:12345", c.Dir()); err != nil {
			t.Error(err)
		}
		return
	}
	dir, err := os.MkdirTemp("", "rights") // that of the test is root's alone
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	must(t, errors.Join(os.Chmod(dir, 0o777), os.WriteFile(dir+"/mine", nil, 0o600)))
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), asRoot+"="+dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for name, uid := range map[string]uint32{"mine": 0, "root": 0, "awhile": 54321, "new": 54321, "new/forever": 54321, ".": 0} {
		info, err := os.Stat(filepath.Join(dir, name))
		must(t, err)
		if st := info.Sys().(*syscall.Stat_t); st.Uid != uid || uid != 0 && st.Gid != 12345 {
			t.Errorf("%s is of %d:%d", name, st.Uid, st.Gid)
		}
	}
	if _, err := os.Stat(dir + "/none"); err == nil {
		t.Error("who is not root made a folder for another")
	}
}
