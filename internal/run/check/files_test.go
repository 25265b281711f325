package check

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"toastmaster/configs"
	"toastmaster/internal/run/initial"
	"toastmaster/internal/run/usage"
)

// template is an instance as init makes it; every test has a copy, as making one takes long.
var template = sync.OnceValues(func() (dir string, err error) {
	if dir, err = os.MkdirTemp("", "check"); err == nil {
		_, err = initial.Make(context.Background(), initial.Options{Dir: dir, PortBase: 20_000, Hostname: "mx.test", Host: "127.0.0.1"})
	}
	return dir, err
})

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, _ := template(); dir != "" {
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

// made is an instance in a folder of its own.
func made(t *testing.T) string {
	t.Helper()
	from, err := template()
	must(t, err)
	dir := t.TempDir()
	must(t, filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		to := filepath.Join(dir, strings.TrimPrefix(path, from))
		if d.IsDir() {
			if err := os.Mkdir(to, info.Mode()); err != nil && !errors.Is(err, fs.ErrExist) {
				return err
			}
			return os.Chmod(to, info.Mode())
		}
		text, err := os.ReadFile(path)
		return errors.Join(err, os.WriteFile(to, text, info.Mode()))
	}))
	return dir
}

// changed is its configuration with pieces of its text replaced; "" stands for the end.
func changed(t *testing.T, dir string, changes ...string) (c *configs.Config, lines []string) {
	t.Helper()
	file := filepath.Join(dir, "toastmaster.toml")
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	for i := 0; i < len(changes); i += 2 {
		if changes[i] == "" {
			text += "\n" + changes[i+1]
			continue
		}
		if !strings.Contains(text, changes[i]) {
			t.Fatalf("there is no %q in\n%s", changes[i], text)
		}
		text = strings.Replace(text, changes[i], changes[i+1], 1)
	}
	if c, err = configs.Parse(file, []byte(text)); err != nil {
		t.Fatal(err)
	}
	return c, strings.Split(text, "\n")
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// each runs f with the cases beside each other.
func each[C any](t *testing.T, cases map[string]C, f func(t *testing.T, c C)) {
	t.Helper()
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f(t, c)
		})
	}
}

func write(name, text string, mode fs.FileMode) func(dir string) error {
	return func(dir string) error {
		path := filepath.Join(dir, name)
		return errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600), os.Chmod(path, mode))
	}
}

func nothing(string) error { return nil }

// TestWhatInitMakesIsGood: Files has nothing to say about it, nor about what it allows.
func TestWhatInitMakesIsGood(t *testing.T) {
	t.Parallel()
	each(t, map[string][]string{
		"as it is":                {},
		"a log beside it":         {"", "[log]\nfile = \"log\"\n"},
		"a log that is there":     {"", "[log]\nfile = \"old.log\"\n"},
		"a store elsewhere":       {"", "[store]\npath = \"elsewhere\"\n"},
		"an empty store":          {"", "[store]\npath = \"empty\"\n"},
		"a database not made yet": {"", "[directory]\npath = \"other.db\"\n"},
		"passwords":               {"", "[smtp]\npassword_file = \"passwords\"\n"},
		"a transport's passwords": {"", "[[transport]]\nname = \"a\"\ndomains = [\"a.test\"]\npassword_file = \"passwords\"\n"},
		"a socket of before":      {"[admin]\n", "[admin]\nsocket = \"old.sock\"\n"},
	}, func(t *testing.T, changes []string) {
		dir := made(t)
		must(t, errors.Join(write("passwords", "x.test a:b\n", 0o600)(dir), write("old.log", "x", 0o600)(dir), os.Mkdir(dir+"/empty", 0o700), socket(dir+"/old.sock")))
		c, _ := changed(t, dir, changes...)
		before := names(t, dir)
		if err := Files(c, nil); err != nil {
			t.Error(err)
		}
		if after := names(t, dir); !slices.Equal(before, after) {
			t.Errorf("it made or removed something: %q, before %q", after, before)
		}
	})
}

func names(t *testing.T, dir string) (out []string) {
	t.Helper()
	must(t, filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		out = append(out, path)
		return err
	}))
	return out
}

// mistaken is an instance that cannot start, and what is said.
type mistaken struct {
	spoil  func(dir string) error
	change []string
	param  string
	// line is text of the line that is named, "" for none.
	line string
	says []string
}

