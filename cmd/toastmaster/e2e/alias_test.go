package e2e

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// TestAliasKeepsACopy: an alias beside a mailbox forwards with a copy when it
// names itself, and without one when it does not.
func TestAliasKeepsACopy(t *testing.T) {
	t.Parallel()
	b := serve(t, nil)
	ctx := testContext(t)
	for _, step := range []struct {
		args, says string
		send       bool
		alice, bob int
	}{
		{"alias add alice@example.test alice@example.test bob@example.test", "keeps a copy", true, 1, 1},
		{"alias set alice@example.test bob@example.test", "gets no mail", true, 1, 2},
		{"mailbox show alice@example.test", "mail goes to it", false, 1, 2},
		{"alias show alice@example.test", "gets no mail", false, 1, 2},
		{"alias remove alice@example.test", "removed", true, 2, 2},
	} {
		out, err := b.Run(ctx, "", strings.Fields(step.args)...)
		must(t, err)
		if !strings.Contains(out, step.says) {
			t.Errorf("%s says %q", step.args, out)
		}
		if step.send {
			b.sendOne(t, "sender@example.net", alice, "after "+step.args[:9])
		}
		b.waitMail(t, alice, step.alice)
		b.waitMail(t, bob, step.bob)
	}
	b.queueEmpty(t)
	for i, f := range b.mail(t, bob, "") {
		if text := readFile(t, f); !strings.Contains(text, "X-Original-To: "+alice+"\nDelivered-To: "+bob) {
			t.Error(fmt.Sprint(i), text)
		}
	}
}

// TestExpandedIsOneReport: who asked for success and wrote to an alias for two
// hears that it was expanded, and of no delivery.
func TestExpandedIsOneReport(t *testing.T) {
	t.Parallel()
	b := serve(t, nil)
	_, err := b.Run(testContext(t), "", "alias", "add", "list@example.test", alice, bob)
	must(t, err)
	s, err := dialSMTP(b.SMTP(), "EHLO")
	must(t, err)
	defer s.Close()
	for _, step := range [][2]string{
		{"250", "MAIL FROM:<" + alice + ">"}, {"250", "RCPT TO:<list@example.test> NOTIFY=SUCCESS ORCPT=rfc822;all@example.net"}, {"354", "DATA"},
		{"250", "Subject: to the list\r\n\r\nText.\r\n."},
	} {
		if _, err := s.command(step[0], "%s", step[1]); err != nil {
			t.Fatalf("%s: %v", step[1], err)
		}
	}
	b.waitMail(t, bob, 1)
	b.queueEmpty(t)
	var report string
	for _, f := range b.waitMail(t, alice, 2) {
		if text := readFile(t, f); strings.Contains(text, "report-type=delivery-status") {
			report += text
		}
	}
	const want = "Original-Recipient: rfc822; all@example.net\nFinal-Recipient: rfc822; list@example.test\nAction: expanded\nStatus: 2.0.0\n"
	if strings.Count(report, "\nAction: ") != 1 || !strings.Contains(report, want) || strings.Contains(report, "rfc822; "+bob) {
		t.Error(report)
	}
}

// TestAliasLoops: what can be known is refused when the alias is made; what a
// later change makes of it is refused at RCPT, for that recipient alone.
func TestAliasLoops(t *testing.T) {
	t.Parallel()
	b := serve(t, nil)
	ctx := testContext(t)
	run := func(args string) (string, error) { return b.Run(ctx, "", strings.Fields(args)...) }
	for _, args := range []string{
		"alias add a@example.test b@example.test", "alias add c@example.test bob@example.test d@later.test", "alias add d@example.test c@example.test",
	} {
		_, err := run(args)
		must(t, err)
	}
	out, err := run("alias add b@example.test bob@example.test a@example.test")
	if text := fmt.Sprint(out, err); err == nil || !strings.Contains(text, "b@example.test -> a@example.test -> b@example.test") {
		t.Errorf("the loop was answered with %s", text)
	}
	_, err = run("domain add later.test --alias-of example.test")
	must(t, err)
	s, err := dialSMTP(b.SMTP(), "EHLO")
	must(t, err)
	defer s.Close()
	for _, step := range [][2]string{
		{"250", "MAIL FROM:<sender@example.net>"}, {"554", "RCPT TO:<c@example.test>"}, {"554", "RCPT TO:<d@later.test>"}, {"250", "RCPT TO:<" + alice + ">"},
	} {
		if _, err := s.command(step[0], "%s", step[1]); err != nil {
			t.Fatalf("%s: %v", step[1], err)
		}
	}
	b.sendOne(t, "sender@example.net", alice, "through")
	b.waitMail(t, alice, 1)
	b.queueEmpty(t)
}

// TestDeliveredToConcernsOneRecipient: the others get the message, and the
// sender a report.
func TestDeliveredToConcernsOneRecipient(t *testing.T) {
	t.Parallel()
	b := serve(t, nil)
	for _, sender := range []string{alice, ""} {
		s, err := dialSMTP(b.SMTP(), "EHLO")
		must(t, err)
		defer s.Close()
		_, err = s.send(sender, []string{alice, bob}, "Delivered-To: "+bob+"\r\nDelivered-To: "+bob+"\r\nSubject: again\r\n\r\nText.\r\n")
		must(t, err)
	}
	var reports int
	for _, f := range b.waitMail(t, alice, 3) {
		if text := readFile(t, f); strings.Contains(text, "Final-Recipient: rfc822; "+bob) && strings.Contains(text, "Status: 5.4.6") {
			reports++
		}
	}
	if reports != 1 || len(b.mail(t, bob, "")) != 0 {
		t.Errorf("%d reports, bob has %v", reports, b.mail(t, bob, ""))
	}
	b.queueEmpty(t)
	eventually(t, func() error {
		if !strings.Contains(b.LogTail(1<<20), "no report to the null sender") {
			return errors.New("the null sender's loss is not in the log")
		}
		return nil
	})
}
