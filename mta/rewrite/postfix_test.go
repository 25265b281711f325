package rewrite

import (
	"context"
	"fmt"
	"net"
	"net/textproto"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"toastmaster/configs"
	"toastmaster/directory/tables"
	"toastmaster/internal/addr"
	"toastmaster/internal/testkit/peers"
)

// The tables of the comparison. In a transport that discards, the nexthop is what the log says.
const (
	transportMap = "inline:{ {joe@exact.test=ta:by.address}, {exact.test=ta:by.domain}, {.exact.test=tb:by.parent}, {deep.exact.test=tb:deep}, {hop.test=:[only.hop]:26}, {name.test=ta:}, {bare.test=ta}, {null.test=:}, " +
		"{alice@example.test=ta:hosted}, {bob@example.test=:hop.of.bob}, {ext+x@exact.test=tb:with.extension}, {ext@exact.test=tb:without}, {.test.=tb:never}, {reason.test=ta:some text: with a colon}, {UPPER.test=ta:upper}, {[192.0.2.1]=ta:literal}, {mixed.test=ta:Mixed.Case} }"
	wildcardMap    = "inline:{ {*=tb:wild}, {exact.test=ta:by.domain}, {example.test=:} }"
	patternMap     = "regexp:{ {/^(.*)@(a[0-9]\\.test)$$/ ta:a.pattern}, {/^exact\\.test$$/ ta:never} }"
	senderRelays   = "inline:{ {s@relay.test=[relay.of.s]}, {@relay.test=[relay.of.domain]:587}, {dunno@relay.test=DUNNO}, {<>=[relay.of.null]}, {t@transport.test=[relay.of.t]}, {plus@relay.test=[relay.of.plus]} }"
	senderDefaults = "inline:{ {s@transport.test=ta:default.of.s}, {t@transport.test=ta:}, {@transport.test=tb:default.of.domain}, {dunno@transport.test=DUNNO} }"
	movedMap       = "inline:{ {gone@moved.test=new@elsewhere.test}, {@all.test=somewhere else}, {bob+moved@example.test=new@elsewhere.test}, {short=new@elsewhere.test} }"
)

// routedMails are senders with their recipients.
func routedMails() (all [][2]string) {
	for _, to := range []string{
		"joe@exact.test", "joe+x@exact.test", "jim@exact.test", "x@sub.exact.test", "x@deep.exact.test", "x@more.deep.exact.test", "x@notexact.test", "x@hop.test", "x@name.test", "x@bare.test", "x@null.test", "x@sub.null.test",
		"alice@example.test", "bob@example.test", "bob+x@example.test", "carl@example.test", "ext+x@exact.test", "ext+y@exact.test", "x@reason.test", "x@upper.test", "x@mixed.test", "x@[192.0.2.1]", "x@a1.test", "\"q q\"@a2.test", "x+y@a3.test",
		"gone@moved.test", "gone+x@moved.test", "stays@moved.test", "x@all.test", "bob+moved@example.test", "other@elsewhere.test", "short@own.test", "Short+x@Own.Test",
	} {
		all = append(all, [2]string{"any@sender.test", to})
	}
	for _, from := range []string{"s@relay.test", "S@Relay.Test", "other@relay.test", "plus+x@relay.test", "dunno@relay.test", "", "s@transport.test", "t@transport.test", "other@transport.test", "dunno@transport.test", "x@sub.relay.test"} {
		all = append(all, [2]string{from, "x@elsewhere.test"}, [2]string{from, "x@hop.test"}, [2]string{from, "carl@example.test"})
	}
	return all
}

// TestRoutesArePostfixs: the same recipient of the same sender goes by the same transport to the same
// nexthop with Debian's Postfix and with ours.
func TestRoutesArePostfixs(t *testing.T) {
	t.Parallel()
	peers.NeedRoot(t, "Postfix")
	peers.Need(t, "postfix", "postfix")
	for _, setup := range []struct{ name, transports, standard, relayhost string }{
		{"tables", transportMap + " " + patternMap, "td", "[hub.test]"}, {"wildcard", wildcardMap, "td:stays", "[hub.test]"}, {"nothing", "", "td", ""}, {"default with a nexthop", transportMap, "td:next.default", "[hub.test]"},
	} {
		t.Run(setup.name, func(t *testing.T) {
			main := fmt.Sprintf("recipient_delimiter = +\ntransport_maps = %s\ndefault_transport = %s\nrelayhost = %s\nsender_dependent_relayhost_maps = %s\nsender_dependent_default_transport_maps = %s\nrelocated_maps = %s\n",
				setup.transports, setup.standard, setup.relayhost, senderRelays, senderDefaults, movedMap) +
				"virtual_transport = tv\nmyorigin = mx.test\nmydestination = own.test\nlocal_recipient_maps =\nsmtpd_recipient_restrictions = permit_mynetworks\nsmtpd_reject_unlisted_recipient = no\nsmtpd_relay_restrictions = permit_mynetworks, reject\nbounce_notice_recipient = carl@example.test\n"
			var master strings.Builder
			for _, name := range []string{"ta", "tb", "td", "tv"} {
				fmt.Fprintf(&master, "%s unix - - n - - discard -o syslog_name=tr-%[1]s\n", name)
			}
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			dir := peers.TempDir(t)
			p, err := peers.StartPostfix(ctx, peers.PostfixOptions{Dir: dir, Hostname: "mx.test", Main: main, Master: master.String(),
				Accounts: []peers.Account{{Address: "alice@example.test"}, {Address: "bob@example.test"}, {Address: "carl@example.test"}}})
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if t.Failed() {
					t.Logf("Postfix's log ends:\n%s", p.LogTail(3000))
				}
				p.Stop()
			}()
			ours := routesOf(t, setup.transports, setup.standard, setup.relayhost)
			mails := routedMails()
			ids := make([]string, len(mails))
			log := filepath.Join(dir, "mail.log")
			for i, m := range mails {
				ids[i] = queued(t, p.SMTP(), m[0], m[1])
			}
			for i, m := range mails {
				if theirs := routeInLog(t, log, ids[i]); theirs != ours[i] {
					t.Errorf("%s to %s:\n  ours    %s\n  Postfix %s", m[0], m[1], ours[i], theirs)
				}
			}
		})
	}
}

