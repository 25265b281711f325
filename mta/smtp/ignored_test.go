package smtp

import (
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"toastmaster/configs"
	"toastmaster/internal/dsn"
	"toastmaster/internal/testkit/clocktest"
	"toastmaster/internal/testkit/dnstest"
)

// TestHowManyAreTried: smtp.address_limit counts addresses that are tried, smtp.session_limit hosts that have answered.
func TestHowManyAreTried(t *testing.T) {
	t.Parallel()
	names := map[string]dnstest.Name{"remote.test": mx("mx1.remote.test:10", "mx2.remote.test:20"), "mx1.remote.test": a("127.0.0.1"), "mx2.remote.test": a("127.0.0.2")}
	for _, c := range []struct {
		addresses, sessions int
		balance             bool
		want                dsn.Status
	}{{5, 2, true, dsn.OK}, {1, 2, true, dsn.Make(4, 3, 2)}, {1, 2, false, dsn.Make(4, 3, 2)}, {5, 1, true, dsn.Make(4, 3, 2)}} {
		p, q := newPeers(t)
		p.greeting = "421 4.3.2 not now"
		p.start()
		q.start()
		r := newRig(t, p.port, names, func(s *configs.SMTP, _ *Options) {
			s.AddressLimit, s.SessionLimit, s.Balance = c.addresses, c.sessions, c.balance
		})
		r.want(r.deliver(request("remote.test", hello, "a@remote.test")), c.want)
		if n, _ := q.count(); (n == 1) != (c.want == dsn.OK) {
			t.Errorf("%+v: the second host was asked %d times", c, n)
		}
	}
}

// TestAConnectionGrowsTooOld: smtp.connection_reuse_time is from its beginning, however short the pauses are.
func TestAConnectionGrowsTooOld(t *testing.T) {
	t.Parallel()
	p := newPeer(t, "127.0.0.1:0").start()
	clock := clocktest.New(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	r := newRig(t, p.port, one(), func(c *configs.SMTP, o *Options) {
		c.CacheTime, c.CacheReuseTime, o.Clock = time.Hour, 10*time.Minute, clock
	})
	for i, want := range []int{1, 1, 1, 1, 2} { // after 0, 4, 8, 12 and 16 minutes; the fourth finds it too old to be kept
		if i > 0 {
			clock.Advance(4 * time.Minute)
		}
		r.want(r.deliver(request("remote.test", hello, "a@remote.test")), dsn.OK)
		if n, _ := p.count(); n != want {
			t.Errorf("delivery %d: %d connections, want %d", i, n, want)
		}
	}
}

// TestNameInHelo: smtp.helo_name, in EHLO and in HELO.
func TestNameInHelo(t *testing.T) {
	t.Parallel()
	p := newPeer(t, "127.0.0.1:0")
	p.answers = map[string][]string{"EHLO": {"502 5.5.1 what"}}
	r := newRig(t, p.start().port, one(), func(c *configs.SMTP, _ *Options) { c.HeloName = "out.example.org" })
	r.want(r.deliver(request("remote.test", hello, "a@remote.test")), dsn.OK)
	if got := append(p.seen("EHLO"), p.seen("HELO")...); len(got) != 2 || got[0] != "EHLO out.example.org" || got[1] != "HELO out.example.org" {
		t.Errorf("%q", got)
	}
}

// TestLongLinesAreCut: smtp.line_length_limit, by DATA and by BDAT; 0 cuts nothing.
func TestLongLinesAreCut(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 40)
	for limit, want := range map[int]string{0: long, 25: strings.Repeat("x", 25) + "\r\n " + strings.Repeat("x", 15)} {
		for _, ehlo := range [][]string{{"8BITMIME"}, {"CHUNKING"}} {
			p := newPeer(t, "127.0.0.1:0")
			p.ehlo = ehlo
			r := newRig(t, p.start().port, one(), func(c *configs.SMTP, _ *Options) { c.LineLimit = limit })
			r.want(r.deliver(request("remote.test", "Subject: x\n\n"+long+"\n", "a@remote.test")), dsn.OK)
			if p.messages[0] != "Subject: x\r\n\r\n"+want+"\r\n" {
				t.Errorf("%d, %q: %q", limit, ehlo, p.messages)
			}
		}
	}
}

