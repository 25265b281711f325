package smtpd

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"toastmaster/configs"
	"toastmaster/directory/tables"
	"toastmaster/directory/tables/keys"
	"toastmaster/internal/clock"
	"toastmaster/internal/dns"
	"toastmaster/internal/testkit/dnstest"
	"toastmaster/internal/testkit/peers"
	"toastmaster/mta/policy"
)

// asked is a recipient that a list of restrictions is asked about.
type asked struct {
	list           []string
	client         string // an address of the loopback network
	helo, from, to string // to without a domain is at example.test
	want           string // a pattern of the reply, when ours is another one than Postfix's
}

// clientZone has the names of the clients of the table, and of everything that is looked up.
func clientZone() map[string]dnstest.Name {
	zone := map[string]dnstest.Name{
		"good.test": {MX: []net.MX{{Host: "mx.good.test", Pref: 10}}}, "mx.good.test": {Addrs: []string{"192.0.2.1"}},
		"addr.test": {Addrs: []string{"192.0.2.2"}}, "six.test": {Addrs: []string{"2001:db8::2"}}, "empty.test": {TXT: []string{"nothing"}},
		"null.test": {MX: []net.MX{{Host: ".", Pref: 0}}}, "servfail.test": {Fail: true}, "mxfail.test": {Fail: true, Only: "MX", Addrs: []string{"192.0.2.3"}},
		"halfnull.test":  {MX: []net.MX{{Host: ".", Pref: 0}, {Host: "mx.good.test", Pref: 10}}},
		"dangling.test":  {MX: []net.MX{{Host: "nowhere.test", Pref: 10}}},
		"example.test":   {MX: []net.MX{{Host: "mx.good.test", Pref: 10}}},
		"alias.test":     {CNAME: "good.test"},
		"backup.test":    {MX: []net.MX{{Host: "mx.good.test", Pref: 10}, {Host: "mx.test", Pref: 20}}},
		"byaddr.test":    {MX: []net.MX{{Host: "mx.good.test", Pref: 10}, {Host: "here.test", Pref: 20}}},
		"outside.test":   {MX: []net.MX{{Host: "far.test", Pref: 10}, {Host: "mx.test", Pref: 20}}},
		"half.test":      {MX: []net.MX{{Host: "mx.good.test", Pref: 10}, {Host: "far.test", Pref: 10}, {Host: "mx.test", Pref: 20}}},
		"primary.test":   {MX: []net.MX{{Host: "mx.test", Pref: 10}, {Host: "mx.good.test", Pref: 20}}},
		"blindmx.test":   {MX: []net.MX{{Host: "servfail.test", Pref: 10}, {Host: "mx.test", Pref: 20}}},
		"unknownmx.test": {MX: []net.MX{{Host: "mx.good.test", Pref: 10}, {Host: "servfail.test", Pref: 20}}},
		"here.test":      {Addrs: []string{"127.0.0.1"}}, "mx.test": {Addrs: []string{"127.0.0.1"}}, "far.test": {Addrs: []string{"198.51.100.1"}},
		"a.client.test":  {Addrs: []string{"127.66.0.1"}},
		"forged.test":    {Addrs: []string{"192.0.2.9"}},
		"brokenfwd.test": {Fail: true},
	}
	for client, n := range map[string]dnstest.Name{
		"127.66.0.1": {PTR: []string{"a.client.test"}}, "127.66.0.3": {PTR: []string{"forged.test"}}, "127.66.0.4": {Fail: true},
		"127.66.0.5": {PTR: []string{"brokenfwd.test"}}, "127.66.0.6": {PTR: []string{"nowhere.test"}},
	} {
		zone[dnstest.Reverse(client)] = n
	}
	zone["delegated.test"] = dnstest.Name{NS: []string{"ns1.dns.test", "ns.parentns.test"}, Addrs: []string{"192.0.2.9"}}
	zone["sub.delegated.test"] = dnstest.Name{Addrs: []string{"192.0.2.9"}}
	zone["ns1.dns.test"], zone["ns.parentns.test"] = dnstest.Name{Addrs: []string{"192.0.2.54"}}, dnstest.Name{Addrs: []string{"192.0.2.53"}}
	listed := func(addrs ...string) dnstest.Name {
		return dnstest.Name{Addrs: addrs, TXT: []string{"see http://rbl.test/", "a second text"}}
	}
	zone[dnstest.Listed("127.66.0.1", "rbl.test")] = listed("127.0.0.2", "127.0.0.10")
	zone[dnstest.Listed("127.66.0.2", "rbl.test")] = dnstest.Name{Addrs: []string{"127.0.1.4"}}
	zone[dnstest.Listed("127.66.0.4", "rbl.test")] = dnstest.Name{Fail: true}
	for _, name := range []string{"a.client.test", "forged.test", "good.test", "example.test", "helo.test"} {
		zone[name+".dbl.test"] = listed("127.0.1.2")
	}
	zone["servfail.test.dbl.test"] = dnstest.Name{Fail: true}
	return zone
}

