package e2e

import (
	"bufio"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"toastmaster/internal/testkit/filtertest"
	"toastmaster/internal/testkit/peers"
)

// proxyCase is a session with a filter before the queue.
type proxyCase struct {
	name string
	// on are the answers of the filter to commands that begin so, in the place of its own.
	on map[string]string
	// say are the commands of the client; nil is the usual message to alice and bob.
	say []string
	// differs is why replies or commands are not compared.
	differs string
}

func proxyCases() []proxyCase {
	message := []string{"DATA", "Subject: x", "", "..dotted", "text", "."}
	session := func(lines ...string) []string { return append([]string{"EHLO client.test"}, lines...) }
	to := func(rcpts ...string) []string {
		all := session("MAIL FROM:<x@elsewhere.test>")
		for _, r := range rcpts {
			all = append(all, "RCPT TO:<"+r+">")
		}
		return append(all, message...)
	}
	both := to(alice, bob)
	all := []proxyCase{
		{name: "a message"},
		{name: "parameters", say: append(session("MAIL FROM:<x@elsewhere.test> BODY=8BITMIME SIZE=100 RET=HDRS ENVID=a+2Bb", "RCPT TO:<alice@example.test> NOTIFY=NEVER ORCPT=rfc822;a@b"), message...)},
		{name: "as it was written", say: append(session("mail from: <X@Elsewhere.test>", "rcpt to:<ALICE@example.test>"), message...)},
		{name: "null sender", say: append(session("MAIL FROM:<>", "RCPT TO:<alice@example.test>"), message...)},
		{name: "HELO", say: append([]string{"HELO client.test", "MAIL FROM:<x@elsewhere.test>", "RCPT TO:<alice@example.test>"}, message...)},
		{name: "nobody there", say: to("nobody@example.test", alice)},
		{name: "nobody at all", say: session("MAIL FROM:<x@elsewhere.test>", "RCPT TO:<nobody@example.test>", "DATA")},
		{name: "no relay", say: to("y@elsewhere.test", alice)},
		{name: "RSET", say: append(session("MAIL FROM:<1@elsewhere.test>", "RCPT TO:<alice@example.test>", "RSET"), both[1:]...)},
		{name: "two messages", say: append(slices.Clone(both), both[1:]...)},
		{name: "no XFORWARD", on: map[string]string{"EHLO": "250 filter.test"}},
		{name: "quit early", say: session("MAIL FROM:<x@elsewhere.test>", "RCPT TO:<alice@example.test>")},
	}
	for _, at := range []string{"EHLO", "XFORWARD", "MAIL", "RCPT TO:<alice", "RCPT TO:<bob", "DATA", "."} {
		for what, reply := range map[string]string{
			"550": "550 5.7.1 go away", "451": "451 4.7.1 come later", "lines": "554-5.7.9 one\r\n554-5.7.9 two\r\n554 5.7.9 three", "bare": "553 no status", "close": "close",
			"wrong class": "354 go on",
		} {
			c := proxyCase{name: at + " " + what, on: map[string]string{at: reply}}
			switch {
			case at == "XFORWARD":
				c.differs = "XFORWARD is two commands"
			case at == "DATA" && what == "wrong class":
				continue
			case what == "bare" && at != "EHLO" && at != "XFORWARD":
				c.differs = "a status is added"
			case what == "wrong class":
				c.differs = "Postfix tells the client what makes no sense there"
			case at == "RCPT TO:<bob" && what == "close":
				c.differs = "a connection that breaks before DATA is made anew"
			case at == "DATA" && !strings.HasPrefix(what, "no"):
				c.differs = "DATA is said when the message is there"
			}
			all = append(all, c)
		}
	}
	all = append(all, proxyCase{name: "a long answer", on: map[string]string{".": "250-2.0.0 one\r\n250 2.0.0 two"}},
		proxyCase{name: "an answer without a status", on: map[string]string{".": "250 taken"}, differs: "a status is added"})
	return all
}

// proxySide is a server with its filter.
type proxySide struct {
	smtp   string
	filter *filtertest.Filter
}