// TestRepliesWithoutEnd: smtp.reply_size_limit is of all that a host says in reply to one command.
func TestRepliesWithoutEnd(t *testing.T) {
	t.Parallel()
	lines := strings.Repeat("250-a line of forty octets, more or less..\r\n", 400)
	for limit, want := range map[int64]bool{64 << 10: true, 4 << 10: false} {
		p := newPeer(t, "127.0.0.1:0")
		p.answers = map[string][]string{"MAIL": {lines + "250 ok"}}
		r := newRig(t, p.start().port, one(), func(c *configs.SMTP, _ *Options) { c.ReplySizeLimit = limit })
		got := r.deliver(request("remote.test", hello, "a@remote.test"))
		if sent := status(got[0]) == dsn.OK; sent != want || !sent && !got[0].Err.Temporary() {
			t.Errorf("%d: %v", limit, got[0])
		}
	}
}

// TestLevelsWithoutATable: smtp.tls_verify_cert_match, tls_secure_cert_match, tls_fingerprint_cert_match with tls_fingerprint_digest, and tls_mandatory_protocols are what a level
// means for a destination that no table names.
func TestLevelsWithoutATable(t *testing.T) {
	t.Parallel()
	cert, roots := certificate(t, "mx.remote.test")
	print := func(d configs.TLSDigest) []string {
		return []string{fmt.Sprintf("%x", fingerprintOf(d, cert.Certificate[0]))}
	}
	for name, c := range map[string]struct {
		change func(*configs.SMTP)
		want   bool
	}{
		"verify, by the host":       {func(c *configs.SMTP) { c.TLSLevel = configs.TLSVerify }, true},
		"verify, by the nexthop":    {func(c *configs.SMTP) { c.TLSLevel, c.TLSVerifyMatch = configs.TLSVerify, []string{"nexthop"} }, false},
		"secure, below the nexthop": {func(c *configs.SMTP) { c.TLSLevel = configs.TLSSecure }, true},
		"secure, the nexthop alone": {func(c *configs.SMTP) { c.TLSLevel, c.TLSSecureMatch = configs.TLSSecure, []string{"nexthop"} }, false},
		"secure, a name":            {func(c *configs.SMTP) { c.TLSLevel, c.TLSSecureMatch = configs.TLSSecure, []string{"mx.remote.test"} }, true},
		"fingerprint":               {func(c *configs.SMTP) { c.TLSLevel, c.TLSFingerprints = configs.TLSFingerprint, print(c.TLSDigest) }, true},
		"fingerprint, another": {func(c *configs.SMTP) {
			c.TLSLevel, c.TLSFingerprints = configs.TLSFingerprint, []string{strings.Repeat("00", 32)}
		}, false},
		"fingerprint, by SHA-512": {func(c *configs.SMTP) {
			c.TLSLevel, c.TLSDigest, c.TLSFingerprints = configs.TLSFingerprint, configs.SHA512, print(configs.SHA512)
		}, true},
		"fingerprint, of another digest": {func(c *configs.SMTP) {
			c.TLSLevel, c.TLSDigest, c.TLSFingerprints = configs.TLSFingerprint, configs.SHA512, print(configs.SHA256)
		}, false},
		"versions of encrypt": {func(c *configs.SMTP) { c.TLSLevel, c.TLSMandatory = configs.TLSEncrypt, ">=TLSv1.3" }, false},
		"versions of may":     {func(c *configs.SMTP) { c.TLSLevel, c.TLSMandatory = configs.TLSMay, ">=TLSv1.3" }, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			p := peerOn(t, l)
			p.ehlo, p.underTLS, p.tls = []string{"STARTTLS"}, []string{"8BITMIME"}, &tls.Config{Certificates: []tls.Certificate{cert}, MaxVersion: tls.VersionTLS12}
			r := newRig(t, p.start().port, one(), func(s *configs.SMTP, o *Options) {
				o.TLS = &tls.Config{RootCAs: roots}
				c.change(s)
			})
			got := r.deliver(request("remote.test", hello, "a@remote.test"))
			if sent := status(got[0]) == dsn.OK; sent != c.want || !sent && status(got[0]) != tlsFailed {
				t.Errorf("%v", got[0])
			}
			if _, n := p.count(); (n == 1) != c.want {
				t.Errorf("%d messages", n)
			}
		})
	}
}
