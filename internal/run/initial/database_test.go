package initial

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDatabase: what --database says is in the configuration, and its password is not.
func TestDatabase(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ says, want, pgpass string }{
		{"", "", ""},
		{"sqlite:/var/lib/x.db", "\n[directory]\npath = \"/var/lib/x.db\"\n", ""},
		{"postgres://u@h:5433/d?sslmode=verify-full", "\n[directory]\ntype = \"postgres\"\nurl = \"postgres://u@h:5433/d?sslmode=verify-full\"\n", ""},
		{"postgres://u:s%3Acret%5C@h:5433/d", "\n[directory]\ntype = \"postgres\"\nurl = \"postgres://u@h:5433/d\"\npassword_file = \"pgpass\"\n", `h:5433:d:u:s\:cret\\`},
		{"postgresql://u:secret@h1:1,h2:2/d", "\n[directory]\ntype = \"postgres\"\nurl = \"postgresql://u@h1:1,h2:2/d\"\npassword_file = \"pgpass\"\n", "*:*:d:u:secret"},
		{"postgres://u:secret@/d?host=/run/postgresql", "\n[directory]\ntype = \"postgres\"\nurl = \"postgres://u@/d?host=/run/postgresql\"\npassword_file = \"pgpass\"\n", "*:*:d:u:secret"},
	} {
		o := Options{Dir: t.TempDir(), Hostname: "mx.test", Host: Loopback, Postmaster: "p@mx.test", Database: c.says}
		if err := Check(o); err != nil {
			t.Errorf("%s: %v", c.says, err)
			continue
		}
		text := Text(o)
		if c.want == "" && strings.Contains(text, "[directory]") || !strings.Contains(text, c.want) || strings.Contains(text, "cret") {
			t.Errorf("%s:\n%s", c.says, text)
		}
		for range 2 { // an init that failed is repeated
			if err := keepPassword(o); err != nil {
				t.Error(err)
			}
		}
		got, err := os.ReadFile(filepath.Join(o.Dir, passwordFile))
		if c.pgpass == "" != os.IsNotExist(err) || c.pgpass != "" && string(got) != c.pgpass+"\n" {
			t.Errorf("%s: pgpass %q, %v", c.says, got, err)
		}
		if info, err := os.Stat(filepath.Join(o.Dir, passwordFile)); err == nil && info.Mode().Perm() != 0o600 {
			t.Errorf("pgpass has the mode %v", info.Mode())
		}
		if c.pgpass != "" {
			o.Database = strings.Replace(o.Database, "cret", "other", 1)
			if err := keepPassword(o); err == nil || strings.Contains(err.Error(), "cret") {
				t.Errorf("another password was overwritten: %v", err)
			}
		}
	}
	for _, bad := range []string{"sqlite:", "mysql://x/y", "postgres://u:secret@h:http/d", "postgres://u:secret%zz@h/d", "postgres://u@h/d?password=secret", "postgres://u:secret%0a@h/d", "host=x password=secret"} {
		err := Check(Options{Dir: "x", Hostname: "mx.test", Host: Loopback, Database: bad})
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
