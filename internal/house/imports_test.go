package house

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// mayImport is the table "Who may import whom". The first row whose pattern
// matches a package decides which of our packages it may import; a pattern
// ending in /... matches the folder and all below it. A new arrow needs a
// changed row in the same commit.
var mayImport = []struct {
	pkg     string
	imports []string
}{
	// The vocabulary: lower packages first, each sees only those above it.
	{"internal/house", nil},
	{"internal/clock", nil},
	{"internal/dsn", nil},
	{"internal/ttl", []string{"internal/clock"}},
	{"internal/vfs", []string{"internal/clock"}},
	{"internal/lockorder", nil},
	{"internal/field", nil},
	{"internal/crc32c", nil},
	{"internal/printable", nil},
	{"internal/fifo", nil},
	{"internal/fair", []string{"internal/fifo"}},
	{"internal/vfs/overlay", []string{"internal/clock", "internal/vfs"}},
	{"internal/identity", []string{"internal/vfs"}},
	{"internal/addr", nil},
	{"internal/envelope", []string{"internal/addr", "internal/dsn"}},
	{"internal/trace", []string{"internal/addr", "internal/envelope"}},
	{"internal/spool", []string{"internal/clock", "internal/crc32c", "internal/dsn", "internal/vfs"}},
	{"internal/wire", []string{"internal/dsn"}},
	{"internal/utf7", nil},
	{"internal/header", nil},
	{"internal/addrfield", nil},
	{"internal/mime", []string{"internal/header"}},
	{"internal/mime/text", []string{"internal/mime"}},
	{"internal/mime/downgrade", []string{"internal/envelope", "internal/header", "internal/mime"}},
	{"internal/msglog", []string{"internal/clock", "internal/dsn", "internal/envelope", "internal/printable"}},
	{"internal/diskcache", []string{"internal/clock", "internal/msglog", "internal/vfs"}},
	{"internal/journal", []string{"internal/crc32c", "internal/dsn", "internal/vfs", "internal/clock", "internal/msglog", "internal/spool"}},
	{"internal/sasl", []string{"internal/dsn"}},
	{"internal/tlsconf", []string{"internal/clock", "internal/msglog"}},
	{"internal/hostaddr", []string{"internal/clock"}},
	{"internal/anvil", []string{"internal/clock"}},
	{"internal/dns", []string{"internal/clock", "internal/printable", "internal/ttl"}},
	{"internal/dnslist", nil},
	{"internal/milter", nil},
	{"internal/idle", []string{"internal/clock"}},
	{"internal/policyclient", []string{"internal/clock", "internal/idle"}},
	{"internal/db", nil},
	{"internal/haproxy", nil},
	{"internal/service", []string{"internal/anvil", "internal/clock", "internal/dsn", "internal/haproxy", "internal/lockorder", "internal/msglog"}},
	{"internal/smtpserver", []string{"internal/addr", "internal/anvil", "internal/clock", "internal/dsn", "internal/envelope", "internal/msglog", "internal/printable", "internal/sasl", "internal/service", "internal/wire"}},
	{"internal/smtpreply", []string{"internal/dsn", "internal/printable", "internal/wire"}},
	{"internal/netstring", nil},
	{"internal/maildrop", []string{"internal/crc32c", "internal/vfs"}},
	{"internal/backup", []string{"internal/clock"}},
	{"internal/mbox", nil},
	{"internal/macro", nil},
	{"internal/hostuser", nil},
	{"internal/process", []string{"internal/dsn", "internal/hostuser"}},
	{"internal/mailcopy", []string{"internal/addr", "internal/envelope", "internal/header", "internal/trace"}},
	{"internal/plainmaildir", []string{"internal/vfs"}},
	{"internal/testkit/...", []string{"internal/clock", "internal/milter", "internal/vfs", "internal/testkit/..."}},

	{"configs", []string{"internal/dnslist", "internal/addr", "internal/dsn", "internal/macro"}},
	{"migrations", []string{"internal/db"}},

	{"directory/...", []string{"internal/...", "directory/...", "configs"}},

	// The files below the store know nothing of the network, the store nothing
	// of who asks, and no server of another.
	{"mailstore/maildir", []string{"internal/utf7"}},
	{"mailstore/search", []string{"internal/envelope", "internal/mime/..."}},
	{"mailstore/index", []string{"internal/clock", "internal/crc32c", "internal/field", "internal/vfs", "mailstore/maildir"}},
	{"mailstore/snapshot", []string{"internal/clock", "internal/vfs", "mailstore", "mailstore/index", "mailstore/maildir"}},
	{"mailstore/packed", nil},
	{"mailstore/volume", []string{"internal/...", "mailstore/index", "mailstore/maildir", "configs"}},
	{"mailstore/recovery", []string{"internal/...", "mailstore/maildir", "mailstore/volume"}},
	{"mailstore/account", []string{"internal/...", "mailstore/maildir", "mailstore/recovery", "mailstore/volume"}},
	{"mailstore/box", []string{"internal/...", "mailstore/account", "mailstore/index", "mailstore/maildir", "mailstore/packed", "mailstore/recovery", "mailstore/search", "mailstore/volume"}},
	{"mailstore", []string{"internal/...", "directory", "mailstore/maildir", "mailstore/account", "mailstore/box", "mailstore/notify", "mailstore/recovery", "mailstore/volume", "configs"}},
	{"mailstore/storetest", []string{"internal/...", "configs", "directory/...", "mailstore"}},
	{"mailstore/login", []string{"internal/...", "directory", "directory/gate", "mailstore"}},
	// What is done with a message, between who hands it in and the store.
	{"mailstore/plan", []string{"internal/...", "mailstore", "mailstore/maildir", "configs"}},
	{"mailstore/...", []string{"internal/...", "directory", "directory/gate", "directory/logins", "directory/password", "mailstore", "mailstore/login", "mailstore/plan", "mailstore/search", "configs"}},

	// No daemon imports another daemon; only virtual sees the store.
	{"mta/queue/salvage", []string{"internal/envelope", "internal/msglog", "internal/vfs"}},
	{"mta/queue", []string{"internal/...", "configs", "mta/queue/salvage"}},
	{"mta/agent", []string{"internal/...", "mta/queue"}},
	{"mta/policy", []string{"internal/...", "directory", "directory/tables", "directory/tables/keys", "configs"}},
	// How addresses are mapped, for cleanup and smtp.
	{"mta/addrmap", []string{"internal/...", "directory", "directory/tables", "directory/tables/keys"}},
	// How messages are shown to tables, for cleanup and smtp.
	{"mta/contentcheck", []string{"internal/..."}},
	{"mta/milter", []string{"internal/...", "configs"}},
	{"mta/virtual", []string{"internal/...", "directory", "mta/queue", "mta/agent", "mailstore", "mailstore/plan", "configs"}},
	{"mta/...", []string{"internal/...", "directory", "directory/tables", "directory/tables/keys", "directory/gate", "directory/logins", "directory/password", "mta/queue", "mta/agent", "mta/addrmap", "mta/contentcheck", "mta/milter", "mta/policy", "configs"}},

	{"admin/model", []string{"internal/addr"}},
	{"admin/authz", []string{"admin/model"}},
	{"admin/store", []string{"internal/...", "directory", "directory/password", "admin/model", "admin/authz"}},
	{"admin/store/storetest", []string{"internal/...", "admin/store", "configs", "directory/...", "migrations"}},
	{"admin/jobs", []string{"internal/...", "admin/model", "admin/store"}},
	{"admin/api", []string{"internal/...", "directory", "directory/gate", "admin/model", "admin/authz", "admin/store", "admin/jobs", "configs"}},
	{"admin/client", []string{"admin/model", "internal/clock"}},
	{"web", nil},
	// An instance is put together here: as a command it may import everything.
	// Its rooms see only those above them.
	{"internal/run/usage", nil},
	{"internal/run/rights", []string{"configs", "internal/hostuser", "internal/vfs", "internal/run/usage"}},
	{"internal/run/listeners", []string{"configs", "internal/clock", "internal/hostaddr", "internal/msglog", "internal/service", "internal/tlsconf", "internal/run/rights", "internal/run/usage"}},
	{"internal/run/parts", []string{"admin/store", "configs", "directory/...", "internal/clock", "internal/db", "internal/identity", "internal/msglog", "internal/vfs", "mailstore", "migrations", "mta/queue", "internal/run/rights", "internal/run/usage"}},
	{"internal/run/check", []string{"admin/client", "configs", "directory", "directory/tables", "internal/addr", "internal/clock", "internal/msglog", "internal/service", "internal/tlsconf", "internal/vfs", "mailstore", "mta/bounce", "mta/policy", "mta/queue", "mta/smtp", "mta/smtpd",
		"internal/run/listeners", "internal/run/parts", "internal/run/rights", "internal/run/usage"}},
	{"internal/run/control", []string{"admin/api", "admin/model", "directory", "internal/addr", "internal/dsn", "internal/envelope", "internal/msglog", "internal/service", "internal/spool"}},
	{"internal/run/fence", nil},
	{"internal/run/initial", []string{"admin/model", "configs", "internal/addr", "internal/clock", "internal/identity", "internal/msglog", "internal/tlsconf", "internal/run/parts", "internal/run/rights", "internal/run/usage"}},
	{"internal/run/adapter", []string{"admin/...", "configs", "directory/...", "internal/...", "mailstore", "mta/flush", "mta/queue"}},
	{"internal/run/metrics", []string{"admin/model", "internal/msglog", "internal/service", "internal/vfs", "mta/queue"}},
	{"internal/run/...", []string{"..."}},
	{"cmd/...", []string{"..."}},
	// The backlog that it measures is made by the queue itself.
	{"bench/...", []string{"internal/...", "configs", "mta/queue"}},
}

