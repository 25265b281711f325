package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"toastmaster/internal/testkit/dnstest"
	"toastmaster/internal/testkit/peers"
)

// visitor is a client that postscreen tests: what it says before its greeting, and then in turn, each
// with how many replies it has.
type visitor struct {
	name    string
	early   string
	greeted bool // it hears a 220 at the end of the wait, or what stands in its place
	says    []said
	// ours are the replies of ours that are others than Postfix's, by what is said.
	ours map[string]string
}

type said struct {
	text    string
	replies int
}

// say is one command with one reply each.
func say(texts ...string) []said {
	var out []said
	for _, text := range texts {
		out = append(out, said{text + "\r\n", 1})
	}
	return out
}

func visitors() []visitor {
	transaction := []string{"EHLO c.test", "MAIL FROM:<a@x.test>", "RCPT TO:<alice@example.test>"}
	with := func(more ...string) []said { return say(slices.Concat(transaction, more)...) }
	const pipelined = "EHLO c.test\r\nMAIL FROM:<a@x.test>\r\nRCPT TO:<alice@example.test>\r\nQUIT\r\n"
	return []visitor{
		{name: "good", greeted: true, says: with("NOOP", "RSET", "VRFY x", "ETRN x.test", "QUIT"), ours: map[string]string{"ETRN": "458 4.3.0"}},
		{name: "good, and sends DATA", greeted: true, says: with("DATA")},
		{name: "early", early: "EHLO early\r\n", says: say("MAIL FROM:<a@x.test>", "RCPT TO:<alice@example.test>", "QUIT")},
		{name: "pipelining", greeted: true, says: []said{{pipelined, 4}}},
		{name: "a browser", greeted: true, says: say("GET / HTTP/1.0")},
		{name: "a header", greeted: true, says: say("EHLO c.test", "Subject: x")},
		{name: "LF alone", greeted: true, says: append([]said{{"EHLO c.test\n", 1}}, say("MAIL FROM:<a@x.test>", "RCPT TO:<alice@example.test>", "QUIT")...)},
		{name: "too many commands", greeted: true, says: say(slices.Repeat([]string{"RSET"}, 13)...), ours: map[string]string{"RSET": "421 4.7.0"}},
		{name: "a line without end", greeted: true, says: say("EHLO " + strings.Repeat("x", 3000)), ours: map[string]string{"EHLO": "421 4.7.0"}},
		{name: "what is not offered", greeted: true, says: with("AUTH PLAIN AGEAYg==", "HELP", "FOO", "QUIT"), ours: map[string]string{"AUTH": "500 5.5.1", "HELP": "500 5.5.1", "FOO": "500 5.5.1"}},
		{name: "denied", greeted: true, says: with("QUIT")},
		{name: "on a list", greeted: true, says: with("QUIT")},
		{name: "on a good list", greeted: true, says: with("QUIT")},
		{name: "on both", greeted: true, says: with("QUIT")},
		{name: "permitted", greeted: true, says: with("QUIT")},
	}
}

// addressOf is the address of a visitor, by its place.
func addressOf(i int) string { return fmt.Sprintf("127.66.1.%d", i+1) }

// visit makes the visit, and returns the codes and statuses that the visitor heard. It talks to Postfix
// and to us in the same way, and does not know to whom.
func (v visitor) visit(t *testing.T, from, to string) []string {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	c, err := d.Dial("tcp", to)
	must(t, err)
	defer c.Close()
	must(t, c.SetDeadline(time.Now().Add(time.Minute)))
	in := bufio.NewReader(c)
	heard := []string{}
	hear := func() bool {
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				heard = append(heard, "end")
				return false
			}
			// The teaser is a reply that is not at its end when the connection is over.
			if len(line) > 3 && line[3] == '-' {
				continue
			}
			reply := line[:3]
			if status := regexp.MustCompile(`^\d{3} (\d\.\d\.\d)\b`).FindStringSubmatch(line); status != nil {
				reply += " " + status[1]
			}
			heard = append(heard, reply)
			return true
		}
	}
	open := true
	if v.early != "" {
		_, err := io.WriteString(c, v.early)
		must(t, err)
		open = hear()
	}
	if v.greeted {
		open = hear()
	}
	for _, s := range v.says {
		if !open {
			return heard
		}
		_, _ = io.WriteString(c, s.text)
		for range s.replies {
			if open = hear(); !open {
				return heard
			}
			verb, _, _ := strings.Cut(strings.TrimSpace(s.text), " ")
			heard[len(heard)-1] = verb[:min(len(verb), 8)] + ": " + heard[len(heard)-1]
		}
	}
	hear() // the end
	return heard
}