// table is what Postfix and we are asked.
func table() []asked {
	with := func(a asked, set func(*asked)) asked { set(&a); return a }
	plain := func(restriction string) asked {
		return asked{list: []string{restriction}, client: "127.66.0.1", helo: "helo.test", from: "x@good.test", to: "alice"}
	}
	var all []asked
	client := func(restriction string, clients ...int) {
		for _, n := range clients {
			all = append(all, with(plain(restriction), func(a *asked) { a.client = fmt.Sprintf("127.66.0.%d", n) }))
		}
	}
	helo := func(restriction string, names ...string) {
		for _, name := range names {
			all = append(all, with(plain(restriction), func(a *asked) { a.helo = name }))
		}
	}
	sender := func(restriction string, senders ...string) {
		for _, name := range senders {
			all = append(all, with(plain(restriction), func(a *asked) { a.from = name }))
		}
	}
	recipient := func(restriction string, recipients ...string) {
		for _, name := range recipients {
			all = append(all, with(plain(restriction), func(a *asked) { a.to = name }))
		}
	}
	client("reject_unknown_client_hostname", 1, 2, 3, 4, 5, 6)
	client("reject_unknown_reverse_client_hostname", 1, 2, 3, 4, 5)
	client("reject", 1)
	for _, list := range []string{"rbl.test", "rbl.test=127.0.0.10", "rbl.test=127.0.0.[3..9]", "rbl.test=127.0.[0;1].[1;4..10]", "none.test"} {
		client("reject_rbl_client "+list, 1, 2, 3, 4)
	}
	client("reject_rhsbl_client dbl.test", 1, 2, 3)
	client("reject_rhsbl_reverse_client dbl.test", 1, 2, 3)
	helo("reject_rhsbl_helo dbl.test", "helo.test", "Helo.Test", "other.test", "[192.0.2.1]", "x")
	helo("reject_unknown_helo_hostname", "good.test", "addr.test", "six.test", "empty.test", "nowhere.test", "null.test", "servfail.test", "mxfail.test",
		"[192.0.2.1]", "[192.0.2.400]", "alias.test", "dangling.test", "localhost")
	sender("reject_rhsbl_sender dbl.test", "x@good.test", "x@other.test", "", "x@servfail.test", "X+y@good.test")
	sender("reject_unknown_sender_domain", "x@good.test", "x@addr.test", "x@six.test", "x@empty.test", "x@nowhere.test", "x@null.test", "x@servfail.test",
		"x@mxfail.test", "x@halfnull.test", "x@dangling.test", "x@alias.test", "x@[192.0.2.1]", "x@example.test", "")
	recipient("reject_unknown_recipient_domain", "alice", "x@good.test", "x@addr.test", "x@empty.test", "x@nowhere.test", "x@null.test", "x@servfail.test", "x@halfnull.test")
	recipient("reject_rhsbl_recipient dbl.test", "alice", "x@other.test", "x@good.test")
	for _, to := range []string{"x@backup.test", "x@byaddr.test", "x@outside.test", "x@half.test", "x@good.test", "x@null.test", "x@halfnull.test", "x@nowhere.test", "x@empty.test",
		"x@servfail.test", "x@blindmx.test", "x@unknownmx.test", "x@[192.0.2.1]", "alice"} {
		a := plain("")
		a.list, a.to = []string{"permit_mx_backup", "reject"}, to
		switch to { // Postfix has the words of the resolver behind it
		case "x@servfail.test":
			a.want = "450 4.4.4 *: Recipient address rejected: Unable to look up mail exchanger information"
		case "x@blindmx.test":
			a.want = "450 4.4.4 *: Recipient address rejected: Unable to verify host servfail.test as mail exchanger"
		case "x@unknownmx.test":
			a.want = "450 4.4.4 *: Recipient address rejected: Unable to look up mail exchanger host servfail.test"
		}
		all = append(all, a)
	}
	// Mail for a domain whose best exchanger is this host comes back, and is not taken.
	all = append(all, asked{list: []string{"permit_mx_backup", "reject"}, client: "127.66.0.1", helo: "helo.test", from: "x@good.test", to: "x@primary.test",
		want: "554 5.7.1 *: Recipient address rejected: Access denied"})
	client("reject_plaintext_session", 1)
	client("permit_inet_interfaces", 1)
	client("sleep 0", 1)
	for _, list := range []string{
		"sleep:0 defer_if_permit", "defer_if_permit permit", "defer_if_permit reject", "defer_if_reject reject", "defer_if_reject defer", "sleep:0 defer", "defer_if_reject permit",
		"reject_unknown_sender_domain permit", "warn_if_reject reject", "warn_if_reject reject_unknown_sender_domain permit", "warn_if_reject defer_if_permit",
		"permit_dnswl_client:rbl.test reject", "permit_dnswl_client:none.test reject", "permit_rhswl_client:dbl.test reject",
		"reject_multi_recipient_bounce", "myclass reject", "myclass2 reject", "reject_unknown_sender_domain reject_rbl_client:rbl.test",
	} {
		a := plain("")
		a.list, a.from = nil, "x@servfail.test"
		for _, item := range strings.Fields(list) {
			a.list = append(a.list, strings.ReplaceAll(item, ":", " "))
		}
		all = append(all, a)
	}
	// A list that permits does not answer, and relaying is not permitted by one.
	all = append(all,
		asked{list: []string{"permit_dnswl_client rbl.test", "reject"}, client: "127.66.0.4", helo: "helo.test", from: "x@good.test", to: "alice",
			want: "450 4.7.1 <127.66.0.4>: Client host rejected: *"},
		asked{list: []string{"permit_dnswl_client rbl.test", "reject"}, client: "127.66.0.1", helo: "helo.test", from: "x@good.test", to: "x@other.test"},
	)
	return all
}

