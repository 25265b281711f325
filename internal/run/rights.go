package run

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"toastmaster/configs"
	"toastmaster/internal/clock"
	"toastmaster/internal/msglog"
	"toastmaster/internal/tlsconf"
	"toastmaster/mailstore"
	"toastmaster/mta/queue"
)

// credentials are those of main.user.
type credentials struct {
	name     string
	uid, gid int
	groups   []int
}

// runAs is who the server runs as when root starts it; nil leaves it as it is.
// Started by somebody else it must be that user already.
func runAs(c *configs.Config) (*credentials, error) {
	if c.Main.User == "" {
		return nil, nil
	}
	who, err := lookupUser(c.Main.User)
	if err != nil {
		return nil, c.Mistake("main.user", err)
	}
	switch os.Geteuid() {
	case 0:
		return who, nil
	case who.uid:
		return nil, nil
	}
	return nil, c.Mistake("main.user", fmt.Errorf("started by the user %d, who is neither root nor %s", os.Geteuid(), who.name))
}

// lookupUser reads "user", "user:group", or numbers for either, which need no
// entry in /etc/passwd: a container may have none.
func lookupUser(text string) (*credentials, error) {
	name, group, hasGroup := strings.Cut(text, ":")
	who := &credentials{name: name, gid: -1}
	if u, err := user.Lookup(name); err == nil {
		who.uid, _ = strconv.Atoi(u.Uid)
		who.gid, _ = strconv.Atoi(u.Gid)
		ids, err := u.GroupIds()
		if err != nil {
			return nil, err
		}
		for _, id := range ids {
			if n, err := strconv.Atoi(id); err == nil {
				who.groups = append(who.groups, n)
			}
		}
	} else if who.uid, err = strconv.Atoi(name); err != nil {
		return nil, fmt.Errorf("there is no user %q", name)
	}
	if hasGroup {
		g, err := user.LookupGroup(group)
		if err == nil {
			who.gid, err = strconv.Atoi(g.Gid)
		} else {
			who.gid, err = strconv.Atoi(group)
		}
		if err != nil {
			return nil, fmt.Errorf("there is no group %q", group)
		}
	}
	switch {
	case who.gid < 0:
		return nil, fmt.Errorf("%q has no entry in /etc/passwd: its group is needed, as \"user:group\"", name)
	case who.uid <= 0:
		return nil, fmt.Errorf("%q is root: the server shall have less rights", name)
	}
	if !slices.Contains(who.groups, who.gid) {
		who.groups = append(who.groups, who.gid)
	}
	return who, nil
}

// become gives up root for good, in every thread of the process.
func (w *credentials) become() error {
	for _, step := range []struct {
		what string
		do   func() error
	}{
		{"setgroups", func() error { return syscall.Setgroups(w.groups) }},
		{"setresgid", func() error { return syscall.Setresgid(w.gid, w.gid, w.gid) }},
		{"setresuid", func() error { return syscall.Setresuid(w.uid, w.uid, w.uid) }},
	} {
		if err := step.do(); err != nil {
			return fmt.Errorf("main.user: %s to %s: %w", step.what, w.name, err)
		}
	}
	if os.Geteuid() != w.uid || syscall.Setuid(0) == nil {
		return fmt.Errorf("main.user: the rights of root are still there")
	}
	return nil
}

// checkRights looks whether the user that root's server becomes may use what the
// configuration names. It looks at the folders' own modes, not at all that is in
// them.
func checkRights(c *configs.Config, in *Inherited) error {
	who, err := runAs(c)
	if who == nil || err != nil {
		return err
	}
	const r, rw, wx, rwx = unix.R_OK, unix.R_OK | unix.W_OK, unix.W_OK | unix.X_OK, unix.R_OK | unix.W_OK | unix.X_OK
	type need struct {
		param, path string
		mode        uint32
	}
	needs := []need{
		{"main.data_dir", c.Dir(), wx}, {"directory.path", c.Path(c.Directory.Path), rw}, {"store.path", c.Path(c.Store.Path), rwx},
		{"store.path", filepath.Join(c.Path(c.Store.Path), mailstore.Private), rwx}, {"main.data_dir", c.Path(QueueDir), rwx},
		{"main.data_dir", filepath.Join(c.Path(QueueDir), queue.LockFile), rw}, {"the configuration", c.File, r},
	}
	for _, s := range ownSockets(c, in) {
		needs = append(needs, need{s.param, filepath.Dir(s.path), wx})
	}
	if c.Log.File != "stderr" {
		path, mode := c.Path(c.Log.File), uint32(unix.W_OK)
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			path, mode = filepath.Dir(path), wx
		}
		needs = append(needs, need{"log.file", path, mode})
	}
	if c.SMTP.PasswordFile != "" {
		needs = append(needs, need{"smtp.password_file", c.Path(c.SMTP.PasswordFile), r})
	}
	for _, t := range c.Tables {
		if t.PasswordFile != "" {
			needs = append(needs, need{"transport." + t.Name + ".password_file", c.Path(t.PasswordFile), r})
		}
	}
	for _, n := range needs {
		if err := who.may(n.path, n.mode); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return c.Mistake(n.param, fmt.Errorf("%w; main.user is %s: `chown -R %[2]s %[3]s` gives it all", err, c.Main.User, n.path))
		}
	}
	return nil
}

