package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// simpleFilter is the script of Postfix's FILTER_README, with a check in its place that refuses what is "bad" and lets what is "later" wait while
// there is a file of that name. It keeps a list of what it hands back, and of what was taken from it.
const simpleFilter = `#!/bin/sh
INSPECT_DIR=@DIR@/got
SENDMAIL="@PROGRAM@ -G -i" # NEVER NEVER NEVER use "-t" here.

# Exit codes from <sysexits.h>
EX_TEMPFAIL=75
EX_UNAVAILABLE=69

# Clean up when done or when aborting.
trap "rm -f in.$$" 0 1 2 3 15

# Start processing.
cd $INSPECT_DIR || {
    echo $INSPECT_DIR does not exist; exit $EX_TEMPFAIL; }

cat >in.$$ || {
    echo Cannot save mail to file; exit $EX_TEMPFAIL; }

if grep -q '^Subject: later' in.$$ && [ -e later ]; then
    echo Not now; exit $EX_TEMPFAIL; fi
! grep -q '^Subject: bad' <in.$$ || {
    echo Message content rejected; exit $EX_UNAVAILABLE; }

number=$(sed -n 's/^X-Number: //p' in.$$)
echo "begin $number" >> list
$SENDMAIL "$@" <in.$$
status=$?
[ $status != 0 ] || echo "done $number" >> list
exit $status
`

// withSimpleFilter is an instance whose mail goes by the script, which a user of this host runs, and the folder of what the script keeps.
func withSimpleFilter(t *testing.T, params map[string]string, more string) (b *box, s sendmail, got string) {
	t.Helper()
	dir := withCommands(t)
	b, s, _ = serveLocal(t, params)
	must(t, b.Stop())
	must(t, b.SetParam("smtpd.content_filter", `"filter:dummy"`))
	script := strings.NewReplacer("@DIR@", dir, "@PROGRAM@", s.path+" -C "+b.ConfigFile()).Replace(simpleFilter)
	must(t, os.WriteFile(filepath.Join(dir, "filter"), []byte(script), 0o755))
	b.appendConfig(t, fmt.Sprintf("[[transport]]\nname = \"filter\"\nagent = \"pipe\"\nuser = \"nobody\"\nflags = \"Rq\"\nnull_sender = \"\"\nprocess_limit = 10\nargv = [%q, \"-f\", \"${sender}\", \"--\", \"${recipient}\"]\n%s",
		filepath.Join(dir, "filter"), more))
	b.start(t)
	return b, s, filepath.Join(dir, "got")
}

// TestPipeFilterAsPostfix: the simple content filter of FILTER_README, word by word: what it hands back arrives once, at all recipients, and unaltered: from the
// null sender, with 8-bit text, with lines of dots; what it refuses goes back, what it puts off waits, as with Debian's Postfix. It sees each message once, and none
// of this host's own.
func TestPipeFilterAsPostfix(t *testing.T) {
	t.Parallel()
	h := newRemoteHost(t, map[string]string{"EHLO": "250-remote.example\r\n250 8BITMIME", "RCPT TO:<nobody@": "550 5.1.1 nobody"})
	log := filepath.Join(t.TempDir(), "mail.log")
	b, s, got := withSimpleFilter(t, map[string]string{"log.format": `"postfix"`, "log.file": strconv.Quote(log), "log.flush": `"0s"`}, h.transport("remote.example"))
	must(t, os.WriteFile(filepath.Join(got, "later"), nil, 0o644))
	must(t, b.AddMailboxes(testContext(t), "secret", "bad@example.test", "later@example.test"))

	const plain, dots, eight = "text\r\n", ".\r\n..\r\n.x\r\n\r\n.\r\n", "Grüße \x80\xff\r\n"
	send := func(from, subject, body string, to ...string) {
		t.Helper()
		c, err := dialSMTP(b.SMTP(), "EHLO")
		must(t, err)
		defer c.Close()
		_, err = c.send(from, to, fmt.Sprintf("From: <%s>\r\nSubject: %s\r\nX-Number: <%s>\r\n\r\n", alice, subject, subject)+strings.ReplaceAll("\r\n"+body, "\r\n.", "\r\n..")[2:])
		must(t, err)
	}
	send("x@sender.example", "three", plain, alice, bob, "carol@remote.example")
	send("", "null", plain, alice)
	send("", "null of nobody", plain, "nobody@remote.example")
	send("x@sender.example", "dots", dots, alice)
	send("x@sender.example", "eight", eight, alice, "carol@remote.example")
	send(bob, "bad one", plain, "bad@example.test")
	send(bob, "later one", plain, "later@example.test")
	s.sent(t, "Subject: local\nX-Number: <local>\n\ntext\n", "-i", "-f", bob, alice)
	mail := headersBySubject(t, b.waitMail(t, alice, 5))
	for subject, want := range map[string][2]string{"three": {"x@sender.example", plain}, "null": {"", plain}, "dots": {"x@sender.example", dots}, "eight": {"x@sender.example", eight}, "local": {bob, plain}} {
		text := mail[subject]
		header, body, _ := strings.Cut(text, "\n\n")
		if !strings.HasPrefix(text, "Return-Path: <"+want[0]+">\n") || body != strings.ReplaceAll(want[1], "\r\n", "\n") || strings.Count(header, "\nReturn-Path:") > 0 {
			t.Errorf("%s: %q", subject, text)
		}
		if n := strings.Count(header, "\nReceived: "); n != 2 && subject != "local" || !strings.Contains(header, "from userid 65534) id ") {
			t.Errorf("%s came by %d hosts: %q", subject, n, text)
		}
	}
	eventually(t, func() error {
		if n := len(h.messages()); n != 2 {
			return fmt.Errorf("the other host has %d messages", n)
		}
		return b.queued(t, "deferred")
	})
	for _, text := range h.messages() {
		if strings.Contains(text, "Subject: eight") && !strings.HasSuffix(text, "\n\nGrüße \x80\xff\n") {
			t.Errorf("%q", text)
		}
	}
	if report := readFile(t, b.waitMail(t, bob, 2)[0]) + readFile(t, b.waitMail(t, bob, 2)[1]); !strings.Contains(report, "Command output: Message content\n    rejected") || !strings.Contains(report, "Subject: bad one") || !strings.Contains(report, "Subject: three") {
		t.Errorf("%s", report)
	}

	// The same at Postfix.
	who := []string{"bad@example.test", "later@example.test"}
	dir := withCommands(t)
	p := startPostfixWith(t, "mx.remote.example", "enable_long_queue_ids = yes\ncontent_filter = filter:dummy\n", "filter unix - n n - 10 pipe flags=Rq user=nobody null_sender= argv="+dir+"/filter -f ${sender} -- ${recipient}\n")
	must(t, os.WriteFile(filepath.Join(dir, "filter"), []byte(strings.NewReplacer("@DIR@", dir, "@PROGRAM@", "/usr/sbin/sendmail").Replace(simpleFilter)), 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "got", "later"), nil, 0o644))
	for _, to := range who {
		must(t, p.Submit(testContext(t), bob, []string{to}, "Subject: "+to+"\n\ntext\n"))
	}
	theirs := waitAttempts(t, who, func() string { return p.LogTail(1 << 20) })
	ours := waitAttempts(t, who, func() string { return readFile(t, log) })
	for _, to := range who {
		if got, want := ours[to], asOurs(theirs[to]); got != want {
			t.Errorf("%s:\n  ours    %s\n  Postfix %s", to, got, want)
		}
	}

	must(t, os.Remove(filepath.Join(got, "later")))
	b.flushUntilEmpty(t)
	b.waitMail(t, "later@example.test", 1)
	b.waitMail(t, "bad@example.test", 0)
	var list []string
	for line := range strings.Lines(readFile(t, filepath.Join(got, "list"))) {
		list = append(list, strings.TrimSpace(line))
	}
	slices.Sort(list)
	want := []string{"begin <dots>", "begin <eight>", "begin <later one>", "begin <null of nobody>", "begin <null>", "begin <three>",
		"done <dots>", "done <eight>", "done <later one>", "done <null of nobody>", "done <null>", "done <three>"}
	if !slices.Equal(list, want) {
		t.Errorf("the filter has seen %q", list)
	}
	b.waitMail(t, alice, 5)
	b.waitMail(t, bob, 2)
	if n := len(h.messages()); n != 2 || h.count("<nobody@") != 1 {
		t.Errorf("%d messages, tried %d times", n, h.count("<nobody@"))
	}
}