var screened = regexp.MustCompile(`postfix/(postscreen|dnsblog)\[\d+\]: (.*)`)

// aboutVisitor are the lines of postscreen about an address, without what differs each time.
func aboutVisitor(log, address string) []string {
	var out []string
	for _, m := range screened.FindAllStringSubmatch(log, -1) {
		if line := m[2]; strings.Contains(line, address+"]") || strings.Contains(line, "addr "+address+" ") {
			for _, v := range []struct{ pattern, by string }{{`:\d{4,5}\b`, ":P"}, {`after [\d.]+ from`, "after T from"}, {`proto=E?SMTP`, "proto=SMTP"}} {
				line = regexp.MustCompile(v.pattern).ReplaceAllString(line, v.by)
			}
			out = append(out, line)
		}
	}
	return out
}

// TestPostscreenAsPostfix: fifteen kinds of clients hear from us what they hear from the postscreen
// of Debian's Postfix with the same parameters, and leave the same lines in the log.
func TestPostscreenAsPostfix(t *testing.T) {
	t.Parallel()
	peers.NeedRoot(t, "Postfix")
	peers.Need(t, "postfix", "postfix")
	all := visitors()
	at := func(name string) string {
		return addressOf(slices.IndexFunc(all, func(v visitor) bool { return v.name == name }))
	}
	names := dnstest.StartForSystem(t, map[string]dnstest.Name{
		dnstest.Listed(at("on a list"), "bl.test"): {Addrs: []string{"127.0.0.4"}}, dnstest.Listed(at("on a list"), "secret.test"): {Addrs: []string{"127.0.0.2"}},
		dnstest.Listed(at("on a good list"), "wl.test"): {Addrs: []string{"127.0.9.1"}},
		dnstest.Listed(at("on both"), "wl.test"):        {Addrs: []string{"127.0.9.1"}}, dnstest.Listed(at("on both"), "bl.test"): {Addrs: []string{"127.0.0.4"}},
	})
	denied := fmt.Sprintf("inline:{{%s=reject},{%s=permit}}", at("denied"), at("permitted"))
	for _, kind := range []struct{ name, action, deep, ignored string }{
		{"enforce", "enforce", "true", "ignore"}, {"drop", "drop", "true", "drop"}, {"ignore", "ignore", "false", "ignore"},
	} {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			yes := map[string]string{"true": "yes", "false": "no"}[kind.deep]
			p, err := peers.StartPostfix(testContext(t), peers.PostfixOptions{
				Dir: peers.TempDir(t), Hostname: "mx.example.test", Postscreen: true, NameServer: names.Addr, Accounts: []peers.Account{{Address: alice}},
				Main: fmt.Sprintf(`postscreen_access_list = %s
postscreen_greet_wait = 2s
postscreen_greet_action = %[2]s
postscreen_denylist_action = %[2]s
postscreen_dnsbl_action = %[2]s
postscreen_dnsbl_sites = bl.test=127.0.0.[2..9]*2 wl.test*-4 secret.test
postscreen_dnsbl_reply_map = inline:{{secret.test=public.test}}
postscreen_dnsbl_threshold = 2
postscreen_dnsbl_allowlist_threshold = -1
postscreen_pipelining_enable = %[3]s
postscreen_non_smtp_command_enable = %[3]s
postscreen_bare_newline_enable = %[3]s
postscreen_pipelining_action = %[2]s
postscreen_bare_newline_action = %[4]s
postscreen_command_count_limit = 12
`, denied, kind.action, yes, kind.ignored),
			})
			must(t, err)
			t.Cleanup(p.Stop)
			log := filepath.Join(t.TempDir(), "mail.log")
			q := strconv.Quote
			b := serve(t, map[string]string{
				"log.format": `"postfix"`, "log.file": q(log), "log.flush": `"0s"`, "smtp.resolver": fmt.Sprintf("[%q]", names.Addr), "main.trusted_networks": "[]",
				"postscreen.enable": "true", "postscreen.access_list": fmt.Sprintf("[%q]", denied), "postscreen.greet_wait": `"2s"`,
				"postscreen.greet_action": q(kind.action), "postscreen.denylist_action": q(kind.action), "postscreen.dnsbl_action": q(kind.action),
				"postscreen.dnsbl_sites":     `["bl.test=127.0.0.[2..9]*2", "wl.test*-4", "secret.test"]`,
				"postscreen.dnsbl_reply_map": `["inline:{{secret.test=public.test}}"]`, "postscreen.dnsbl_threshold": "2", "postscreen.dnsbl_allowlist_threshold": "-1",
				"postscreen.pipelining_enable": kind.deep, "postscreen.non_smtp_command_enable": kind.deep, "postscreen.bare_newline_enable": kind.deep,
				"postscreen.pipelining_action": q(kind.action), "postscreen.bare_newline_action": q(kind.ignored), "postscreen.command_count_limit": "12",
			})
			compareVisits(t, p, b, log, kind.deep == "false")
		})
	}
}

