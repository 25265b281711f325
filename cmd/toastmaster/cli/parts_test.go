package cli

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"toastmaster/configs"
	"toastmaster/directory/sql"
	"toastmaster/internal/db"
	"toastmaster/internal/identity"
	"toastmaster/internal/run"
	"toastmaster/internal/run/parts"
	"toastmaster/internal/vfs"
	"toastmaster/migrations"
)

// everyName lists all names below a folder, so that a test sees what was made.
func everyName(t *testing.T, root string) string {
	t.Helper()
	all := ""
	err := filepath.WalkDir(root, func(path string, _ os.DirEntry, err error) error {
		all += path + "\n"
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// used is an instance that has served: init, one start and stop.
func used(t *testing.T) (dir string, c *configs.Config) {
	t.Helper()
	dir = t.TempDir()
	runs(t, 0, "init", dir, "--hostname", "mx.example.test")
	c, err := configs.Load(filepath.Join(dir, "toastmaster.toml"))
	if err != nil {
		t.Fatal(err)
	}
	starts(t, c)
	if err := os.MkdirAll(filepath.Join(dir, "mail", "example.test", "alice", "cur"), 0o700); err != nil {
		t.Fatal(err)
	}
	return dir, c
}

// starts serves, on no port, until all is ready, and stops.
func starts(t *testing.T, c *configs.Config) {
	t.Helper()
	quiet := *c
	for _, listen := range []*[]string{
		&quiet.SMTPD.Listen, &quiet.SMTPD.SubmissionListen, &quiet.SMTPD.SubmissionsListen, &quiet.LMTPD.Listen, &quiet.IMAPD.Listen, &quiet.IMAPD.ListenTLS,
		&quiet.POP3D.Listen, &quiet.POP3D.ListenTLS, &quiet.Admin.Listen, &quiet.Admin.ListenTLS,
	} {
		*listen = nil
	}
	ctx, stop := context.WithCancel(t.Context())
	ready := false
	err := run.Serve(ctx, run.Options{Config: &quiet, Stderr: io.Discard, Getenv: func(string) string { return "" }, OnReady: func(context.Context) error {
		ready = true
		stop()
		return nil
	}})
	if err != nil || !ready {
		t.Fatalf("ready: %v, %v", ready, err)
	}
}

// refused wants one answer of config check and of serve, status 2, that says
// what to do; nothing is made.
func refused(t *testing.T, dir string, parts ...string) {
	t.Helper()
	file := filepath.Join(dir, "toastmaster.toml")
	before := everyName(t, dir)
	var said []string
	for _, args := range [][]string{{"config", "check", "-c", file}, {"serve", "-c", file}} {
		_, errs := runs(t, 2, args...)
		for _, p := range parts {
			if !strings.Contains(errs, p) {
				t.Errorf("%v: no %q in %s", args, p, errs)
			}
		}
		said = append(said, errs)
	}
	if said[0] != said[1] {
		t.Errorf("check says\n%sserve says\n%s", said[0], said[1])
	}
	if after := everyName(t, dir); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
}

func removed(names ...string) func(dir string) error {
	return func(dir string) error {
		var errs []error
		for _, n := range names {
			errs = append(errs, os.RemoveAll(filepath.Join(dir, n)))
		}
		return errors.Join(errs...)
	}
}

// TestServeMakesNothingAnew: a part that is missing, empty, cut short or another
// instance's ends the start with status 2, and is never made.
func TestServeMakesNothingAnew(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil func(dir string) error
		says  []string
	}{
		"no database": {removed("directory.db", "directory.db-wal", "directory.db-shm"),
			[]string{"directory.path: the database is missing", "init --new database"}},
		"an empty database": {func(dir string) error { return os.Truncate(filepath.Join(dir, "directory.db"), 0) },
			[]string{"directory.path: the database is missing"}},
		"half a database": {func(dir string) error { return os.Truncate(filepath.Join(dir, "directory.db"), 10) },
			[]string{"directory.path: ", "is not a database"}},
		"no store": {removed("mail"), []string{"store.path: the mail store is missing", "init --new store"}},
		"a store's mount point": {func(dir string) error {
			return errors.Join(removed("mail")(dir), os.Mkdir(filepath.Join(dir, "mail"), 0o700))
		}, []string{"store.path: the mail store is missing", "mount"}},
		"no queue": {removed("queue"), []string{"main.data_dir: the queue is missing", "init --new queue"}},
		"a queue's mount point": {func(dir string) error {
			return errors.Join(removed("queue")(dir), os.MkdirAll(filepath.Join(dir, "queue", "lost+found"), 0o700))
		}, []string{"main.data_dir: the queue is missing"}},
		"a queue without its journal": {removed("queue/journal"), []string{"the queue has lost a part", "queue/journal is missing"}},
		"a queue without deferred":    {removed("queue/deferred"), []string{"the queue has lost a part", "queue/deferred is missing"}},
		"a store without its journal": {removed("mail/.toastmaster/journal-0"), []string{"the mail store has lost a part"}},
		"nothing":                     {removed("mail", "queue", "directory.db"), []string{"there is no instance yet", "init"}},
		"another store": {func(dir string) error {
			return identity.Write(vfs.OS{}, filepath.Join(dir, "mail", ".toastmaster"), identity.New())
		}, []string{"store.path: the mail store, ", "belongs to another instance", "init --adopt store"}},
		"another queue": {func(dir string) error {
			return identity.Write(vfs.OS{}, filepath.Join(dir, "queue"), identity.New())
		}, []string{"main.data_dir: the queue, ", "belongs to another instance"}},
		"a store of an older version": {removed("mail/.toastmaster/instance"), []string{"has no instance id", "init --adopt store"}},
		"no certificate":              {removed("tls/cert.pem"), []string{"tls.certificates: "}},
		"no key":                      {removed("tls/key.pem"), []string{"tls.certificates: "}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, _ := used(t)
			if err := c.spoil(dir); err != nil {
				t.Fatal(err)
			}
			refused(t, dir, c.says...)
		})
	}
}

// withoutIDs makes an instance one of a version before ids.
func withoutIDs(t *testing.T, dir string, c *configs.Config) {
	t.Helper()
	w, err := sql.OpenWriter(t.Context(), sql.Options{Source: c.Path(c.Directory.Path), Params: c.Directory})
	if err != nil {
		t.Fatal(err)
	}
	if err := migrations.For(db.SQLite{}).Down(t.Context(), w, 3); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "toastmaster.toml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(w.Close(), removed("mail/.toastmaster/instance", "queue/instance")(dir),
		os.WriteFile(file, []byte(strings.Replace(string(text), "instance = ", "# instance = ", 1)), 0o640))
	if err != nil {
		t.Fatal(err)
	}
}