// TestFilesNamesTheMistake: its parameter, its line, what is wrong, and which file.
func TestFilesNamesTheMistake(t *testing.T) {
	t.Parallel()
	section := func(name, row string) []string { return []string{"", "[" + name + "]\n" + row + "\n"} }
	mkdir := func(names ...string) func(string) error {
		return func(dir string) (err error) {
			for _, n := range names {
				err = errors.Join(err, os.MkdirAll(filepath.Join(dir, n), 0o700))
			}
			return err
		}
	}
	link := func(to, name string) func(string) error {
		return func(dir string) error { return os.Symlink(to, filepath.Join(dir, name)) }
	}
	// queueToo makes of the queue's folder one that could be a store.
	queueToo := func(dir string) error {
		return errors.Join(mkdir("queue/.toastmaster")(dir), write("queue/epoch", "", 0o600)(dir))
	}
	const data = `data_dir = "."`
	each(t, map[string]mistaken{
		"no data":                {nothing, []string{data, `data_dir = "gone"`}, "main.data_dir", "data_dir", []string{"/gone is missing", "toastmaster init"}},
		"data is a file":         {write("f", "", 0o600), []string{data, `data_dir = "f"`}, "main.data_dir", "data_dir", []string{"/f is not a folder", "allowed: a folder"}},
		"a restore under way":    {write("restoring", "/backups/2026\n", 0o600), nil, "main.data_dir", "data_dir", []string{"restore of the backup /backups/2026 was interrupted"}},
		"a note nobody can read": {mkdir("restoring"), nil, "main.data_dir", "data_dir", []string{"restoring"}},
		"no folder for the log":  {nothing, section("log", `file = "no/log"`), "log.file", "file =", []string{"no", "allowed: \"stderr\" or a file"}},
		"the log is a folder":    {nothing, section("log", `file = "mail"`), "log.file", "file =", []string{"/mail is a folder"}},
		"a certificate is gone":  {func(dir string) error { return os.Remove(dir + "/tls/cert.pem") }, nil, "tls.certificates", "", []string{"cert.pem"}},
		"a key is none":          {write("tls/key.pem", "x", 0o600), section("tls", `certificates = ["tls/cert.pem,tls/key.pem"]`), "tls.certificates", "certificates", []string{"key.pem"}},
		"no certificate":         {nothing, section("tls", "certificates = []"), "tls.certificates", "certificates", []string{"no certificate is configured"}},
		"the database a folder":  {mkdir("db"), section("directory", `path = "db"`), "directory.path", "path =", []string{"/db is a folder", "SQLite"}},
		"passwords for all":      {write("p", "x.test a:b\n", 0o604), section("smtp", `password_file = "p"`), "smtp.password_file", "password_file", []string{"/p may be read"}},
		"no passwords":           {nothing, section("smtp", `password_file = "p"`), "smtp.password_file", "password_file", []string{"/p: no such file"}},
		"a transport's": {write("p", "x.test a:b\n", 0o644), []string{"", "[[transport]]\nname = \"a\"\ndomains = [\"a.test\"]\npassword_file = \"p\"\n"},
			"transport.a.password_file", "password_file", []string{"/p may be read"}},
		"a store of photos":      {write("photos/1.jpg", "", 0o600), section("store", `path = "photos"`), "store.path", "path =", []string{"1.jpg", "--adopt store"}},
		"a store that is a file": {write("f", "", 0o600), section("store", `path = "f"`), "store.path", "path =", []string{"/f is not a folder"}},
		"a foreign queue": {func(dir string) error {
			return errors.Join(os.RemoveAll(dir+"/queue"), write("queue/x", "", 0o600)(dir))
		}, nil, "main.data_dir", "data_dir", []string{"queue has x in it"}},
		"the queue is a file":      {func(dir string) error { return errors.Join(os.RemoveAll(dir+"/queue"), write("queue", "", 0o600)(dir)) }, nil, "main.data_dir", "data_dir", []string{"/queue is not a folder"}},
		"store and queue are one":  {queueToo, section("store", `path = "queue"`), "store.path", "path =", []string{"is the queue's folder"}},
		"one through a link":       {func(dir string) error { return errors.Join(queueToo(dir), link("queue", "q")(dir)) }, section("store", `path = "q"`), "store.path", "path =", []string{"/q is the queue's folder"}},
		"the store in the queue":   {nothing, section("store", `path = "queue/mail"`), "store.path", "path =", []string{"lies in the queue's folder"}},
		"the queue in the store":   {mkdir(".toastmaster"), section("store", `path = "."`), "store.path", "path =", []string{"the queue's folder, ", "/queue, lies in"}},
		"no such restriction":      {nothing, []string{"[smtpd]\n", "[smtpd]\nrecipient_restrictions = [\n\"permit_mynetworks\",\n\"nonsense\"]\n"}, "smtpd.recipient_restrictions", `"nonsense"`, []string{"nonsense"}},
		"an open relay":            {nothing, []string{"[smtpd]\n", "[smtpd]\nrelay_restrictions = [\"permit\"]\n"}, "smtpd.relay_restrictions", "relay_restrictions", []string{"relay"}},
		"the log is the database":  {nothing, section("log", `file = "directory.db"`), "log.file", "file =", []string{"directory.db is the file of directory.path, too"}},
		"or lies where it will":    {nothing, section("log", `file = "directory.db-wal"`), "log.file", "file =", []string{"is the file of directory.path, too"}},
		"the log is a key":         {nothing, section("log", `file = "tls/key.pem"`), "log.file", "file =", []string{"is the file of tls.certificates, too"}},
		"the log is this file":     {nothing, section("log", `file = "toastmaster.toml"`), "log.file", "file =", []string{"is the file of the configuration, too"}},
		"the log by another name":  {func(dir string) error { return os.Link(dir+"/tls/cert.pem", dir+"/other") }, section("log", `file = "other"`), "log.file", "file =", []string{"is the file of tls.certificates, too"}},
		"the log through a link":   {link("tls", "t"), section("log", `file = "t/key.pem"`), "log.file", "file =", []string{"is the file of tls.certificates, too"}},
		"the log is a password":    {write("p", "x.test a:b\n", 0o600), []string{"", "[log]\nfile = \"p\"\n[smtp]\npassword_file = \"p\"\n"}, "log.file", "file =", []string{"is the file of smtp.password_file, too"}},
		"of a transport":           {write("p", "x.test a:b\n", 0o600), []string{"", "[log]\nfile = \"p\"\n[[transport]]\nname = \"a\"\ndomains = [\"a.test\"]\npassword_file = \"p\"\n"}, "log.file", "file =", []string{"is the file of transport.a.password_file, too"}},
		"two sockets":              {nothing, []string{"[admin]\n", "[admin]\nsocket = \"lmtp.sock\"\n"}, "admin.socket", "socket =", []string{"is the file of lmtpd.listen, too"}},
		"the socket is the log":    {nothing, []string{"[admin]\n", "[admin]\nsocket = \"log\"\n", "", "[log]\nfile = \"log\"\n"}, "log.file", "file =", []string{"is the file of admin.socket, too"}},
		"the log among the mail":   {nothing, section("log", `file = "mail/log"`), "log.file", "file =", []string{"lies in the folder of store.path"}},
		"the log in the queue":     {nothing, section("log", `file = "queue/log"`), "log.file", "file =", []string{"lies in the folder of the queue"}},
		"the database in the mail": {nothing, section("directory", `path = "mail/d.db"`), "directory.path", "path =", []string{"lies in the folder of store.path"}},
		"a socket in the queue":    {nothing, []string{"[admin]\n", "[admin]\nsocket = \"queue/s\"\n"}, "admin.socket", "socket =", []string{"lies in the folder of the queue"}},
		"a file as socket":         {write("s", "", 0o600), []string{"[admin]\n", "[admin]\nsocket = \"s\"\n"}, "admin.socket", "socket =", []string{"/s exists and is no socket"}},
		"a link as socket":         {link("none", "s"), []string{"[admin]\n", "[admin]\nsocket = \"s\"\n"}, "admin.socket", "socket =", []string{"/s exists and is no socket"}},
		"a long socket":            {nothing, []string{"[admin]\n", "[admin]\nsocket = \"" + strings.Repeat("s", 100) + "\"\n"}, "admin.socket", "socket =", []string{"longer than a socket's name may be, 99 octets"}},
		"no folder for a socket":   {nothing, []string{"unix:lmtp.sock", "unix:no/lmtp.sock"}, "lmtpd.listen", "lmtp.sock", []string{"/no"}},
		"no such group":            {nothing, []string{"[lmtpd]\n", "[lmtpd]\nunix_listener_group = \"nosuchgroup\"\n"}, "lmtpd.unix_listener_group", "unix_listener_group", []string{`no group "nosuchgroup"`}},
		"no such user":             {nothing, []string{data, data + "\nuser = \"nosuchuser\""}, "main.user", "user =", []string{`no user "nosuchuser"`}},
	}, func(t *testing.T, m mistaken) {
		dir := made(t)
		must(t, m.spoil(dir))
		c, lines := changed(t, dir, m.change...)
		_, err := All(t.Context(), c, nil)
		var at *configs.Error
		if !errors.As(err, &at) || !errors.Is(err, usage.Err) {
			t.Fatalf("%v", err)
		}
		want := 0
		if m.line != "" {
			want = slices.IndexFunc(lines, func(l string) bool { return strings.Contains(l, m.line) }) + 1
		}
		if at.Param != m.param || at.Line != want || at.File != c.File {
			t.Errorf("%s:%d: %s, want line %d of %s", at.File, at.Line, at.Param, want, m.param)
		}
		for _, s := range m.says {
			if !strings.Contains(err.Error(), s) {
				t.Errorf("%v\ndoes not say %q", err, s)
			}
		}
	})
}

