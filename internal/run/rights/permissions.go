package rights

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"toastmaster/configs"
	"toastmaster/internal/hostuser"
	"toastmaster/internal/vfs"
)

// holding is a file or folder and whose it is to be.
type holding struct {
	path     string
	uid, gid int
	// others, which may be nil, are users whose files may lie in it, too: they were made there.
	others func(uid int) bool
	// dir and file are the modes of folders and files.
	dir, file fs.FileMode
	// deep is with all that is in it.
	deep bool
}

// Permissions knows to whom the files of an instance belong: what `master set-permissions` does, and master
// looks at before it starts.
type Permissions struct {
	c *configs.Config
	// roles are nil where all are one user.
	roles    *Roles
	holdings []holding
	// moves are files whose place depends on who the role mta is.
	moves [][2]string
}

// PermissionsOf is for a configuration with main.user.
func PermissionsOf(c *configs.Config) (*Permissions, error) {
	roles, err := RolesOf(c)
	if err != nil {
		return nil, err
	}
	p := &Permissions{c: c, roles: roles}
	if roles == nil {
		if c.Main.User == "" {
			return nil, c.Mistake("main.user", errors.New("it is empty, so all files are root's, and nobody else's"))
		}
		main, err := lookup(c.Main.User)
		if err != nil {
			return nil, c.Mistake("main.user", err)
		}
		roles = &Roles{Main: main, users: map[string]*User{configs.RoleMTA: main, configs.RoleStore: main, configs.RoleAdmin: main}}
		p.list(roles, 0)
		return p, nil
	}
	p.list(roles, 0o070)
	return p, nil
}

// list lists them; group are the bits of the group of main.user where it shares files.
func (p *Permissions) list(r *Roles, group fs.FileMode) {
	c, main, mta, store := p.c, r.Main, r.User(configs.RoleMTA), r.User(configs.RoleStore)
	share, setgid := group&0o060, fs.FileMode(0)
	if group != 0 {
		setgid = fs.ModeSetgid
	}
	add := func(h holding) { p.holdings = append(p.holdings, h) }
	data := filepath.Clean(c.Dir())
	add(holding{path: data, uid: main.uid, gid: main.gid, dir: 0o700 | group&0o050})
	for _, dir := range []string{c.Path(configs.QueueDir), c.Path(configs.MTADir), c.Path(configs.FlushDir)} {
		add(holding{path: dir, uid: mta.uid, gid: mta.gid, dir: 0o700, file: 0o600, deep: true})
	}
	if c.Pickup.Directory != "" {
		// What lies in them is of whoever has left it there.
		for _, name := range []string{"", "drop", "taken", "bad"} {
			add(holding{path: filepath.Join(c.Path(c.Pickup.Directory), name), uid: mta.uid, gid: mta.gid})
		}
	}
	for _, name := range []string{configs.PostscreenCache, configs.VerifyCache} {
		add(holding{path: c.Path(name), uid: mta.uid, gid: mta.gid, file: 0o600})
	}
	add(holding{path: c.Path(c.Store.Path), uid: store.uid, gid: main.gid, others: r.Any, dir: 0o700 | group | setgid, file: 0o600 | share, deep: true})
	database := c.Path(c.Directory.Path)
	if dir := filepath.Dir(database); filepath.Clean(dir) != data {
		add(holding{path: dir, uid: main.uid, gid: main.gid, dir: 0o700 | group | setgid})
	}
	for _, end := range databaseFiles {
		add(holding{path: database + end, uid: main.uid, gid: main.gid, file: 0o600 | share})
	}
	add(holding{path: c.File, uid: main.uid, gid: main.gid, file: 0o640})
	for _, entry := range c.TLS.Certificates {
		cert, key := configs.CertificateFiles(entry)
		for _, name := range []string{cert, key} {
			path := c.Path(name)
			if rel, err := filepath.Rel(data, path); name == "" || err != nil || !filepath.IsLocal(rel) {
				continue // whoever renews it says who may read it
			}
			if dir := filepath.Dir(path); filepath.Clean(dir) != data {
				add(holding{path: dir, uid: main.uid, gid: main.gid, dir: 0o700 | group&0o050})
			}
			add(holding{path: path, uid: main.uid, gid: main.gid, file: 0o600 | group&0o040})
		}
	}
	if c.Log.File != "stderr" {
		path := c.Path(c.Log.File)
		if dir := filepath.Dir(path); group != 0 && dir != data && isOf(dir, main.uid) {
			add(holding{path: dir, uid: main.uid, gid: main.gid, dir: 0o750})
		}
		add(holding{path: path, uid: main.uid, gid: main.gid, file: 0o640 | share})
	}
	passwords := []string{c.SMTP.PasswordFile}
	for _, t := range c.Tables {
		passwords = append(passwords, t.PasswordFile)
	}
	for _, name := range passwords {
		if name != "" {
			add(holding{path: c.Path(name), uid: mta.uid, gid: mta.gid, file: 0o600})
		}
	}
	for _, name := range []string{configs.FlushDir, configs.PostscreenCache, configs.VerifyCache} {
		here, there := c.Path(name), c.Path(filepath.Join(configs.MTADir, name))
		if c.MTAPath(name) == here {
			here, there = there, here
		}
		p.moves = append(p.moves, [2]string{here, there})
	}
}

