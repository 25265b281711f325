package smtp

import (
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"toastmaster/configs"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/testkit/peers"
	"toastmaster/mta/agent"
)

// fault is what may be wrong with a host, and what it means for the two recipients a and b.
type fault struct {
	name string
	set  func(*peer)
	// short is the timeout that ends it, by Postfix's name.
	short string
	// want are the statuses, "" for 2.0.0; theirs those of Postfix where they are others. "-" says
	// that Postfix would wait for ever.
	want, theirs string
	// large has more content than the sockets hold.
	large bool
	// level is that of TLS, when the host offers it.
	level configs.TLSLevel
	// full: the host takes no connection.
	full bool
	// login: we log in there.
	login bool
	// lmtp: it is a store.
	lmtp bool
}

const (
	silence = "4.4.2"
	noSMTP  = "4.5.0"
)

// faults are stalls, losses and strange answers at each stage.
func faults() []fault {
	list := []fault{
		{name: "connect: no answer", full: true, short: "smtp_connect_timeout", want: "4.4.1"},
		{name: "greeting: silence", set: func(p *peer) { p.greeting = "hang" }, short: "smtp_helo_timeout", want: silence},
		{name: "greeting: lost", set: func(p *peer) { p.greeting = "drop" }, want: silence},
		{name: "greeting: nonsense", set: func(p *peer) { p.greeting = "nonsense" }, short: "smtp_helo_timeout", want: noSMTP, theirs: silence},
		{name: "greeting: an octet now and then", set: func(p *peer) { p.greeting = "drip" }, short: "smtp_helo_timeout", want: silence, theirs: "-"},
		{name: "greeting: without end", set: func(p *peer) { p.greeting = "pour" }, want: noSMTP, theirs: "-"},
		{name: "greeting: 354", set: func(p *peer) { p.greeting = "354 go" }, want: noSMTP, theirs: "5.5.0"},
		{name: "greeting: 421", set: func(p *peer) { p.greeting = "421 4.3.2 busy" }, want: "4.3.2"},
		{name: "greeting: 554", set: func(p *peer) { p.greeting = "554 5.7.1 no" }, want: "4.7.1"},

		{name: "EHLO: 5xx, then HELO", set: func(p *peer) { p.answers["EHLO"] = []string{"500 what"} }},
		{name: "EHLO: 4xx, then HELO", set: func(p *peer) { p.answers["EHLO"] = []string{"450 what"} }},
		{name: "EHLO: 354, then HELO", set: func(p *peer) { p.answers["EHLO"] = []string{"354 what"} }},
		{name: "EHLO: 421", set: func(p *peer) { p.answers["EHLO"] = []string{"421 4.3.2 busy"} }, want: "4.3.2"},
		{name: "HELO: 5xx", set: func(p *peer) { p.answers["EHLO"], p.answers["HELO"] = []string{"500 what"}, []string{"550 5.7.1 no"} }, want: "4.7.1", theirs: "5.7.1"},
		{name: "HELO: 4xx", set: func(p *peer) { p.answers["EHLO"], p.answers["HELO"] = []string{"500 what"}, []string{"450 4.7.1 no"} }, want: "4.7.1"},
		{name: "EHLO: long lines", set: func(p *peer) {
			p.answers["EHLO"] = []string{"250-mx.test\r\n250-" + strings.Repeat("X", 6000) + "\r\n250 PIPELINING"}
		}},

		{name: "STARTTLS: silence, may", level: configs.TLSMay, set: func(p *peer) { p.answers["STARTTLS"] = []string{"hang"} }, short: "smtp_starttls_timeout", theirs: silence},
		{name: "STARTTLS: lost, may", level: configs.TLSMay, set: func(p *peer) { p.answers["STARTTLS"] = []string{"drop"} }, theirs: silence},
		{name: "STARTTLS: refused, may", level: configs.TLSMay, set: func(p *peer) { p.answers["STARTTLS"] = []string{"554 5.7.3 no"} }},
		{name: "STARTTLS: silence, encrypt", level: configs.TLSEncrypt, set: func(p *peer) { p.answers["STARTTLS"] = []string{"hang"} }, short: "smtp_starttls_timeout", want: silence},
		{name: "STARTTLS: refused, encrypt", level: configs.TLSEncrypt, set: func(p *peer) { p.answers["STARTTLS"] = []string{"554 5.7.3 no"} }, want: "4.7.3", theirs: "5.7.3"},
		{name: "STARTTLS: 354, encrypt", level: configs.TLSEncrypt, set: func(p *peer) { p.answers["STARTTLS"] = []string{"354 go"} }, want: noSMTP, theirs: "5.5.0"},
		{name: "handshake: nonsense, may", level: configs.TLSMay, set: func(p *peer) { p.badTLS = true }, theirs: "4.7.5"},
		{name: "handshake: nonsense, encrypt", level: configs.TLSEncrypt, set: func(p *peer) { p.badTLS = true }, want: "4.7.5"},
		{name: "handshake: silence, encrypt", level: configs.TLSEncrypt, set: func(p *peer) { p.tls = nil }, short: "smtp_starttls_timeout", want: "4.7.5"},
		{name: "handshake: text in clear before it, encrypt", level: configs.TLSEncrypt, set: func(p *peer) { p.answers["STARTTLS"] = []string{"220 go ahead\r\n250-mx.test\r\n250 AUTH PLAIN"} }},
		{name: "EHLO under TLS: silence", level: configs.TLSEncrypt, set: func(p *peer) { p.answers["EHLO"] = []string{"250-mx.test\r\n250 STARTTLS", "hang"} }, short: "smtp_helo_timeout", want: silence},

		{name: "AUTH: silence", login: true, set: func(p *peer) { p.answers["AUTH"] = []string{"hang"} }, short: "smtp_mail_timeout", want: silence, theirs: "-"},
		{name: "AUTH: lost", login: true, set: func(p *peer) { p.answers["AUTH"] = []string{"drop"} }, want: silence},
		{name: "AUTH: nonsense", login: true, set: func(p *peer) { p.answers["AUTH"] = []string{"nonsense"} }, want: noSMTP, theirs: "-"},
		{name: "AUTH: 5xx", login: true, set: func(p *peer) { p.answers["AUTH"] = []string{"535 5.7.8 wrong"} }, want: "4.7.8"},
		{name: "AUTH: 4xx", login: true, set: func(p *peer) { p.answers["AUTH"] = []string{"454 4.7.0 later"} }, want: "4.7.8", theirs: "4.7.0"},
		{name: "AUTH: 250", login: true, set: func(p *peer) { p.answers["AUTH"] = []string{"250 ok"} }},
		{name: "AUTH: 334 without end", login: true, set: func(p *peer) { p.answers["AUTH"] = []string{"334 "} }, want: "4.7.8", theirs: "4.7.0"},
		{name: "AUTH: none that we know", login: true, set: func(p *peer) { p.underTLS = []string{"AUTH X-MAGIC"} }, want: "4.7.0"},

		{name: "RCPT: fewer replies", set: func(p *peer) { p.answers["RCPT TO:<b@"] = []string{"silent"} }, short: "smtp_data_init_timeout", want: "4.4.2 4.5.0", theirs: "4.4.2 5.5.0"},
		{name: "MAIL: a reply too many", set: func(p *peer) { p.answers["MAIL"] = []string{"250 ok\r\n250 ok"} }, want: noSMTP, theirs: "5.5.0"},
		{name: "DATA: a reply too many", set: func(p *peer) { p.answers["DATA"] = []string{"354 go\r\n250 2.0.0 it is there"} }, want: noSMTP, theirs: "2.0.0"},
		{name: "DATA: a refusal too many", set: func(p *peer) { p.answers["DATA"] = []string{"354 go\r\n554 5.3.4 or rather not"} }, want: "5.3.4"},

		{name: "content: reads no more", large: true, set: func(p *peer) { p.within = []string{"deaf"} }, short: "smtp_data_xfer_timeout", want: silence},
		{name: "content: lost", large: true, set: func(p *peer) { p.within = []string{"drop"} }, want: silence},
		{name: "content: refused and lost", large: true, set: func(p *peer) { p.within = []string{"552 5.3.4 too large", "drop"} }, want: "5.3.4"},
		{name: "content: refused for now and lost", large: true, set: func(p *peer) { p.within = []string{"452 4.3.1 disk full", "drop"} }, want: "4.3.1"},
		{name: "content: refused, and read to the end", large: true, set: func(p *peer) { p.within = []string{"552 5.3.4 too large"} }, want: "5.3.4"},
		{name: "content: taken before it is there", large: true, set: func(p *peer) { p.within = []string{"250 2.0.0 it is there", "drop"} }, want: silence, theirs: "2.0.0"},

		{name: "QUIT: silence", set: func(p *peer) { p.answers["QUIT"] = []string{"hang"} }},
		{name: "QUIT: refused", set: func(p *peer) { p.answers["QUIT"] = []string{"554 5.7.1 you stay"} }},
	}
	// Postfix passes over nonsense and takes the next reply for the one it waits for: that to RCPT for that
	// to MAIL, that to QUIT for that to the final dot.
	for _, s := range []struct{ stage, key, short, theirs string }{
		{"EHLO", "EHLO", "smtp_helo_timeout", silence}, {"MAIL", "MAIL", "smtp_data_init_timeout", "4.4.2 5.5.0"}, {"RCPT", "RCPT", "smtp_rcpt_timeout", "5.5.0 4.4.2"},
		{"DATA", "DATA", "smtp_data_init_timeout", silence}, {"dot", "<data>", "smtp_data_done_timeout", "2.0.0"},
	} {
		waits := s.short
		if s.stage == "MAIL" {
			waits = "smtp_mail_timeout"
		}
		lost := ""
		if s.stage == "RCPT" {
			lost = "4.3.2 4.4.2" // b was asked about, and nobody answered
		}
		say := func(reply string) func(*peer) { return func(p *peer) { p.answers[s.key] = []string{reply} } }
		list = append(list,
			fault{name: s.stage + ": silence", set: say("hang"), short: waits, want: silence},
			fault{name: s.stage + ": lost", set: say("drop"), want: silence},
			fault{name: s.stage + ": nonsense", set: say("nonsense"), short: s.short, want: noSMTP, theirs: s.theirs},
			fault{name: s.stage + ": without end", set: say("pour"), want: noSMTP, theirs: "-"},
		)
		if s.stage == "EHLO" {
			continue
		}
		list = append(list,
			fault{name: s.stage + ": 421", set: say("421 4.3.2 busy"), want: "4.3.2", theirs: lost},
			fault{name: s.stage + ": 4xx", set: say("451 4.7.1 later"), want: "4.7.1"},
			fault{name: s.stage + ": 5xx", set: say("554 5.7.1 no"), want: "5.7.1"},
			fault{name: s.stage + ": 5xx at length", set: say("refused at length"), want: "5.7.1"},
			fault{name: s.stage + ": a status of another class", set: say("554 2.0.0 no"), want: "5.0.0"},
			fault{name: s.stage + ": 554 in two lines that do not agree", set: say("250-ok\r\n554 5.7.1 no"), want: noSMTP, theirs: "5.7.1"},
		)
		if s.stage == "DATA" {
			list = append(list, fault{name: "DATA: 250", set: say("250 ok"), want: noSMTP, theirs: "5.5.0"})
		} else {
			list = append(list, fault{name: s.stage + ": 354", set: say("354 go"), want: noSMTP, theirs: "5.5.0"})
		}
	}
	// How a reply may be written, and what it says then.
	for i, form := range []struct{ reply, want, theirs string }{
		{"550-5.1.1 no\r\n550 5.7.1 really", "5.7.1", ""},
		{"550-no\r\n550 5.7.1 really", "5.7.1", ""},
		{"550-5.7.1 no\r\n550 really", "5.7.1", "5.0.0"},
		{"550-5.1.1 no\r\n554 5.7.1 really", "5.7.1", ""},
		{"450-4.1.1 no\r\n550 5.7.1 really", noSMTP, "5.7.1"},
		{"550", "5.0.0", ""},
		{"550   5.7.1 no", "5.7.1", ""},
		{"550 5.7.1\tno", "5.0.0", ""},
		{"550 5.7.1: no", "5.0.0", ""},
		{"550 5.07.1 no", "5.7.1", "5.07.1"},
		{"550 5.7.1000 no", "5.0.0", ""},
		{"550 4.7.1 no", "5.0.0", ""},
		{"550 5.7.1 no\r", "5.7.1", ""},
		{"550\r\r", "5.0.0", ""},
		{"550-5.7.1 no\n550 5.7.1 really", "5.7.1", ""},
		{"550 5.7.1 no \xff\x01 \xc3\xa4", "5.7.1", ""},
		{"650 5.7.1 no", noSMTP, "5.5.0"},
		{"150 5.7.1 no", noSMTP, "5.5.0"},
	} {
		list = append(list, fault{name: fmt.Sprintf("RCPT: form %d, %q", i, form.reply), set: func(p *peer) { p.answers["RCPT"] = []string{form.reply} }, want: form.want, theirs: form.theirs})
	}
	for i := range list {
		if list[i].login {
			list[i].level = configs.TLSEncrypt
		}
	}
	return append(list, overLMTP(list)...)
}

