package e2e

import (
	"errors"
	"net"
	"strconv"
	"strings"
	"testing"

	"toastmaster/internal/testkit/dnstest"
)

// TestMXBackup: mail for a domain that has this host behind a better one is taken, and waits for that one; for others it is not relaying. A
// filter of DNS replies takes the record of this host away from restrictions, and the better host's from deliveries.
func TestMXBackup(t *testing.T) {
	t.Parallel()
	names := dnstest.Start(t, map[string]dnstest.Name{
		"backup.test": {MX: []net.MX{{Host: "better.test", Pref: 10}, {Host: "here.test", Pref: 20}}}, "hidden.test": {MX: []net.MX{{Host: "better.test", Pref: 10}, {Host: "here.test", Pref: 20}}},
		"primary.test": {MX: []net.MX{{Host: "here.test", Pref: 10}, {Host: "better.test", Pref: 20}}}, "outside.test": {MX: []net.MX{{Host: "far.test", Pref: 10}, {Host: "here.test", Pref: 20}}},
		"better.test": {Addrs: []string{"192.0.2.9"}}, "far.test": {Addrs: []string{"198.51.100.1"}}, "here.test": {Addrs: []string{"203.0.113.5"}},
	})
	b := serve(t, map[string]string{
		"main.trusted_networks": "[]", "smtp.resolver": "[" + strconv.Quote(names.Addr) + "]", "smtp.own_addresses": `["203.0.113.5"]`, "smtp.connect_timeout": `"1s"`,
		"smtpd.relay_restrictions": `["permit_mx_backup", "reject_unauth_destination"]`, "smtpd.permit_mx_backup_networks": `["192.0.2.0/24"]`, "smtpd.error_limit": "1000",
		"smtpd.dns_reply_filter": `["regexp:{ {/^hidden\\.test\\. .* here\\.test\\.$/ IGNORE} }"]`, "smtp.dns_reply_filter": `["regexp:{ {/^better\\.test\\. [0-9]+ IN A 192\\./ IGNORE} }"]`,
	})
	s, err := dialSMTP(b.SMTP(), "EHLO")
	must(t, err)
	defer s.Close()
	_, err = s.command("250", "MAIL FROM:<x@example.net>")
	must(t, err)
	for to, want := range map[string]string{"backup.test": "250", "hidden.test": "554", "primary.test": "554", "outside.test": "554", "unknown.test": "554"} {
		if reply, err := s.command(want, "RCPT TO:<y@"+to+">"); err != nil {
			t.Errorf("%s: %s %v", to, reply, err)
		}
	}
	for _, step := range [][2]string{{"354", "DATA"}, {"250", "Subject: backup\r\n\r\ntext\r\n."}} {
		_, err := s.command(step[0], step[1])
		must(t, err)
	}
	eventually(t, func() error {
		if log := readFile(t, b.LogFile()); !strings.Contains(log, "the filter of DNS replies leaves no record") || !strings.Contains(log, "status=deferred") {
			return errors.New("not deferred by the filter:\n" + b.LogTail(2000))
		}
		return nil
	})
}
