package process

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
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

// Parse reads "user" or "user:group", as pipe(8)'s user=. Numbers are taken where no name is; a
// number without an entry needs a group. Root is refused.
func Parse(text string) (User, error) {
	name, group, grouped := strings.Cut(text, ":")
	u, err := Find(name)
	if uid, bad := strconv.Atoi(name); errors.Is(err, ErrNoUser) && bad == nil && uid >= 0 {
		switch u, err = FindID(uid); {
		case errors.Is(err, ErrNoUser) && grouped:
			u, err = User{Name: name, UID: uid, GID: -1, Home: "/", Shell: shell}, nil
		case errors.Is(err, ErrNoUser):
			err = fmt.Errorf("%w, and its group is not given", err)
		}
	}
	if err != nil {
		return User{}, fmt.Errorf("%q: %w", name, err)
	}
	if grouped {
		if u.GID, err = groupID(group); err != nil {
			return User{}, err
		}
	}
	return u, u.refuseRoot()
}

func groupID(name string) (gid int, err error) {
	err = eachLine(groupFile, func(fields []string) bool {
		if len(fields) < 3 || fields[0] != name {
			return false
		}
		gid, err = strconv.Atoi(fields[2])
		return err == nil
	})
	if err == nil {
		return gid, nil
	}
	if gid, bad := strconv.Atoi(name); errors.Is(err, ErrNoUser) && bad == nil && gid >= 0 {
		return gid, nil
	}
	return -1, fmt.Errorf("there is no group %q", name)
}

func (u User) refuseRoot() error {
	if u.UID <= 0 || u.GID <= 0 {
		return fmt.Errorf("%s (%d:%d): %w", u.Name, u.UID, u.GID, ErrRoot)
	}
	return nil
}

// Permitted says whether this process can run a command, or work, as u.
func (u User) Permitted() error {
	if err := u.refuseRoot(); err != nil {
		return err
	}
	if me := os.Geteuid(); me != 0 && (me != u.UID || os.Getegid() != u.GID) {
		return fmt.Errorf("this process is user %d:%d and cannot become %s (%d:%d): %w; deliveries for several users need a server that stays root (main.user = \"\"), or an LMTP server of theirs",
			me, os.Getegid(), u.Name, u.UID, u.GID, ErrNotPermitted)
	}
	return nil
}