// TestAnOlderInstanceGetsItsID at the next start, all parts the same; one that
// was interrupted in the middle goes on.
func TestAnOlderInstanceGetsItsID(t *testing.T) {
	t.Parallel()
	dir, c := used(t)
	c.Main.Instance = ""
	withoutIDs(t, dir, c)
	out, errs := runs(t, 0, "config", "check", "-c", c.File)
	if !strings.Contains(errs, "the next start gives what has none an instance id: store queue database") {
		t.Errorf("%s%s", out, errs)
	}
	// A start that ended after the store.
	id := identity.New()
	if err := identity.Intend(vfs.OS{}, filepath.Join(dir, "queue"), id); err != nil {
		t.Fatal(err)
	}
	if err := identity.Write(vfs.OS{}, filepath.Join(dir, "mail", ".toastmaster"), id); err != nil {
		t.Fatal(err)
	}
	starts(t, c)
	plan, err := parts.Look(t.Context(), c)
	if err != nil || plan.ID != id || len(plan.Adopted()) != 0 {
		t.Fatalf("%+v, %v", plan, err)
	}
	// From now on a part without an id is another instance's.
	if err := removed("mail/.toastmaster/instance")(dir); err != nil {
		t.Fatal(err)
	}
	refused(t, dir, "has no instance id")
	runs(t, 0, "init", "-c", c.File, "--adopt", "store")
	starts(t, c)
}