// routesOf are ours.
func routesOf(t *testing.T, transports, standard, relayhost string) (all []string) {
	t.Helper()
	c := configs.Default()
	c.Main.Hostname = "mx.test"
	c.Rewrite.TransportMaps, c.Rewrite.MyDestination = split(transports), []string{"own.test"}
	c.Rewrite.SenderRelayhostMaps, c.Rewrite.SenderTransportMaps, c.Rewrite.RelocatedMaps = []string{senderRelays}, []string{senderDefaults}, []string{movedMap}
	for i, table := range c.Rewrite.TransportMaps {
		c.Rewrite.TransportMaps[i] = strings.ReplaceAll(table, "$$", "$") // as main.cf writes it
	}
	set := tables.NewSet(tables.Options{Params: c.Lookup})
	t.Cleanup(func() { set.Close() })
	tabs, err := OpenTables(t.Context(), c, set)
	if err != nil {
		t.Fatal(err)
	}
	r := New(Options{Directory: boxes(t), Hostname: "mx.test", Relayhost: relayhost, Params: configs.Rewrite{DefaultTransport: standard}, Tables: tabs, Agents: map[string]string{}})
	for _, m := range routedMails() {
		var from addr.Address
		if m[0] != "" {
			from = parsed(t, m[0])
		}
		route, err := r.Resolve(t.Context(), from, parsed(t, m[1]))
		switch {
		case err != nil:
			t.Errorf("%s: %v", m, err)
			all = append(all, "")
		case route.Err != nil:
			all = append(all, "error "+route.Err.Status.String())
		case route.Transport == "virtual":
			all = append(all, "tv "+route.Nexthop)
		default:
			all = append(all, route.Transport+" "+route.Nexthop)
		}
	}
	return all
}

// split cuts between tables.
func split(list string) []string {
	if list == "" {
		return nil
	}
	return strings.Split(strings.ReplaceAll(list, "} regexp:", "}\x00regexp:"), "\x00")
}

func parsed(t *testing.T, s string) addr.Address {
	t.Helper()
	a, err := addr.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// queued sends a message, and returns the ID that Postfix has for it.
func queued(t *testing.T, server, from, to string) string {
	t.Helper()
	conn, err := net.DialTimeout("tcp", server, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	conn.SetDeadline(time.Now().Add(6 * time.Second))
	c := textproto.NewConn(conn)
	defer c.Close()
	reply := ""
	for _, say := range []struct {
		line string
		code int
	}{{"", 220}, {"HELO client.test", 250}, {"MAIL FROM:<" + from + ">", 250}, {"RCPT TO:<" + to + ">", 250}, {"DATA", 354}, {"Subject: x\r\n\r\nx\r\n.", 250}} {
		if say.line != "" {
			if err := c.PrintfLine("%s", say.line); err != nil {
				t.Fatal(err)
			}
		}
		if _, reply, err = c.ReadResponse(say.code); err != nil {
			t.Fatalf("%s to %s, %q: %v", from, to, say.line, err)
		}
	}
	return reply[strings.LastIndexByte(reply, ' ')+1:]
}

var (
	discarded = regexp.MustCompile(`(?s)tr-(t.)/discard\[\d+\]: ID: to=<[^>]*>.* status=sent \(([^\n]*)\)\n`)
	returned  = regexp.MustCompile(`postfix/error\[\d+\]: ID: to=<[^>]*>.* dsn=(5\.[\d.]+), status=bounced`)
)

// routeInLog waits for what the log has of a message: "transport nexthop".
func routeInLog(t *testing.T, log, id string) string {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		text, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.SplitAfterSeq(string(text), "\n") {
			if !strings.Contains(line, id+": to=") {
				continue
			}
			line = strings.Replace(line, id, "ID", 1)
			if m := discarded.FindStringSubmatch(line); m != nil {
				return m[1] + " " + m[2]
			}
			if m := returned.FindStringSubmatch(line); m != nil {
				return "error " + m[1]
			}
			return line
		}
	}
	if text, err := os.ReadFile(log); err == nil {
		for line := range strings.SplitAfterSeq(string(text), "\n") {
			if strings.Contains(line, id) || strings.Contains(line, "warning") {
				t.Log(line)
			}
		}
		t.FailNow()
	}
	return "nothing in the log"
}
