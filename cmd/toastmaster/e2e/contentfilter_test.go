package e2e

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"toastmaster/internal/testkit/filtertest"
	"toastmaster/internal/testkit/miltertest"
)

// startFilter starts a content filter.
func startFilter(t *testing.T, o filtertest.Options) *filtertest.Filter {
	t.Helper()
	f, err := filtertest.Start(o)
	must(t, err)
	t.Cleanup(f.Close)
	return f
}

// behind is a port for what a content filter hands back, as FILTER_README of Postfix has it.
func behind(address string) string {
	return `[[listener]]
name = "back"
listen = ["` + address + `"]
content_filter = ""
proxy_filter = ""
trusted_networks = ["127.0.0.0/8"]
authorized_xforward_hosts = ["127.0.0.0/8"]
client_restrictions = []
helo_restrictions = []
sender_restrictions = []
recipient_restrictions = ["permit_mynetworks", "reject"]
receive_override_options = ["no_unknown_recipient_checks", "no_header_body_checks", "no_milters"]
discard_ehlo_keywords = ["starttls", "chunking"]
syslog_name = "postfix/back"
`
}

const scanTransport = "\n[[transport]]\nname = \"scan\"\nagent = \"smtp\"\nsend_xforward_command = true\n"

// TestContentFilterHandsBack: mail goes by the filter, which calls itself as we do, once and only once, and then to its recipients: mapped,
// copied, checked and shown to milters once. DSN options and where it came from are kept over it.
func TestContentFilterHandsBack(t *testing.T) {
	t.Parallel()
	back := ownPorts(t).Addr(25)
	filter := startFilter(t, filtertest.Options{Name: "mx.example.test", Next: back})
	milter, err := miltertest.Start("tcp", "127.0.0.1:0", miltertest.Script{})
	must(t, err)
	t.Cleanup(milter.Close)
	b := serveListeners(t, map[string]string{
		"smtpd.content_filter": `"scan:` + strings.Replace("["+filter.Addr(), ":", "]:", 1) + `"`, "smtpd.receive_override_options": `["no_address_mappings"]`,
		"smtpd.milters": `["` + milter.Name() + `"]`, "cleanup.always_bcc": `"archive@example.test"`, "smtpd.authorized_xclient_hosts": `["127.0.0.0/8"]`,
		"cleanup.header_checks": `["regexp:{ {/^Subject:/ PREPEND X-Checked: once} }"]`, "log.flush": `"0s"`, "smtpd.recipient_restrictions": `["permit_mynetworks", "reject_unlisted_recipient"]`,
	}, scanTransport+behind(back))
	ctx := testContext(t)
	must(t, b.AddMailbox(ctx, "archive@example.test", bobsWord))
	must(t, b.AddAlias(ctx, "both@example.test", alice, bob))

	s, err := dialSMTP(b.SMTP(), "EHLO")
	must(t, err)
	defer s.Close()
	_, err = s.command("220", "XCLIENT NAME=client.example ADDR=192.0.2.77 HELO=far.example PROTO=ESMTP")
	must(t, err)
	_, err = s.command("250", "EHLO far.example")
	must(t, err)
	for _, step := range []struct{ code, line string }{
		{"550", "MAIL FROM:<a@sender.example>|RCPT TO:<nobody@example.test>"},
		{"250", "RSET|MAIL FROM:<" + alice + "> ENVID=env+2Bid RET=HDRS|RCPT TO:<both@example.test> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;orig@example.test"},
		{"354", "DATA"},
		{"250", "From: <alice@example.test>\r\nSubject: filtered\r\n\r\ntext\r\n."},
	} {
		lines := strings.Split(step.line, "|")
		for i, line := range lines {
			code := step.code
			if i < len(lines)-1 {
				code = "250"
			}
			_, err = s.command(code, "%s", line)
			must(t, err)
		}
	}
	for _, who := range []string{bob, "archive@example.test"} {
		text := readFile(t, b.waitMail(t, who, 1)[0])
		if strings.Count(text, filtertest.Mark) != 1 || strings.Count(text, "X-Checked: once") != 1 || strings.Count(text, "\nReceived: ") != 2 {
			t.Errorf("%s:\n%s", who, text)
		}
	}
	// The report of success is from behind the filter, one for the alias that the sender wrote.
	files := b.waitMail(t, alice, 2)
	reports := 0
	for _, f := range files {
		if text := readFile(t, f); strings.Contains(text, "report-type=delivery-status") {
			reports++
			for _, want := range []string{"Original-Envelope-Id: env+id", "Original-Recipient: rfc822; orig@example.test", "Action: expanded"} {
				if !strings.Contains(text, want) {
					t.Errorf("the report has no %q:\n%s", want, text)
				}
			}
		}
	}
	if reports != 1 {
		t.Errorf("%d reports", reports)
	}
	b.queueEmpty(t)
	said := strings.Join(filter.Sessions()[0], "\n")
	for _, want := range []string{"XFORWARD NAME=client.example ADDR=192.0.2.77", "HELO=far.example", "SOURCE=REMOTE", "MAIL FROM:<alice@example.test> SIZE=", "RET=HDRS ENVID=env+2Bid",
		"RCPT TO:<both@example.test> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;orig@example.test"} {
		if !strings.Contains(said, want) {
			t.Errorf("the filter did not hear %q:\n%s", want, said)
		}
	}
	if n := len(filter.Messages()); n != 1 {
		t.Errorf("%d messages went by the filter", n)
	}
	seen := 0
	for _, session := range milter.Sessions() {
		for _, packet := range session {
			if strings.HasPrefix(packet, "E") {
				seen++
			}
		}
	}
	if seen != 1 {
		t.Errorf("the milter has seen %d messages: %q", seen, milter.Sessions())
	}
	eventually(t, func() error {
		for line := range strings.Lines(readFile(t, b.LogFile())) {
			if strings.Contains(line, " queued ") && strings.Contains(line, "client.example") && strings.Contains(line, "192.0.2.77") && strings.Contains(line, "orig_") {
				return nil
			}
		}
		return fmt.Errorf("the log does not say where the message came from")
	})
}

