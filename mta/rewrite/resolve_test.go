package rewrite

import (
	"errors"
	"fmt"
	"testing"

	"toastmaster/configs"
	"toastmaster/directory"
	"toastmaster/directory/static"
	"toastmaster/directory/tables"
	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
)

func hosted(t *testing.T) *directory.Directory {
	t.Helper()
	off := static.Box("off@example.test", "")
	off.Mailbox.Enabled = false
	domains := static.Hosted("example.test")
	domains = append(domains, directory.Domain{Name: "closed.test"},
		directory.Domain{Name: "example.net", AliasOf: "example.test", Enabled: true})
	d, err := static.New(static.Data{
		Domains:    domains,
		Accounts:   []directory.Account{static.Box("alice@example.test", ""), off, static.Box("eve@closed.test", "")},
		Aliases:    map[string][]string{"sales@example.test": {"alice@example.test"}},
		Relocated:  map[string]string{"gone@example.test": "gone@example.org"},
		Delimiters: "+",
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestRoutes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		relayhost, to, transport, nexthop string
		status                            dsn.Status
	}{
		{"", "alice@example.test", "virtual", "example.test", 0},
		{"[relay]", "Alice+x@example.test", "virtual", "example.test", 0},
		{"", "alice@example.net", "virtual", "example.net", 0},
		{"", "nobody@example.test", "error", "example.test", dsn.BadDestMailbox},
		{"", "gone@example.test", "error", "example.test", dsn.MailboxMoved},
		{"", "off@example.test", "error", "example.test", dsn.MailboxDisabled},
		{"", "eve@closed.test", "error", "closed.test", dsn.MailboxDisabled},
		{"", "sales@example.test", "error", "example.test", dsn.BadDestMailbox},
		{"", "root@mail.example.test", "error", "mail.example.test", dsn.BadDestMailbox},
		{"", "postmaster", "error", "", dsn.BadDestMailbox},
		{"", "x@elsewhere.example", "smtp", "elsewhere.example", 0},
		{"", "x@[192.0.2.1]", "smtp", "[192.0.2.1]", 0},
		{"", "x@[127.0.0.1]", "error", "[127.0.0.1]", dsn.LoopDetected},
		{"[relay]:587", "x@[127.0.0.1]", "error", "[127.0.0.1]", dsn.LoopDetected},
		{"[relay]:587", "x@elsewhere.example", "smtp", "[relay]:587", 0},
	} {
		r := New(Options{Directory: hosted(t),
			Hostname: "Mail.Example.Test", Relayhost: c.relayhost, Ours: func(domain string) bool { return domain == "[127.0.0.1]" },
		})
		a, err := addr.Parse(c.to)
		if err != nil {
			t.Fatal(err)
		}
		route, err := r.Resolve(t.Context(), addr.Address{}, a)
		if err != nil {
			t.Errorf("%s: %v", c.to, err)
			continue
		}
		if route.Transport != c.transport || route.Nexthop != c.nexthop {
			t.Errorf("%s: %+v", c.to, route)
		}
		if got := route.Err; (got == nil) != (c.status == 0) || got != nil && got.Status != c.status {
			t.Errorf("%s: %v, want %v", c.to, got, c.status)
		}
	}
}

func TestADirectoryInTroubleNeverSaysNo(t *testing.T) {
	t.Parallel()
	for outcome, want := range map[directory.Outcome]dsn.Status{
		directory.Unavailable: dsn.MailSystem, directory.Misconfigured: dsn.Misconfigured,
	} {
		r := New(Options{Directory: static.Broken{Outcome: outcome, Cause: errors.New("down")}.Directory(), Hostname: "mail.example.test"})
		for _, a := range []addr.Address{{Local: "a", Domain: "example.test"}, {Local: "a", Domain: "mail.example.test"}} {
			route, err := r.Resolve(t.Context(), addr.Address{}, a)
			if e := dsn.From(err); e == nil || e.Status != want || !e.Temporary() {
				t.Errorf("%v: %+v %v", outcome, route, err)
			}
		}
	}
}

// TestRefused: what a row refuses need not be taken, by the rules by which it is routed.
func TestRefused(t *testing.T) {
	t.Parallel()
	closed, later := dsn.New(dsn.BadDestSystem, "Closed"), dsn.New(dsn.RoutingFailed, "Later")
	r := New(Options{Directory: hosted(t), Hostname: "Mail.Example.Test", Routes: []Row{
		{Transport: "closed", Domains: []string{".Org.example"}, Refused: closed},
		{Transport: "open", Domains: []string{"b.org.example"}},
		{Transport: "rest", Domains: []string{"*"}, Refused: later},
	}})
	for domain, want := range map[string]*dsn.Error{"a.org.example": closed, "b.org.example": nil, "org.example": later, "[192.0.2.1]": later} {
		if got := r.Refused(t.Context(), addr.Address{Local: "x", Domain: domain}, false); got != want {
			t.Errorf("%s: %v, want %v", domain, got, want)
		}
	}
	if got := r.Refused(t.Context(), addr.Address{Local: "x", Domain: "mail.example.test"}, false); got == nil || got.Status != dsn.BadDestMailbox {
		t.Error(got)
	}
	if got := New(Options{Directory: hosted(t), Hostname: "mail.example.test"}).Refused(t.Context(), addr.Address{Local: "x", Domain: "org.example"}, false); got != nil {
		t.Error(got)
	}
}

// TestTransportsOfDomains: the most exact row counts, what is hosted here or is this host
// goes to none, and relayhost is for the rest.
func TestTransportsOfDomains(t *testing.T) {
	t.Parallel()
	rows := []Row{
		{Transport: "exact", Domains: []string{"Org.example", "example.test", "example.net"}, Nexthop: "[relay]:26"},
		{Transport: "below", Domains: []string{".org.example"}},
		{Transport: "deep", Domains: []string{".b.org.example"}},
	}
	for _, c := range []struct{ to, transport, nexthop string }{
		{"x@org.example", "exact", "[relay]:26"},
		{"x@a.org.example", "below", "a.org.example"},
		{"x@a.a.org.example", "below", "a.a.org.example"},
		{"x@b.org.example", "below", "b.org.example"},
		{"x@a.b.org.example", "deep", "a.b.org.example"},
		{"x@xorg.example", "rest", "xorg.example"},
		{"x@[192.0.2.1]", "rest", "[192.0.2.1]"},
		{"alice@example.test", "virtual", "example.test"},
		{"alice@example.net", "virtual", "example.net"},
		{"nobody@example.test", "error", "example.test"},
		{"x@mail.example.test", "error", "mail.example.test"},
	} {
		for _, all := range []bool{true, false} {
			routes := rows
			if all {
				routes = append(routes[:len(rows):len(rows)], Row{Transport: "rest", Domains: []string{"*"}})
			} else if c.transport == "rest" {
				c.transport, c.nexthop = "smtp", "[hub]"
			}
			r := New(Options{Directory: hosted(t), Hostname: "mail.example.test", Relayhost: "[hub]", Routes: routes})
			a, err := addr.Parse(c.to)
			if err != nil {
				t.Fatal(err)
			}
			route, err := r.Resolve(t.Context(), addr.Address{}, a)
			if err != nil || route.Transport != c.transport || route.Nexthop != c.nexthop {
				t.Errorf("%s: %+v %v, want %s %s", c.to, route, err, c.transport, c.nexthop)
			}
		}
	}
}

// boxes is a directory with three mailboxes.
func boxes(t *testing.T) *directory.Directory {
	t.Helper()
	d, err := static.New(static.Data{
		Domains:    static.Hosted("example.test"),
		Accounts:   []directory.Account{static.Box("alice@example.test", ""), static.Box("bob@example.test", ""), static.Box("carl@example.test", "")},
		Delimiters: "+",
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestTablesWithoutAnAnswer let mail wait, and take none that might be refused.
func TestTablesWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	set := tables.NewSet(tables.Options{Params: configs.Default().Lookup})
	defer set.Close()
	fails, _, err := set.OpenAll(t.Context(), []string{"fail:x"})
	if err != nil {
		t.Fatal(err)
	}
	for param, tabs := range map[string]Tables{"transport": {Transport: fails}, "relocated": {Relocated: fails}, "relayhost": {SenderRelayhost: fails}, "default": {SenderTransport: fails}} {
		r := New(Options{Directory: boxes(t), Hostname: "mail.example.test", Tables: tabs})
		a := addr.Address{Local: "x", Domain: "elsewhere.test"}
		if _, err := r.Resolve(t.Context(), a, a); dsn.From(err) == nil || dsn.From(err).Status != dsn.MailSystem {
			t.Errorf("%s: %v", param, err)
		}
		if got := r.Refused(t.Context(), a, false); (got != nil) != (param == "transport" || param == "relocated") {
			t.Errorf("%s: %v", param, got)
		}
	}
}

// TestTablesRefuse: smtpd takes no mail that a table sends to a transport which refuses, or of who has moved.
func TestTablesRefuse(t *testing.T) {
	t.Parallel()
	set := tables.NewSet(tables.Options{Params: configs.Default().Lookup})
	defer set.Close()
	open := func(name string) tables.Maps {
		maps, _, err := set.OpenAll(t.Context(), []string{name})
		if err != nil {
			t.Fatal(err)
		}
		return maps
	}
	r := New(Options{Directory: boxes(t), Hostname: "mail.example.test", Agents: map[string]string{"error": "error", "retry": "retry", "smtp": "smtp"}, Tables: Tables{
		Transport: open("inline:{ {closed.test=error:5.1.2 Closed}, {bare.test=error:}, {later.test=retry:Later}, {open.test=smtp:[hub]} }"),
		Relocated: open("inline:{ {alice@example.test=new@elsewhere.test} }"),
	}})
	for _, c := range []struct {
		to     string
		hosted bool
		want   string
	}{
		{"x@closed.test", false, "550 5.1.2 Closed"}, {"x@bare.test", false, "550 5.1.1 Address is undeliverable"}, {"x@later.test", false, "450 4.1.1 Later"}, {"x@open.test", false, ""}, {"x@other.test", false, ""},
		{"alice@example.test", true, "551 5.1.6 User has moved; please try <new@elsewhere.test>"}, {"bob@example.test", true, ""},
	} {
		a, err := addr.Parse(c.to)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if e := r.Refused(t.Context(), a, c.hosted); e != nil {
			got = fmt.Sprintf("%d %s %s", e.Reply(), e.Status, e.Text)
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.to, got, c.want)
		}
	}
}
