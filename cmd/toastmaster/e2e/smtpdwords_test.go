package e2e

import (
	"strconv"
	"testing"
)

// TestSMTPDWordsAsPostfix: footers and commands in the place of others are those of Debian's Postfix, to the letter where the reply is.
func TestSMTPDWordsAsPostfix(t *testing.T) {
	t.Parallel()
	const filter = `pcre:{ {/^RCPT\s+TO:\s*<'([^']+)'>(.*)/ RCPT TO:<$1>$2}, {/^PLEASE (.*)/ $1} }`
	footers := []string{`call 555, $client_address at $server_name`, `\c; see ${client}`, `one\nand $client_address`}
	b := serve(t, map[string]string{"smtpd.command_filter": "[" + strconv.Quote(filter) + "]", "main.trusted_networks": `["192.0.2.0/24"]`, "smtpd.recipient_restrictions": `["reject"]`})
	p := startPostfix(t, "mx.example.test", "smtpd_recipient_restrictions = reject\nsmtpd_relay_restrictions = reject_unauth_destination\nmynetworks = 192.0.2.0/24\nsmtpd_error_sleep_time = 0\n"+
		"smtpd_command_filter = pcre:{ {/^RCPT\\s+TO:\\s*<'([^']+)'>(.*)/ RCPT TO:<$$1>$$2}, {/^PLEASE (.*)/ $$1} }\n", alice)
	talk := func(address string) string {
		s, err := dialSMTP(address, "EHLO")
		must(t, err)
		defer s.Close()
		_, err = s.command("250", "PLEASE MAIL FROM:<x@elsewhere.test>")
		must(t, err)
		said, err := s.command("554", "RCPT TO: <'%s'>", alice)
		must(t, err)
		return said
	}
	for _, footer := range footers {
		must(t, b.Stop())
		must(t, b.SetParam("smtpd.reject_footer", "'"+footer+"'"))
		b.start(t)
		if _, _, errs, err := p.Run(testContext(t), "", "postconf", "-e", "smtpd_reject_footer = "+footer); err != nil {
			t.Fatal(err, errs)
		}
		if _, _, errs, err := p.Run(testContext(t), "", "postfix", "reload"); err != nil {
			t.Fatal(err, errs)
		}
		if ours, theirs := talk(b.SMTP()), talk(p.SMTP()); ours != theirs {
			t.Errorf("%s\n--- ours\n%s\n--- Postfix\n%s", footer, ours, theirs)
		}
	}
}
