package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// jobState is what `job show --json` says.
type jobState struct {
	State             string
	Total, Done       int64
	Unchanged, Failed int64
}

func (b *box) job(t *testing.T, id string) jobState {
	t.Helper()
	out, err := b.Run(testContext(t), "", "job", "show", id, "--json")
	must(t, err)
	var j jobState
	must(t, json.Unmarshal([]byte(out), &j))
	return j
}

// TestDomainPurgeOutlivesItsCommandAndAKill: the command may be interrupted and the
// service killed in the middle; the job goes on, and everything is gone at its end.
func TestDomainPurgeOutlivesItsCommandAndAKill(t *testing.T) {
	t.Parallel()
	b := serve(t, nil)
	ctx := testContext(t)
	must(t, b.AddDomain(ctx, "big.test"))
	const count = 500
	var lines strings.Builder
	for i := range count {
		fmt.Fprintf(&lines, "box%d@big.test,%s\n", i, crashWord)
	}
	_, err := b.Run(ctx, lines.String(), "mailbox", "add", "--from", "-")
	must(t, err)
	for i := range count {
		home := b.Maildir(fmt.Sprintf("box%d@big.test", i))
		for _, sub := range []string{"tmp", "new", "cur"} {
			must(t, os.MkdirAll(filepath.Join(home, sub), 0o700))
		}
		for j := range 5 {
			must(t, os.WriteFile(filepath.Join(home, "new", fmt.Sprintf("%d.x", j)), []byte("Subject: x\n\nx\n"), 0o600))
		}
	}

	cmd := exec.Command(program, "domain", "remove", "big.test", "--all", "--purge", "-c", b.ConfigFile())
	var text strings.Builder
	cmd.Stderr = &text
	must(t, cmd.Start())
	eventually(t, func() error {
		if out, err := b.Run(ctx, "", "job", "list"); err != nil || !strings.Contains(out, "purge-domain") {
			return fmt.Errorf("no job: %v %s", err, out)
		}
		return nil
	})
	must(t, cmd.Process.Signal(syscall.SIGINT))
	err = cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) && !strings.Contains(text.String(), "job 1 goes on: `toastmaster job wait 1`") {
		t.Errorf("interrupted: %v: %s", err, text.String())
	}
	kills := 0
	for last := int64(-1); kills < 3; {
		j := b.job(t, "1")
		if j.State == "done" {
			break
		}
		if j.Done > last {
			last = j.Done
			b.Kill()
			b.start(t)
			kills++
		}
	}
	out, err := b.Run(ctx, "", "job", "wait", "1")
	must(t, err)
	if !strings.Contains(out, fmt.Sprintf("purge-domain big.test): %d of %d done", count, count)) {
		t.Errorf("job wait: %s", out)
	}
	if kills == 0 {
		t.Error("the job was over before anybody could interrupt it")
	}
	if _, err := b.Run(ctx, "", "domain", "show", "big.test"); err == nil {
		t.Error("the domain is there")
	}
	if left, _ := filepath.Glob(filepath.Join(b.Data(), "mail", "big.test", "*")); len(left) > 0 {
		t.Errorf("mail of %d mailboxes is left", len(left))
	}
	t.Logf("killed %d times; %s", kills, strings.TrimSpace(out))
}

// TestQueueActionOnAllIsOneJob: thousands of messages are held, released and deleted by
// one request each, and the answer says how many.
func TestQueueActionOnAllIsOneJob(t *testing.T) {
	t.Parallel()
	b := serve(t, map[string]string{"smtp.relayhost": `"[127.0.0.1]:1"`})
	ctx := testContext(t)
	s, err := dialSMTP(b.SMTP(), "EHLO")
	must(t, err)
	defer s.Close()
	const count = 1000
	for i := range count {
		_, err := s.send("a@example.test", []string{fmt.Sprintf("x%d@elsewhere.example", i)}, "Subject: out\r\n\r\nText.\r\n")
		must(t, err)
	}
	for _, step := range []struct{ args, want string }{
		{"hold --all", fmt.Sprintf("%d messages held\n", count)},
		{"hold --all", fmt.Sprintf("0 messages held, %d unchanged\n", count)},
		{"release --all --recipient x7@elsewhere.example", "1 message released\n"},
		{"delete --all --place hold", fmt.Sprintf("%d messages deleted\n", count-1)},
		{"delete --all", "1 message deleted\n"},
	} {
		out, err := b.Run(ctx, "", append([]string{"queue"}, strings.Fields(step.args)...)...)
		must(t, err)
		if out != step.want {
			t.Errorf("queue %s: %q, want %q", step.args, out, step.want)
		}
	}
	b.queueEmpty(t)
	out, err := b.Run(ctx, "", "job", "list", "--all")
	must(t, err)
	if strings.Count(out, " done ") < 5 {
		t.Errorf("jobs: %s", out)
	}
}
