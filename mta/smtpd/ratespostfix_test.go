package smtpd

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"toastmaster/internal/anvil"
	"toastmaster/internal/clock"
	"toastmaster/internal/msglog"
	"toastmaster/internal/service"
	"toastmaster/internal/testkit/peers"
)

// ratesOf are the replies to clients that do too much, each from an address of its own, and one that is exempt. unasked says that the
// server speaks first after a handshake too many.
func ratesOf(t *testing.T, address string, unasked bool) []string {
	t.Helper()
	var all []string
	say := func(c dialled, commands ...string) {
		t.Helper()
		for _, reply := range c.say(t, commands...) {
			if reply[0] == '2' {
				reply = reply[:3]
			}
			all = append(all, reply)
		}
	}
	session := func(client string, commands ...string) {
		t.Helper()
		c := dialFrom(t, address, client)
		defer c.Close()
		all = append(all, client+" "+strings.TrimSuffix(c.reply(t, "greeting"), " ESMTP Postfix (Debian/GNU)"))
		say(c, commands...)
	}
	transaction := []string{"MAIL FROM:<x@good.test>", "RSET"}
	session("127.66.1.1", slices.Concat([]string{"EHLO c"}, transaction, transaction, transaction, []string{"QUIT"})...)
	session("127.66.1.1", slices.Concat([]string{"EHLO c"}, transaction, []string{"QUIT"})...)
	rcpt := "RCPT TO:<alice@example.test>"
	session("127.66.1.2", "EHLO c", transaction[0], rcpt, rcpt, rcpt, rcpt, "QUIT")
	session("127.66.1.9", slices.Concat([]string{"EHLO c"}, transaction, transaction, transaction, []string{"QUIT"})...)
	for range 8 {
		func() {
			c := dialFrom(t, address, "127.66.1.3")
			defer c.Close()
			greeting := c.reply(t, "greeting")
			all = append(all, strings.TrimSuffix(greeting, " ESMTP Postfix (Debian/GNU)"))
			if greeting[0] == '2' {
				say(c, "QUIT")
			}
		}()
	}
	var open []dialled
	for range 4 {
		c := dialFrom(t, address, "127.66.1.4")
		defer c.Close()
		greeting := c.reply(t, "greeting")
		all = append(all, strings.TrimSuffix(greeting, " ESMTP Postfix (Debian/GNU)"))
		if greeting[0] == '2' {
			open = append(open, c)
		}
	}
	for _, c := range open {
		say(c, "QUIT")
	}
	for i := range 5 {
		func() {
			c := dialFrom(t, address, "127.66.1.5")
			defer c.Close()
			c.reply(t, "greeting")
			say(c, "EHLO c")
			replies := c.say(t, "STARTTLS")
			all = append(all, replies[0][:3]+strings.TrimPrefix(replies[0][3:], " 2.0.0 Ready to start TLS"))
			if replies[0][0] != '2' {
				say(c, "QUIT")
				return
			}
			secured := tls.Client(c.Conn, &tls.Config{InsecureSkipVerify: true})
			if err := secured.Handshake(); err != nil {
				t.Fatal(err)
			}
			c.Conn = secured
			c.in.Reset(secured)
			if i == 2 && unasked {
				all = append(all, c.reply(t, "handshake"))
				return
			}
			say(c, "EHLO c")
		}()
	}
	for i, line := range all {
		all[i] = strings.TrimSuffix(strings.Replace(line, "unknown[127.66.1.5]", "127.66.1.5", 1), " ESMTP ready") // we ask for no name
	}
	return all
}