// compareVisits lets all visitors come to both at once. Whom smtpd serves in the end it serves in its own
// way, of which only the lines of postscreen are compared.
func compareVisits(t *testing.T, p *peers.Postfix, b *box, log string, lines bool) {
	t.Helper()
	var visits sync.WaitGroup
	for i, v := range visitors() {
		visits.Go(func() {
			from := addressOf(i)
			var theirs, ours []string
			var both sync.WaitGroup
			both.Go(func() { theirs = v.visit(t, from, p.SMTP()) })
			both.Go(func() { ours = v.visit(t, from, b.SMTP()) })
			both.Wait()
			for k, heard := range theirs {
				verb, _, ok := strings.Cut(heard, ":")
				if reply := v.ours[verb]; ok && reply != "" && !strings.HasPrefix(heard, verb+": 250") {
					theirs[k] = verb + ": " + reply
				}
			}
			served := strings.Contains(fmt.Sprint(theirs), "RCPT: 250") || lines && len(theirs) > 1
			if !served && !slices.Equal(ours, theirs) {
				t.Errorf("%s hears\n  ours    %q\n  Postfix %q", v.name, ours, theirs)
			}
			var said, want []string
			eventually(t, func() error {
				said, want = aboutVisitor(readFile(t, log), from), aboutVisitor(p.LogTail(1<<20), from)
				// dnsblog(8) shows the name that dnsbl_reply_map hides.
				for k := range want {
					want[k] = strings.ReplaceAll(want[k], "domain secret.test", "domain public.test")
				}
				slices.Sort(said) // two may come at the same time
				slices.Sort(want)
				want = slices.DeleteFunc(want, func(s string) bool { return strings.HasPrefix(s, "DATA without valid RCPT") })
				if !slices.Equal(said, want) {
					return fmt.Errorf("%s: the log says\n  ours    %q\n  Postfix %q", v.name, said, want)
				}
				return nil
			})
		})
	}
	visits.Wait()
}