// mayOnlyBeImportedByTests matches what production code must not import.
var mayOnlyBeImportedByTests = []string{"internal/testkit/...", "directory/tabletest", "mailstore/storetest", "admin/store/storetest", "cmd/...", "bench/..."}

type listed struct {
	ImportPath string
	Module     *struct{ Path string }
	Imports    []string
}

func TestImportGraphMatchesTheTable(t *testing.T) {
	for _, p := range ourPackages(t) {
		row := slices.IndexFunc(mayImport, func(r struct {
			pkg     string
			imports []string
		}) bool {
			return matches(r.pkg, p.ImportPath)
		})
		if row < 0 {
			t.Errorf("%s has no row in the table", p.ImportPath)
			continue
		}
		for _, imported := range p.Imports {
			ok := slices.ContainsFunc(mayImport[row].imports, func(pattern string) bool { return matches(pattern, imported) })
			if !ok {
				t.Errorf("%s imports %s, which the table does not allow", p.ImportPath, imported)
			}
			test := slices.ContainsFunc(mayOnlyBeImportedByTests, func(pattern string) bool { return matches(pattern, imported) })
			if matches("internal/run/...", imported) && !strings.HasPrefix(p.ImportPath, "cmd/") && !matches("internal/run/...", p.ImportPath) {
				t.Errorf("%s imports %s, which only a command may", p.ImportPath, imported)
			}
			self := strings.HasPrefix(p.ImportPath, "cmd/") || strings.HasPrefix(p.ImportPath, "bench") || strings.HasPrefix(p.ImportPath, "internal/testkit")
			if test && !self {
				t.Errorf("%s imports %s outside of tests", p.ImportPath, imported)
			}
		}
	}
}

