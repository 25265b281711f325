package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestMailOfThisHostThatIsGivenUp: what the queue refuses for now (a table that does not answer) lies in the folder, is counted, and
// at the end of its life it goes back to who handed it in, and the file is kept; the log and the metrics say so.
func TestMailOfThisHostThatIsGivenUp(t *testing.T) {
	t.Parallel()
	b, s, public := serveLocal(t, map[string]string{
		"pickup.local_login_sender_maps": `["socketmap:unix:/nowhere/at/all:x"]`, "qmgr.queue_lifetime": `"3s"`,
		"bounce.copy_to": quoteTOML(alice), "bounce.notify_classes": `["bounce"]`,
	})
	s.sent(t, "To: x\nSubject: for nobody\n\nhello\n", "-i", bob) // in the folder, as when the service is down
	page := func() string { return get(t, "http://"+b.Admin()+"/metrics") }
	eventually(t, func() error {
		if got := page(); !strings.Contains(got, "toastmaster_pickup_waiting_messages 1\n") && !strings.Contains(got, "toastmaster_pickup_expired_messages_total 1\n") {
			return errors.New("the metrics do not know it")
		}
		return nil
	})
	eventually(t, func() error {
		if got := page(); !strings.Contains(got, "toastmaster_pickup_expired_messages_total 1\n") || !strings.Contains(got, "toastmaster_pickup_waiting_messages 0\n") {
			return errors.New("it is not given up")
		}
		return nil
	})
	if text := readFile(t, b.waitMail(t, alice, 1)[0]); !strings.Contains(text, "Status: 4.4.7") || !strings.Contains(text, "Delivery time expired; last reason: Temporary") {
		t.Error(text[:min(len(text), 3000)])
	}
	if taken, bad := names(t, filepath.Join(public, "taken")), names(t, filepath.Join(public, "bad")); len(taken) != 0 || len(bad) != 1 {
		t.Errorf("taken %q, bad %q", taken, bad)
	}
}

// TestAListThatIsTooLong is refused as what it is, and nobody of it gets the message; one that a link in a user's folder leads to, which
// that user may not read, is read by nobody, and no word of it is told.
func TestAListThatIsTooLong(t *testing.T) {
	t.Parallel()
	dir := withUsers(t)
	var list strings.Builder
	for n := range 101 {
		fmt.Fprintf(&list, "x%d@example.test\n", n)
	}
	uid, gid := idsOfUser(t, "nobody")
	must(t, os.WriteFile(filepath.Join(dir, "toolong"), []byte(list.String()), 0o644))
	must(t, os.WriteFile(filepath.Join(dir, "secret"), []byte("the-secret-of-root\n"), 0o600))
	must(t, os.Mkdir(filepath.Join(dir, "his"), 0o755))
	must(t, os.Symlink(filepath.Join(dir, "secret"), filepath.Join(dir, "his", "list")))
	must(t, os.Chown(filepath.Join(dir, "his"), uid, gid))
	aliases, err := os.OpenFile(filepath.Join(dir, "aliases"), os.O_APPEND|os.O_WRONLY, 0)
	must(t, err)
	_, err = fmt.Fprintf(aliases, "toolong: :include:%[1]s/toolong\nleak: :include:%[1]s/his/list\n", dir)
	must(t, errors.Join(err, aliases.Close()))
	b, log := localInstance(t, dir, map[string]string{"local.alias_expansion_limit": "100"})
	to := []string{"toolong@local.example", "leak@local.example"}
	for _, who := range to {
		sendTo(t, b.SMTP(), "s@elsewhere.example", []string{who})
	}
	lines := waitAttempts(t, to, func() string { return readFile(t, log) })
	if got := lines[to[0]]; !strings.Contains(got, "5.2.4") || !strings.Contains(got, "mailing list expansion problem") {
		t.Errorf("%q", got)
	}
	if got := lines[to[1]]; !strings.Contains(got, "4.3.0") || strings.Contains(readFile(t, log), "the-secret-of-root") {
		t.Errorf("%q", got)
	}
}
