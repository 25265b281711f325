package smtp

import (
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"toastmaster/configs"
	"toastmaster/directory/tables"
	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/testkit/clocktest"
	"toastmaster/internal/testkit/dnstest"
	"toastmaster/mta/agent"
)

// tableSet opens tables for a test.
func tableSet(t *testing.T) *tables.Set {
	t.Helper()
	set := tables.NewSet(tables.Options{Params: configs.Default().Lookup, Dir: t.TempDir()})
	t.Cleanup(func() { set.Close() })
	return set
}

// TestWrapperMode: TLS begins with the connection, and a policy that would do without it is a mistake.
func TestWrapperMode(t *testing.T) {
	t.Parallel()
	cert, roots := certificate(t, "mx.remote.test")
	for policy, want := range map[string]dsn.Status{"": dsn.OK, "remote.test may": tlsFailed, "remote.test verify": dsn.OK, "remote.test secure match=other.test": tlsFailed} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		p := peerOn(t, tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{cert}}))
		p.ehlo = []string{"STARTTLS", "PIPELINING"} // which it offers in vain
		p.start()
		r := newRig(t, port, one(), func(c *configs.SMTP, o *Options) {
			c.TLSWrapper, c.TLSLevel, c.TLSPolicyMaps = true, configs.TLSEncrypt, []string{"inline:{ {" + strings.Replace(policy, " ", " = ", 1) + "} }"}
			if policy == "" {
				c.TLSPolicyMaps = nil
			}
			o.TLS, o.Tables = &tls.Config{RootCAs: roots}, tableSet(t)
		})
		r.want(r.deliver(request("remote.test", hello, "a@remote.test")), want)
		if _, n := p.count(); (n == 1) != (want == dsn.OK) || len(p.seen("STARTTLS")) > 0 {
			t.Errorf("%q: %d messages, %q", policy, n, p.commands)
		}
	}
}

// TestServerName: what the server is told that it is called.
func TestServerName(t *testing.T) {
	t.Parallel()
	cert, _ := certificate(t, "mx.remote.test")
	for param, want := range map[string]string{"hostname": "mx.remote.test", "nexthop": "remote.test", "other.test": "other.test"} {
		p := newPeer(t, "127.0.0.1:0")
		p.ehlo = []string{"STARTTLS"}
		var got string
		p.tls = &tls.Config{GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
			got = h.ServerName
			return &cert, nil
		}}
		r := newRig(t, p.start().port, one(), func(c *configs.SMTP, _ *Options) { c.TLSName, c.TLSLevel = param, configs.TLSEncrypt })
		r.want(r.deliver(request("remote.test", hello, "a@remote.test")), dsn.OK)
		if got != want {
			t.Errorf("%s: %q", param, got)
		}
	}
}

// authPeer offers AUTH under TLS, and a file of passwords for it.
func authPeer(t *testing.T, passwords string) (*peer, string) {
	t.Helper()
	cert, _ := certificate(t, "relay.test")
	p := newPeer(t, "127.0.0.1:0")
	p.tls = &tls.Config{Certificates: []tls.Certificate{cert}}
	p.ehlo, p.underTLS = []string{"STARTTLS"}, []string{"AUTH PLAIN LOGIN"}
	file := filepath.Join(t.TempDir(), "passwords")
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(passwords, "RELAY", p.nexthop())), 0o600); err != nil {
		t.Fatal(err)
	}
	return p, file
}

