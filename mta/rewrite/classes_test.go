package rewrite

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"toastmaster/configs"
	"toastmaster/directory"
	"toastmaster/directory/tables"
	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
	"toastmaster/internal/testkit/peers"
)

// The domains of the classes, as main.cf writes them: names, tables, exceptions.
const (
	classTransports = "inline:{ {by.table@loc.test=tb:loc}, {by.table@rel.test=:[hop.of.rel]}, {table.rel.test=tb:}, {by.table@example.test=tb:box}, {by.table@ali.test=tb:never} }"
	aliasDomains    = "ali.test, inline:{{tab.ali.test=x}}"
	relayDomains    = "!not.rel.test, rel.test, inline:{{tab.test=x}}"
)

func classMails() (all [][2]string) {
	for _, to := range []string{
		"a@loc.test", "by.table@loc.test", "a@sub.loc.test", "a@ali.test", "by.table@ali.test", "a@tab.ali.test", "a@sub.ali.test", "alice@example.test", "by.table@example.test", "a@rel.test", "by.table@rel.test", "a@sub.rel.test", "a@table.rel.test",
		"a@not.rel.test", "a@tab.test", "a@sub.tab.test", "a@elsewhere.test", "a@two.test",
	} {
		all = append(all, [2]string{"any@sender.test", to})
	}
	return append(all, [2]string{"s@relay.test", "a@rel.test"}, [2]string{"s@relay.test", "a@loc.test"}, [2]string{"s@transport.test", "a@rel.test"}, [2]string{"s@transport.test", "a@elsewhere.test"})
}

// TestClassesArePostfixs: mail of each class of addresses goes by the same transport to the same nexthop with Debian's Postfix
// and with ours.
func TestClassesArePostfixs(t *testing.T) {
	t.Parallel()
	peers.NeedRoot(t, "Postfix")
	peers.Need(t, "postfix", "postfix")
	for _, setup := range []struct{ name, local, virtual, relay, standard, relayhost string }{
		{"with nexthops", "ta:local.hop", "tv:virtual.hop", "tb:relay.hop", "td:default.hop", ""},
		{"without", "ta", "tv", "tb", "td", ""},
		{"relayhost", "ta", "tv", "tb", "td", "[the.relay]"},
	} {
		t.Run(setup.name, func(t *testing.T) {
			main := fmt.Sprintf("recipient_delimiter = +\nmydestination = loc.test two.test\nvirtual_alias_domains = %s two.test\nrelay_domains = %s\ntransport_maps = %s\nlocal_transport = %s\nvirtual_transport = %s\nrelay_transport = %s\ndefault_transport = %s\nrelayhost = %s\n",
				aliasDomains, relayDomains, classTransports, setup.local, setup.virtual, setup.relay, setup.standard, setup.relayhost) +
				"sender_dependent_relayhost_maps = " + senderRelays + "\nsender_dependent_default_transport_maps = " + senderDefaults + "\nvirtual_alias_maps =\nmyorigin = mx.test\nlocal_recipient_maps =\nsmtpd_recipient_restrictions = permit_mynetworks\nsmtpd_reject_unlisted_recipient = no\n" +
				"smtpd_relay_restrictions = permit_mynetworks, reject\nnotify_classes =\n"
			var master strings.Builder
			for _, name := range []string{"ta", "tb", "td", "tv"} {
				fmt.Fprintf(&master, "%s unix - - n - - discard -o syslog_name=tr-%[1]s\n", name)
			}
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			dir := peers.TempDir(t)
			p, err := peers.StartPostfix(ctx, peers.PostfixOptions{Dir: dir, Hostname: "mx.test", Main: main, Master: master.String(), Accounts: []peers.Account{{Address: "alice@example.test"}, {Address: "by.table@example.test"}}})
			if err != nil {
				t.Fatal(err)
			}
			defer p.Stop()
			c := configs.Default()
			c.Main.Hostname, c.SMTP.Relayhost = "mx.test", setup.relayhost
			r := &c.Rewrite
			r.MyDestination, r.VirtualAliasDomains, r.RelayDomains = []string{"loc.test", "two.test"}, items(aliasDomains+", two.test"), items(relayDomains)
			r.TransportMaps, r.SenderRelayhostMaps, r.SenderTransportMaps = []string{classTransports}, []string{senderRelays}, []string{senderDefaults}
			r.LocalTransport, r.VirtualTransport, r.RelayTransport, r.DefaultTransport = setup.local, setup.virtual, setup.relay, setup.standard
			ours := classesOf(t, c)
			log := filepath.Join(dir, "mail.log")
			mails := classMails()
			ids := make([]string, len(mails))
			for i, m := range mails {
				ids[i] = queued(t, p.SMTP(), m[0], m[1])
			}
			for i, m := range mails {
				if m[1] == "by.table@example.test" {
					continue // here who has no mailbox has none, whatever table there is
				}
				theirs := routeInLog(t, log, ids[i])
				route, err := ours.Resolve(t.Context(), parsed(t, m[0]), parsed(t, m[1]))
				text := route.Transport + " " + route.Nexthop
				switch {
				case err != nil:
					text = err.Error()
				case route.Err != nil:
					text = "error " + route.Err.Status.String()
				}
				if text != theirs {
					t.Errorf("%s to %s:\n  ours    %s\n  Postfix %s", m[0], m[1], text, theirs)
				}
			}
		})
	}
}

