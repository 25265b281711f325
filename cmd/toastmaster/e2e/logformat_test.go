package e2e

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"toastmaster/internal/testkit/peers"
)

// logAsPostfix makes an instance do one of everything that is worth a line, and
// returns the log it wrote. All of it comes from 127.0.0.1: two messages are
// delivered, one of them to an alias of two; one recipient is unknown, one is
// elsewhere; five log-ins fail, one on each way.
func logAsPostfix(t *testing.T, timestamps string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "mail.log")
	b := serve(t, map[string]string{
		"log.format": `"postfix"`, "log.timestamps": strconv.Quote(timestamps), "log.file": strconv.Quote(file), "log.flush": `"0s"`,
		"main.trusted_networks": "[]", "auth.failure_delay": `"0s"`, "auth.failure_answer": `"0s"`,
	})
	must(t, b.AddAlias(testContext(t), "all@example.test", alice, bob))
	b.sendOne(t, "sender@remote.test", alice, "one")
	b.sendOne(t, "", "all@example.test", "two")
	b.waitMail(t, alice, 2)
	b.waitMail(t, bob, 1)

	s, err := dialSMTP(b.SMTP(), "EHLO")
	must(t, err)
	defer s.Close()
	_, err = s.command("250", "MAIL FROM:<sender@remote.test>")
	must(t, err)
	_, err = s.command("550", "RCPT TO:<nobody@example.test>")
	must(t, err)
	_, err = s.command("554", "RCPT TO:<somebody@elsewhere.test>")
	must(t, err)
	_, err = s.command("221", "QUIT")
	must(t, err)

	plain := base64.StdEncoding.EncodeToString([]byte("\x00" + alice + "\x00guess"))
	i := converse(t, b.IMAP())
	i.say(t, "a LOGIN "+alice+" guess1\r\n", "a NO")
	i.say(t, "b LOGIN "+alice+" "+alicesWord+"\r\n", "b OK")
	i.say(t, "c LOGOUT\r\n", "c OK")
	p := converse(t, b.POP3())
	p.say(t, "USER "+alice+"\r\nPASS guess2\r\n", "-ERR")
	p.say(t, "QUIT\r\n", "+OK")
	c, err := tls.Dial("tcp", b.Submissions(), &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // the certificate is the instance's own
	must(t, err)
	d := &dialogue{c, bufio.NewReader(c)}
	d.say(t, "", "220")
	d.say(t, "EHLO a.test\r\n", "250 ")
	d.say(t, "AUTH PLAIN "+plain+"\r\n", "535")
	d.say(t, "AUTH LOGIN "+base64.StdEncoding.EncodeToString([]byte(alice))+"\r\n", "334")
	d.say(t, base64.StdEncoding.EncodeToString([]byte(alicesWord))+"\r\n", "235")
	for _, step := range [][2]string{{"MAIL FROM:<" + alice + ">", "250"}, {"RCPT TO:<" + bob + ">", "250"}, {"DATA", "354"}, {"From: " + alice + "\r\n\r\nx\r\n.", "250"}} {
		d.say(t, step[0]+"\r\n", step[1])
	}
	l, err := net.Dial("tcp", b.LMTP())
	must(t, err)
	m := &dialogue{l, bufio.NewReader(l)}
	m.say(t, "", "220")
	m.say(t, "LHLO a.test\r\n", "250 ")
	for _, step := range [][2]string{{"MAIL FROM:<>", "250"}, {"RCPT TO:<" + bob + ">", "250"}, {"DATA", "354"}, {"Message-ID: <lmtp@a.test>\r\n\r\nx\r\n.", "250"}, {"QUIT", "221"}} {
		m.say(t, step[0]+"\r\n", step[1])
	}
	must(t, l.Close())
	b.waitMail(t, bob, 3)
	d.say(t, "QUIT\r\n", "221")
	must(t, c.Close())
	r, err := http.NewRequest("GET", "http://"+b.Admin()+"/api/v1/domains", nil)
	must(t, err)
	r.Header.Set("Authorization", "Bearer tmt_guess")
	a, err := http.DefaultClient.Do(r)
	must(t, err)
	must(t, a.Body.Close())
	b.queueEmpty(t)
	must(t, b.Stop())
	return file
}

// run is the output of a program of the system.
func run(t *testing.T, debianPackage, name string, args ...string) string {
	t.Helper()
	peers.Need(t, name, debianPackage)
	out, err := exec.CommandContext(testContext(t), name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return string(out)
}

// TestLogIsReadByPflogsummAndFail2ban: with Debian's own filters.
func TestLogIsReadByPflogsummAndFail2ban(t *testing.T) {
	t.Parallel()
	for _, timestamps := range []string{"syslog", "iso"} {
		t.Run(timestamps, func(t *testing.T) {
			t.Parallel()
			file := logAsPostfix(t, timestamps)
			text, err := os.ReadFile(file)
			must(t, err)
			summary := run(t, "pflogsumm", "/usr/sbin/pflogsumm", "--smtpd-stats", file)
			for _, want := range []string{
				`(?m)^ +3 +received$`, `(?m)^ +4 +delivered$`, `(?m)^ +2 +rejected `, `(?m)^ +0 +deferred$`, `(?m)^ +0 +bounced$`,
				`(?m)^ +2 +recipients$`, `(?m)^ +1 +User unknown|Recipient address rejected: User unknown`, `Relay access denied`,
				`(?m)^ +[4-9] +connections$`, `(?m)^ +2 .*alice@example\.test`,
			} {
				if !regexp.MustCompile(want).MatchString(summary) {
					t.Errorf("pflogsumm does not say %s:\n%s\nof\n%s", want, summary, text)
				}
			}
			for filter, want := range map[string]int{"postfix[mode=extra]": 3, "postfix[mode=auth]": 1, "postfix": 2, "dovecot": 3} {
				got := run(t, "fail2ban", "/usr/bin/fail2ban-regex", file, filter)
				m := regexp.MustCompile(`(?m)^Lines: \d+ lines, \d+ ignored, (\d+) matched`).FindStringSubmatch(got)
				if m == nil || m[1] != fmt.Sprint(want) {
					t.Errorf("%s matches %v, want %d:\n%s\nof\n%s", filter, m, want, got, text)
				}
			}
			for _, want := range []string{
				`postfix/[a-z/]*smtpd\[\d+\]: \w+: client=unknown\[127\.0\.0\.1\], sasl_method=LOGIN, sasl_username=alice@example\.test\n`,
				`dovecot: lmtp\(bob@example\.test\)<\w+>: msgid=<lmtp@a\.test>: saved mail to INBOX, uid=\d+, size=\d+\n`,
			} {
				if !regexp.MustCompile(want).Match(text) {
					t.Errorf("no %s in\n%s", want, text)
				}
			}
			if strings.Contains(string(text), "guess") {
				t.Errorf("a password is in the log:\n%s", text)
			}
		})
	}
}