// TestSenderLogsIn: each sender logs in as himself, and nobody's mail goes over the connection of another.
func TestSenderLogsIn(t *testing.T) {
	t.Parallel()
	p, file := authPeer(t, "RELAY all:w\na@example.test anna:x\n@other.test omar:y\nc@example.test anna:z\n")
	r := newRig(t, p.start().port, nil, func(c *configs.SMTP, o *Options) {
		c.PasswordFile, c.SenderLogin, c.CacheTime = file, true, time.Hour
		o.Delimiters = "+"
	})
	plain := func(user, password string) string { return user + "\x00" + password }
	want := map[string]string{"a@example.test": plain("anna", "x"), "a+tag@example.test": "", "b@other.test": plain("omar", "y"), "b@example.test": plain("all", "w"), "c@example.test": plain("anna", "z"), "": ""}
	for _, sender := range []string{"a@example.test", "a+tag@example.test", "b@other.test", "b@example.test", "c@example.test", ""} {
		before := len(p.seen("AUTH"))
		q := request(p.nexthop(), hello, "x@remote.test")
		q.Envelope.Sender = addr.Address{}
		if sender != "" {
			q.Envelope.Sender = rcpt(sender)[0].Address
		}
		r.want(r.deliver(q), dsn.OK)
		auths := p.seen("AUTH")[before:]
		if want[sender] == "" && len(auths) != 0 || want[sender] != "" && (len(auths) != 1 || !strings.HasSuffix(decode64(t, auths[0]), want[sender])) {
			t.Errorf("%q: %q", sender, auths)
		}
	}
	// The host of a recipient is told nobody's password.
	before := len(p.seen("AUTH"))
	to := request(p.nexthop(), hello, "x@remote.test")
	to.Envelope.Sender, to.Envelope.Recipients[0].Address.Domain = rcpt("a@example.test")[0].Address, "127.0.0.1"
	r.want(r.deliver(to), dsn.OK)
	for _, auth := range p.seen("AUTH")[before:] {
		if strings.HasSuffix(decode64(t, auth), plain("anna", "x")) {
			t.Error("the host of a recipient got the password of a sender")
		}
	}
	// Without the parameter nobody is asked for.
	q, file := authPeer(t, "RELAY all:w\ns@example.test anna:x\n")
	r = newRig(t, q.start().port, nil, func(c *configs.SMTP, _ *Options) { c.PasswordFile = file })
	r.want(r.deliver(request(q.nexthop(), hello, "x@remote.test")), dsn.OK)
	if got := q.seen("AUTH"); len(got) != 1 || !strings.HasSuffix(decode64(t, got[0]), plain("all", "w")) {
		t.Errorf("%q", got)
	}
}

// TestMechanisms: the filter says which mechanism is used.
func TestMechanisms(t *testing.T) {
	t.Parallel()
	for filter, want := range map[string]string{"": "AUTH PLAIN", "plain": "AUTH PLAIN", "login": "AUTH LOGIN", "!plain login": "AUTH LOGIN", "LOGIN": "AUTH LOGIN", "!login": ""} {
		p, file := authPeer(t, "RELAY u:p\n")
		p.answers["AUTH LOGIN"], p.answers["dQ=="], p.answers["cA=="] = []string{"334 VXNlcm5hbWU6"}, []string{"334 UGFzc3dvcmQ6"}, []string{"235 ok"}
		r := newRig(t, p.start().port, nil, func(c *configs.SMTP, _ *Options) { c.PasswordFile, c.Mechanisms = file, strings.Fields(filter) })
		status := dsn.OK
		if want == "" {
			status = dsn.AuthUnavailable
		}
		r.want(r.deliver(request(p.nexthop(), hello, "x@remote.test")), status)
		if got := p.seen("AUTH"); (want == "") != (len(got) == 0) || want != "" && !strings.HasPrefix(got[0], want) {
			t.Errorf("%q: %q", filter, got)
		}
	}
}

// TestRefusedLogIn: what becomes of the mail, and that the password is not tried again.
func TestRefusedLogIn(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		reply string
		soft  bool
		want  dsn.Status
	}{
		{"535 5.7.8 wrong", true, loginRefused}, {"535 5.7.8 wrong", false, dsn.Make(5, 7, 8)}, {"454 4.7.0 later", false, loginRefused}, {"235 in", false, dsn.OK},
	} {
		p, file := authPeer(t, "RELAY u:p\n")
		p.answers["AUTH"] = []string{c.reply}
		clock := clocktest.New(time.Unix(1e9, 0))
		r := newRig(t, p.start().port, nil, func(s *configs.SMTP, o *Options) {
			s.PasswordFile, s.SoftLogin, s.LoginMemory, s.CacheTime = file, c.soft, time.Hour, 0
			o.Clock = clock
		})
		for i, want := range []int{1, 1, 2} {
			if c.reply[:3] != "535" {
				want = i + 1
			}
			if i == 2 {
				clock.Advance(time.Hour)
			}
			r.want(r.deliver(request(p.nexthop(), hello, "x@remote.test")), c.want)
			if n := len(p.seen("AUTH")); n != want {
				t.Errorf("%s: %d log-ins after %d deliveries", c.reply, n, i+1)
			}
		}
	}
}