// play runs a case, and is what the client and the filter heard.
func (s *proxySide) play(t *testing.T, c proxyCase) (replies, heard string) {
	t.Helper()
	s.filter.Forget()
	s.filter.Script(func(command string) string {
		for begins, reply := range c.on {
			if strings.HasPrefix(command, begins) {
				return reply
			}
		}
		return ""
	})
	say := c.say
	if say == nil {
		say = []string{"EHLO client.test", "MAIL FROM:<x@elsewhere.test>", "RCPT TO:<alice@example.test>", "RCPT TO:<bob@example.test>", "DATA", "Subject: x", "", "text", "."}
	}
	conn, err := net.DialTimeout("tcp", s.smtp, time.Minute)
	must(t, err)
	defer conn.Close()
	must(t, conn.SetDeadline(time.Now().Add(10*time.Second)))
	client := &smtpConn{conn, bufio.NewReader(conn)}
	_, err = client.expect("220")
	must(t, err)
	var all []string
	content := false
	for _, line := range append(slices.Clone(say), "QUIT") {
		_, err := fmt.Fprintf(conn, "%s\r\n", line)
		must(t, err)
		if content && line != "." {
			continue
		}
		reply, err := client.reply()
		if err != nil {
			all = append(all, line+" -> closed")
			break
		}
		content = line == "DATA" && strings.HasPrefix(reply, "354")
		all = append(all, line+" -> "+reply)
		if line == "DATA" && !content { // nothing behind it is said
			fmt.Fprint(conn, "QUIT\r\n")
			break
		}
	}
	var sessions []string
	eventually(t, func() error {
		sessions = nil
		for _, one := range s.filter.Sessions() {
			if one[len(one)-1] != "closed" {
				return fmt.Errorf("%s: a session with the filter is open: %q", c.name, one)
			}
			sessions = append(sessions, strings.Join(one, "\n"))
		}
		return nil
	})
	return strings.Join(all, "\n"), strings.Join(sessions, "\n--\n")
}

var (
	okReply      = regexp.MustCompile(`(-> )(2\d\d|354)[ -][^\n]*(\n2\d\d[ -][^\n]*)*`)
	ownRefusal   = regexp.MustCompile(`(?i)(-> 5\d\d 5\.\d\.\d+ )[^\n]*(User unknown|Relay access denied|no valid recipients)[^\n]*`)
	xforwardPort = regexp.MustCompile(`PORT=\d+`)
)

// likeProxy are the words of a session with what each server says in its own way made the same.
func likeProxy(replies, heard string) string {
	var lines []string
	for _, line := range strings.Split(replies, "\n") {
		if !strings.HasPrefix(line, ". ->") { // the filter's answer
			line = okReply.ReplaceAllString(line, "$1$2")
		}
		if len(line) > 4 && line[3] == '-' && line[0] == '2' || strings.HasPrefix(line, "250 ") && !strings.Contains(line, "2.0.0 ") {
			continue // of EHLO
		}
		lines = append(lines, ownRefusal.ReplaceAllString(line, "$1$2"))
	}
	attributes := []string{}
	for _, line := range strings.Split(heard, "\n") {
		if rest, ok := strings.CutPrefix(line, "XFORWARD "); ok {
			attributes = append(attributes, strings.Fields(xforwardPort.ReplaceAllString(rest, "PORT"))...)
			continue
		}
		if len(attributes) > 0 {
			slices.Sort(attributes)
			lines = append(lines, "XFORWARD "+strings.Join(attributes, " "))
			attributes = attributes[:0]
		}
		lines = append(lines, strings.Replace(line, ": <", ":<", 1))
	}
	return strings.ToLower(strings.Join(lines, "\n"))
}

