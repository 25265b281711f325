package e2e

import (
	"strings"
	"testing"
)

// TestBlindCopies: who is named for all messages, for a sender and for a recipient gets the message that
// comes in, once, and does not stand in it; a table that cannot answer lets nothing pass.
func TestBlindCopies(t *testing.T) {
	t.Parallel()
	b := serve(t, map[string]string{
		"cleanup.always_bcc":         `"copies@example.test"`,
		"cleanup.sender_bcc_maps":    `["inline:{ {@elsewhere.example=sent@example.test} }"]`,
		"cleanup.recipient_bcc_maps": `["inline:{ {alice@example.test=sent@example.test} }", "inline:{ {bob@example.test=got@example.test} }", "pipemap:{inline:{ {late@example.test=x} },fail:x}"]`,
	})
	for _, box := range []string{"copies", "sent", "got", "late"} {
		must(t, b.AddMailbox(testContext(t), box+"@example.test", bobsWord))
	}
	s, err := dialSMTP(b.SMTP(), "EHLO")
	must(t, err)
	defer s.Close()
	_, err = s.send("x@elsewhere.example", []string{alice, bob}, "Subject: x\r\n\r\nx\r\n")
	must(t, err)
	for _, to := range []string{alice, bob, "copies@example.test", "sent@example.test", "got@example.test"} {
		if text := readFile(t, b.waitMail(t, to, 1)[0]); strings.Contains(strings.ReplaceAll(text, "Delivered-To: "+to, ""), "copies@") || strings.Contains(text, "Bcc") {
			t.Errorf("%s: %s", to, text)
		}
	}
	b.queueEmpty(t)
	if _, err := s.send("x@elsewhere.example", []string{"late@example.test"}, "Subject: x\r\n\r\nx\r\n"); err == nil || !strings.Contains(err.Error(), "451 4.3.0") {
		t.Error(err)
	}
}
