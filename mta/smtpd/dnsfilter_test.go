package smtpd

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"testing"
	"time"

	"toastmaster/configs"
	"toastmaster/directory"
	"toastmaster/directory/tables"
	"toastmaster/internal/clock"
	"toastmaster/internal/dns"
	"toastmaster/internal/testkit/dnstest"
	"toastmaster/internal/testkit/peers"
)

// TestDNSReplyFilterAsPostfix: what a filter of DNS replies leaves out is not there for restrictions, and when it leaves nothing
// nobody is refused for good; names of clients are not filtered. Debian's Postfix says the same.
func TestDNSReplyFilterAsPostfix(t *testing.T) {
	t.Parallel()
	peers.NeedRoot(t, "Postfix")
	peers.Need(t, "postfix", "postfix")
	const rules = `/^good\.test\. [0-9]+ IN MX 10 mx\.good\.test\.$/ IGNORE
/^addr\.test\. [0-9]+ IN A 192\.0\.2\.2$/ ignore this
/^six\.test\. [0-9]+ IN AAAA 2001:db8::2$/ IGNORE
/^halfnull\.test\. [0-9]+ IN MX 0 \.$/ IGNORE
/^1\.0\.66\.127\.rbl\.test\. [0-9]+ IN A 127\.0\.0\.2$/ IGNORE
/^1\.0\.66\.127\.rbl\.test\. [0-9]+ IN TXT see/ IGNORE
/a\.client\.test/ IGNORE
/^mxfail\.test\./ WHAT
`
	file := peers.TempDir(t) + ".filter"
	if err := os.WriteFile(file, []byte(rules), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(file) })
	names := dnstest.StartForSystem(t, clientZone())
	list := []string{"reject_unknown_client_hostname", "reject_unknown_sender_domain", "reject_rbl_client rbl.test"}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	p, err := peers.StartPostfix(ctx, peers.PostfixOptions{
		Dir: peers.TempDir(t), Hostname: "mx.test", NameServer: names.Addr, Accounts: []peers.Account{{Address: "alice@example.test"}},
		Main: "smtpd_dns_reply_filter = regexp:" + file + "\nmynetworks =\nsmtpd_peername_lookup = yes\nsmtpd_relay_restrictions = reject_unauth_destination\n" +
			"smtpd_recipient_restrictions = reject_unknown_client_hostname, reject_unknown_sender_domain, reject_rbl_client rbl.test\n",
	})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Stop()
	set := tables.NewSet(tables.Options{Params: configs.Default().Lookup})
	t.Cleanup(func() { set.Close() })
	maps, _, err := set.OpenAll(ctx, []string{"regexp:" + file})
	if err != nil {
		t.Fatal(err)
	}
	b := newBed(t)
	b.o.Trusted = nil
	b.o.DNS = dns.New(dns.Options{Servers: []string{names.Addr}, CacheLimit: 100, Clock: clock.System{}}).Filtered(func(ctx context.Context, record string) (bool, error) {
		text, err := maps.Lookup(ctx, record)
		switch {
		case directory.OutcomeOf(err) == directory.NotFound:
			return false, nil
		case err != nil:
			return false, err
		case !regexp.MustCompile(`(?i)^ignore\b`).MatchString(text):
			return false, fmt.Errorf("%q", text)
		}
		return true, nil
	})
	b.o.Params.Restrictions.Recipient = list
	ours := serve(t, served(daemon(t, b.o).MX()), nil)
	for _, sender := range []string{"x@good.test", "x@addr.test", "x@six.test", "x@halfnull.test", "x@alias.test", "x@mxfail.test", "x@nowhere.test", "x@servfail.test", "x@null.test", ""} {
		say := func(address string) string {
			c := dialFrom(t, address, "127.66.0.1")
			defer c.Close()
			c.reply(t, "greeting")
			return c.say(t, "EHLO client.test", "MAIL FROM:<"+sender+">", "RCPT TO:<alice@example.test>")[2]
		}
		if mine, theirs := say(ours), say(p.SMTP()); mine != theirs {
			t.Errorf("%s\nours    %s\nPostfix %s", sender, mine, theirs)
		}
	}
	if t.Failed() {
		t.Log(p.LogTail(4000))
	}
}