// may says whether the user may do what access(2) is asked about, by the mode of
// the file alone: root, who asks, may everything.
func (w *credentials) may(path string, mode uint32) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	bits := uint32(info.Mode().Perm())
	switch {
	case int(st.Uid) == w.uid:
		bits >>= 6
	case slices.Contains(w.groups, int(st.Gid)):
		bits >>= 3
	}
	if bits&mode != mode {
		return &fs.PathError{Op: "access by " + w.name, Path: path, Err: fs.ErrPermission}
	}
	return nil
}

// privileged is what root opens for a server that gives up root: the ports,
// which may be below 1024, and the keys, which others cannot read.
type privileged struct {
	listeners    map[string]net.Listener
	certificates *tlsconf.Certificates
}

// openPrivileged opens them. Unix sockets are the user's own.
func openPrivileged(c *configs.Config, in *Inherited) (*privileged, error) {
	p := &privileged{listeners: map[string]net.Listener{}}
	var err error
	if p.certificates, err = tlsconf.Load(tlsOptions(c, msglog.Discard(), clock.System{})); err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	for _, address := range c.Listeners() {
		if strings.HasPrefix(address, "unix:") || in.has(address) {
			continue
		}
		l, err := listenOn(c, address)
		if err != nil {
			return nil, errors.Join(err, p.close())
		}
		p.listeners[address] = l
	}
	return p, nil
}

// take gives a listener to its service; nil when there is none.
func (p *privileged) take(address string) net.Listener {
	if p == nil {
		return nil
	}
	l := p.listeners[address]
	delete(p.listeners, address)
	return l
}

// close closes what no service has taken.
func (p *privileged) close() error {
	if p == nil {
		return nil
	}
	var errs []error
	for _, l := range p.listeners {
		errs = append(errs, l.Close())
	}
	clear(p.listeners)
	return errors.Join(errs...)
}

// socketGroup is the number of lmtpd.unix_listener_group, -1 without one. It must be a
// group that the service's user is in, who could not give the socket to it else.
func socketGroup(c *configs.Config) (int, error) {
	name := c.LMTPD.UnixGroup
	if name == "" {
		return -1, nil
	}
	gid, err := groupID(name)
	if err != nil {
		return -1, c.Mistake("lmtpd.unix_listener_group", err)
	}
	groups, who, err := serviceGroups(c)
	if err != nil {
		return -1, err
	}
	if groups != nil && !slices.Contains(groups, gid) {
		return -1, c.Mistake("lmtpd.unix_listener_group", fmt.Errorf("%s is not in the group %q: `usermod -a -G %[2]s %[1]s`, then start the service again", who, name))
	}
	return gid, nil
}

func groupID(name string) (int, error) {
	g, err := user.LookupGroup(name)
	if err == nil {
		name = g.Gid
	}
	gid, err := strconv.Atoi(name)
	if err != nil || gid < 0 {
		return -1, fmt.Errorf("there is no group %q", name)
	}
	return gid, nil
}

// serviceGroups are the groups of the user that serves, nil for root, who may give
// files to all.
func serviceGroups(c *configs.Config) (groups []int, who string, err error) {
	w, err := runAs(c)
	if err != nil {
		return nil, "", err
	}
	owner, _ := ownerOf(c)
	switch {
	case w != nil:
		return w.groups, w.name, nil
	case os.Geteuid() != 0:
		groups, err := os.Getgroups()
		return append(groups, os.Getegid()), "the user that serves", err
	case owner == "":
		return nil, "root", nil
	}
	// Root looks, and another user serves.
	if w, err = lookupUser(owner); err != nil {
		return nil, "", err
	}
	return w.groups, w.name, nil
}