// TestReplyFilter: a peer says what the table has for it; without an answer of the table the mail waits.
func TestReplyFilter(t *testing.T) {
	t.Parallel()
	for table, want := range map[string]dsn.Status{
		"inline:{ {554 5.7.1 strange = 250 ok} }": dsn.OK, "inline:{ {250 x = 250 y} }": dsn.Make(5, 7, 1), "tcp:127.0.0.1:" + itoa(silentPort(t)): dsn.MailSystem,
	} {
		p := newPeer(t, "127.0.0.1:0")
		p.answers["RCPT"] = []string{"554 5.7.1 strange"}
		r := newRig(t, p.start().port, nil, func(c *configs.SMTP, o *Options) { c.ReplyFilter, o.Tables = []string{table}, tableSet(t) })
		r.want(r.deliver(request(p.nexthop(), hello, "x@remote.test")), want)
	}
}

// TestDiscardedByAddress: the table takes the place of the parameter for the peers in it.
func TestDiscardedByAddress(t *testing.T) {
	t.Parallel()
	for table, want := range map[string]string{
		"inline:{ {127.0.0.1 = pipelining, DSN silent-discard} }": "SIZE", "inline:{ {127.0.0.2 = size} }": "", "inline:{ {127.0.0.1 = nonsense} }": "4.3.5", "tcp:127.0.0.1:" + itoa(silentPort(t)): "4.3.0",
	} {
		p := newPeer(t, "127.0.0.1:0")
		p.ehlo = []string{"PIPELINING", "SIZE", "DSN"}
		r := newRig(t, p.start().port, nil, func(c *configs.SMTP, o *Options) {
			c.DiscardMaps, c.DiscardKeywords, o.Tables = []string{table}, []string{"size", "dsn"}, tableSet(t)
		})
		got := r.deliver(request(p.nexthop(), hello, "x@remote.test"))
		if strings.HasPrefix(want, "4.") {
			if statusOf(got[0]) != want {
				t.Errorf("%s: %v", table, got[0].Err)
			}
			continue
		}
		r.want(got, dsn.OK)
		if mail := p.seen("MAIL"); len(mail) != 1 || strings.Contains(mail[0], "SIZE=") != (want == "SIZE") || got[0].Action != agent.Relayed {
			t.Errorf("%s: %q %s", table, mail, got[0].Action)
		}
	}
}

// TestBindAddress: one that is not there is a warning, or keeps the mail.
func TestBindAddress(t *testing.T) {
	t.Parallel()
	for enforce, want := range map[bool]dsn.Status{false: dsn.OK, true: dsn.NoAnswer} {
		p := newPeer(t, "127.0.0.1:0")
		r := newRig(t, p.start().port, nil, func(c *configs.SMTP, _ *Options) { c.BindAddress, c.BindEnforce = "192.0.2.77", enforce })
		got := r.deliver(request(p.nexthop(), hello, "x@remote.test"))
		r.want(got, want)
		if enforce && !strings.HasSuffix(got[0].Err.Text, ": Cannot assign requested address") {
			t.Errorf("%v", got[0].Err)
		}
	}
}

