package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"toastmaster/internal/tlsconf"
)

// TestCheckFindsWhatCannotBeUsed: one line with file, line, parameter and what
// is wrong, exit code 2, and nothing is made.
func TestCheckFindsWhatCannotBeUsed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	runs(t, 0, "init", dir)
	file := filepath.Join(dir, "toastmaster.toml")
	base, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, []byte("this is text, and a long one\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Chmod(plain, 0o644), os.Symlink("toastmaster.toml", filepath.Join(dir, "link"))); err != nil {
		t.Fatal(err)
	}
	before := everyName(t, dir)
	line := strings.Count(string(base), "\n") + 3
	for _, c := range []struct{ section, key, value, cause string }{
		{"log", "file", "tls", "is a folder"},
		{"log", "file", "none/x.log", "no such file"},
		{"log", "file", "plain/x.log", "not a directory"},
		{"directory", "path", "tls", "is a folder"},
		{"directory", "path", "plain", "is not a database"},
		{"directory", "path", "none/x.db", "the database is missing: "},
		{"directory", "path", "plain/x.db", "not a directory"},
		{"store", "path", "none", "the mail store is missing: "},
		{"log", "file", "tls/key.pem", "tls/key.pem is the file of tls.certificates, too"},
		{"log", "file", "tls/../tls/cert.pem", "is the file of tls.certificates, too"},
		{"log", "file", "toastmaster.toml", "is the file of the configuration, too"},
		{"log", "file", "link", "is the file of the configuration, too"},
		{"log", "file", "directory.db", "is the file of directory.path, too"},
		{"log", "file", "directory.db-wal", "is the file of directory.path, too"},
		{"log", "file", "admin.sock", "is the file of admin.socket, too"},
		{"log", "file", "queue/x.log", "lies in the folder of the queue"},
		{"log", "file", "mail/x.log", "lies in the folder of store.path"},
		{"store", "path", "queue", "mail"},
		{"store", "path", "queue/mail", "lies in the queue's folder"},
		{"main", "trusted_networks", "0.0.0.0/0", "an open relay"},
		{"main", "trusted_networks", "::/0", "an open relay"},
		{"lmtpd", "trusted_networks", "0.0.0.0/0", "write into every mailbox"},
		{"smtp", "password_file", "plain", "by others"},
		{"admin", "socket", "plain", "exists and is no socket"},
		{"admin", "socket", "none/x.sock", "no such file"},
		{"admin", "socket", strings.Repeat("x", 108), "longer than a socket's name"},
		{"store", "path", "tls", "not a mail store: "},
		{"store", "path", ".", "not a mail store: "},
		{"store", "path", "", "not a mail store: "},
		{"store", "path", "plain", "is not a folder"},
		{"store", "path", "plain/mail", "not a directory"},
	} {
		value := fmt.Sprintf("%q", c.value)
		if c.key == "trusted_networks" {
			value = "[" + value + "]"
		}
		text := fmt.Sprintf("%s\n[%s]\n%s = %s\n", base, c.section, c.key, value)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, command := range []string{"check", "serve"} {
			args := []string{"config", "check", "-c", file}
			if command == "serve" {
				args = []string{"serve", "-c", file}
			}
			_, errs := runs(t, 2, args...)
			want := fmt.Sprintf("toastmaster: %s:%d: %s.%s: ", file, line, c.section, c.key)
			if !strings.HasPrefix(errs, want) || !strings.Contains(errs, c.cause) || strings.Count(errs, "\n") != 1 {
				t.Errorf("%s of %s.%s = %q: %s", command, c.section, c.key, c.value, errs)
			}
		}
	}
	if after := everyName(t, dir); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
}

