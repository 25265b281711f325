package e2e

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"toastmaster/internal/testkit/dnstest"
)

// TestRBLReplyMaps: a DNS list has the reply that a table has for it, by its name as it stands in the restriction; others, and one whose
// table does not answer, have smtpd.default_rbl_reply.
func TestRBLReplyMaps(t *testing.T) {
	t.Parallel()
	listed := dnstest.Name{Addrs: []string{"127.0.0.2"}, TXT: []string{"because"}}
	names := dnstest.Start(t, map[string]dnstest.Name{
		dnstest.Listed("127.0.0.1", "own.test"): listed, dnstest.Listed("127.0.0.1", "part.test"): listed, dnstest.Listed("127.0.0.1", "usual.test"): listed,
	})
	file := filepath.Join(t.TempDir(), "replies")
	must(t, os.WriteFile(file, []byte("own.test $rbl_code 5.7.9 own words about $rbl_what: $rbl_reason\npart.test=127.0.0.2 450 4.7.8 later\npart.test 554 wrong\n"), 0o644))
	own := strconv.Quote("texthash:" + file)
	for list, replies := range map[string]map[string]string{
		"own.test":            {own: "571 5.7.9 own words about 127.0.0.1: because", `"tcp:127.0.0.1:1"`: "571 5.7.1 usual own.test"},
		"part.test=127.0.0.2": {own: "450 4.7.8 later"},
		"usual.test":          {own: "571 5.7.1 usual usual.test"},
	} {
		for maps, want := range replies {
			b := serve(t, map[string]string{
				"main.trusted_networks": "[]", "smtp.resolver": "[" + strconv.Quote(names.Addr) + "]", "smtpd.rbl_reply_maps": "[" + maps + "]", "smtpd.maps_rbl_reject_code": "571",
				"smtpd.default_rbl_reply": `"$rbl_code 5.7.1 usual $rbl_domain"`, "smtpd.recipient_restrictions": `["reject_rbl_client ` + list + `"]`,
			})
			s, err := dialSMTP(b.SMTP(), "EHLO")
			must(t, err)
			_, err = s.command("250", "MAIL FROM:<x@example.net>")
			must(t, err)
			if reply, err := s.command(want, "RCPT TO:<"+alice+">"); err != nil {
				t.Errorf("%s with %s: %s, want %s", list, maps, reply, want)
			}
			s.Close()
		}
	}
}