// TestSlowTakers: a peer that takes a message too slowly is given up, however long each piece may take.
func TestSlowTakers(t *testing.T) {
	t.Parallel()
	for rate, want := range map[int64]dsn.Status{1 << 30: dsn.BadConnection, 1: dsn.OK} {
		p := peerOn(t, listenSmall(t))
		p.ehlo, p.pause = nil, 30*time.Millisecond
		r := newRig(t, p.start().port, nil, func(c *configs.SMTP, _ *Options) {
			if c.MinDataRate = rate; rate > 1 {
				c.DataXferTimeout = 2 * time.Second
			}
		})
		q := request(p.nexthop(), hello, "x@remote.test")
		q.Content = envelope.Memory(largeMail)
		r.want(r.deliver(q), want)
	}
}

// TestRepliesToOtherMail: what a host says too much is no answer to the next message.
func TestRepliesToOtherMail(t *testing.T) {
	t.Parallel()
	cert, _ := certificate(t, "mx.test")
	for _, level := range []configs.TLSLevel{configs.TLSNone, configs.TLSEncrypt} {
		for _, late := range []bool{false, true} {
			p := newPeer(t, "127.0.0.1:0")
			p.tls, p.ehlo, p.underTLS = &tls.Config{Certificates: []tls.Certificate{cert}}, []string{"STARTTLS", "PIPELINING"}, []string{"PIPELINING"}
			p.answers["<data>"] = []string{"250 2.0.0 ok\r\n250 2.0.0 ok", "250 2.0.0 ok"}
			kept, said := make(chan struct{}), make(chan struct{})
			if late {
				p.answers["<data>"] = []string{"250 2.0.0 ok"}
				p.after = func(c net.Conn) {
					<-kept
					fmt.Fprint(c, "250 2.0.0 once more\r\n")
					close(said)
				}
			}
			r := newRig(t, p.start().port, nil, func(c *configs.SMTP, _ *Options) { c.TLSLevel, c.CacheTime = level, time.Hour })
			r.want(r.deliver(request(p.nexthop(), hello, "a@remote.test")), dsn.OK)
			if close(kept); late {
				<-said
			}
			r.want(r.deliver(request(p.nexthop(), hello, "a@remote.test", "b@remote.test")), dsn.OK, dsn.OK)
			if sessions, messages := p.count(); sessions != 2 || messages != 2 {
				t.Errorf("late %v: %d sessions, %d messages", late, sessions, messages)
			}
		}
	}
}

// TestAssumeFinal: a success at a store that does not know DSN is a delivery, where the operator says so.
func TestAssumeFinal(t *testing.T) {
	t.Parallel()
	for final, want := range map[bool]agent.Action{false: agent.Relayed, true: agent.Sent} {
		for _, keyword := range []string{"8BITMIME", "DSN"} {
			r, p, nexthop := newLMTP(t)
			p.ehlo = []string{keyword}
			p.start()
			r.agent.config.AssumeFinal = final
			got := r.deliver(request(nexthop, hello, "a@x.test"))
			if r.want(got, dsn.OK); keyword == "DSN" {
				want = agent.Transferred
			}
			if got[0].Action != want {
				t.Errorf("%v, %s: %s", final, keyword, got[0].Action)
			}
		}
	}
}