// ourPackages lists the module's packages and their imports of our own
// packages, all without the module's name.
func ourPackages(t *testing.T) []listed {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports", "./...")
	cmd.Dir = filepath.Join("..", "..")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []listed
	dec := json.NewDecoder(strings.NewReader(string(out)))
	for dec.More() {
		var p listed
		if err := dec.Decode(&p); err != nil {
			t.Fatal(err)
		}
		p.ImportPath = strings.TrimPrefix(p.ImportPath, "toastmaster/")
		var own []string
		for _, i := range p.Imports {
			if rest, ok := strings.CutPrefix(i, "toastmaster/"); ok {
				own = append(own, rest)
			}
		}
		p.Imports = own
		all = append(all, p)
	}
	if len(all) < 10 {
		t.Fatalf("only %d packages listed", len(all))
	}
	return all
}

func matches(pattern, pkg string) bool {
	if pattern == "..." {
		return true
	}
	if folder, ok := strings.CutSuffix(pattern, "/..."); ok {
		return pkg == folder || strings.HasPrefix(pkg, folder+"/")
	}
	return pkg == pattern
}

func TestMatches(t *testing.T) {
	for _, c := range []struct {
		pattern, pkg string
		want         bool
	}{
		{"mta/...", "mta", true}, {"mta/...", "mta/smtpd", true}, {"mta/...", "mtax", false},
		{"mta/queue", "mta/queue/x", false}, {"...", "anything", true},
	} {
		if matches(c.pattern, c.pkg) != c.want {
			t.Errorf("%s %s", c.pattern, c.pkg)
		}
	}
}