// TestRatesOfTLSAsPostfix: a client that does too much, of messages, recipients, connections and TLS sessions, has the same answers of
// Debian's Postfix, the same lines in the log about that, and the same statistics of anvil.
func TestRatesOfTLSAsPostfix(t *testing.T) {
	t.Parallel()
	peers.NeedRoot(t, "Postfix")
	peers.Need(t, "postfix", "postfix")
	h := newCertHouse(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	p, err := peers.StartPostfix(ctx, peers.PostfixOptions{
		Dir: h.dir, Hostname: "mx.test", Accounts: []peers.Account{{Address: "alice@example.test"}}, CertFile: h.file("server.pem"), KeyFile: h.file("server.pem"),
		Main: `smtpd_client_message_rate_limit = 2
smtpd_client_recipient_rate_limit = 3
smtpd_client_new_tls_session_rate_limit = 2
smtpd_client_connection_count_limit = 3
smtpd_client_connection_rate_limit = 5
smtpd_client_event_limit_exceptions = 127.66.1.9, 127.0.0.0/16
anvil_rate_time_unit = 3600s
anvil_status_update_time = 2s
mynetworks =
smtpd_peername_lookup = no
smtpd_tls_loglevel = 1
smtpd_delay_reject = no
`,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Stop()
	file := filepath.Join(t.TempDir(), "log")
	log, err := msglog.Open(msglog.Options{Format: msglog.Postfix, Hostname: "mx", File: file, Buffer: 1 << 20, Clock: clock.System{}})
	if err != nil {
		t.Fatal(err)
	}
	b := newBed(t)
	b.o.Trusted, b.o.Log = nil, log
	q := &b.o.Params
	q.MessageRate, q.RecipientRate, q.HandshakeRate, q.ConnectionRate, q.TLSLogLevel = 2, 3, 2, 5, 1
	q.EventExceptions = []string{"127.66.1.9/32", "127.0.0.0/16"}
	q.Restrictions.Delay = false
	b.o.Counter = anvil.New(anvil.Options{Unit: time.Hour, Clock: clock.System{}})
	handler := daemon(t, b.o).MX()
	ours := serve(t, &service.Server{
		Handler: handler, Busy: handler.BusyReply(), Log: log, Counter: b.o.Counter, Admit: Admission("smtpd", *q, b.o.Counter),
		Limits: service.Limits{PerClient: 3, Uncounted: []netip.Prefix{netip.MustParsePrefix("127.66.1.9/32"), netip.MustParsePrefix("127.0.0.0/16")}},
	}, nil)
	mine, theirs := ratesOf(t, ours, false), ratesOf(t, p.SMTP(), true)
	if a, b := strings.Join(mine, "\n"), strings.Join(theirs, "\n"); a != b {
		t.Errorf("ours\n%s\nPostfix\n%s", a, b)
	}
	for _, peak := range b.o.Counter.TakePeaks().List {
		log.Event(msglog.Statistic{What: peak.What, Value: peak.Value, Unit: peak.Unit, Service: peak.Service, Client: peak.Client, At: peak.At})
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	// The statistics come when their time has come, those of one kind perhaps in two parts.
	var got []string
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if got = limitLines(p.LogTail(1 << 20)); strings.Contains(strings.Join(got, "\n"), "newtls rate") {
			break
		}
	}
	if mine := limitLines(string(text)); !slices.Equal(mine, got) {
		t.Errorf("ours\n%s\nPostfix\n%s", strings.Join(mine, "\n"), strings.Join(got, "\n"))
	}
}

// limitLines are the lines about limits, about TLS and of anvil, without what differs: the process, the port in the name of the service, the
// time, and details of TLS. Of a statistic that comes twice the greater one counts.
func limitLines(log string) []string {
	about := regexp.MustCompile(`exceeded|Refusing|statistics: max (?:connection|message|recipient|newtls)|TLS connection established`)
	differ := regexp.MustCompile(`^.*? postfix/(\w+)\[\d+\]: |for service \S+|for \(\S+:|at [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d|: TLS.*`)
	most := map[string]string{}
	var all []string
	for line := range strings.Lines(log) {
		if !about.MatchString(line) {
			continue
		}
		line = strings.TrimSpace(differ.ReplaceAllStringFunc(line, func(s string) string {
			if _, daemon, ok := strings.Cut(s, "postfix/"); ok {
				name, _, _ := strings.Cut(daemon, "[")
				return name + ": "
			}
			if strings.HasPrefix(s, "for (") {
				return "for ("
			}
			return ""
		}))
		if name, rest, ok := strings.Cut(line, "statistics: max "); ok {
			kind := strings.Join(strings.Fields(rest)[:2], " ")
			if before, twice := most[name+kind]; !twice || fmt.Sprintf("%9s", strings.Fields(rest)[2]) > fmt.Sprintf("%9s", strings.Fields(before)[2]) {
				most[name+kind] = rest
			}
			continue
		}
		all = append(all, regexp.MustCompile(`exceeded: \d+`).ReplaceAllString(line, "exceeded")) // each of Postfix's has a line
	}
	for kind, rest := range most {
		// Postfix counts on beyond a limit, and we do not: a client gets its rate again as time passes.
		all = append(all, kind+": "+regexp.MustCompile(`(connection|message) rate \d+/`).ReplaceAllString(rest, "$1 rate N/"))
	}
	slices.Sort(all)
	return slices.Compact(all)
}
