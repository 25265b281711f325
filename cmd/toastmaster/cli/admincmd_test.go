package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"toastmaster/admin/api"
	"toastmaster/admin/model"
	"toastmaster/admin/store"
	"toastmaster/configs"
	"toastmaster/directory"
	"toastmaster/directory/password"
	"toastmaster/directory/sql"
	"toastmaster/internal/addr"
	"toastmaster/internal/clock"
	"toastmaster/internal/db"
	"toastmaster/internal/msglog"
	"toastmaster/internal/service"
	"toastmaster/internal/testkit/clocktest"
	"toastmaster/migrations"
)

// shell runs commands against a real admin API on a unix socket.
type shell struct {
	t    *testing.T
	file string
	// services, when set, is what the instance says of its services.
	services atomic.Pointer[[]model.Service]
}

// newShell starts the API on a fresh database; there is no queue behind it.
func newShell(t *testing.T) *shell {
	t.Helper()
	dir := t.TempDir()
	sh := &shell{t: t, file: filepath.Join(dir, "toastmaster.toml")}
	c := configs.Default()
	c.Main.DataDir = dir
	c.Auth.Argon2Memory, c.Auth.BulkArgon2Memory, c.Auth.Argon2Time = 128<<10, 64<<10, 1
	ctx, cancel := context.WithCancel(context.Background())
	if err := sql.Create(filepath.Join(dir, "x.db")); err != nil {
		t.Fatal(err)
	}
	w, err := sql.OpenWriter(ctx, sql.Options{Source: filepath.Join(dir, "x.db"), Params: c.Directory})
	if err != nil {
		t.Fatal(err)
	}
	r, err := sql.OpenReader(sql.Options{Source: filepath.Join(dir, "x.db"), Params: c.Directory})
	if err != nil {
		t.Fatal(err)
	}
	if err := migrations.For(db.SQLite{}).Up(ctx, w); err != nil {
		t.Fatal(err)
	}
	l, err := service.Listen("unix:"+filepath.Join(dir, "admin.sock"), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	kept, err := store.New(store.Options{Writer: w, Reader: r, Hasher: password.NewHasher(c.Auth), Clock: clock.System{}, Workers: 2, Delimiters: "+", Aliases: directory.Limits{Depth: 10, Addresses: 1000}})
	if err != nil {
		t.Fatal(err)
	}
	s, err := api.New(api.Options{
		Params: c.Admin, Log: msglog.Discard(), Clock: clock.System{}, Listeners: []service.Listener{{Listener: l}},
		Store: kept,
		Decide: func(ctx context.Context, a addr.Address) directory.Decision {
			return kept.Directory().Decide(ctx, a, directory.Question{Aliases: directory.Limits{Depth: 10, Addresses: 1000}})
		},
		Services: func() []model.Service {
			if s := sh.services.Load(); s != nil {
				return *s
			}
			return []model.Service{}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	<-s.Ready()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		w.Close()
		r.Close()
	})
	if err := os.WriteFile(sh.file, []byte("[main]\ndata_dir = \".\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return sh
}

// run runs a command line and wants an exit code.
func (s *shell) run(want int, stdin string, args ...string) (stdout, stderr string) {
	s.t.Helper()
	var out, errs bytes.Buffer
	env := &Environment{Stdin: strings.NewReader(stdin), Stdout: &out, Stderr: &errs, Getenv: func(string) string { return "" }}
	if got := Run(s.t.Context(), env, append([]string{"-c", s.file}, args...)); got != want {
		s.t.Errorf("%v: exit %d, want %d\n%s%s", args, got, want, out.String(), errs.String())
	}
	return out.String(), errs.String()
}

// wants checks that the command succeeds and prints every part.
func (s *shell) wants(parts []string, args ...string) {
	s.t.Helper()
	out, _ := s.run(0, "", args...)
	for _, p := range parts {
		if !strings.Contains(out, p) {
			s.t.Errorf("%v: no %q in\n%s", args, p, out)
		}
	}
}

func TestCheckAddresses(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	s.run(0, "", "domain", "add", "a.test")
	s.run(0, "x", "mailbox", "add", "alice@a.test", "--password-stdin")
	s.run(0, "", "alias", "add", "all@a.test", "alice@a.test", "far@b.test")
	s.run(0, "", "relocated", "add", "bob@a.test", "bob@b.test")
	s.wants([]string{
		"ADDRESS", "alice+x@a.test  deliver  alice@a.test", "all@a.test      forward  alice@a.test, far@b.test", "x@b.test        foreign  another host",
	}, "check", "alice+x@a.test", "all@a.test", "x@b.test")
	s.wants([]string{`"verdict": "deliver"`, `"extension": "x"`, `"matched": "alice@a.test"`}, "check", "--json", "alice+x@a.test")
	out, errs := s.run(1, "", "check", "nobody@a.test", "alice@a.test", "bob@a.test")
	for _, want := range []string{"550 5.1.1 User unknown", "deliver", "551 5.1.6 User has moved; please try <bob@b.test>"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in %s", want, out)
		}
	}
	if !strings.Contains(errs, "2 addresses are refused now") {
		t.Error(errs)
	}
	if _, errs := s.run(1, "", "check", "a b@a.test"); !strings.Contains(errs, "a b@a.test: ") {
		t.Error(errs)
	}
	s.run(2, "", "check")
}

func TestHostedDataCommands(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	s.wants([]string{"domain a.test added"}, "domain", "add", "A.test", "--default-quota", "2GiB", "--max-aliases", "5")
	s.wants([]string{"b.test"}, "domain", "add", "b.test", "--alias-of", "a.test")
	s.wants([]string{"2 GiB", "alias of", "yes"}, "domain", "show", "a.test")
	s.wants([]string{"changed"}, "domain", "set", "a.test", "--enabled=false")
	s.wants([]string{"DOMAIN", "a.test", "b.test", "no"}, "domain", "list")
	s.run(0, "", "domain", "set", "a.test", "--enabled=true")

	s.run(0, "sécret\r\n", "mailbox", "add", "alice@a.test", "--password-stdin", "--quota", "5M")
	s.run(0, "{SSHA}OzzvfepGxsUTtI24VJOyxGOx6G886Nvd\n", "mailbox", "add", "bob@a.test", "--hash-stdin")
	s.run(0, "", "mailbox", "add", "carl@a.test", "--no-password")
	s.wants([]string{"5 MiB", "a.test/alice"}, "mailbox", "show", "alice@a.test")
	s.run(0, "", "mailbox", "set", "alice@a.test", "--quota", "0", "--quota-messages", "7")
	s.wants([]string{"unlimited", "7"}, "mailbox", "show", "alice@a.test")
	out, _ := s.run(0, "", "mailbox", "list", "--json", "--domain", "a.test")
	var boxes []struct {
		Address     string
		HasPassword bool `json:"has_password"`
	}
	if err := json.Unmarshal([]byte(out), &boxes); err != nil || len(boxes) != 3 || !boxes[1].HasPassword || boxes[2].HasPassword {
		t.Errorf("%v %+v", err, boxes)
	}

	s.wants([]string{"alice@a.test", "carl@a.test"}, "mailbox", "list", "a.test")
	if out, _ := s.run(0, "", "mailbox", "list", "b.test"); strings.Contains(out, "alice") {
		t.Errorf("a domain's listing has another one's\n%s", out)
	}
	s.wants([]string{"x@y.test, z@y.test"}, "alias", "add", "sales@a.test", "x@y.test", "z@y.test")
	s.wants([]string{"z@y.test, n@y.test"}, "alias", "set", "sales@a.test", "--add", "n@y.test", "--remove", "X@y.test")
	s.run(0, "", "alias", "add", "@a.test", "alice@a.test")
	s.wants([]string{"@a.test", "sales@a.test"}, "alias", "list")
	s.wants([]string{"[]"}, "alias", "list", "--json", "--target", "none@y.test")
	s.wants([]string{"new@y.test"}, "relocated", "add", "gone@a.test", "new@y.test")
	s.wants([]string{"ask the office"}, "relocated", "set", "gone@a.test", "ask", "the", "office")
	s.wants([]string{"MOVED TO", "ask the office"}, "relocated", "list")
	for _, args := range [][]string{
		{"relocated", "remove", "gone@a.test"}, {"alias", "remove", "@a.test"}, {"mailbox", "remove", "carl@a.test"},
		{"domain", "remove", "b.test"}, {"domain", "remove", "a.test", "--all"},
	} {
		s.run(0, "", args...)
	}
	s.wants([]string{"[]"}, "domain", "list", "--json")
}

func TestTokenCommands(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	out, errs := s.run(0, "", "token", "create", "ci", "--valid", "720h")
	if !strings.HasPrefix(out, "tmt_") || strings.Count(out, "\n") != 1 || !strings.Contains(errs, "once") {
		t.Errorf("%q %q", out, errs)
	}
	s.wants([]string{"NAME", "ci", "superadmin"}, "token", "list")
	s.run(0, "", "token", "revoke", "ci")
	s.run(1, "", "token", "revoke", "ci")
}

// TestStatus: the exit code is for supervisors, the text for people.
func TestStatus(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	smtpd := model.Service{Name: "smtpd", State: "running", Listeners: []string{"127.0.0.1:25", "[::1]:25"}, Sessions: 3, UptimeSeconds: 3723}
	s.services.Store(&[]model.Service{smtpd, {Name: "qmgr", State: "running", Listeners: []string{}}})
	s.wants([]string{"smtpd", "running", "3", "1h2m3s", "127.0.0.1:25 [::1]:25", "qmgr"}, "status")
	s.wants([]string{`"name": "smtpd"`, `"uptime_seconds": 3723`}, "status", "--json")

	s.services.Store(&[]model.Service{smtpd, {Name: "store", State: "failed", Error: "disk", Listeners: []string{}}, {Name: "qmgr", State: "stopping", Listeners: []string{}}})
	for _, flags := range [][]string{nil, {"--json"}} {
		out, errs := s.run(1, "", append([]string{"status"}, flags...)...)
		if !strings.Contains(out, "qmgr") || errs != "toastmaster: store: failed: disk\n" {
			t.Errorf("%q %q", out, errs)
		}
	}
	s.services.Store(&[]model.Service{{Name: "qmgr", State: "stopping", Listeners: []string{}}})
	if _, errs := s.run(1, "", "status"); errs != "toastmaster: qmgr: stopping\n" {
		t.Errorf("%q", errs)
	}
	s.run(2, "", "status", "smtpd")
	if err := os.Remove(filepath.Join(filepath.Dir(s.file), "admin.sock")); err != nil {
		t.Fatal(err)
	}
	s.run(1, "", "status")
}

// TestExitCodes: 1 for what the server refuses, 2 for a wrong command line.
func TestExitCodes(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	for _, c := range []struct {
		want  int
		stdin string
		args  string
		text  string
	}{
		{1, "", "domain show none.test", "no such domain"},
		{1, "", "domain add a..b", "name"},
		{0, "", "domain add localhost", "warning: the domain localhost has no dot"},
		{1, "", "mailbox show nobody@none.test", "nobody@none.test: no such mailbox"},
		{1, "x\n", "mailbox add b@none.test --password-stdin", "b@none.test: "},
		{1, "", "token revoke nothing", "nothing: no such token"},
		{2, "", "queue hold --sender a@a.test", "choose from --all"},
		{1, "x\n", "mailbox add a@none.test --password-stdin", "not hosted"},
		{1, "{NOPE}x\n", "mailbox add a@none.test --hash-stdin", "password_hash"},
		{2, "", "domain", ""},
		{2, "", "domain add", "NAME"},
		{2, "", "domain add a.test b.test", ""},
		{2, "", "domain set a.test", "nothing to change"},
		{2, "", "domain set a.test --max-aliases many", "number"},
		{2, "", "domain add a.test --default-quota lots", "size"},
		{2, "", "domain remove a.test --purge", "--all"},
		{2, "", "domain frobnicate", "unknown command"},
		{2, "", "domain show", "domain show needs NAME, see `toastmaster domain show --help`"},
		{2, "", "domain list x", "unexpected argument \"x\""},
		{2, "", "domain list --nonsense", "--nonsense, see `toastmaster domain list --help`"},
		{2, "", "mailbox list a@a.test", "is an address"},
		{2, "", "mailbox list a.test b.test", "\"b.test\""},
		{2, "", "alias list a.test --domain b.test", "--domain"},
		{2, "", "queue list --place nowhere", "\"--place\" flag: must be one of incoming, "},
		{2, "", "queue hold --place hold", "--all"},
		{2, "", "queue cat 3X --json", "--json"},
		{2, "", "domain list --ca /does/not/exist", "--ca needs --api"},
		{2, "", "mailbox add a@a.test", "--password-stdin"},
		{2, "", "mailbox add a@a.test --password-stdin", "no password"},
		{2, "x\n", "mailbox add a@a.test --password-stdin --no-password", ""},
		{2, "", "mailbox add a@a.test --password secret", ""},
		{2, "", "mailbox add --from /does/not/exist", "exist"},
		{2, "", "alias add a@a.test", "TARGET"},
		{2, "", "alias set a@a.test", "TARGET"},
		{2, "", "queue hold", "--all"},
		{2, "", "queue hold 3X --all", "--all"},
		{2, "", "domain list --api https://mx.example.test", "TOASTMASTER_TOKEN"},
	} {
		want := c.want
		if c.args == "domain" {
			want = 0 // shows the help
		}
		_, errs := s.run(want, c.stdin, strings.Fields(c.args)...)
		if !strings.Contains(errs, c.text) || strings.Count(errs, "\n") > 1 {
			t.Errorf("%s: %q is no line with %q", c.args, errs, c.text)
		}
	}
	s.file = filepath.Join(t.TempDir(), "none.toml")
	if _, errs := s.run(2, "", "domain", "list"); strings.Count(errs, s.file) != 1 || !strings.Contains(errs, "-c FILE") {
		t.Errorf("%q does not say which file, once, and what to do", errs)
	}
	// A configuration without a running instance.
	if err := os.WriteFile(s.file, []byte("[main]\ndata_dir = \".\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, errs := s.run(1, "", "domain", "list"); !strings.Contains(errs, "admin.sock") {
		t.Errorf("%q does not say where it looked", errs)
	}
}

// TestTrustInAFile: --ca makes a server with its own certificate known.
func TestTrustInAFile(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer key" {
			t.Errorf("header %v", r.Header)
		}
		fmt.Fprint(w, `{"items":[{"name":"far.test"}]}`)
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	dir := t.TempDir()
	ca, bad := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "bad.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	for file, content := range map[string][]byte{ca: text, bad: []byte("nothing")} {
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		want int
		args []string
		text string
	}{
		{0, []string{"--ca", ca}, "far.test"},
		{1, nil, "certificate"},
		{2, []string{"--ca", bad}, "--ca " + bad},
		{2, []string{"--ca", filepath.Join(dir, "none.pem")}, "--ca: "},
	} {
		var out bytes.Buffer
		env := &Environment{Stdout: &out, Stderr: &out, Getenv: func(name string) string {
			return map[string]string{"TOASTMASTER_TOKEN": "key"}[name]
		}}
		got := Run(t.Context(), env, append([]string{"domain", "list", "--api", server.URL}, c.args...))
		if got != c.want || !strings.Contains(out.String(), c.text) {
			t.Errorf("%v: exit %d, %s", c.args, got, out.String())
		}
	}
}

func TestCounted(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{0: "0 messages", 1: "1 message", 2: "2 messages"} {
		if got := messages(n); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestMailboxAddFrom(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	s.run(0, "", "domain", "add", "a.test")
	var b strings.Builder
	for i := range 1200 {
		fmt.Fprintf(&b, "u%d@a.test,password%d,5M\n", i, i)
	}
	b.WriteString("# a comment\n\nbad\n\"q@a.test\",\"with, comma and \"\"quotes\"\"\"\nx@none.test,y\nh@a.test,{SSHA}OzzvfepGxsUTtI24VJOyxGOx6G886Nvd\nz@a.test,p,huge\n")
	file := filepath.Join(t.TempDir(), "users.csv")
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	out, errs := s.run(1, "", "mailbox", "add", "--from", file)
	if !strings.Contains(out, "1202 mailboxes added, 0 existed, 3 failed") {
		t.Errorf("%s", out)
	}
	for _, line := range []string{":1203: bad: 1 field instead", ":1205: x@none.test: ", ":1207: z@a.test: "} {
		if !strings.Contains(errs, file+line) {
			t.Errorf("no %q in\n%s", line, errs)
		}
	}
	if strings.Contains(errs, "password1") {
		t.Error("a password is in the messages")
	}
	// Again, from standard input: nothing is added twice.
	out, _ = s.run(1, b.String(), "mailbox", "add", "--from", "-", "--json")
	var report bulkReport
	if err := json.Unmarshal([]byte(out), &report); err != nil || report.Added != 0 || report.Exists != 1202 || report.Failed != 3 ||
		len(report.Errors) != 3 || report.Errors[1].Line != 1205 {
		t.Errorf("%v %+v", err, report)
	}
	s.wants([]string{"5 MiB"}, "mailbox", "show", "u1199@a.test")
}

func TestParseOctets(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{
		"0": 0, "5": 5, "5k": 5 << 10, "5 MiB": 5 << 20, "5MB": 5 << 20, "2G": 2 << 30, "1T": 1 << 40, " 7 ": 7,
		"": -1, "x": -1, "-1": -1, "1.5G": -1, "9223372036854775807": 1<<63 - 1, "9223372036854775807K": -1, "iB": -1,
	} {
		got, err := configs.ParseSize(text)
		if want < 0 != (err != nil) || err == nil && got != want {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1 KiB", 1536: "1.5 KiB", 2 << 30: "2 GiB", 1 << 50: "1024 TiB"} {
		if got := configs.FormatSize(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}

func TestMeter(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	clk := clocktest.New(time.Now())
	p := &meter{out: &out, clock: clk, shown: clk.Now(), terminal: true}
	p.show("0 mailboxes", 0, 1000)
	if out.Len() > 0 {
		t.Errorf("at once: %q", out.String())
	}
	clk.Advance(10 * time.Second)
	p.show("50 mailboxes", 500, 1000)
	if text := out.String(); !strings.HasSuffix(text, "[###############...............]  50 %  50 mailboxes, 10s left") {
		t.Errorf("%q", text)
	}
	p.end()
	out.Reset()
	p.terminal = false
	clk.Advance(lineEvery)
	if p.show("5 mailboxes", 5, 0); out.String() != "5 mailboxes\n" {
		t.Errorf("%q", out.String())
	}
}

func FuzzBulkMailbox(f *testing.F) {
	f.Add("a@b.test", "secret", "5M")
	f.Add("a@b.test", "{SSHA}x", "")
	f.Fuzz(func(t *testing.T, address, secret, quota string) {
		box, err := bulkMailbox([]string{address, secret, quota}, passwordsAuto)
		if err == nil && (box.Password == nil) == (box.PasswordHash == nil) {
			t.Errorf("%q %q: password and hash", address, secret)
		}
	})
}