// socket leaves a socket that nobody listens on.
func socket(path string) error {
	l, err := listenUnix(path)
	if err != nil {
		return err
	}
	return l.Close()
}

// TestTheUserThatServesMayUseIt: what root looks at is looked at as the one whom root's server
// becomes; the first file that it may not use is named, with what mends it. It is beside no
// other test: for a while the whole process is that user.
func TestTheUserThatServesMayUseIt(t *testing.T) {
	if os.Geteuid() != 0 {
		// Who is not root looks at what is its own, in TestWhatInitMakesIsGood.
		return
	}
	nobody, err := user.Lookup("nobody")
	must(t, err)
	var uid, gid int
	_, err = fmt.Sscan(nobody.Uid+" "+nobody.Gid, &uid, &gid)
	must(t, err)
	give := func(t *testing.T, dir string) {
		t.Helper()
		must(t, os.Chmod(filepath.Dir(dir), 0o755))
		must(t, filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error { return errors.Join(err, os.Lchown(path, uid, gid)) }))
	}
	take := func(name string) func(string) error {
		return func(dir string) error {
			return errors.Join(os.Chown(filepath.Join(dir, name), 0, 0), os.Chmod(filepath.Join(dir, name), 0o700))
		}
	}
	passwords := []string{"", "[smtp]\npassword_file = \"p\"\n[log]\nfile = \"l\"\n[[transport]]\nname = \"a\"\ndomains = [\"a.test\"]\npassword_file = \"q\"\n"}
	for name, m := range map[string]struct {
		take   func(string) error
		change []string
		param  string // of what is refused, "" for nothing
		// owner is where main.user is not asked and the owner's key is looked at.
		owner bool
	}{
		"all is given":      {nothing, nil, "", true},
		"the data":          {take("."), nil, "main.data_dir", false},
		"the database":      {take("directory.db"), nil, "directory.path", true},
		"the store":         {take("mail"), nil, "store.path", true},
		"its own folder":    {take("mail/.toastmaster"), nil, "store.path", true},
		"the queue":         {take("queue"), nil, "main.data_dir", true},
		"the configuration": {take("toastmaster.toml"), nil, "the configuration", true},
		"passwords":         {take("p"), passwords, "smtp.password_file", true},
		"of a transport":    {take("q"), passwords, "transport.a.password_file", true},
		"the log":           {take("l"), passwords, "log.file", true},
		"the log's folder":  {take("d"), []string{"", "[log]\nfile = \"d/l\"\n"}, "log.file", true},
		"a socket's folder": {take("d"), []string{"unix:lmtp.sock", "unix:d/lmtp.sock"}, "lmtpd.listen", true},
	} {
		for _, by := range []string{"nobody", ""} {
			if by == "" && !m.owner {
				continue
			}
			dir := made(t)
			must(t, errors.Join(write("p", "x.test a:b\n", 0o600)(dir), write("q", "x.test a:b\n", 0o600)(dir), write("l", "", 0o600)(dir), os.Mkdir(dir+"/d", 0o700)))
			give(t, dir)
			must(t, m.take(dir))
			change := m.change
			if by != "" {
				change = append([]string{`data_dir = "."`, "data_dir = \".\"\nuser = \"nobody\""}, change...)
			}
			c, _ := changed(t, dir, change...)
			err := Files(c, nil)
			var at *configs.Error
			if m.param == "" {
				if err != nil {
					t.Errorf("%s, user %q: %v", name, by, err)
				}
				continue
			}
			if !errors.As(err, &at) || at.Param != m.param || !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "nobody") {
				t.Errorf("%s, user %q: %v", name, by, err)
			}
			if mends := map[string]string{"nobody": "chown -R nobody ", "": "give it the right"}[by]; err != nil && !strings.Contains(err.Error(), mends) {
				t.Errorf("%v\ndoes not say %q", err, mends)
			}
		}
	}
}
