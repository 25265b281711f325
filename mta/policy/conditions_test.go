package policy

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"testing"

	"toastmaster/configs"
	"toastmaster/internal/dns"
	"toastmaster/internal/dsn"
	"toastmaster/internal/msglog"
	"toastmaster/internal/testkit/dnstest"
)

// TestConditions: restrictions that look at the session. mta/smtpd compares those that ask name
// servers with Postfix.
func TestConditions(t *testing.T) {
	t.Parallel()
	bounce := func(n int) func(*Transaction) {
		return func(tx *Transaction) { tx.SetSender(address(t, ""), address(t, "")); tx.Recipients = n }
	}
	for _, c := range []struct {
		name  string
		stage Stage
		set   func(*Transaction)
		want  string
	}{
		{"reject_plaintext_session", Rcpt, nil, "DEFER 450 4.7.1 Session encryption is required"},
		{"reject_plaintext_session", Rcpt, func(tx *Transaction) { tx.TLS = func() *tls.ConnectionState { return nil } }, "DEFER 450 4.7.1 Session encryption is required"},
		{"reject_plaintext_session", Rcpt, func(tx *Transaction) { tx.TLS = func() *tls.ConnectionState { return &tls.ConnectionState{} } }, "DUNNO"},
		{"reject_unauth_pipelining", Data, nil, "DUNNO"},
		{"reject_unauth_pipelining", Data, func(tx *Transaction) { tx.Pipelined = func() bool { return true } },
			"REJECT 503 5.5.0 <DATA>: Data command rejected: Improper use of SMTP command pipelining"},
		{"permit_inet_interfaces", Connect, nil, "DUNNO"},
		{"permit_inet_interfaces", Connect, func(tx *Transaction) { tx.Client = netip.MustParseAddr("::ffff:203.0.113.5") }, "PERMIT"},
		{"reject_multi_recipient_bounce", Data, bounce(1), "DUNNO"},
		{"reject_multi_recipient_bounce", Data, bounce(2), "REJECT 550 5.5.3 <DATA>: Data command rejected: Multi-recipient bounce"},
		{"reject_multi_recipient_bounce", EndOfData, bounce(2), "REJECT 550 5.5.3 <END-OF-MESSAGE>: End-of-data rejected: Multi-recipient bounce"},
		{"reject_unlisted_sender", Mail, nil, "DUNNO"},
		{"reject_unlisted_sender", Mail, bounce(1), "DUNNO"},
		{"reject_unlisted_sender", Mail, func(tx *Transaction) {
			tx.SetSender(address(t, "alice@example.test"), address(t, "alice@example.test"))
		}, "DUNNO"},
		{"reject_unlisted_sender", Mail, func(tx *Transaction) { tx.SetSender(address(t, "nobody@alias.test"), address(t, "nobody@alias.test")) },
			"REJECT 550 5.1.0 <nobody@alias.test>: Sender address rejected: User unknown"},
		{"reject_unknown_sender_domain", Mail, nil, "DEFER_IF_PERMIT 450 4.1.8 <s@elsewhere.test>: Sender address rejected: Domain not found"}, // nobody to ask
		{"reject_rbl_client x.test", Mail, nil, "DUNNO"},
	} {
		e := environment(t)
		e.OwnAddress = func(a netip.Addr) bool { return a == netip.MustParseAddr("203.0.113.5") }
		l, err := Compile(c.stage, []string{c.name}, e)
		if err != nil {
			t.Fatal(err)
		}
		tx := &Transaction{Client: netip.MustParseAddr("192.0.2.1"), Helo: "client.test"}
		tx.SetSender(address(t, "s@elsewhere.test"), address(t, "s@elsewhere.test"))
		if c.set != nil {
			c.set(tx)
		}
		d := NewList(l.checks...).Decide(t.Context(), tx)
		for _, n := range tx.Noted {
			d = n
		}
		if got := text(d); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// TestCodes: what a parameter says, with the class of the status.
func TestCodes(t *testing.T) {
	t.Parallel()
	e := environment(t)
	e.DNS = dns.New(dns.Options{Servers: []string{dnstest.Start(t, map[string]dnstest.Name{"broken.test": {Fail: true}}).Addr}})
	e.Codes.UnknownAddress, e.Codes.UnknownHostname, e.Codes.UnknownClient, e.Codes.Plaintext, e.Codes.Reject, e.Codes.RelayDomains = 550, 551, 552, 553, 454, 556
	e.UnknownAddressTempfail = configs.TempfailDefer
	for name, want := range map[string]string{
		"reject_unknown_client_hostname": "REJECT 552 5.7.25 ", "reject_unknown_helo_hostname": "REJECT 551 5.7.1 ",
		"reject_plaintext_session": "REJECT 553 5.7.1 ", "reject": "DEFER 454 4.7.1 ", "reject_unauth_destination": "REJECT 556 5.7.1 ",
		"reject_unknown_recipient_domain": "REJECT 550 5.1.2 ",
	} {
		if got := asked(t, e, []string{name}, "x@nowhere.test", nil); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	if got := asked(t, e, []string{"reject_unknown_recipient_domain", "reject"}, "x@broken.test", nil); !strings.HasPrefix(got, "DEFER 450 4.1.2 ") {
		t.Errorf("a tempfail that defers at once: %s", got)
	}
}

// TestANameWithoutMXMayHaveAnAddress: name servers of balancers answer a question of a type that they do not know
// with "no such name" (RFC 4074), and the name has an address all the same: delivery goes there, so the restrictions
// let it be, as Postfix does.
func TestANameWithoutMXMayHaveAnAddress(t *testing.T) {
	t.Parallel()
	e := environment(t)
	e.DNS = dns.New(dns.Options{Servers: []string{dnstest.Start(t, map[string]dnstest.Name{
		"balanced.test": {Addrs: []string{"192.0.2.7"}, NoName: true, Only: "MX"},
		"unsure.test":   {Fail: true, Only: "A"},
	}).Addr}})
	for recipient, want := range map[string]string{"x@balanced.test": "DUNNO", "x@nowhere.test": "REJECT", "x@unsure.test": "DEFER 450 4.1.2 "} {
		e.UnknownAddressTempfail, e.Codes.UnknownAddress = configs.TempfailDefer, 550
		if got := asked(t, e, []string{"reject_unknown_recipient_domain"}, recipient, nil); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s, want %s", recipient, got, want)
		}
	}
	tx := &Transaction{Client: netip.MustParseAddr("192.0.2.1"), Helo: "balanced.test"}
	if d := unknownHelo(t.Context(), e, tx); d.Err != nil {
		t.Errorf("HELO balanced.test: %v", d.Err)
	}
}

// TestAListThatIsNoMore: whoever bought the domain of a list that has gone answers every question with an address of
// his, and a list that does not want to be asked by us says so with an address of 127.255.255.0/24. Neither lists anybody.
func TestAListThatIsNoMore(t *testing.T) {
	t.Parallel()
	e := environment(t)
	var log bytes.Buffer
	e.Log = msglog.New(slog.NewTextHandler(&log, nil))
	e.DNS = dns.New(dns.Options{Servers: []string{dnstest.Start(t, map[string]dnstest.Name{
		dnstest.Listed("192.0.2.1", "gone.test"):    {Addrs: []string{"203.0.113.80"}},
		dnstest.Listed("192.0.2.1", "refuses.test"): {Addrs: []string{"127.255.255.254"}},
		dnstest.Listed("192.0.2.1", "lists.test"):   {Addrs: []string{"127.0.0.2"}},
	}).Addr}})
	for restriction, want := range map[string]string{
		"reject_rbl_client gone.test": "DUNNO", "reject_rbl_client refuses.test": "DUNNO", "permit_dnswl_client gone.test": "DUNNO",
		"reject_rbl_client gone.test=203.0.113.80": "REJECT", "reject_rbl_client lists.test": "REJECT",
	} {
		log.Reset()
		if got := asked(t, e, []string{restriction}, "alice@example.test", func(tx *Transaction) { tx.Client = netip.MustParseAddr("192.0.2.1") }); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s, want %s", restriction, got, want)
		}
		if strange := strings.Contains(log.String(), "lists nobody"); strange != (want == "DUNNO") {
			t.Errorf("%s: log %q", restriction, &log)
		}
	}
}

// TestClasses: lists with names, in each other, and in themselves.
func TestClasses(t *testing.T) {
	t.Parallel()
	e := environment(t)
	e.Classes = map[string][]string{"inner": {"permit_mynetworks", "reject"}, "outer": {"sleep 0", "inner"}, "nothing": {}, "welcome": {"permit"}}
	if err := e.CheckClasses(); err != nil {
		t.Fatal(err)
	}
	for list, want := range map[string]string{
		"outer": "REJECT 554", "nothing reject": "REJECT", "welcome reject": "PERMIT", "warn_if_reject outer": "DUNNO", "nothing": "DUNNO",
	} {
		if got := asked(t, e, strings.Fields(list), "alice@example.test", nil); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s, want %s", list, got, want)
		}
	}
	lists := configs.Restrictions{Relay: []string{"permit_mynetworks", "outer"}}
	if _, err := CompileLists("smtpd.", lists, e); err != nil {
		t.Errorf("a class guards: %v", err)
	}
	for _, relay := range [][]string{{"warn_if_reject", "reject"}, {"warn_if_reject reject"}, {"permit", "outer"}, {"nothing"}} {
		if _, err := CompileLists("smtpd.", configs.Restrictions{Relay: relay}, e); err == nil {
			t.Errorf("%q is an open relay", relay)
		}
	}
	for param, classes := range map[string]map[string][]string{
		"restriction_class.a.restrictions": {"a": {"permit", "b"}, "b": {"a"}},
		"restriction_class.x.restrictions": {"x": {"reject_unauth_destinaton"}},
		"restriction_class.reject.name":    {"reject": {"permit"}},
		"restriction_class.y.restrictions": {"y": {"reject_rbl_client"}},
	} {
		e.Classes = classes
		var m *Mistake
		if err := e.CheckClasses(); !errors.As(err, &m) || m.Param != param {
			t.Errorf("%v: %v", classes, err)
		}
	}
}

