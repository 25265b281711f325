package rights

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"toastmaster/configs"
)

// TestLogFolder: with a user for each role all of them must come to the log file. The folder is given to them when it is
// main.user's; another one is named, with what lets them in.
func TestLogFolder(t *testing.T) {
	t.Parallel()
	c := instance(t, "user = \"54321:54321\"\n[master]\nrole_users = [\"mta=54322:54322\", \"store=54323:54323\", \"admin=54324:54324\"]\n[log]\nfile = \"logs/mail.log\"\n")
	dir := filepath.Join(c.Dir(), "logs")
	must(t, os.Mkdir(dir, 0o750))
	must(t, os.Chmod(filepath.Dir(c.Dir()), 0o755))
	p, err := PermissionsOf(c)
	must(t, err)
	var said []string
	set := func(dry bool) error {
		said = nil
		return p.Set(dry, func(line string) { said = append(said, line) })
	}
	if os.Geteuid() != 0 {
		if err := set(false); err == nil || !strings.Contains(err.Error(), "only root") {
			t.Error(err)
		}
		return
	}
	for _, dry := range []bool{true, false} {
		if err := set(dry); err == nil || !strings.Contains(err.Error(), "log.file: the role mta, which is 54322, may not enter "+dir+": ") || !strings.Contains(err.Error(), "chown 54321:54321 "+dir) {
			t.Errorf("root's folder: %v", err)
		}
	}
	if err := p.Check(); err == nil || !strings.Contains(err.Error(), "may not enter") {
		t.Errorf("a start with root's folder: %v", err)
	}
	must(t, os.Chown(dir, 54321, 4)) // a group of those who read logs
	p, err = PermissionsOf(c)
	must(t, err)
	if err := p.Check(); err == nil || !strings.Contains(err.Error(), dir+" is of 54321:adm and should be of 54321:54321") {
		t.Errorf("a start with another group's: %v", err)
	}
	if err := set(false); err != nil || len(said) != 1 || !strings.HasPrefix(said[0], dir+" is of") {
		t.Errorf("%v, %q", err, said)
	}
	must(t, KeepLog(c))
	if err := p.Check(); err != nil {
		t.Error(err)
	}
	for _, role := range []string{configs.RoleMTA, configs.RoleStore, configs.RoleAdmin} {
		must(t, p.roles.User(role).May(dir, 1))
		must(t, p.roles.User(role).May(c.Path(c.Log.File), 2))
	}
	must(t, os.Chmod(dir, 0o755))
	must(t, os.Chown(dir, 0, 0))
	p, err = PermissionsOf(c)
	must(t, err)
	if err := p.Check(); err != nil {
		t.Errorf("a folder that everybody may enter: %v", err)
	}
}

// TestPasswordFileIsMendedInPlace: a file that was put there by hand needs no stop of all.
func TestPasswordFileIsMendedInPlace(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		return // nobody else can have files of three users
	}
	c := instance(t, "user = \"54321:54321\"\n[master]\nrole_users = [\"mta=54322:54322\", \"store=54323:54323\", \"admin=54324:54324\"]\n[smtp]\npassword_file = \"passwords\"\n")
	p, err := PermissionsOf(c)
	must(t, err)
	must(t, p.Set(false, func(string) {}))
	file := c.Path("passwords")
	must(t, os.WriteFile(file, nil, 0o600))
	if err := p.Check(); err == nil || !strings.Contains(err.Error(), "`chown 54322:54322 "+file+" && chmod 0600 "+file+"`, as root") {
		t.Errorf("%v", err)
	}
}
