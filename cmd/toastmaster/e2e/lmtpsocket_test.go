package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// deliverByLMTP hands in a message to alice, and says what became of it.
const deliverByLMTP = `
import smtplib, sys
c = smtplib.LMTP(sys.argv[1])
c.sendmail("x@elsewhere.example", ["` + alice + `"], "Subject: by the socket\r\n\r\nText.\r\n")
c.quit()
print("delivered")
`

// The user and the groups of the other program: numbers that need no entry.
const (
	otherUser, postfixGroup, foreignGroup = 65534, 64077, 64078
)

// TestLMTPSocketForAGroup: another user of the group delivers by the unix socket, one
// of another group may not, and with a mode for others everybody may, of which config
// check warns.
func TestLMTPSocketForAGroup(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "lmtp")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	must(t, os.Chmod(dir, 0o755))
	socket := filepath.Join(dir, "lmtp.sock")
	b := serve(t, map[string]string{
		"lmtpd.listen": fmt.Sprintf("[%q]", "unix:"+socket), "lmtpd.unix_listener_group": fmt.Sprintf(`"%d"`, postfixGroup),
	})
	deliver := func(gid uint32) (string, error) {
		cmd := exec.CommandContext(testContext(t), "/usr/bin/python3", "-c", deliverByLMTP, socket)
		cmd.Dir = "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: otherUser, Gid: otherUser, Groups: []uint32{gid}}}
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := deliver(postfixGroup); err != nil || out != "delivered\n" {
		t.Errorf("a user of the group: %v %s", err, out)
	}
	b.waitMail(t, alice, 1)
	if out, err := deliver(foreignGroup); err == nil || !strings.Contains(out, "PermissionError") {
		t.Errorf("a user of another group: %v %s", err, out)
	}
	check := func(want string) {
		t.Helper()
		out, err := b.Run(testContext(t), "", "config", "check", "--json")
		if must(t, err); strings.Contains(out, "lmtpd.") != (want != "") || !strings.Contains(out, want) {
			t.Errorf("config check does not say %q: %s", want, out)
		}
	}
	set := func(args ...string) {
		t.Helper()
		_, err := b.Run(testContext(t), "", append([]string{"config", "set"}, args...)...)
		must(t, err)
	}
	check("")
	must(t, os.Chmod(dir, 0o700))
	check("may not enter " + dir)
	must(t, os.Chmod(dir, 0o755))
	set("lmtpd.unix_listener_mode", "0666")
	check("lets every user of this machine write into every mailbox")
	must(t, b.Stop())
	b.start(t)
	if out, err := deliver(foreignGroup); err != nil || out != "delivered\n" {
		t.Errorf("with a mode for all: %v %s", err, out)
	}
	b.waitMail(t, alice, 2)
	for param, value := range map[string]string{"lmtpd.unix_listener_mode": "rw", "lmtpd.unix_listener_group": "no-such-group"} {
		if out, err := b.Run(testContext(t), "", "config", "set", param, value); err == nil || !strings.Contains(err.Error(), param) {
			t.Errorf("%s %s: %v %s", param, value, err, out)
		}
	}
}