// TestBadItems are mistakes with their place.
func TestBadItems(t *testing.T) {
	t.Parallel()
	for item, words := range map[string]string{
		"reject_rbl_client": "wants an argument", "reject_rbl_client zen.test=127.0.0": "four numbers", "reject_rbl_client a b": "no domain of a DNS list",
		"permit_mynetworks, reject": "unknown restriction", "permit_mynetworks reject": "each restriction is an item of its own",
		"sleep long": "seconds", "sleep 99999": "seconds", "warn_if_reject": "stands before", "warn_if_reject frob": "unknown restriction",
	} {
		var m *Mistake
		if _, err := Compile(Rcpt, []string{"permit_mynetworks", item}, environment(t)); !errors.As(err, &m) || m.Item != 1 || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v", item, err)
		}
	}
	for template, ok := range map[string]bool{
		"$rbl_code $rbl_what": true, "554 5.7.1 no": true, "no": false, "250 yes": false, "$rbl_code ${hostname}": false, "${rbl_code} ${rbl_reason?{ $client }}": true,
		"$rbl_code $sender_host": false, "$rbl_code $rbl_what $clients": false, "$rbl_code ${rbl_reason:$helo}": false,
	} {
		if err := checkTemplate(template); (err == nil) != ok {
			t.Errorf("%s: %v", template, err)
		}
	}
}