// TestInitBesideWhatIsThere: only a part that is named is made beside one that
// is in use, or taken over, and nothing in it is lost.
func TestInitBesideWhatIsThere(t *testing.T) {
	t.Parallel()
	dir, c := used(t)
	mail := filepath.Join(dir, "mail", "example.test", "alice", "cur")
	if err := removed("queue", "directory.db")(dir); err != nil {
		t.Fatal(err)
	}
	for args, want := range map[string]int{
		"":                              2,
		"--new queue":                   2,
		"--new queue --new store":       2,
		"--new everything":              2,
		"--adopt mailboxes":             2,
		"--new queue --hostname a.test": 2,
	} {
		before := everyName(t, dir)
		runs(t, want, append([]string{"init", "-c", c.File}, strings.Fields(args)...)...)
		if after := everyName(t, dir); after != before {
			t.Errorf("%s: before:\n%s\nafter:\n%s", args, before, after)
		}
	}
	out, _ := runs(t, 0, "init", "-c", c.File, "--new", "queue,database")
	if !strings.Contains(out, c.Main.Instance) || strings.Contains(out, "store") {
		t.Error(out)
	}
	starts(t, c)
	if _, err := os.Stat(mail); err != nil {
		t.Error(err)
	}

	// A tree of Dovecot's.
	if err := removed("mail/.toastmaster")(dir); err != nil {
		t.Fatal(err)
	}
	refused(t, dir, "not a mail store", "init --adopt store")
	runs(t, 2, "init", "-c", c.File)
	runs(t, 0, "init", "-c", c.File, "--adopt", "store")
	starts(t, c)
	// The same by hand.
	if err := errors.Join(removed("mail/.toastmaster")(dir), os.Mkdir(filepath.Join(dir, "mail", ".toastmaster"), 0o700)); err != nil {
		t.Fatal(err)
	}
	starts(t, c)
	if _, err := os.Stat(mail); err != nil {
		t.Error(err)
	}

	// The configuration was lost: a new one takes the instance as it is.
	if err := os.Remove(c.File); err != nil {
		t.Fatal(err)
	}
	runs(t, 0, "init", dir, "--hostname", "mx.example.test")
	if again, err := configs.Load(c.File); err != nil || again.Main.Instance != c.Main.Instance {
		t.Errorf("%v", err)
	}
	// And with the database it does not make an empty one.
	if err := errors.Join(os.Remove(c.File), removed("directory.db")(dir)); err != nil {
		t.Fatal(err)
	}
	runs(t, 2, "init", dir, "--hostname", "mx.example.test")
}

// TestInitCanBeRepeated: one that ended in the middle is done again.
func TestInitCanBeRepeated(t *testing.T) {
	t.Parallel()
	for _, last := range []string{"store", "queue", "database"} {
		dir := t.TempDir()
		runs(t, 0, "init", dir, "--hostname", "mx.example.test")
		undo := map[string][]string{"store": {"queue", "directory.db"}, "queue": {"directory.db"}, "database": nil}[last]
		if err := removed(append(undo, "toastmaster.toml")...)(dir); err != nil {
			t.Fatal(err)
		}
		runs(t, 0, "init", dir, "--hostname", "mx.example.test")
		runs(t, 0, "config", "check", "-c", filepath.Join(dir, "toastmaster.toml"))
	}
}

// TestAWrongConfiguration is refused for what it names.
func TestAWrongConfiguration(t *testing.T) {
	t.Parallel()
	dir, c := used(t)
	text, err := os.ReadFile(c.File)
	if err != nil {
		t.Fatal(err)
	}
	other := strings.Replace(string(text), c.Main.Instance, string(identity.New()), 1)
	if err := os.WriteFile(c.File, []byte(other), 0o640); err != nil {
		t.Fatal(err)
	}
	refused(t, dir, "belongs to another instance", "main.instance has")
}
