package e2e

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"toastmaster/internal/testkit/peers"
)

// reasons are what transport(5) gives a domain, and a table [[transport]] here.
var reasons = map[string]struct{ agent, nexthop string }{
	"closed.example":  {"error", "5.1.2 This company is closed"},
	"plain.example":   {"error", "mail for this domain is not deliverable"},
	"nothing.example": {"error", ""},
	"moving.example":  {"retry", "4.3.2 moving house"},
	"waiting.example": {"retry", "on holiday"},
	"silent.example":  {"retry", ""},
	"trap.example":    {"discard", "2.1.5 spam trap"},
	"hole.example":    {"discard", "a black hole"},
	"void.example":    {"discard", ""},
}

// attemptLine is a line about a recipient, as Postfix writes it.
var attemptLine = regexp.MustCompile(`postfix/(\w+)\[\d+\]: \w+: to=<([^>]+)>(, orig_to=<[^>]+>)?, relay=(\S+), delay=.*, dsn=(\S+), status=(\w+) \((.*)\)`)

// attempts are what a log says about each recipient, the first line of each.
func attempts(text string) map[string]string {
	found := map[string]string{}
	for _, m := range attemptLine.FindAllStringSubmatch(text, -1) {
		if found[m[2]] == "" {
			found[m[2]] = fmt.Sprintf("%s relay=%s dsn=%s status=%s (%s)", m[1], m[4], m[5], m[6], m[7])
		}
	}
	return found
}

// withReasons is an instance with a table for each of reasons, and its log; recipients is
// smtpd.recipient_restrictions.
func withReasons(t *testing.T, recipients string) (b *box, log string) {
	t.Helper()
	log = filepath.Join(t.TempDir(), "mail.log")
	b = serve(t, map[string]string{
		"log.format": `"postfix"`, "log.file": strconv.Quote(log), "log.flush": `"0s"`, "smtpd.recipient_restrictions": recipients,
	})
	must(t, b.Stop())
	f, err := os.OpenFile(b.ConfigFile(), os.O_APPEND|os.O_WRONLY, 0)
	must(t, err)
	for domain, r := range reasons {
		_, err = fmt.Fprintf(f, "\n[[transport]]\nname = %q\nagent = %q\ndomains = [%q]\n", strings.TrimSuffix(domain, ".example"), r.agent, domain)
		must(t, err)
		if r.nexthop != "" {
			_, err = fmt.Fprintf(f, "nexthop = %q\n", r.nexthop)
			must(t, err)
		}
	}
	must(t, f.Close())
	b.start(t)
	return b, log
}

// postfixWithReasons is a Postfix with the same, and a recipient in each domain.
func postfixWithReasons(t *testing.T) (p *peers.Postfix, to []string) {
	t.Helper()
	var table strings.Builder
	for _, domain := range slices.Sorted(maps.Keys(reasons)) {
		r := reasons[domain]
		fmt.Fprintf(&table, " { %s = %s:%s }", domain, r.agent, r.nexthop)
		to = append(to, "x@"+domain)
	}
	return startPostfix(t, "mx.remote.example", "enable_long_queue_ids = yes\ntransport_maps = inline:{"+table.String()+" }", alice), to
}

// TestReasonsAsPostfix: the agents error, retry and discard say of each recipient in the
// log what Debian's Postfix says with the same transport(5).
func TestReasonsAsPostfix(t *testing.T) {
	t.Parallel()
	p, to := postfixWithReasons(t)
	message := "From: <alice@example.test>\nSubject: reasons\n\ntext\n"
	must(t, p.Submit(testContext(t), alice, to, message))
	var theirs map[string]string
	eventually(t, func() error {
		if theirs = attempts(p.LogTail(1 << 20)); len(theirs) < len(to) {
			return fmt.Errorf("Postfix has tried %v", theirs)
		}
		return nil
	})

	b, log := withReasons(t, "[]") // else smtpd takes none of it
	if code, out, errs := newSendmail(t, b).run(t, message, append([]string{"-i", "-f", alice}, to...)...); code != 0 {
		t.Fatal(code, out, errs)
	}
	var ours map[string]string
	eventually(t, func() error {
		if ours = attempts(readFile(t, log)); len(ours) < len(to) {
			return fmt.Errorf("we have tried %v", ours)
		}
		return nil
	})
	for _, who := range to {
		if ours[who] != theirs[who] {
			t.Errorf("%s:\n  ours    %s\n  Postfix %s", who, ours[who], theirs[who])
		}
	}
}