// TestContentFilterLosesNothing: a filter that is down lets mail wait; SIGKILLs of the server while mail goes by the filter lose nothing,
// and a recipient has a message as often as the filter has handed it back: twice only where the kill came between its answer and ours.
func TestContentFilterLosesNothing(t *testing.T) {
	t.Parallel()
	ports := ownPorts(t)
	back, at := ports.Addr(25), ports.Addr(24)
	b := serveListeners(t, map[string]string{
		"smtpd.content_filter": `"scan:` + strings.Replace("["+at, ":", "]:", 1) + `"`, "qmgr.minimal_backoff_time": `"1s"`, "qmgr.maximal_backoff_time": `"1s"`,
	}, scanTransport+behind(back))
	b.sendOne(t, "x@sender.example", bob, "nobody is there")
	eventually(t, func() error {
		out, err := b.Run(testContext(t), "", "queue", "list", "--json", "--place", "deferred")
		if err == nil && !strings.Contains(out, "Connection refused") {
			err = fmt.Errorf("not deferred: %s", out)
		}
		return err
	})
	filter := startFilter(t, filtertest.Options{Listen: at, Name: "mx.example.test", Next: back})
	b.waitMail(t, bob, 1)

	const messages, kills = 60, 3
	taken := make(chan string, messages)
	var clients sync.WaitGroup
	for w := range 4 {
		clients.Go(func() {
			for n := w; n < messages; n += 4 {
				for { // a client comes again until it is told 250
					s, err := dialSMTP(b.SMTP(), "EHLO")
					if err == nil {
						_, err = s.send("x@sender.example", []string{alice}, fmt.Sprintf("Subject: m%d\r\nX-Number: <%d>\r\n\r\ntext\r\n", n, n))
						s.Close()
					}
					if err == nil {
						break
					}
					if t.Context().Err() != nil {
						return
					}
					time.Sleep(5 * time.Millisecond)
				}
				taken <- fmt.Sprintf("X-Number: <%d>", n)
			}
		})
	}
	var numbers []string
	for k := range kills {
		for len(numbers) < (k+1)*messages/(kills+1) {
			numbers = append(numbers, <-taken)
		}
		b.Kill()
		b.start(t)
	}
	clients.Wait()
	for len(numbers) < messages {
		numbers = append(numbers, <-taken)
	}
	b.queueEmpty(t)
	passed := map[string][2]int{} // how often it was handed back for certain, and perhaps
	for _, m := range filter.Messages() {
		for _, n := range numbers {
			if !strings.Contains(m.Text, n) {
				continue
			}
			count := passed[n]
			if m.Accepted {
				count[0]++
			}
			if m.Accepted || m.Lost {
				count[1]++
			}
			passed[n] = count
		}
	}
	copies := map[string]int{}
	for _, f := range b.mail(t, alice, "") {
		text := readFile(t, f)
		for _, n := range numbers {
			if strings.Contains(text, n) {
				copies[n]++
			}
		}
		if strings.Count(text, filtertest.Mark) != 1 {
			t.Errorf("%s", text)
		}
	}
	for _, n := range numbers {
		if c, p := copies[n], passed[n]; c < 1 || c < p[0] || c > p[1] {
			t.Errorf("%s: %d copies, and the filter has handed it back %d to %d times", n, c, p[0], p[1])
		}
	}
}
