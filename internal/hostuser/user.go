package hostuser

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
)

// Files of users and groups.
const (
	passwdFile = "/etc/passwd"
	groupFile  = "/etc/group"
)

// ErrNoUser is returned for a name or number that no user of this host has.
var ErrNoUser = errors.New("no such user on this host")

// ErrRoot is returned where something would run as root.
var ErrRoot = errors.New("nothing is delivered with the rights of root")

// ErrNotPermitted is returned where this process cannot become the user.
var ErrNotPermitted = errors.New("only root can become another user")

// User is a user of this host.
type User struct {
	Name     string
	UID, GID int
	Home     string
	Shell    string
}

// Find is the user of this name. A system that has no answer is another error than
// ErrNoUser.
func Find(name string) (User, error) {
	if name == "" || strings.ContainsAny(name, ":\n") {
		return User{}, ErrNoUser
	}
	return findIn(passwdFile, func(u User) bool { return u.Name == name })
}

// FindID is the first user with this number.
func FindID(uid int) (User, error) {
	return findIn(passwdFile, func(u User) bool { return u.UID == uid })
}

func findIn(file string, want func(User) bool) (found User, err error) {
	err = eachLine(file, func(fields []string) bool {
		if len(fields) < 7 {
			return false
		}
		uid, err1 := strconv.Atoi(fields[2])
		gid, err2 := strconv.Atoi(fields[3])
		if err1 != nil || err2 != nil || uid < 0 || gid < 0 {
			return false
		}
		found = User{Name: fields[0], UID: uid, GID: gid, Home: fields[5], Shell: fields[6]}
		return want(found)
	})
	return found, err
}

// eachLine reads a file of lines with colons until want is true; ErrNoUser when it never was.
func eachLine(file string, want func(fields []string) bool) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	for r := bufio.NewReader(f); ; {
		line, err := r.ReadString('\n')
		line = strings.TrimSpace(line)
		// A line with + or - asks another service (passwd(5)).
		if line != "" && !strings.ContainsAny(line[:1], "#+-") && want(strings.Split(line, ":")) {
			return nil
		}
		if errors.Is(err, io.EOF) {
			return ErrNoUser
		}
		if err != nil {
			return err
		}
	}
}

// noUser is ErrNoUser with the name.
type noUser struct{ name string }

func (e *noUser) Error() string { return fmt.Sprintf("there is no user %q", e.name) }

func (e *noUser) Unwrap() error { return ErrNoUser }

// Parse reads "user" or "user:group": main.user, user= of pipe(8), default_privs. Numbers are taken where no name is; a
// number without an entry, as in a container, needs a group. A negative one is nobody's. Whether it may be root is the caller's to say:
// [User.NotRoot].
func Parse(text string) (User, error) { return parse(text, passwdFile, groupFile) }

// parse reads files; one that is not there has nobody in it.
func parse(text, passwd, groups string) (User, error) {
	name, group, grouped := strings.Cut(text, ":")
	u, err := User{}, ErrNoUser
	if name != "" {
		u, err = findIn(passwd, func(u User) bool { return u.Name == name })
	}
	err = nobodyThere(err)
	if uid, bad := strconv.Atoi(name); errors.Is(err, ErrNoUser) && bad == nil && uid >= 0 {
		u, err = findIn(passwd, func(u User) bool { return u.UID == uid })
		switch err = nobodyThere(err); {
		case errors.Is(err, ErrNoUser) && grouped:
			u, err = User{Name: name, UID: uid, GID: -1, Home: "/", Shell: "/bin/sh"}, nil
		case errors.Is(err, ErrNoUser):
			return User{}, fmt.Errorf("%q has no entry in %s: its group is needed, as \"user:group\"", name, passwdFile)
		}
	}
	switch {
	case errors.Is(err, ErrNoUser):
		return User{}, &noUser{name}
	case err != nil:
		return User{}, fmt.Errorf("user %q: %w", name, err)
	}
	if grouped {
		u.GID, err = groupIn(groups, group)
	}
	return u, err
}

// nobodyThere is ErrNoUser for a file that is not there, as in a container without users.
func nobodyThere(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return ErrNoUser
	}
	return err
}

// Group is the number of a group, which may be given as that.
func Group(name string) (int, error) { return groupIn(groupFile, name) }

func groupIn(file, name string) (gid int, err error) {
	err = eachLine(file, func(fields []string) bool {
		if len(fields) < 3 || fields[0] != name {
			return false
		}
		gid, err = strconv.Atoi(fields[2])
		return err == nil
	})
	if err = nobodyThere(err); err == nil {
		return gid, nil
	}
	if gid, bad := strconv.Atoi(name); errors.Is(err, ErrNoUser) && bad == nil && gid >= 0 {
		return gid, nil
	}
	if errors.Is(err, ErrNoUser) {
		return -1, fmt.Errorf("there is no group %q", name)
	}
	return -1, err
}

// GroupName is the name of a group, its number where none has it.
func GroupName(gid int) string {
	name, number := strconv.Itoa(gid), strconv.Itoa(gid)
	_ = eachLine(groupFile, func(fields []string) bool { // the number is as good
		if len(fields) < 3 || fields[2] != number {
			return false
		}
		name = fields[0]
		return true
	})
	return name
}

// Groups are the numbers of the groups of a user: the own one first, then those in which the name stands.
func (u User) Groups() ([]int, error) {
	all := []int{u.GID}
	err := eachLine(groupFile, func(fields []string) bool {
		if len(fields) < 4 || !slices.Contains(strings.Split(fields[3], ","), u.Name) {
			return false
		}
		if gid, err := strconv.Atoi(fields[2]); err == nil && gid >= 0 && !slices.Contains(all, gid) {
			all = append(all, gid)
		}
		return false
	})
	if errors.Is(err, ErrNoUser) || errors.Is(err, fs.ErrNotExist) {
		err = nil // the end of the file
	}
	return all, err
}

// NotRoot is an error for root, and for who has its group.
func (u User) NotRoot() error {
	if u.UID <= 0 || u.GID <= 0 {
		return fmt.Errorf("%s (%d:%d): %w", u.Name, u.UID, u.GID, ErrRoot)
	}
	return nil
}

// Permitted says whether this process can run a command, or work, as u.
func (u User) Permitted() error {
	if err := u.NotRoot(); err != nil {
		return err
	}
	if me := os.Geteuid(); me != 0 && (me != u.UID || os.Getegid() != u.GID) {
		return fmt.Errorf("this process is user %d:%d and cannot become %s (%d:%d): %w; deliveries for several users need a server that stays root (main.user = \"\"), or an LMTP server of theirs",
			me, os.Getegid(), u.Name, u.UID, u.GID, ErrNotPermitted)
	}
	return nil
}