// TestProxyFilterAsPostfix: Debian's Postfix and we tell a filter before the queue the same, and the client what it says, whatever that is and
// at every stage; with speed_adjust, too.
func TestProxyFilterAsPostfix(t *testing.T) {
	t.Parallel()
	peers.NeedRoot(t, "Postfix")
	peers.Need(t, "postfix", "postfix")
	for _, options := range []string{"", "speed_adjust"} {
		t.Run("options "+options, func(t *testing.T) {
			t.Parallel()
			o := filtertest.Options{Name: "filter.test", Keywords: []string{"8BITMIME", "DSN", "SIZE", "XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE"}}
			ours, theirs := proxySide{filter: startFilter(t, o)}, proxySide{filter: startFilter(t, o)}
			list := "[]"
			if options != "" {
				list = `["` + options + `"]`
			}
			b := serve(t, map[string]string{
				"smtpd.proxy_filter": `"` + ours.filter.Addr() + `"`, "smtpd.proxy_options": list, "main.trusted_networks": `["192.0.2.0/24"]`, "smtpd.local_header_rewrite_clients": "[]",
				"smtpd.error_limit": "1000", "smtpd.soft_error_limit": "1000", "smtpd.client_refused_recipient_rate_limit": "0", "smtpd.discard_ehlo_keywords": `["chunking"]`,
			})
			ours.smtp = b.SMTP()
			p := startPostfix(t, "mx.example.test", "smtpd_proxy_filter = "+theirs.filter.Addr()+"\nsmtpd_proxy_options = "+options+"\nsmtpd_recipient_restrictions = reject_unlisted_recipient\nsmtpd_relay_restrictions = reject_unauth_destination\n"+
				"mynetworks = 192.0.2.0/24\nlocal_header_rewrite_clients =\nsmtpd_discard_ehlo_keywords = chunking\nsmtpd_error_sleep_time = 0\nsmtpd_hard_error_limit = 1000\n", alice, bob)
			theirs.smtp = p.SMTP()
			for _, c := range proxyCases() {
				got := likeProxy(ours.play(t, c))
				want := likeProxy(theirs.play(t, c))
				if got != want && c.differs == "" {
					t.Errorf("%s\n--- ours\n%s\n--- Postfix\n%s", c.name, got, want)
				}
				// Whatever it says, only a filter that has taken the message lets the client have a 250.
				if end := c.on["."]; strings.Contains(got, ". -> 2") && (end != "" && !strings.HasPrefix(end, "250") || !strings.Contains(got, "data\n.\n")) {
					t.Errorf("%s: %s", c.name, got)
				}
			}
			ours.filter.Close()
			theirs.filter.Close()
			if got, want := likeProxy(ours.play(t, proxyCase{})), likeProxy(theirs.play(t, proxyCase{})); got != want {
				t.Errorf("a filter that is down\n--- ours\n%s\n--- Postfix\n%s", got, want)
			}
		})
	}
}

// TestProxyFilterHandsOn: a filter that hands mail on to a port of its own gets it before the client has its answer, and is not shown what our
// own rules refuse; what arrives is the message, octet by octet, once.
func TestProxyFilterHandsOn(t *testing.T) {
	t.Parallel()
	back := ownPorts(t).Addr(25)
	filter := startFilter(t, filtertest.Options{Name: "mx.example.test", Next: back})
	b := serveListeners(t, map[string]string{"smtpd.proxy_filter": `"` + filter.Addr() + `"`, "smtpd.recipient_restrictions": `["reject_unlisted_recipient"]`}, behind(back))
	s, err := dialSMTP(b.SMTP(), "EHLO")
	must(t, err)
	defer s.Close()
	text := "Subject: proxied\r\n\r\n.dot\r\n..two\r\n\r\n" + strings.Repeat("0123456789 \xe4\xf6\xfc ..\r\n", 20_000)
	_, err = s.command("250", "MAIL FROM:<x@sender.example> BODY=8BITMIME")
	must(t, err)
	_, err = s.command("250", "RCPT TO:<%s>", alice)
	must(t, err)
	if _, err := s.command("550", "RCPT TO:<nobody@example.test>"); err != nil {
		t.Error(err)
	}
	_, err = s.command("354", "DATA")
	must(t, err)
	_, err = s.Write([]byte(strings.ReplaceAll(text, "\r\n.", "\r\n..") + ".\r\n"))
	must(t, err)
	said, err := s.expect("250")
	must(t, err)
	got := readFile(t, b.waitMail(t, alice, 1)[0])
	if _, body, _ := strings.Cut(text, "\r\n\r\n"); !strings.HasSuffix(got, strings.ReplaceAll("\r\n\r\n"+body, "\r\n", "\n")) {
		t.Error("the message is another")
	}
	if strings.Count(got, filtertest.Mark) != 1 || strings.Count(got, "\nReceived: ") != 2 || !strings.Contains(said, "queued as ") {
		t.Errorf("%q: %.800s", said, got)
	}
	if n := len(filter.Sessions()); n != 1 {
		t.Errorf("%d sessions", n)
	}
	b.Kill()
	b.start(t)
	b.queueEmpty(t)
	b.waitMail(t, alice, 1)
}
