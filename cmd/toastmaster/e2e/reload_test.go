package e2e

import (
	"bufio"
	"crypto/tls"
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

// TestReloadTakesUpSMTPD: restriction lists, classes, rates and replies of smtpd count for who connects after a reload, on each port; a
// session goes on with what it began with; a mistake changes nothing, and what needs a restart is named alone.
func TestReloadTakesUpSMTPD(t *testing.T) {
	t.Parallel()
	b := serve(t, map[string]string{"smtpd.resolve_timeout": `"0s"`, "main.trusted_networks": "[]"})
	text, err := os.ReadFile(b.ConfigFile())
	must(t, err)
	write := func(lines, more string) {
		t.Helper()
		changed := strings.Replace(string(text), "[smtpd]\n", "[smtpd]\n"+lines+"\n", 1) + more
		must(t, os.WriteFile(b.ConfigFile(), []byte(changed), 0o600))
	}
	rcpt := func(s *smtpConn, want string) {
		t.Helper()
		for _, step := range [][2]string{{"250", "MAIL FROM:<x@example.net>"}, {want, "RCPT TO:<" + alice + ">"}, {"250", "RSET"}} {
			if _, err := s.command(step[0], step[1]); err != nil {
				t.Errorf("%s: %v", step[1], err)
			}
		}
	}
	connect := func() *smtpConn {
		t.Helper()
		s, err := dialSMTP(b.SMTP(), "EHLO")
		must(t, err)
		t.Cleanup(func() { s.Close() })
		return s
	}
	before := connect()
	rcpt(before, "250")
	class := "\n[[restriction_class]]\nname = \"strict\"\nrestrictions = [\"check_recipient_access inline:{ {" + alice + " = 554 by the list} }\"]\n"
	write("recipient_restrictions = [\"strict\"]", class)
	b.hangup(t, "info reload status=ok")
	rcpt(connect(), "554 5.7.1 <"+alice+">: Recipient address rejected: by the list")
	rcpt(before, "250")
	write("recipient_restrictions = [\"no_such_restriction\"]", class)
	b.hangup(t, "error reload status=failed")
	rcpt(connect(), "554")
	write("recipient_restrictions = [\"strict\"]\ndrain_timeout = \"31s\"", strings.Replace(class, "554 by the list", "450 later", 1))
	b.hangup(t, `warn reload status="needs a restart" parameters=smtpd.drain_timeout`)
	rcpt(connect(), "450")
	// TLS from the first octet, with other parameters than those of the start.
	write("mua_client_restrictions = [\"reject\"]", "")
	b.hangup(t, "info reload status=ok")
	c, err := tls.Dial("tcp", b.Submissions(), &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // the certificate is the instance's own
	must(t, err)
	defer c.Close()
	d := &dialogue{c, bufio.NewReader(c)}
	d.say(t, "", "554 5.7.1 ")
	must(t, os.WriteFile(b.ConfigFile(), text, 0o600))
	b.hangup(t, "info reload status=ok")
	rcpt(connect(), "250")
	rcpt(before, "250")
}