// startPostfix runs a Postfix that asks the list of a case for its recipient.
func startPostfix(t *testing.T, server string, cases []asked) *peers.Postfix {
	t.Helper()
	peers.NeedRoot(t, "Postfix")
	peers.Need(t, "postfix", "postfix")
	dir := peers.TempDir(t)
	lists := filepath.Join(filepath.Dir(dir), filepath.Base(dir)+".lists")
	var text, classes strings.Builder
	names := "myclass, myclass2, myself"
	for i, c := range cases {
		list := strings.Join(c.list, ", ")
		if strings.Contains(list, ":") { // Postfix wants a class where a table names a table
			class := fmt.Sprintf("case%d", i)
			fmt.Fprintf(&classes, "%s = %s\n", class, strings.ReplaceAll(list, "$", "$$"))
			names += ", " + class
			list = class
		}
		fmt.Fprintf(&text, "%s %s\n", recipientOf(i, c), list)
	}
	if err := os.WriteFile(lists, []byte(text.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(lists) })
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	p, err := peers.StartPostfix(ctx, peers.PostfixOptions{
		Dir: dir, Hostname: "mx.test", NameServer: server, Accounts: []peers.Account{{Address: "alice@example.test"}},
		Main: `smtpd_relay_restrictions = check_client_access static:OK, reject
smtpd_recipient_restrictions = check_recipient_access texthash:` + lists + `, check_client_access static:OK, reject
smtpd_reject_unlisted_recipient = no
smtpd_hard_error_limit = 100000
smtpd_junk_command_limit = 100000
smtpd_soft_error_limit = 100000
smtpd_error_sleep_time = 0
smtpd_client_connection_rate_limit = 0
recipient_delimiter = +
smtpd_restriction_classes = ` + names + `
myself = check_sender_access inline:{ {good.test = myself} }
` + classes.String() + `
myclass = reject_unknown_helo_hostname
myclass2 = permit
smtpd_peername_lookup = yes
mynetworks = 192.0.2.99/32
permit_mx_backup_networks = 192.0.2.0/24
`,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("Postfix's log ends:\n%s", p.LogTail(6000))
		}
		p.Stop()
	})
	return p
}

// recipientOf is the address of a case, of which each has its own.
func recipientOf(i int, c asked) string {
	_, domain, found := strings.Cut(c.to, "@")
	if !found {
		domain = "example.test"
	}
	return fmt.Sprintf("c%d@%s", i, domain)
}

