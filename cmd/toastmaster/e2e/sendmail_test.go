package e2e

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// sendmail is the program under that name, called by a user of this host.
type sendmail struct {
	path string
	env  []string
	user *syscall.Credential // nil is the user of the test
}

// run returns the exit code and both outputs.
func (s sendmail) run(t *testing.T, stdin string, args ...string) (int, string, string) {
	t.Helper()
	cmd := exec.CommandContext(testContext(t), s.path, args...)
	cmd.Env, cmd.Stdin, cmd.Dir = s.env, strings.NewReader(stdin), "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.user}
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// newSendmail lays the link where every user may run it.
func newSendmail(t *testing.T, b *box) sendmail { return newProgram(t, b, "sendmail") }

// newProgram is newSendmail of another program that the binary acts as.
func newProgram(t *testing.T, b *box, name string) sendmail {
	t.Helper()
	must(t, os.Chmod(filepath.Dir(program), 0o755))
	link := filepath.Join(filepath.Dir(program), name)
	if err := os.Symlink(program, link); err != nil && !errors.Is(err, os.ErrExist) {
		t.Fatal(err)
	}
	return sendmail{path: link, env: []string{"TOASTMASTER_CONFIG=" + b.ConfigFile()}}
}

const smallMessage = "Subject: hello\n\nx\n"

// TestSendmailOfWhoMayNotReadTheConfiguration: every user and every program of
// a host sends mail, and none of them may read the configuration.
func TestSendmailOfWhoMayNotReadTheConfiguration(t *testing.T) {
	t.Parallel()
	b := serve(t, nil)
	s := newSendmail(t, b)
	if os.Geteuid() == 0 {
		s.user = &syscall.Credential{Uid: 65534, Gid: 65534}
	} else {
		must(t, os.Chmod(b.ConfigFile(), 0))
	}
	if code, _, errs := s.run(t, "", "-bp"); code != 77 || strings.Count(errs, "\n") != 1 {
		t.Errorf("-bp: exit %d, %s", code, errs)
	}
	closed := sendmail{s.path, append(s.env, "TOASTMASTER_SMTP=127.0.0.1:1"), s.user}
	for _, args := range [][]string{{"-i", alice}, {"-bs"}} {
		if code, _, errs := closed.run(t, smallMessage, args...); code != 75 || strings.Count(errs, "\n") != 1 {
			t.Errorf("%v, nothing answers: exit %d, %s", args, code, errs)
		}
	}
	s.env = append(s.env, "TOASTMASTER_SMTP="+b.SMTP())
	if code, _, errs := s.run(t, smallMessage, "-i", alice); code != 0 {
		t.Errorf("exit %d, %s", code, errs)
	}
	b.waitMail(t, alice, 1)
	dialogue := "HELO x\nMAIL FROM:<" + bob + ">\nRCPT TO:<" + alice + ">\nDATA\nSubject: x\n\nx\n.\nQUIT\n"
	if code, out, errs := s.run(t, dialogue, "-bs"); code != 0 || !strings.Contains(out, "\r\n221 ") {
		t.Errorf("-bs: exit %d, %s%s", code, out, errs)
	}
	b.waitMail(t, alice, 2)
}

// TestSendmailQueueModes are those of the one who runs the instance.
func TestSendmailQueueModes(t *testing.T) {
	t.Parallel()
	b := serve(t, nil)
	s := newSendmail(t, b)
	if code, out, errs := s.run(t, "", "-bp"); code != 0 || out != "Mail queue is empty\n" {
		t.Errorf("-bp: exit %d, %s%s", code, out, errs)
	}
	if code, out, errs := s.run(t, "", "-q"); code != 0 {
		t.Errorf("-q: exit %d, %s%s", code, out, errs)
	}
	other := sendmail{path: s.path}
	if code, out, errs := other.run(t, "", "-C", b.ConfigFile(), "-bp"); code != 0 || out != "Mail queue is empty\n" {
		t.Errorf("-C -bp: exit %d, %s%s", code, out, errs)
	}
	must(t, b.Stop())
	if code, out, errs := s.run(t, "", "-bp"); code != 0 || out != "Mail queue is empty\n" || !strings.Contains(errs, "Mail system is down") {
		t.Errorf("-bp of a stopped instance: exit %d, %s%s", code, out, errs)
	}
	if code, _, errs := s.run(t, "", "-q"); code != 69 {
		t.Errorf("-q of a stopped instance: exit %d, %s", code, errs)
	}
}