// overLMTP are the faults that a store has, too. There Postfix takes what comes early for the answer about the first
// recipient.
func overLMTP(list []fault) (stores []fault) {
	theirs := map[string]string{
		"DATA: a refusal too many": "5.3.4 2.0.0", "content: refused, and read to the end": "5.3.4 2.0.0", "content: refused and lost": "5.3.4 4.4.2",
		"content: refused for now and lost": "4.3.1 4.4.2", "content: taken before it is there": "2.0.0 4.4.2", "dot: nonsense": "2.0.0 4.4.2", "dot: 421": "4.3.2 4.4.2",
	}
	for _, f := range list {
		stage, _, _ := strings.Cut(f.name, ":")
		if !slices.Contains([]string{"greeting", "MAIL", "RCPT", "DATA", "content", "dot"}, stage) {
			continue
		}
		if other := theirs[f.name]; other != "" {
			f.theirs = other
		}
		f.name, f.lmtp = "LMTP, "+f.name, true
		f.short = strings.Replace(f.short, "smtp_", "lmtp_", 1)
		f.short = strings.Replace(f.short, "helo", "lhlo", 1)
		stores = append(stores, f)
	}
	return stores
}

// loginFile has the password of f's host, "" when nobody logs in.
func (f *fault) loginFile(t *testing.T) string {
	t.Helper()
	if !f.login {
		return ""
	}
	file := filepath.Join(t.TempDir(), "passwords")
	if err := os.WriteFile(file, []byte("[127.0.0.1] u:p\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func (f *fault) both(statuses string) [2]string {
	words := strings.Fields(statuses)
	switch len(words) {
	case 0:
		return [2]string{"2.0.0", "2.0.0"}
	case 1:
		return [2]string{words[0], words[0]}
	}
	return [2]string{words[0], words[1]}
}

// peer is such a host; cert is for those that offer TLS.
func (f *fault) peer(t *testing.T, cert tls.Certificate) int {
	t.Helper()
	if f.full {
		return fullPort(t)
	}
	l := listenSmall(t)
	p := peerOn(t, l)
	p.lmtp = f.lmtp
	if f.level != configs.TLSUnset {
		p.ehlo, p.underTLS, p.tls = []string{"STARTTLS"}, []string{"8BITMIME"}, &tls.Config{Certificates: []tls.Certificate{cert}}
	}
	if f.login {
		p.underTLS = []string{"8BITMIME", "AUTH PLAIN"}
	}
	if f.large {
		p.ehlo = []string{"PIPELINING", "8BITMIME"}
	}
	if f.set != nil {
		f.set(p)
	}
	if f.level != configs.TLSUnset && p.tls == nil {
		p.answers["STARTTLS"] = []string{"220 go ahead"}
	}
	return p.start().port
}

// listenSmall listens with little room for what was not read.
func listenSmall(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := l.(*net.TCPListener).SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 8<<10) })
	}
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// fullPort is a port of 127.0.0.1 whose connections wait for ever: nobody accepts them, and there is
// no room for another.
func fullPort(t *testing.T) int {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	if err = unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err == nil {
		err = unix.Listen(fd, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	port := name.(*unix.SockaddrInet4).Port
	for range 10 {
		c, err := net.DialTimeout("tcp", "127.0.0.1:"+itoa(port), 200*time.Millisecond)
		if err != nil {
			return port
		}
		t.Cleanup(func() { c.Close() })
	}
	t.Fatal("the port is never full")
	return 0
}

// largeMail is more than the sockets on both sides hold.
var largeMail = "Subject: large\n\n" + strings.Repeat(strings.Repeat("x", 76)+"\n", 9<<20/77)

// TestFaults: each fault has its status, for both recipients, and is nobody else's.
func TestFaults(t *testing.T) {
	t.Parallel()
	cert, _ := certificate(t, "mx.test")
	for _, f := range faults() {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			port := f.peer(t, cert)
			r := newRig(t, port, nil, func(c *configs.SMTP, o *Options) {
				c.CacheTime, o.LMTP = 0, f.lmtp
				c.TLSLevel, c.PasswordFile = configs.TLSMay, f.loginFile(t)
				if f.level != configs.TLSUnset {
					c.TLSLevel = f.level
				}
				for name, d := range timeoutsOf(c) {
					if *d = time.Minute; name == strings.NewReplacer("lmtp_", "smtp_", "lhlo", "helo").Replace(f.short) {
						*d = 2 * time.Second
					}
				}
			})
			q := request("[127.0.0.1]:"+itoa(port), hello, "a@remote.test", "b@remote.test")
			if f.large {
				q.Content = envelope.Memory(largeMail)
			}
			got := r.deliver(q)
			for i, want := range f.both(f.want) {
				if s := statusOf(got[i]); s != want {
					t.Errorf("recipient %d: %s, want %s: %v", i, s, want, got[i].Err)
				}
			}
		})
	}
}