// TestWarnIfRejectIsInTheLog.
func TestWarnIfRejectIsInTheLog(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	e := environment(t)
	e.Log = msglog.New(slog.NewTextHandler(&log, nil))
	for _, item := range []string{"warn_if_reject reject", "warn_if_reject defer_if_permit"} {
		if got := asked(t, e, []string{item, "permit"}, "alice@example.test", nil); got != "PERMIT" {
			t.Error(got)
		}
	}
	if n := strings.Count(log.String(), "reject_warning"); n != 2 || !strings.Contains(log.String(), "alice@example.test") {
		t.Errorf("%d lines: %s", n, log.String())
	}
}

func TestExpand(t *testing.T) {
	t.Parallel()
	value := func(name string) (string, bool) {
		v, ok := map[string]string{"a": "A", "b_1": "B", "empty": ""}[name]
		return v, ok
	}
	for template, want := range map[string]string{
		"": "", "x$$y": "x$y", "$a-$b_1.": "A-B.", "${a}$(a)": "AA", "${a?yes $b_1}": "yes B", "${empty?yes}": "", "${empty:no}": "no", "${a:no}": "",
		"${a?{x}y}": "x", "${empty:{$a}}": "A", "$nothing!": "!", "$": "", "${": "", "${a": "A", "${a?${b_1?deep}}": "deep", "${a;x}": "",
	} {
		if got := expand(template, value); got != want {
			t.Errorf("%s: %q, want %q", template, got, want)
		}
	}
}

func FuzzExpand(f *testing.F) {
	f.Add("${rbl_reason?; $rbl_reason} $$ $(x) ${a:{b}}")
	f.Fuzz(func(t *testing.T, s string) {
		expand(s, func(name string) (string, bool) { return name, true })
		checkTemplate(s)
	})
}

// TestTheSameIsNotedOnce: with delay_reject the lists of the client are asked for each
// recipient.
func TestTheSameIsNotedOnce(t *testing.T) {
	t.Parallel()
	tx := &Transaction{}
	do := func(decisions ...Decision) {
		for _, d := range decisions {
			NewList(CheckFunc(func(context.Context, *Transaction) Decision { return d })).Decide(t.Context(), tx)
		}
	}
	err := func() *dsn.Error { return dsn.New(dsn.PolicyLater, "later") }
	round := []Decision{{Action: BCC, Arg: "a"}, {Action: BCC, Arg: "b"}, {Action: Redirect, Arg: "x"}, {Action: Redirect, Arg: "y"}, {Action: DeferIfPermit, Err: err()}, {Action: DeferIfPermit, Err: err()}}
	do(round...)
	do(round...)
	counts, last := map[Action]int{}, ""
	for _, d := range tx.Noted {
		counts[d.Action]++
		if d.Action == Redirect {
			last = d.Arg
		}
	}
	if counts[BCC] != 2 || counts[DeferIfPermit] != 1 || last != "y" {
		t.Errorf("%v, %s", counts, last)
	}
}