// ownerOf is the user, not root, that the instance belongs to where main.user
// says nothing: who has its data folder or its queue. "" is root or nobody.
func ownerOf(c *configs.Config) (owner, path string) {
	for _, path := range []string{c.Dir(), c.Path(QueueDir)} {
		info, err := os.Stat(path)
		if err != nil {
			continue // whoever needs it says that it is missing
		}
		st, ok := info.Sys().(*syscall.Stat_t)
		if !ok || st.Uid == 0 {
			continue
		}
		if u, err := user.LookupId(strconv.Itoa(int(st.Uid))); err == nil {
			return u.Username, path
		}
		return fmt.Sprintf("%d:%d", st.Uid, st.Gid), path
	}
	return "", ""
}

// notRootsOwn refuses root where the instance is another user's and main.user
// does not say so: one file of root's in the store, and that user's service does
// not start any more.
func notRootsOwn(c *configs.Config) error {
	if os.Geteuid() != 0 || c.Main.User != "" {
		return nil
	}
	owner, path := ownerOf(c)
	if owner == "" {
		return nil
	}
	return c.Mistake("main.user", fmt.Errorf("started by root, and %s is of the user %s, who could not use what root makes there: "+
		"start it as that user (`systemctl start toastmaster`, or `runuser -u %[2]s -- toastmaster serve -c %[3]s`), "+
		"or let root's serve become that user with `toastmaster config set main.user %[2]s`", path, owner, c.File))
}

// giveUpRoot opens what needs root and goes on as main.user. Without that user,
// or without root, it does nothing.
func giveUpRoot(c *configs.Config, in *Inherited) (*privileged, error) {
	if err := notRootsOwn(c); err != nil {
		return nil, &Usage{err}
	}
	who, err := runAs(c)
	if err != nil {
		return nil, &Usage{err}
	}
	if who == nil {
		return nil, nil
	}
	p, err := openPrivileged(c, in)
	if err != nil {
		return nil, err
	}
	if err := who.become(); err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

// withOwner says what mends a file of the instance that this user may not use.
func withOwner(c *configs.Config, err error) error {
	var denied *fs.PathError
	if !errors.Is(err, fs.ErrPermission) || !errors.As(err, &denied) {
		return err
	}
	top := denied.Path
	for _, dir := range []string{c.Path(c.Store.Path), c.Dir()} {
		if rel, err := filepath.Rel(dir, denied.Path); err == nil && filepath.IsLocal(rel) {
			top = dir
			break
		}
	}
	name := strconv.Itoa(os.Geteuid())
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	return fmt.Errorf("%w; this process runs as %s: `chown -R %s: %s` gives it its files", err, name, name, top)
}

// AsOwner runs f with the rights of the user that the instance belongs to, if
// root runs this process, and gives the process its rights back: what f makes is
// that user's.
func AsOwner(c *configs.Config, f func() error) (err error) {
	name := c.Main.User
	if name == "" {
		name, _ = ownerOf(c)
	}
	if name == "" || os.Geteuid() != 0 {
		return f()
	}
	who, err := lookupUser(name)
	if err != nil {
		return c.Mistake("main.user", err)
	}
	groups, err := syscall.Getgroups()
	if err != nil {
		return err
	}
	// Root may change its effective ids and come back to the real ones.
	const same = -1
	defer func() {
		err = errors.Join(err, syscall.Setresuid(same, syscall.Getuid(), same), syscall.Setresgid(same, syscall.Getgid(), same), syscall.Setgroups(groups))
	}()
	if err := errors.Join(syscall.Setgroups(who.groups), syscall.Setresgid(same, who.gid, same), syscall.Setresuid(same, who.uid, same)); err != nil {
		return fmt.Errorf("going on as %s: %w", who.name, err)
	}
	return f()
}

// becomeOwner makes what follows the user's: init makes the files of a server
// that gives up root. dir, which may be "", is given to the user first.
func becomeOwner(name, dir string) error {
	if name == "" || os.Geteuid() != 0 {
		return nil
	}
	who, err := lookupUser(name)
	if err != nil {
		return Usagef("main.user: %w", err)
	}
	if dir != "" {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		entries, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		if len(entries) == 0 {
			if err := os.Chown(dir, who.uid, who.gid); err != nil {
				return err
			}
		}
	}
	return who.become()
}
