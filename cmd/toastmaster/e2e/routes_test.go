package e2e

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// TestTransportMaps: tables say by which transport and to which host mail goes, of a mailbox that is served elsewhere, too; what
// they close is not taken, nor is mail of who has moved, or while they cannot answer.
func TestTransportMaps(t *testing.T) {
	t.Parallel()
	const boxOf, chosen, byFrom = "carol@remote.example", "dave@remote.example", "erin@remote.example"
	p := startPostfix(t, "mx.remote.example", "", boxOf, chosen, byFrom, bob)
	hop := fmt.Sprintf("[127.0.0.1]:%d", p.Port25())
	b := serve(t, map[string]string{
		"smtp.relayhost": `"[127.0.0.1]:1"`,
		"rewrite.transport_maps": `["inline:{ {carol@remote.example=smtp:` + hop + `}, {dave@remote.example=:` + hop + `}, {bob@example.test=smtp:` + hop + `}, {closed.example=error:5.1.2 Closed}, {trap.example=discard:} }", ` +
			`"pipemap:{inline:{ {x@late.example=x} },fail:x}"]`,
		"rewrite.relocated_maps":                  `["inline:{ {gone@remote.example=new@elsewhere.example} }"]`,
		"rewrite.sender_dependent_relayhost_maps": `["inline:{ {@relayed.example=` + hop + `} }"]`,
	})
	s, err := dialSMTP(b.SMTP(), "EHLO")
	must(t, err)
	defer s.Close()
	for _, to := range []string{boxOf, chosen, bob, "x@trap.example"} {
		_, err = s.send(alice, []string{to}, "Subject: x\r\n\r\nx\r\n")
		must(t, err)
	}
	_, err = s.send("x@relayed.example", []string{byFrom}, "Subject: x\r\n\r\nx\r\n")
	must(t, err)
	for to, want := range map[string]string{"x@closed.example": "550 5.1.2", "gone@remote.example": "551 5.1.6", "x@late.example": "451 4.3.0"} {
		if _, err := s.send(alice, []string{to}, "Subject: x\r\n\r\nx\r\n"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", to, err, want)
		}
		_, err = s.command("250", "RSET")
		must(t, err)
	}
	b.queueEmpty(t)
	for _, to := range []string{boxOf, chosen, byFrom, bob} {
		eventually(t, func() error {
			if files, _ := filepath.Glob(filepath.Join(p.Maildir(to), "new", "*")); len(files) != 1 {
				return fmt.Errorf("%s has %d messages", to, len(files))
			}
			return nil
		})
	}
}