// TestCheckKnowsThePostmaster asks the database whether anybody is behind it.
func TestCheckKnowsThePostmaster(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	runs(t, 0, "init", dir, "--hostname", "mx.example.test")
	file := filepath.Join(dir, "toastmaster.toml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text = []byte(strings.Replace(string(text), "postmaster@mx.", "nobody@mx.", 1))
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	_, errs := runs(t, 0, "config", "check", "-c", file)
	if !strings.HasPrefix(errs, "warning: "+file+":13: smtpd.postmaster: nobody has the address nobody@mx.example.test") {
		t.Error(errs)
	}
}

// TestCheckWarnsOfFiles: what serves, but not as its owner may think.
func TestCheckWarnsOfFiles(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(dir, file string) error
		want   []string
	}{
		"an expired certificate": {func(dir, _ string) error {
			if err := removed("tls/cert.pem", "tls/key.pem")(dir); err != nil {
				return err
			}
			return tlsconf.SelfSigned(tlsconf.Pair{Cert: filepath.Join(dir, "tls", "cert.pem"), Key: filepath.Join(dir, "tls", "key.pem")},
				"mx.example.test", time.Now().AddDate(-20, 0, 0))
		}, []string{"tls.certificates: the certificate ", " expired on "}},
		"a certificate that ends soon": {func(dir, _ string) error {
			if err := removed("tls/cert.pem", "tls/key.pem")(dir); err != nil {
				return err
			}
			return tlsconf.SelfSigned(tlsconf.Pair{Cert: filepath.Join(dir, "tls", "cert.pem"), Key: filepath.Join(dir, "tls", "key.pem")},
				"mx.example.test", time.Now().AddDate(-10, 0, 5))
		}, []string{"tls.certificates: the certificate ", " ends on "}},
		"another host's certificate": {func(dir, file string) error {
			return edit(file, `hostname = "mx.example.test"`, `hostname = "other.example.test"`)
		}, []string{"tls.certificates: no certificate is for main.hostname, other.example.test"}},
		"a key that others may read": {func(dir, _ string) error {
			return os.Chmod(filepath.Join(dir, "tls", "key.pem"), 0o644)
		}, []string{"tls.certificates: the key may be read by others", "chmod 0640 "}},
		"a configuration that others may change": {func(_, file string) error {
			return os.Chmod(file, 0o666)
		}, []string{"the configuration may be changed by others", "chmod 0660 "}},
		"a database that others may read": {func(dir, _ string) error {
			return os.Chmod(filepath.Join(dir, "directory.db"), 0o644)
		}, []string{"directory.path: the database, which has the password hashes, may be read by others"}},
		"mail that others may read": {func(dir, _ string) error {
			return os.Chmod(filepath.Join(dir, "mail"), 0o755)
		}, []string{"store.path: the mail store may be read by others"}},
		"half of the Internet": {func(_, file string) error {
			return edit(file, "[smtpd]", "trusted_networks = [\"0.0.0.0/1\"]\n\n[smtpd]")
		}, []string{"main.trusted_networks: 0.0.0.0/1 is a large part of the Internet"}},
		"LMTP beyond this machine": {func(_, file string) error {
			return edit(file, "[lmtpd]\nlisten = [\"127.0.0.1:", "[lmtpd]\nlisten = [\"[::]:")
		}, []string{"lmtpd.listen: \"[::]:2024\" is reached from other machines, and lmtpd.trusted_networks serves none of them"}},
		"LMTP for others": {func(_, file string) error {
			return edit(file, "[lmtpd]\nlisten = [\"127.0.0.1:", "[lmtpd]\ntrusted_networks = [\"10.0.0.0/8\"]\nlisten = [\"0.0.0.0:")
		}, []string{"lmtpd.listen: \"0.0.0.0:2024\" is open to other machines without a log-in", "10.0.0.0/8"}},
		"an address of another machine": {func(_, file string) error {
			return edit(file, "[imapd]\nlisten = [\"127.0.0.1:", "[imapd]\nlisten = [\"192.0.2.1:")
		}, []string{"imapd.listen: \"192.0.2.1:2143\" cannot be listened on"}},
		"a transport for a hosted domain": {func(_, file string) error {
			return edit(file, "[smtpd]", "[[transport]]\nname = \"peer\"\ndomains = [\n\"far.test\", \".mx.example.test\",\n\"MX.example.test\"]\n\n[smtpd]")
		}, []string{":13: transport.peer.domains: \"MX.example.test\" is hosted here, so its mail is delivered here"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			runs(t, 0, "init", dir, "--hostname", "mx.example.test")
			file := filepath.Join(dir, "toastmaster.toml")
			if _, errs := runs(t, 0, "config", "check", "-c", file); errs != "" {
				t.Fatal(errs)
			}
			if err := c.change(dir, file); err != nil {
				t.Fatal(err)
			}
			_, errs := runs(t, 0, "config", "check", "-c", file)
			if strings.Count(errs, "\n") != 1 {
				t.Errorf("%s", errs)
			}
			for _, w := range append(c.want, "warning: "+file+":") {
				if !strings.Contains(errs, w) {
					t.Errorf("no %q in %s", w, errs)
				}
			}
		})
	}
}

// edit replaces a piece of a file, which must be there.
func edit(file, old, new string) error {
	text, err := os.ReadFile(file)
	if err == nil && !strings.Contains(string(text), old) {
		err = fmt.Errorf("no %q in %s", old, text)
	}
	if err != nil {
		return err
	}
	return os.WriteFile(file, []byte(strings.Replace(string(text), old, new, 1)), 0o600)
}

// TestCheckJSON: the answer is JSON whatever is wrong, and nothing else.
func TestCheckJSON(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "toastmaster.toml")
	for name, c := range map[string]struct {
		text     string
		mistakes int
	}{
		"no file":       {"", 1},
		"no TOML":       {"[main\n", 1},
		"two mistakes":  {"[main]\nhostnam = \"x\"\n\n[smtpd]\ntimeout = 5\n", 2},
		"no instance":   {"[main]\ndata_dir = \".\"\n", 1},
		"they disagree": {"[qmgr]\nminimal_backoff_time = \"3h\"\nmaximal_backoff_time = \"1h\"\n", 1},
	} {
		if c.text == "" {
			_ = os.Remove(file)
		} else if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		out, errs := runs(t, 2, "config", "check", "--json", "-c", file)
		var answer struct {
			Status   int
			Mistakes []mistake
		}
		if err := json.Unmarshal([]byte(out), &answer); err != nil || errs != "" {
			t.Errorf("%s: %v in %s%s", name, err, out, errs)
		}
		if len(answer.Mistakes) != c.mistakes || answer.Status != 2 || answer.Mistakes[0].Text == "" {
			t.Errorf("%s: %s", name, out)
		}
	}
}