// TestPipeFilterLosesNothing: SIGKILLs of the server while messages go by the script and come back by sendmail lose nothing, and a recipient has a message as often as
// the script has handed it back: more than once only where the kill came before that was written down.
func TestPipeFilterLosesNothing(t *testing.T) {
	t.Parallel()
	b, _, got := withSimpleFilter(t, map[string]string{"qmgr.minimal_backoff_time": `"1s"`, "qmgr.maximal_backoff_time": `"1s"`}, "")
	const messages, kills = 60, 4
	taken := make(chan struct{}, messages)
	var clients sync.WaitGroup
	for w := range 4 {
		clients.Go(func() {
			for n := w; n < messages; n += 4 {
				for { // a client comes again until it is told 250
					c, err := dialSMTP(b.SMTP(), "EHLO")
					if err == nil {
						_, err = c.send("x@sender.example", []string{alice}, fmt.Sprintf("From: <x@sender.example>\r\nSubject: m%d\r\nX-Number: <%d>\r\n\r\ntext\r\n", n, n))
						c.Close()
					}
					if err == nil {
						break
					}
					if t.Context().Err() != nil {
						return
					}
					time.Sleep(5 * time.Millisecond)
				}
				taken <- struct{}{}
			}
		})
	}
	seen := 0
	for k := range kills {
		for ; seen < (k+1)*messages/(kills+1); seen++ {
			<-taken
		}
		b.Kill()
		b.start(t)
	}
	clients.Wait()
	b.queueEmpty(t)
	count := map[string]int{}
	// A script that the kill has left behind may not be done yet.
	eventually(t, func() error {
		clear(count)
		for line := range strings.Lines(readFile(t, filepath.Join(got, "list"))) {
			count[strings.TrimSpace(line)]++
		}
		for _, f := range b.mail(t, alice, "") {
			_, number, _ := strings.Cut(readFile(t, f), "\nX-Number: ")
			number, _, _ = strings.Cut(number, "\n")
			count[number]++
		}
		if left, err := filepath.Glob(filepath.Join(got, "in.*")); err != nil || len(left) > 0 {
			return fmt.Errorf("%q is not done: %v", left, err)
		}
		for n := range messages {
			number := fmt.Sprintf("<%d>", n)
			if c := count[number]; c == 0 || c < count["done "+number] {
				return fmt.Errorf("%s: %d copies, handed back %d times", number, c, count["done "+number])
			}
		}
		return nil
	})
	b.queueEmpty(t)
	twice := 0
	for n := range messages {
		number := fmt.Sprintf("<%d>", n)
		c, begun, done := count[number], count["begin "+number], count["done "+number]
		if c < done || c > begun || c < 1 {
			t.Errorf("%s: %d copies; the script has handed it back %d times, of which %d are certain", number, c, begun, done)
		}
		if c > 1 {
			twice++
		}
	}
	t.Logf("%d of %d messages came twice", twice, messages)
}