// TestFamilies: which addresses of a destination are tried, and in which order.
func TestFamilies(t *testing.T) {
	t.Parallel()
	six := func(n int) (list []string) {
		for i := range n {
			list = append(list, fmt.Sprintf("2001:db8::%d", i+1))
		}
		return list
	}
	four := func(n int) (list []string) {
		for i := range n {
			list = append(list, fmt.Sprintf("192.0.2.%d", i+1))
		}
		return list
	}
	names := map[string]dnstest.Name{
		"six.test": mx("s1.test:10", "s2.test:20", "f.test:30"), "s1.test": a(six(4)...), "s2.test": a("2001:db8::11", "2001:db8::12", "2001:db8::13"), "f.test": a(four(3)...),
		"one.test": mx("both.test:10"), "both.test": a(append(six(2), four(2)...)...), "lone.test": mx("s1.test:10", "f1.test:20"), "f1.test": a("192.0.2.1"),
	}
	for _, c := range []struct {
		domain    string
		preferred configs.Network
		balance   bool
		want      string // 4 and 6, in order
	}{
		{"six.test", configs.AnyNetwork, true, "66644"}, {"six.test", configs.AnyNetwork, false, "66666"}, {"six.test", configs.IPv4, true, "66644"},
		{"lone.test", configs.AnyNetwork, true, "66664"}, {"one.test", configs.AnyNetwork, true, "6464"}, {"one.test", configs.IPv4, true, "4466"}, {"one.test", configs.IPv6, false, "6644"},
	} {
		r := newRig(t, 25, names, func(s *configs.SMTP, _ *Options) {
			s.AddressPreference, s.Balance, s.PrivateNetworks = c.preferred, c.balance, []string{"192.0.2.0/24", "2001:db8::/32"}
		})
		list, _, failed := r.agent.targets(t.Context(), configs.Nexthop{Host: c.domain})
		got := ""
		for _, x := range list {
			if got += "6"; x.addr.Addr().Is4() {
				got = got[:len(got)-1] + "4"
			}
		}
		if failed != nil || got != c.want {
			t.Errorf("%+v: %s %v", c, got, failed)
		}
	}
	list := make([]target, 0, 8)
	for _, ip := range slices.Concat(four(5), six(3)) {
		list = append(list, target{addr: netAddr(t, ip)})
	}
	if v4, v6 := families(balanced(list, 5)); v4 != 3 || v6 != 2 {
		t.Errorf("%d of IPv4, %d of IPv6", v4, v6)
	}
}

// TestNameServersInTrouble: mail waits, whichever question has no answer, and goes back for none of it.
func TestNameServersInTrouble(t *testing.T) {
	t.Parallel()
	fail := func(n dnstest.Name, only string) dnstest.Name {
		n.Fail, n.Only = true, only
		return n
	}
	names := map[string]dnstest.Name{
		"mx.test": fail(a("127.0.0.1"), "MX"), "both.test": mx("h.test:10"), "h.test": fail(dnstest.Name{}, ""),
		"six.test": fail(dnstest.Name{TXT: []string{"x"}}, "AAAA"), "four.test": fail(dnstest.Name{TXT: []string{"x"}}, "A"),
		"ofsix.test": mx("six.test:10"), "offour.test": mx("four.test:10"), "half.test": fail(a("127.0.0.1"), "AAAA"), "ofhalf.test": mx("half.test:10"),
		"dangling.test": mx("nowhere.test:10"), "mixed.test": mx("nowhere.test:10", "six.test:20"), "private.test": mx("inside.test:10"), "inside.test": a("10.0.0.1"),
	}
	p := newPeer(t, "127.0.0.1:0").start()
	for _, c := range []struct {
		domain                string
		want, ignoring, later string // as it is, with ignore_mx_lookup_error, with defer_if_no_mx_address_found
	}{
		{"mx.test", "4.4.3", "2.0.0", "4.4.3"}, {"both.test", "4.4.3", "4.4.3", "4.4.3"}, {"six.test", "4.4.3", "4.4.3", "4.4.3"}, {"four.test", "4.4.3", "4.4.3", "4.4.3"},
		{"ofsix.test", "4.4.3", "4.4.3", "4.4.3"}, {"offour.test", "4.4.3", "4.4.3", "4.4.3"}, {"ofhalf.test", "2.0.0", "2.0.0", "2.0.0"}, {"dangling.test", "5.4.4", "5.4.4", "4.4.4"},
		{"mixed.test", "4.4.3", "4.4.3", "4.4.3"}, {"nowhere.test", "5.4.4", "5.4.4", "5.4.4"}, {"private.test", "5.4.4", "5.4.4", "5.4.4"},
	} {
		for i, want := range []string{c.want, c.ignoring, c.later} {
			r := newRig(t, p.port, names, func(s *configs.SMTP, _ *Options) { s.IgnoreMXError, s.DeferWithoutMX = i == 1, i == 2 })
			if got := r.deliver(request(c.domain, hello, "x@"+c.domain)); statusOf(got[0]) != want {
				t.Errorf("%s, %d: %s, want %s (%v)", c.domain, i, statusOf(got[0]), want, got[0].Err)
			}
		}
	}
}
