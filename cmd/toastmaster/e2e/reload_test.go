package e2e

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// hangup sends SIGHUP and waits for a word in the log behind what was there.
func (b *box) hangup(t *testing.T, word string) {
	t.Helper()
	before, err := os.Stat(b.LogFile())
	must(t, err)
	must(t, b.Process().Signal(syscall.SIGHUP))
	eventually(t, func() error {
		text, err := os.ReadFile(b.LogFile())
		if err != nil {
			return err
		}
		if !strings.Contains(string(text[before.Size():]), word) {
			return fmt.Errorf("no %q after SIGHUP in\n%s", word, text[before.Size():])
		}
		return nil
	})
}

// TestReload: what SIGHUP cannot change is not called ok.
func TestReload(t *testing.T) {
	t.Parallel()
	b := serve(t, nil)
	b.hangup(t, "info reload status=ok")
	text, err := os.ReadFile(b.ConfigFile())
	must(t, err)
	changed := strings.Replace(string(text), "[imapd]", "[log]\nlevel = \"debug\"\n\n[imapd]\nmax_connections = 77", 1)
	must(t, os.WriteFile(b.ConfigFile(), []byte(changed), 0o600))
	b.hangup(t, `warn reload status="needs a restart" parameters="log.level, imapd.max_connections"`)
	must(t, os.WriteFile(b.ConfigFile(), []byte("nonsense = 1\n"+changed), 0o600))
	b.hangup(t, "error reload status=failed")
	must(t, os.WriteFile(b.ConfigFile(), text, 0o600))
	b.hangup(t, "info reload status=ok")
}

// TestAStopIsInTheLog: why it began, and when it was over, once each.
func TestAStopIsInTheLog(t *testing.T) {
	t.Parallel()
	b := serve(t, nil)
	must(t, b.Stop())
	text, err := os.ReadFile(b.LogFile())
	must(t, err)
	stop := regexp.MustCompile(`(?s) info stopping reason="terminated signal received"\n.* info stopped duration=\S+\n$`)
	if log := string(text); !stop.MatchString(log) || strings.Count(log, " stopping ") != 1 || strings.Count(log, " stopped ") != 1 {
		t.Errorf("%s", b.LogTail(1000))
	}
}
