package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestUnverifiedAddressesAsPostfix: a Postfix that knows two mailboxes is probed by us and by another
// Postfix, over the same dialogue, and both answer the same to the client. The results survive
// a SIGKILL, the host that was asked got no message, and nothing of a probe is in the queue.
func TestUnverifiedAddressesAsPostfix(t *testing.T) {
	t.Parallel()
	target := startPostfix(t, "mx.remote.example", "smtpd_recipient_restrictions = inline:{ {later@remote.example = 450 4.2.0 come back} }\n", "known@remote.example", "sender@remote.example")
	theirs := startPostfix(t, "mail.theirs.example", fmt.Sprintf("relayhost = [127.0.0.1]:%d\nunverified_recipient_reject_code = 550\nunverified_sender_reject_code = 550\n"+
		"smtpd_recipient_restrictions = check_recipient_access inline:{ {alias@remote.example = OK} }, reject_unverified_sender, reject_unverified_recipient\n"+
		"smtpd_delay_reject = yes\naddress_verify_sender =\naddress_verify_poll_delay = 1s\naddress_verify_poll_count = 30\n", target.Port25()))
	b := serve(t, map[string]string{
		"smtp.relayhost": fmt.Sprintf(`"[127.0.0.1]:%d"`, target.Port25()), "smtpd.unverified_recipient_reject_code": "550", "smtpd.unverified_sender_reject_code": "550",
		"smtpd.recipient_restrictions": `["check_recipient_access inline:{ {alias@remote.example = OK} }", "reject_unverified_sender", "reject_unverified_recipient"]`,
		"verify.poll_count":            "30", "verify.poll_delay": `"1s"`, "smtpd.error_limit": "1000",
	})
	say := func(address, from, to string) string {
		t.Helper()
		s, err := dialSMTP(address, "EHLO")
		must(t, err)
		defer s.Close()
		_, err = s.command("250", "MAIL FROM:<"+from+">")
		must(t, err)
		reply, err := s.command("", "RCPT TO:<"+to+">")
		must(t, err)
		return strings.TrimSpace(reply)
	}
	// What a probe found is quoted by each in its own words.
	cut := func(reply string) string {
		before, _, _ := strings.Cut(reply, "address: ")
		return before
	}
	for _, c := range [][2]string{
		{"sender@remote.example", "known@remote.example"}, {"sender@remote.example", "unknown@remote.example"}, {"", "known@remote.example"},
		{"nobody@remote.example", "known@remote.example"}, {"sender@remote.example", "later@remote.example"}, {"", "alias@remote.example"},
	} {
		ours, their := say(b.SMTP(), c[0], c[1]), say(theirs.SMTP(), c[0], c[1])
		if cut(ours) != cut(their) {
			t.Errorf("%q: ours %q, Postfix %q", c, ours, their)
		}
	}
	b.queueEmpty(t)
	// What was found is there after a kill, when the host cannot be asked any more.
	eventually(t, func() error {
		text, err := os.ReadFile(filepath.Join(b.Data(), "verify_cache"))
		if err == nil && !strings.Contains(string(text), "unknown@remote.example") {
			err = fmt.Errorf("not written: %s", text)
		}
		return err
	})
	b.Kill()
	target.Stop()
	b.start(t)
	started := time.Now()
	if got := say(b.SMTP(), "", "known@remote.example"); !strings.HasPrefix(got, "250 ") {
		t.Error(got)
	}
	if got := say(b.SMTP(), "", "unknown@remote.example"); !strings.HasPrefix(got, "550 5.1.1 ") {
		t.Error(got)
	}
	if wait := time.Since(started); wait > 20*time.Second {
		t.Errorf("it took %v: somebody waited for a probe", wait)
	}
}
