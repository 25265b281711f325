package hostuser

import (
	"errors"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
)

// TestParse: names and numbers, with a group or without; who is not there, and who may not be become.
func TestParse(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]User{
		"54321:54321": {Name: "54321", UID: 54321, GID: 54321, Home: "/", Shell: "/bin/sh"}, "nobody:mail": {Name: "nobody", UID: 65534, GID: 8, Home: "/nonexistent", Shell: "/usr/sbin/nologin"},
		"root": {Name: "root", Home: "/root", Shell: "/bin/bash"}, "65534:7": {Name: "nobody", UID: 65534, GID: 7, Home: "/nonexistent", Shell: "/usr/sbin/nologin"},
	} {
		if u, err := Parse(text); err != nil || u != want {
			t.Errorf("%q is %+v, %v", text, u, err)
		}
	}
	for text, says := range map[string]string{
		"": `there is no user ""`, ":1": `there is no user ""`, "no-such-user": `there is no user "no-such-user"`, "54321": `"54321" has no entry in /etc/passwd: its group is needed, as "user:group"`,
		"nobody:no-such-group": `there is no group "no-such-group"`, "-1:-1": `there is no user "-1"`, "nobody:-1": `there is no group "-1"`, "nobody:": `there is no group ""`,
	} {
		if u, err := Parse(text); err == nil || err.Error() != says {
			t.Errorf("%q is %+v, %v", text, u, err)
		}
	}
	if _, err := Parse("no-such-user"); !errors.Is(err, ErrNoUser) {
		t.Error(err)
	}
	for _, text := range []string{"root", "0:0", "0:5", "nobody:root", "nobody:0"} {
		u, err := Parse(text)
		if err != nil || !errors.Is(u.NotRoot(), ErrRoot) || !errors.Is(u.Permitted(), ErrRoot) {
			t.Errorf("%q: %v, %v", text, err, u.NotRoot())
		}
	}
	if u, err := Parse("54321:54321"); err != nil || errors.Is(u.Permitted(), ErrNotPermitted) != (os.Geteuid() != 0) {
		t.Errorf("%v", u.Permitted())
	}
}

// TestWithoutFiles: a container may have neither; numbers are as good. Who is looked up by name is another thing: nobody's mail is refused
// because a file is away.
func TestWithoutFiles(t *testing.T) {
	t.Parallel()
	none := filepath.Join(t.TempDir(), "none")
	if u, err := parse("1000:1001", none, none); err != nil || u.UID != 1000 || u.GID != 1001 {
		t.Errorf("%+v %v", u, err)
	}
	if u, err := parse("somebody", none, none); !errors.Is(err, ErrNoUser) {
		t.Errorf("%+v %v", u, err)
	}
}

// TestAsTheLibrary: what package user says of each user of this host.
func TestAsTheLibrary(t *testing.T) {
	t.Parallel()
	n := 0
	err := eachLine(passwdFile, func(fields []string) bool {
		n++
		want, err := user.Lookup(fields[0])
		got, gotErr := Find(fields[0])
		if errors.Join(err, gotErr) != nil || strconv.Itoa(got.UID) != want.Uid || strconv.Itoa(got.GID) != want.Gid || got.Home != want.HomeDir {
			t.Errorf("%s: %+v, want %+v; %v %v", fields[0], got, want, err, gotErr)
			return false
		}
		groups, err := got.Groups()
		ids, idsErr := want.GroupIds()
		var numbers []string
		for _, g := range groups {
			numbers = append(numbers, strconv.Itoa(g))
		}
		slices.Sort(numbers)
		slices.Sort(ids)
		if errors.Join(err, idsErr) != nil || !slices.Equal(numbers, slices.Compact(ids)) {
			t.Errorf("%s is in %v, want %v; %v %v", fields[0], numbers, ids, err, idsErr)
		}
		return false
	})
	if !errors.Is(err, ErrNoUser) || n < 5 {
		t.Errorf("%d users: %v", n, err)
	}
	if GroupName(8) != "mail" || GroupName(54321) != "54321" {
		t.Errorf("%s, %s", GroupName(8), GroupName(54321))
	}
}

// TestOddLines are nobody: those of another service, comments, short ones, numbers that are none.
func TestOddLines(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "passwd")
	if err := os.WriteFile(file, []byte("+x::1:1:::\n-y::1:1:::\n# z::1:1:::\n\nshort:x:1\nminus:x:-1:1::/:/bin/sh\nword:x:a:1::/:/bin/sh\nlast:x:7:8:g,e:/home/last:/bin/x"), 0o600); err != nil {
		t.Fatal(err)
	}
	var names []string
	_, err := findIn(file, func(u User) bool { names = append(names, u.Name); return false })
	if !errors.Is(err, ErrNoUser) || !slices.Equal(names, []string{"last"}) {
		t.Errorf("%q %v", names, err)
	}
	if _, err := findIn(file+"none", func(User) bool { return true }); err == nil || errors.Is(err, ErrNoUser) {
		t.Errorf("a file that is not there: %v", err)
	}
}
