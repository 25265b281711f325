package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestMailToRootOfAFreshHostArrives: what programs of the host write to root is in
// postmaster's mailbox, and mailq says what Postfix's says.
func TestMailToRootOfAFreshHostArrives(t *testing.T) {
	t.Parallel()
	b := serve(t, nil)
	dir := t.TempDir()
	link := filepath.Join(dir, "sendmail")
	must(t, os.Symlink(program, link))
	for i, to := range []string{"root", "root@mx.example.test", "ROOT@[127.0.0.1]"} {
		client(t, dir, "Subject: from cron\n\ntext\n", "/usr/bin/env", "TOASTMASTER_SMTP="+b.SMTP(), "TOASTMASTER_CONFIG="+b.ConfigFile(), link, "-f", "root@mx.example.test", to)
		b.waitMail(t, "postmaster@mx.example.test", i+1)
	}
	b.queueEmpty(t)
	// It is an alias, so that the operator sees it and leads it elsewhere.
	out, err := b.Run(testContext(t), "", "alias", "show", "root@mx.example.test")
	must(t, err)
	if !strings.Contains(out, "postmaster@mx.example.test") {
		t.Errorf("the alias of root: %q", out)
	}
	out, err = b.Run(testContext(t), "", "queue", "list")
	must(t, err)
	if strings.TrimSpace(out) != "Mail queue is empty" {
		t.Errorf("%q", out)
	}
}