func statusOf(r agent.Result) string {
	if r.Err == nil {
		return dsn.OK.String()
	}
	return r.Err.Status.String()
}

func timeoutsOf(c *configs.SMTP) map[string]*time.Duration {
	return map[string]*time.Duration{
		"smtp_connect_timeout": &c.ConnectTimeout, "smtp_helo_timeout": &c.HeloTimeout, "smtp_starttls_timeout": &c.StartTLSTimeout,
		"smtp_mail_timeout": &c.MailTimeout, "smtp_rcpt_timeout": &c.RcptTimeout, "smtp_data_init_timeout": &c.DataInitTimeout,
		"smtp_data_xfer_timeout": &c.DataXferTimeout, "smtp_data_done_timeout": &c.DataDoneTimeout,
	}
}

var deliveryLine = regexp.MustCompile(`to=<([ab])@c(\d+)\.test>, .*dsn=([0-9.]+), status=(\w+) (.*)`)

// TestFaultsAsPostfix: what Postfix makes of the same faults.
func TestFaultsAsPostfix(t *testing.T) {
	t.Parallel()
	peers.NeedRoot(t, "Postfix")
	peers.Need(t, "postfix", "postfix")
	cert, _ := certificate(t, "mx.test")
	dir := peers.TempDir(t)
	var transports, master strings.Builder
	var small, large []string
	services := map[string]bool{}
	all := faults()
	for i, f := range all {
		if f.theirs == "-" {
			continue
		}
		level := "may"
		if f.level == configs.TLSEncrypt {
			level = "encrypt"
		}
		service := "out" + level + strings.ReplaceAll(f.short, "_", "")
		if f.login {
			service += "login"
		}
		program, prefix, nexthop := "smtp", "smtp", "[127.0.0.1]"
		if f.lmtp {
			program, prefix, nexthop = "lmtp", "lmtp", "inet:127.0.0.1"
			service += "store"
		}
		if !services[service] {
			services[service] = true
			fmt.Fprintf(&master, "%s unix - - n - - %s -o %s_tls_security_level=%s -o %[3]s_connection_cache_on_demand=no", service, program, prefix, level)
			if f.login {
				master.WriteString(" -o smtp_sasl_auth_enable=yes -o smtp_sasl_password_maps=static:u:p -o smtp_sasl_tls_security_options=noanonymous")
			}
			if f.short != "" {
				fmt.Fprintf(&master, " -o %s=4s", f.short)
			}
			master.WriteString("\n")
		}
		fmt.Fprintf(&transports, "c%d.test %s:%s:%d\n", i, service, nexthop, f.peer(t, cert))
		to := []string{fmt.Sprintf("a@c%d.test", i), fmt.Sprintf("b@c%d.test", i)}
		if f.large {
			large = append(large, to...)
		} else {
			small = append(small, to...)
		}
	}
	file := filepath.Join(dir, "transports")
	if err := os.WriteFile(file, []byte(transports.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	p, err := peers.StartPostfix(t.Context(), peers.PostfixOptions{Dir: dir, Hostname: "mx.postfix.test", Main: "transport_maps = texthash:" + file, Master: master.String()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Stop)
	for _, m := range []struct {
		to   []string
		text string
	}{{small, hello}, {large, largeMail}} {
		if err := p.Submit(t.Context(), "s@example.test", m.to, m.text); err != nil {
			t.Fatal(err)
		}
	}
	said := map[string][2]string{}
	for deadline := time.Now().Add(4 * time.Minute); len(said) < len(small)+len(large); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Errorf("only %d of %d lines in\n%s", len(said), len(small)+len(large), p.LogTail(8000))
			break
		}
		for _, m := range deliveryLine.FindAllStringSubmatch(p.LogTail(1<<20), -1) {
			if key := m[2] + m[1]; said[key][0] == "" { // the first attempt
				said[key] = [2]string{m[3], m[4] + " " + m[5]}
			}
		}
	}
	for i, f := range all {
		if f.theirs == "-" {
			continue
		}
		want := f.want
		if f.theirs != "" {
			want = f.theirs
		}
		for n, want := range f.both(want) {
			if got := said[fmt.Sprintf("%d%c", i, 'a'+n)]; got[0] != want {
				t.Errorf("%s, recipient %d: Postfix says %v, and not %s", f.name, n, got, want)
			}
		}
	}
}

// TestContentAsPostfix: a body leaves as Postfix sends it, whatever its lines look like.
func TestContentAsPostfix(t *testing.T) {
	t.Parallel()
	peers.NeedRoot(t, "Postfix")
	peers.Need(t, "postfix", "postfix")
	bodies := []string{
		"plain\n", "\n", "", ".\n..\n...\n.x\n", "no end", "no end\n.", "NUL \x00 within\n\x00\n.\x00\n",
		strings.Repeat("a", 997) + "\n", strings.Repeat("b", 998) + "\n", strings.Repeat("c", 999) + "\n", strings.Repeat("d", 998+997) + "\n", strings.Repeat("e", 998+998) + "\n",
		strings.Repeat("f", 5000) + "\n.\n", strings.Repeat("g", 70_000), strings.Repeat(".", 3000) + "\nx\n", strings.Repeat("0123456789", 250) + "\n\n" + strings.Repeat("h", 2000) + "\n",
	}
	ours, theirs := newPeer(t, "127.0.0.1:0").start(), newPeer(t, "127.0.0.1:0").start()
	r := newRig(t, ours.port, nil, nil)
	p, err := peers.StartPostfix(t.Context(), peers.PostfixOptions{Dir: peers.TempDir(t), Hostname: "mx.postfix.test", Main: "relayhost = " + theirs.nexthop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Stop)
	long := "X-Long: " + strings.Repeat("l", 1200) + "\n"
	for i, body := range bodies {
		text := fmt.Sprintf("From: s@example.test\nSubject: case %d\n%s\n%s", i, long, body)
		q := request(ours.nexthop(), text, "x@remote.test")
		r.want(r.deliver(q), dsn.OK)
		if err := p.Submit(t.Context(), "s@example.test", []string{"x@remote.test"}, text); err != nil {
			t.Fatal(err)
		}
	}
	for deadline := time.Now().Add(3 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if _, n := theirs.count(); n == len(bodies) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(p.LogTail(3000))
		}
	}
	sort := func(messages []string) map[string]string {
		out := map[string]string{}
		for _, m := range messages {
			head, body, _ := strings.Cut(m, "\r\n\r\n")
			_, subject, _ := strings.Cut(head, "Subject: case ")
			subject, _, _ = strings.Cut(subject, "\r\n")
			_, field, _ := strings.Cut(head+"\r\n", "\r\nX-Long: ")
			for _, l := range strings.Split(m, "\r\n") {
				if len(l) > 998+1 { // with a dot that is doubled
					t.Errorf("a line of %d octets", len(l))
				}
			}
			end := strings.Index(field, "\r\n ")
			out[subject] = fmt.Sprint(end) + "\n" + body
		}
		return out
	}
	got, want := sort(ours.messages), sort(theirs.messages)
	for i := range bodies {
		if key := fmt.Sprint(i); got[key] != want[key] || got[key] == "" {
			t.Errorf("case %d\nours    %.3000q\nPostfix %.3000q", i, got[key], want[key])
		}
	}
}