// TestPostfixPassesPostscreen: a real mail server comes with a message, waits for its greeting, is
// told to come again because all tests are made, and delivers the second time. A third message
// comes at once, also after a kill, because it is remembered who passed.
func TestPostfixPassesPostscreen(t *testing.T) {
	t.Parallel()
	log := filepath.Join(t.TempDir(), "mail.log")
	b := serve(t, map[string]string{
		"log.format": `"postfix"`, "log.file": strconv.Quote(log), "log.flush": `"0s"`, "main.trusted_networks": "[]",
		"postscreen.enable": "true", "postscreen.access_list": "[]", "postscreen.greet_wait": `"1s"`, "postscreen.greet_action": `"enforce"`,
		"postscreen.pipelining_enable": "true", "postscreen.non_smtp_command_enable": "true", "postscreen.bare_newline_enable": "true", "postscreen.bare_newline_action": `"enforce"`,
	})
	p := startPostfix(t, "mx.peer.example", "minimal_backoff_time = 1s\nmaximal_backoff_time = 2s\nqueue_run_delay = 1s\nrelayhost = [127.0.0.1]:"+portOf(t, b.SMTP()), "dave@peer.example")
	send := func(n int) {
		must(t, p.Submit(testContext(t), "dave@peer.example", []string{alice}, fmt.Sprintf("Subject: %d\n\ntext\n", n)))
		b.waitMail(t, alice, n)
	}
	send(1)
	lines := aboutVisitor(readFile(t, log), "127.0.0.1")
	want := []string{"CONNECT from [127.0.0.1]:P to [127.0.0.1]:P", "NOQUEUE: reject: RCPT from [127.0.0.1]:P: 450 4.3.2 Service currently unavailable; from=<dave@peer.example>, to=<alice@example.test>, proto=SMTP, helo=<mx.peer.example>",
		"PASS NEW [127.0.0.1]:P", "DISCONNECT [127.0.0.1]:P", "CONNECT from [127.0.0.1]:P to [127.0.0.1]:P", "PASS OLD [127.0.0.1]:P"}
	if !slices.Equal(lines, want) {
		t.Errorf("%q", lines)
	}
	// The cache is written now and then; what is in it survives.
	file := filepath.Join(b.Data(), "postscreen_cache")
	eventually(t, func() error {
		text, err := os.ReadFile(file)
		if err == nil && !strings.Contains(string(text), `"127.0.0.1"`) {
			err = fmt.Errorf("%s: %q", file, text)
		}
		return err
	})
	b.Kill()
	b.start(t)
	send(2)
	lines = aboutVisitor(readFile(t, log), "127.0.0.1")
	if lines[len(lines)-1] != "PASS OLD [127.0.0.1]:P" || strings.Count(strings.Join(lines, "\n"), "PASS NEW") != 1 {
		t.Errorf("%q", lines)
	}
}

// TestPostscreenOnlyOnPort25: users are not tested, and without postscreen.enable nobody is.
func TestPostscreenOnlyOnPort25(t *testing.T) {
	t.Parallel()
	for _, enable := range []bool{true, false} {
		b := serve(t, map[string]string{"postscreen.enable": strconv.FormatBool(enable), "postscreen.access_list": "[]", "postscreen.greet_wait": `"1m"`})
		for address, want := range map[string]string{b.SMTP(): "220-", b.Submission(): "220 "} {
			c, err := net.Dial("tcp", address)
			must(t, err)
			line, err := bufio.NewReader(c).ReadString('\n')
			must(t, err)
			if !enable {
				want = "220 "
			}
			if !strings.HasPrefix(line, want) {
				t.Errorf("enable %v, %s: %q", enable, address, line)
			}
			must(t, c.Close())
		}
	}
}

// TestLogToolsReadPostscreen: pflogsumm counts a refusal of postscreen as one, and fail2ban's filter for Postfix
// finds the client that is on a DNS list.
func TestLogToolsReadPostscreen(t *testing.T) {
	t.Parallel()
	names := dnstest.Start(t, map[string]dnstest.Name{dnstest.Listed("127.66.2.1", "bl.test"): {Addrs: []string{"127.0.0.2"}}})
	log := filepath.Join(t.TempDir(), "mail.log")
	b := serve(t, map[string]string{
		"log.format": `"postfix"`, "log.file": strconv.Quote(log), "log.flush": `"0s"`, "smtp.resolver": fmt.Sprintf("[%q]", names.Addr), "main.trusted_networks": "[]",
		"postscreen.enable": "true", "postscreen.access_list": "[]", "postscreen.greet_wait": `"1s"`, "postscreen.dnsbl_sites": `["bl.test"]`, "postscreen.dnsbl_action": `"enforce"`,
	})
	v := visitor{greeted: true, says: say("EHLO c.test", "MAIL FROM:<a@x.test>", "RCPT TO:<alice@example.test>", "QUIT")}
	if heard := v.visit(t, "127.66.2.1", b.SMTP()); !slices.Contains(heard, "RCPT: 550 5.7.1") {
		t.Fatal(heard)
	}
	if out := run(t, "fail2ban", "/usr/bin/fail2ban-regex", log, "postfix"); !regexp.MustCompile(`(?m)^Lines: .*, 1 matched`).MatchString(out) {
		t.Errorf("fail2ban: %s", out)
	}
	if out := run(t, "pflogsumm", "/usr/sbin/pflogsumm", log); !regexp.MustCompile(`(?m)^\s+1\s+rejected `).MatchString(out) || !strings.Contains(out, "blocked using bl.test") {
		t.Errorf("pflogsumm: %s", out)
	}
}