func TestPeer(t *testing.T) {
	t.Parallel()
	zone := map[string]dnstest.Name{
		"liar.test": {Addrs: []string{"198.51.100.1"}}, "six.test": {Addrs: []string{"2001:db8::1"}}, "broken.test": {Fail: true},
		"mail.test": {Addrs: []string{"203.0.113.1", "192.0.2.1", "192.0.2.3"}},
	}
	for ip, names := range map[string][]string{
		"192.0.2.1": {"liar.test.", "mail.test."}, "192.0.2.2": {"liar.test."}, "2001:db8::1": {"six.test."},
		"192.0.2.3": {"a.test.", "b.test.", "c.test.", "mail.test."}, "192.0.2.4": {"broken.test."},
	} {
		zone[dnstest.Reverse(ip)] = dnstest.Name{PTR: names}
	}
	zone[dnstest.Reverse("192.0.2.65")] = dnstest.Name{Fail: true}
	zone[dnstest.Reverse("192.0.2.66")] = dnstest.Name{Silent: true}
	e := environment(t)
	e.DNS = dns.New(dns.Options{Servers: []string{dnstest.Start(t, zone).Addr}})
	for ip, want := range map[string]Peer{
		"192.0.2.1": {"mail.test", "liar.test", dns.Found, dns.Found}, "192.0.2.2": {Unknown, "liar.test", dns.NoName, dns.Found},
		"192.0.2.3": {Unknown, "a.test", dns.NoName, dns.Found}, "192.0.2.9": {Unknown, Unknown, dns.NoName, dns.NoName},
		"192.0.2.4": {Unknown, "broken.test", dns.NoAnswer, dns.Found}, "192.0.2.65": {Unknown, Unknown, dns.NoAnswer, dns.NoAnswer},
		"2001:db8::1": {"six.test", "six.test", dns.Found, dns.Found}, "127.0.0.1": {"localhost", "localhost", dns.Found, dns.Found}, "::1": {"localhost", "localhost", dns.Found, dns.Found},
	} {
		if got := e.Peer(t.Context(), &Transaction{Client: netip.MustParseAddr(ip)}); *got != want {
			t.Errorf("%s: %+v, want %+v", ip, *got, want)
		}
	}
	e.ResolveTimeout = 1
	if got := e.Peer(t.Context(), &Transaction{Client: netip.MustParseAddr("192.0.2.66")}); got.Name != Unknown || got.NameOutcome != dns.NoAnswer {
		t.Error(got)
	}
}

// TestNameServersThatAreSilentCostOnce: the recipients of a message ask the same. A list whose name
// servers are gone holds a session for dns.total_timeout, and not for each of a hundred recipients.
func TestNameServersThatAreSilentCostOnce(t *testing.T) {
	t.Parallel()
	zone := map[string]dnstest.Name{
		dnstest.Listed("192.0.2.1", "gone.test"): {Fail: true},
		"x.test.gone.test":                       {Fail: true},
		"x.test":                                 {Fail: true},
		"helo.test":                              {Fail: true},
	}
	s := dnstest.Start(t, zone)
	e := environment(t)
	e.DNS = dns.New(dns.Options{Servers: []string{s.Addr}, Attempts: 1})
	list, err := Compile(Rcpt, []string{
		"reject_rbl_client gone.test", "reject_rhsbl_sender gone.test", "permit_dnswl_client gone.test",
		"reject_unknown_sender_domain", "reject_unknown_helo_hostname",
	}, e)
	if err != nil {
		t.Fatal(err)
	}
	tx := &Transaction{Client: netip.MustParseAddr("192.0.2.1"), Helo: "helo.test"}
	asked := func() (n int) {
		for name := range zone {
			for _, kind := range []string{"A", "AAAA", "MX"} {
				n += s.Queries(name, kind)
			}
		}
		return n
	}
	for message := range 2 {
		before, first := asked(), 0
		tx.SetSender(address(t, "a@x.test"), address(t, "a@x.test"))
		for i := range 5 {
			to := address(t, "a@example.test")
			tx.SetRecipient(to, to)
			list.Decide(t.Context(), tx)
			if i == 0 {
				first = asked() - before
			}
		}
		if n := asked() - before; first == 0 || n != first {
			t.Errorf("message %d: %d questions for five recipients, %d for the first", message, n, first)
		}
		tx.Reset()
	}
}