func items(list string) []string { return strings.Split(list, ", ") }

func classesOf(t *testing.T, c *configs.Config) *Resolver {
	t.Helper()
	set := tables.NewSet(tables.Options{Params: c.Lookup})
	t.Cleanup(func() { set.Close() })
	tabs, err := OpenTables(t.Context(), c, set)
	if err != nil {
		t.Fatal(err)
	}
	return New(Options{Directory: boxes(t), Hostname: c.Main.Hostname, Relayhost: c.SMTP.Relayhost, Params: c.Rewrite, Tables: tabs, Agents: map[string]string{"closed": "error"}})
}

// TestClass: the four answers about who is in a class.
func TestClass(t *testing.T) {
	t.Parallel()
	c := configs.Default()
	c.Main.Hostname = "mx.test"
	c.Rewrite.MyDestination, c.Rewrite.RelayDomains = []string{"loc.test"}, []string{"rel.test", "open.test"}
	c.Rewrite.VirtualAliasDomains, c.Cleanup.Rewriting.VirtualAliasMaps = []string{"$virtual_alias_maps", "more.test"}, []string{"inline:{ {ali.test=x}, {a@ali.test=b@example.test} }"}
	c.Rewrite.RelayRecipientMaps = []string{"inline:{ {known@rel.test=x}, {@open.test=x} }", "pipemap:{inline:{ {late@rel.test=x} },fail:x}"}
	c.Local.RecipientMaps = []string{"unix:passwd.byname", "inline:{ {someone=x}, {else@loc.test=x} }"}
	c.Rewrite.RelayTransport = "closed:5.3.2 not today"
	r := classesOf(t, c)
	for to, want := range map[string]string{
		"x@elsewhere.test": "default", "x@[192.0.2.1]": "default", "someone@loc.test": "local", "someone+x@loc.test": "local", "else@loc.test": "local", "other@loc.test": "local 5.1.1", "a@ali.test": "virtual alias 5.1.1", "a@more.test": "virtual alias 5.1.1",
		"known@rel.test": "relay", "known+x@rel.test": "relay", "known@sub.rel.test": "relay 5.1.1", "other@rel.test": "relay 5.1.1", "any@open.test": "relay", "late@rel.test": "relay 4.3.0",
	} {
		class, refused, err := r.Class(t.Context(), parsed(t, to))
		got := class.String()
		if err != nil {
			got += " " + dsn.From(err).Status.String()
		} else if refused != nil {
			got += " " + refused.Status.String()
		}
		if got != want {
			t.Errorf("%s: %s, want %s", to, got, want)
		}
	}
	// A transport that refuses all of a class is heard at RCPT.
	if e := r.Refused(t.Context(), parsed(t, "known@rel.test"), false); e == nil || e.Status.String() != "5.3.2" {
		t.Error(e)
	}
	if e := r.Refused(t.Context(), parsed(t, "x@elsewhere.test"), false); e != nil {
		t.Error(e)
	}
	// A list that cannot be asked makes no domain a stranger.
	c = configs.Default()
	c.Rewrite.RelayDomains = []string{"fail:x"}
	r = classesOf(t, c)
	if _, _, err := r.Class(t.Context(), parsed(t, "x@elsewhere.test")); dsn.From(err).Status.String() != "4.3.0" {
		t.Error(err)
	}
	if _, err := r.Resolve(t.Context(), addr.Address{}, parsed(t, "x@elsewhere.test")); dsn.From(err).Status.String() != "4.3.0" {
		t.Error(err)
	}
	if directory.MailboxClass.String() != "virtual mailbox" {
		t.Error("names of classes")
	}
}