// TestReasonsAtRCPTAsPostfix: mail that would be refused or kept is not taken, from who may
// relay, with the code, the status and the reason that Debian's Postfix gives.
func TestReasonsAtRCPTAsPostfix(t *testing.T) {
	t.Parallel()
	p, to := postfixWithReasons(t)
	b, _ := withReasons(t, `["reject_unlisted_recipient"]`)
	replies := func(address string) map[string]string {
		s, err := dialSMTP(address, "EHLO")
		must(t, err)
		defer s.Close()
		_, err = s.command("250", "MAIL FROM:<%s>", alice)
		must(t, err)
		got := map[string]string{}
		for _, who := range to {
			got[who], err = s.command("", "RCPT TO:<%s>", who)
			must(t, err)
		}
		return got
	}
	theirs, ours := replies(p.SMTP()), replies(b.SMTP())
	for _, who := range to {
		if want := strings.Replace(theirs[who], "Recipient address rejected: ", "", 1); ours[who] != want {
			t.Errorf("%s:\n  ours    %s\n  Postfix %s", who, ours[who], want)
		}
	}
}

// TestRelocatedGoesThroughError: who has moved when the mail is in the queue already is
// refused by the agent error, with the new address, and so is who has gone.
func TestRelocatedGoesThroughError(t *testing.T) {
	t.Parallel()
	log := filepath.Join(t.TempDir(), "mail.log")
	b := serve(t, map[string]string{"log.format": `"postfix"`, "log.file": strconv.Quote(log), "log.flush": `"0s"`})
	ctx := testContext(t)
	for _, args := range [][]string{
		{"relocated", "add", "moved@example.test", "new@example.org"},
		{"alias", "add", "both@example.test", "moved@example.test", "gone@example.test", bob},
	} {
		if out, err := b.Run(ctx, "", args...); err != nil {
			t.Fatal(out, err)
		}
	}
	b.sendOne(t, alice, "both@example.test", "to both")
	b.waitMail(t, bob, 1)
	report := readFile(t, b.waitMail(t, alice, 1)[0])
	for _, want := range []string{"Status: 5.1.6\n", "User has moved; please try <new@example.org>", "Status: 5.1.1\n", "Subject: to both"} {
		if !strings.Contains(report, want) {
			t.Errorf("the report lacks %q:\n%s", want, report)
		}
	}
	found := attempts(readFile(t, log))
	for who, want := range map[string]string{
		"moved@example.test": "error relay=none dsn=5.1.6 status=bounced (User has moved; please try <new@example.org>)",
		"gone@example.test":  "error relay=none dsn=5.1.1 status=bounced (User unknown)",
		bob:                  "virtual relay=virtual dsn=2.0.0 status=sent",
	} {
		if !strings.HasPrefix(found[who], want) {
			t.Errorf("%s: %q, want %q", who, found[who], want)
		}
	}
	b.queueEmpty(t)
}

// TestDiscardMakesNoReport: mail that is thrown away is not told to be delivered, also to
// a sender who asks for a report, and a report goes about what did not arrive.
func TestDiscardMakesNoReport(t *testing.T) {
	t.Parallel()
	b, log := withReasons(t, "[]")
	s, err := dialSMTP(b.SMTP(), "EHLO")
	must(t, err)
	defer s.Close()
	for _, step := range [][2]string{
		{"250", "MAIL FROM:<" + alice + ">"}, {"250", "RCPT TO:<x@trap.example> NOTIFY=SUCCESS,FAILURE,DELAY"}, {"250", "RCPT TO:<" + bob + "> NOTIFY=SUCCESS"},
		{"354", "DATA"}, {"250", "Subject: two\r\n\r\nx\r\n."},
	} {
		_, err := s.command(step[0], "%s", step[1])
		must(t, err)
	}
	report := readFile(t, b.waitMail(t, alice, 1)[0])
	b.queueEmpty(t)
	if strings.Contains(report, "trap.example") || !strings.Contains(report, "Final-Recipient: rfc822; "+bob) {
		t.Errorf("the report:\n%s", report)
	}
	if got := attempts(readFile(t, log))["x@trap.example"]; got != "discard relay=none dsn=2.1.5 status=sent (spam trap)" {
		t.Error(got)
	}
}
