package e2e

import (
	"os/exec"
	"strings"
	"testing"
)

// TestWhoAndKick: sessions of every protocol are seen, and end when that is asked
// for; the last log-in outlives a restart.
func TestWhoAndKick(t *testing.T) {
	t.Parallel()
	b := serve(t, nil)
	ctx := testContext(t)
	c := dialIMAP(t, b.IMAP())
	c.command(t, "LOGIN "+alice+" "+alicesWord)
	other := dialIMAP(t, b.IMAP())
	other.command(t, "LOGIN "+bob+" "+bobsWord)
	run := func(args ...string) string {
		t.Helper()
		out, err := b.Run(ctx, "", args...)
		must(t, err)
		return out
	}
	if out := run("who"); strings.Count(out, "imapd") != 2 || !strings.Contains(out, alice) || !strings.Contains(out, bob) {
		t.Errorf("who: %s", out)
	}
	if out := run("who", "ALICE@example.test"); strings.Count(out, "imapd") != 1 {
		t.Errorf("who alice: %s", out)
	}
	c.append(t, []byte("Subject: x\r\n\r\nText.\r\n"))
	out := run("mailbox", "status", alice)
	for _, want := range []string{"messages     1, no limit", "by imapd from 127.0.0.1", "session "} {
		if !strings.Contains(out, want) {
			t.Errorf("status does not say %q: %s", want, out)
		}
	}
	if out := run("kick", alice); out != "1 session ended\n" {
		t.Errorf("kick: %q", out)
	}
	if line, err := c.r.ReadString('\n'); err != nil || !strings.HasPrefix(line, "* BYE ") {
		t.Errorf("the session that was kicked: %q %v", line, err)
	}
	if out := run("who", alice); strings.Contains(out, "imapd") {
		t.Errorf("who after the kick: %s", out)
	}
	other.command(t, "NOOP")
	id := strings.Fields(strings.Split(run("who", bob), "\n")[1])
	if out := run("kick", "--session", id[len(id)-1]); out != "1 session ended\n" {
		t.Errorf("kick of one: %q", out)
	}
	if out := run("kick", bob); out != bob+" has no session that is logged in\n" {
		t.Errorf("kick of nobody: %q", out)
	}
	if out := run("kick", bob, "--json"); !strings.Contains(out, `"ended": 0`) {
		t.Errorf("kick of nobody: %q", out)
	}
	for want, args := range map[string][]string{
		"nobody@example.test: no such mailbox": {"nobody@example.test"}, "nonsense: ": {"nonsense"},
		"x@elsewhere.example: no such mailbox": {"x@elsewhere.example"}, "nosuch: no such session": {"--session", "nosuch"},
	} {
		if out, err := b.Run(ctx, "", append([]string{"kick"}, args...)...); err == nil || !strings.Contains(err.Error(), "exit status 1") || !strings.Contains(err.Error(), want) {
			t.Errorf("kick %v: %q %v, no %q", args, out, err, want)
		}
	}
	if out, err := b.Run(ctx, "", "who", "nobody@example.test"); err == nil || !strings.Contains(err.Error(), "no such mailbox") {
		t.Errorf("who nobody: %q %v", out, err)
	}
	dialIMAP(t, b.IMAP()).command(t, "LOGIN "+alice+" "+alicesWord) // who is kicked may come again
	must(t, b.Stop())
	b.start(t)
	if out := run("mailbox", "status", alice); !strings.Contains(out, "by imapd from 127.0.0.1") {
		t.Errorf("after a restart: %s", out)
	}
	if out := run("mailbox", "status", "bob@example.test", "--json"); !strings.Contains(out, `"service": "imapd"`) {
		t.Errorf("after a restart: %s", out)
	}
}

// TestVersionIsTheTag: what the Makefile gives is what the program says.
func TestVersionIsTheTag(t *testing.T) {
	t.Parallel()
	file := t.TempDir() + "/toastmaster"
	out, err := exec.Command("go", "build", "-ldflags", "-X main.release=v7.8-9-gabc", "-o", file, "toastmaster/cmd/toastmaster").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	out, err = exec.Command(file, "--version").Output()
	if err != nil || string(out) != "toastmaster v7.8-9-gabc\n" {
		t.Errorf("%q %v", out, err)
	}
}