// replies are the first reply of each case that is no success, or else 250. Cases of one client and HELO
// share a connection.
func replies(t *testing.T, server string, cases []asked, before func(asked)) []string {
	t.Helper()
	all := make([]string, len(cases))
	groups := map[string][]int{}
	var order []string
	for i, c := range cases {
		key := c.client + " " + c.helo
		if groups[key] == nil {
			order = append(order, key)
		}
		groups[key] = append(groups[key], i)
	}
	for _, key := range order {
		client, helo, _ := strings.Cut(key, " ")
		c := dialFrom(t, server, client)
		say := func(command string) string {
			if command != "" {
				fmt.Fprintf(c, "%s\r\n", command)
			}
			return c.reply(t, key)
		}
		greeted := ""
		for _, command := range []string{"", "HELO " + helo} {
			if greeted = say(command); greeted[0] != '2' {
				break
			}
		}
		for _, i := range groups[key] {
			reply := greeted
			for _, command := range []string{"MAIL FROM:<" + cases[i].from + ">", "RCPT TO:<" + recipientOf(i, cases[i]) + ">"} {
				if reply[0] == '2' {
					before(cases[i])
					reply = say(command)
				}
			}
			if all[i] = reply; reply[0] == '2' {
				all[i] = reply[:3]
			}
			say("RSET")
		}
		c.Close()
	}
	return all
}

// dialled is a connection to a server.
type dialled struct {
	net.Conn
	in *bufio.Reader
}

func dialFrom(t *testing.T, server, client string) dialled {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(client)}, Timeout: time.Minute}
	conn, err := dialer.Dial("tcp", server)
	if err != nil {
		t.Fatal(err)
	}
	return dialled{conn, bufio.NewReader(conn)}
}

func (c dialled) reply(t *testing.T, what string) string {
	t.Helper()
	c.SetDeadline(time.Now().Add(time.Minute))
	for {
		line, err := c.in.ReadString('\n')
		if err != nil {
			t.Fatalf("%s: the connection is lost: %v", what, err)
		}
		if line = strings.TrimRight(line, "\r\n"); len(line) < 4 || line[3] != '-' {
			return line
		}
	}
}

// TestRepliesArePostfixs: the same dialogue, with the same list and the same name server, has
// the same answer of Debian's Postfix and of ours.
func TestRepliesArePostfixs(t *testing.T) {
	t.Parallel()
	cases := append(table(), accessTable()...)
	server := dnstest.StartForSystem(t, clientZone())
	p := startPostfix(t, server.Addr, cases)
	set := tables.NewSet(tables.Options{Params: configs.Default().Lookup})
	t.Cleanup(func() { set.Close() })
	b := newBed(t)
	b.o.DNS, b.o.Trusted = dns.New(dns.Options{Servers: []string{server.Addr}, CacheLimit: 1000, Clock: clock.System{}}), nil
	b.o.Classes = map[string][]string{"myclass": {"reject_unknown_helo_hostname"}, "myclass2": {"permit"}, "myself": {"check_sender_access inline:{ {good.test = myself} }"}}
	b.o.Tables, b.o.Keys = set, keys.Options{Delimiters: "+", ParentMatches: true}
	b.o.Params.ErrorLimit, b.o.Params.JunkLimit, b.o.Params.SoftErrorLimit = 10_000, 10_000, 0
	b.o.Params.MXBackupNetworks = []string{"192.0.2.0/24"}
	b.o.OwnMX = func(a netip.Addr) bool { return a == netip.AddrFrom4([4]byte{127, 0, 0, 1}) }
	d := daemon(t, b.o)
	lists := &policy.Lists{Delayed: true} // the list of the case alone decides
	d.lists[mx] = lists
	theirs := replies(t, p.SMTP(), cases, func(asked) {})
	ours := replies(t, serve(t, served(d.MX()), nil), cases, func(c asked) {
		list, err := policy.Compile(policy.Rcpt, c.list, d.env)
		if err != nil {
			t.Fatalf("%q: %v", c.list, err)
		}
		lists.Recipient = list
	})
	for i, c := range cases {
		name := fmt.Sprintf("%q, %s, HELO %s, MAIL %s, RCPT %s", c.list, c.client, c.helo, c.from, recipientOf(i, c))
		if c.want != "" {
			if !regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(c.want), `\*`, ".*") + "$").MatchString(ours[i]) {
				t.Errorf("%s\n  ours  %s\n  want  %s\n  (Postfix %s)", name, ours[i], c.want, theirs[i])
			}
			continue
		}
		if ours[i] != theirs[i] {
			t.Errorf("%s\n  ours    %s\n  Postfix %s", name, ours[i], theirs[i])
		}
	}
}
