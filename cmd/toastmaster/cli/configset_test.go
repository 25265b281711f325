package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestConfigSet: the file is replaced as a whole, with its mode, through a link;
// a mistake leaves it as it was.
func TestConfigSet(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	runs(t, 0, "init", dir)
	file := filepath.Join(dir, "toastmaster.toml")
	link := filepath.Join(dir, "link.toml")
	if err := os.Symlink("toastmaster.toml", link); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		want       int
		args, says string
	}{
		{0, "smtpd.timeout 6m", `smtpd.timeout: "6m", was "5m"; it counts from the next reload`},
		{0, "smtpd.timeout 6m", `smtpd.timeout is "6m" already`},
		{0, "smtpd.timeout --default", `smtpd.timeout: "5m", was "6m"`},
		{0, "main.trusted_networks 127.0.0.0/8 10.0.0.0/8", `["127.0.0.0/8", "10.0.0.0/8"]`},
		{0, "smtpd.error_limit 9 --json", `"needs": "reload"`},
		{0, "imapd.max_connections 99", `imapd.max_connections: 99, was 20000; it counts from the next start (restart)`},
		{2, "smtpd.timeout", "needs PARAM, and VALUE or --default"},
		{2, "smtpd.timeout 5m --default", "needs PARAM, and VALUE or --default"},
		{2, "smtpd.tiemout 5m", "did you mean smtpd.timeout"},
		{2, "smtpd.timeout soon", "smtpd.timeout: "},
		{2, "main.trusted_networks ::/0", "an open relay"},
		{2, "log.file tls/key.pem", "is the file of tls.certificates, too"},
	} {
		before, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		out, errs := runs(t, c.want, append([]string{"config", "set", "-c", link}, strings.Fields(c.args)...)...)
		if !strings.Contains(out+errs, c.says) {
			t.Errorf("%s: %s%s", c.args, out, errs)
		}
		after, err := os.ReadFile(file)
		if err != nil || c.want != 0 && string(after) != string(before) {
			t.Errorf("%s: %v:\n%s", c.args, err, after)
		}
		info, err := os.Stat(file)
		if err != nil || info.Mode().Perm() != 0o640 {
			t.Errorf("%s: %v, %v", c.args, info.Mode(), err)
		}
	}
	if info, err := os.Lstat(link); err != nil || info.Mode().Type() != os.ModeSymlink {
		t.Errorf("the link became a file: %v", err)
	}
	if names := everyName(t, dir); strings.Contains(names, "/.toastmaster.toml") {
		t.Errorf("something was left: %s", names)
	}
	runs(t, 0, "config", "check", "-c", file)
}

// TestConfigExplainSearches: by name, section, Postfix's and Dovecot's names, and
// words.
func TestConfigExplainSearches(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"smtpd.timeout":             "smtpd.timeout",
		"mynetworks":                "main.trusted_networks",
		"myhostname":                "main.hostname",
		"virtual_mailbox_maps":      "directory.path",
		"mail_location":             "store.path",
		"ssl_cert":                  "tls.certificates",
		"queue_minfree":             "queue.min_free",
		"smtpd_hard_error_limit":    "smtpd.error_limit",
		"pop3_uidl_format":          "pop3d.uidl_format",
		"mail_owner":                "main.user",
		"OPEN RELAY log-in Clients": "",
		"bare newline LF":           "smtpd.bare_newline",
		"certificate chain key":     "tls.certificates",
		"unix socket command line":  "admin.socket",
	} {
		if want == "" {
			runs(t, 2, append([]string{"config", "explain"}, strings.Fields(args)...)...)
			continue
		}
		out, _ := runs(t, 0, append([]string{"config", "explain"}, strings.Fields(args)...)...)
		if !strings.Contains("\n"+out, "\n"+want+"\n") {
			t.Errorf("%s: %s", args, out)
		}
	}
	if out, _ := runs(t, 0, "config", "explain", "lmtpd"); strings.Count("\n"+out, "\nlmtpd.") < 8 || strings.Contains("\n"+out, "\nsmtpd.") {
		t.Errorf("a section: %s", out)
	}
	runs(t, 2, "config", "explain")
	runs(t, 2, "config", "explain", "nothing-like-it")
}