// databaseFiles are the ends of the names of what SQLite keeps. The last two come and go with
// the processes that have it open, but in a folder that none of them may write they stay.
var databaseFiles = [...]string{"", "-wal", "-shm"}

// Keep makes, as root, what roles need in folders where they may make nothing: the folder of the role mta, and the
// files beside the database that SQLite would make. An empty one is what it begins with.
func Keep(c *configs.Config) error {
	roles, err := RolesOf(c)
	if roles == nil || err != nil || os.Geteuid() != 0 {
		return err
	}
	mta := roles.User(configs.RoleMTA)
	err = os.Mkdir(c.Path(configs.MTADir), 0o700)
	if err == nil {
		err = os.Lchown(c.Path(configs.MTADir), mta.uid, mta.gid)
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if c.Directory.Type != "sqlite" {
		return nil
	}
	for _, end := range databaseFiles[1:] {
		path := c.Path(c.Directory.Path) + end
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return err
		}
		if err := errors.Join(f.Chown(roles.Main.uid, roles.Main.gid), f.Chmod(0o660), f.Close()); err != nil {
			return err
		}
	}
	return nil
}

// sampled is how many files of a folder Check looks at: a start is not to read a million names.
const sampled = 50

// Check says which file is not its owner's, as far as can be seen quickly: of a folder with all that is in it
// the folder and some of the files. What is missing is others' to say.
func (p *Permissions) Check() error {
	for _, h := range p.holdings {
		paths := []string{h.path}
		if h.deep {
			if dir, err := os.Open(h.path); err == nil {
				names, _ := dir.Readdirnames(sampled)
				_ = dir.Close()
				for _, name := range names {
					paths = append(paths, filepath.Join(h.path, name))
				}
			}
		}
		for _, path := range paths {
			info, err := os.Lstat(path)
			if err != nil {
				continue
			}
			if wrong := h.wrong(info, path == h.path); wrong != "" {
				return p.c.Mistake("master.role_users", fmt.Errorf("%s is %s: %s", path, wrong, p.mend(h, path, info)))
			}
		}
	}
	return p.logEntered()
}

// mend says how a file becomes its owner's. One that was put there by hand, as a file of passwords, needs no stop for that.
func (p *Permissions) mend(h holding, path string, info fs.FileInfo) string {
	all := fmt.Sprintf("stop what runs, and `toastmaster -c %s master set-permissions`, as root, gives each role its files", p.c.File)
	if h.deep || info.IsDir() {
		return all
	}
	uid, gid, mode := h.want(info, true)
	return fmt.Sprintf("`chown %s %s && chmod %04o %s`, as root; or %s", names(uid, gid), path, mode.Perm(), path, all)
}

// wrong says what is not as it should be, "" for nothing.
func (h holding) wrong(info fs.FileInfo, top bool) string {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || info.Mode().Type() == fs.ModeSymlink || info.Mode().Type() == fs.ModeSocket {
		return ""
	}
	uid, gid, mode := h.want(info, top)
	switch has := info.Mode() & modeBits; {
	case int(st.Uid) != uid || int(st.Gid) != gid:
		return fmt.Sprintf("of %s and should be of %s", names(int(st.Uid), int(st.Gid)), names(uid, gid))
	case has != mode:
		return fmt.Sprintf("of mode %s and should be %s", has, mode)
	}
	return ""
}

const modeBits = fs.ModePerm | fs.ModeSetgid | fs.ModeSticky

// want is whose it should be; top is the folder itself. In a folder where several users make files, each stays
// who made it. What a file may more than it has to stays: the operator may have a reason.
func (h holding) want(info fs.FileInfo, top bool) (uid, gid int, mode fs.FileMode) {
	uid, mode = h.uid, info.Mode()&modeBits|h.file
	if info.IsDir() {
		mode = info.Mode()&modeBits | h.dir
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && h.others != nil && !top && h.others(int(st.Uid)) {
		uid = int(st.Uid)
	}
	return uid, h.gid, mode
}

func names(uid, gid int) string {
	who := strconv.Itoa(uid)
	if u, err := hostuser.FindID(uid); err == nil {
		who = u.Name
	}
	return who + ":" + hostuser.GroupName(gid)
}

// Set gives every file its owner and mode, and moves those that have another place; with dry it only
// looks. say hears a line about each that is, or would be, changed. Nothing may run meanwhile.
func (p *Permissions) Set(dry bool, say func(line string)) error {
	if os.Geteuid() != 0 {
		return errors.New("only root can give files to other users")
	}
	for _, move := range p.moves {
		if err := p.move(move[0], move[1], dry, say); err != nil {
			return err
		}
	}
	for _, h := range p.holdings {
		info, err := os.Lstat(h.path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil && info.IsDir() && h.deep {
			err = h.setAll(dry, say)
		} else if err == nil {
			err = h.setOne(info, dry, say)
		}
		if err != nil {
			return err
		}
	}
	return p.logEntered()
}

// move moves a file or folder to the place that it has from now on.
func (p *Permissions) move(from, to string, dry bool, say func(string)) error {
	if _, err := os.Lstat(from); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	if _, err := os.Lstat(to); err == nil {
		say(fmt.Sprintf("%s stays: there is %s", from, to))
		return nil
	}
	say(fmt.Sprintf("%s becomes %s", from, to))
	if dry {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	return os.Rename(from, to)
}

// setOne is for a file, or a folder without what is in it.
func (h holding) setOne(info fs.FileInfo, dry bool, say func(string)) error {
	wrong := h.wrong(info, true)
	if wrong == "" {
		return nil
	}
	say(h.path + " is " + wrong)
	if dry {
		return nil
	}
	return vfs.Give(h.path, func(info fs.FileInfo) (int, int, fs.FileMode, error) {
		uid, gid, mode := h.want(info, true)
		return uid, gid, mode, nil
	})
}

// setAll is for a folder with all that is in it. It does not leave it: whoever has written there
// may have left links to other places.
func (h holding) setAll(dry bool, say func(string)) (err error) {
	root, err := os.OpenRoot(h.path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	changed, first := 0, ""
	err = fs.WalkDir(root.FS(), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := root.Lstat(path)
		if err != nil {
			return err
		}
		wrong := h.wrong(info, path == ".")
		if wrong == "" {
			return nil
		}
		if changed++; first == "" {
			first = filepath.Join(h.path, path) + " is " + wrong
		}
		if dry {
			return nil
		}
		uid, gid, mode := h.want(info, path == ".")
		return errors.Join(root.Lchown(path, uid, gid), root.Chmod(path, mode))
	})
	switch {
	case changed == 1:
		say(first)
	case changed > 1:
		say(fmt.Sprintf("%s, and %d more like it", first, changed-1))
	}
	return err
}

// Folders are those that a role may write in, when roles have users of their own.
func (r *Roles) Folders(c *configs.Config, role string) []string {
	all := append([]string{c.Path(c.Store.Path)}, r.Database(c)...)
	if role == configs.RoleMTA {
		all = append(all, c.Path(configs.QueueDir), c.Path(configs.MTADir))
	}
	return slices.Clip(all)
}

// Database is what of them whoever opens the database writes in.
func (r *Roles) Database(c *configs.Config) (all []string) {
	database := c.Path(c.Directory.Path)
	if dir := filepath.Dir(database); filepath.Clean(dir) != filepath.Clean(c.Dir()) {
		return []string{dir}
	}
	for _, end := range databaseFiles {
		all = append(all, database+end)
	}
	return all
}

// Describe says who the roles are, for the log.
func (r *Roles) Describe() string {
	var all []string
	for _, role := range []string{configs.RoleStore, configs.RoleMTA, configs.RoleAdmin} {
		all = append(all, role+"="+r.User(role).Name)
	}
	return strings.Join(all, " ")
}
