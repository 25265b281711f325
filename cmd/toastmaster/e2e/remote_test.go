package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"toastmaster/internal/testkit/dnstest"
)

// remoteHost is an SMTP server that answers as it is told.
type remoteHost struct {
	net.Listener
	sessions sync.WaitGroup

	mu sync.Mutex
	// answers are by the beginning of a line, "" the greeting and "." the final dot. "hang" says nothing,
	// "drop" ends the connection.
	answers map[string]string
	asked   []string // MAIL and RCPT lines
	taken   []string // contents
}

func newRemoteHost(t *testing.T, answers map[string]string) *remoteHost {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	h := &remoteHost{Listener: l, answers: answers}
	ended := make(chan struct{})
	h.sessions.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			h.sessions.Go(func() {
				defer c.Close()
				done := make(chan struct{})
				defer close(done)
				go func() {
					select {
					case <-ended:
						c.Close()
					case <-done:
					}
				}()
				h.session(c)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		close(ended)
		h.sessions.Wait()
	})
	return h
}

func (h *remoteHost) set(line, answer string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.answers[line] = answer
}

// count is how often a line with that text was heard.
func (h *remoteHost) count(text string) (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, line := range h.asked {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}

func (h *remoteHost) messages() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]string{}, h.taken...)
}

// nexthop is a table [[transport]] that brings mail for a domain here.
func (h *remoteHost) transport(domain string) string {
	return fmt.Sprintf("\n[[transport]]\nname = %q\ndomains = [%q]\nnexthop = %q\n", "to-"+strings.ReplaceAll(domain, ".", "-"), domain, "["+strings.Replace(h.Addr().String(), ":", "]:", 1))
}

// say answers a line; false ends the session.
func (h *remoteHost) say(c net.Conn, r io.Reader, line, usual string) bool {
	h.mu.Lock()
	answer, best := usual, -1
	for key, a := range h.answers {
		if len(key) > best && strings.HasPrefix(line, key) && (key != "" || line == "") {
			answer, best = a, len(key)
		}
	}
	if strings.HasPrefix(line, "MAIL") || strings.HasPrefix(line, "RCPT") {
		h.asked = append(h.asked, line)
	}
	h.mu.Unlock()
	switch answer {
	case "hang":
		_, _ = io.Copy(io.Discard, r)
		return false
	case "drop":
		return false
	}
	_, err := io.WriteString(c, answer+"\r\n")
	return err == nil
}

func (h *remoteHost) session(c net.Conn) {
	r := bufio.NewReader(c)
	if !h.say(c, r, "", "220 remote.example ESMTP") {
		return
	}
	var content strings.Builder
	for data := false; ; {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		usual := "250 ok"
		switch line = strings.TrimRight(line, "\r\n"); {
		case data && line != ".":
			content.WriteString(line + "\n")
			continue
		case data:
			data = false
			h.mu.Lock()
			h.taken = append(h.taken, content.String())
			h.mu.Unlock()
			content.Reset()
		case line == "DATA":
			data, usual = true, "354 go on"
		case line == "QUIT":
			return
		}
		if !h.say(c, r, line, usual) {
			return
		}
	}
}

// TestFaultyHostsHoldNobodyUp: hosts that stall, break off, answer nonsense, break STARTTLS or say "later" for
// ever keep their own mail, each with its reason, and nobody else's.
func TestFaultyHostsHoldNobodyUp(t *testing.T) {
	t.Parallel()
	const each = 12
	params := map[string]string{"smtp.resolver": fmt.Sprintf("[%q]", dnstest.Start(t, nil).Addr)}
	for _, name := range []string{"helo", "starttls", "mail", "rcpt", "data_init", "data_xfer", "data_done"} {
		params["smtp."+name+"_timeout"] = `"8s"`
	}
	b := serve(t, params)
	faults := map[string]struct {
		answers map[string]string
		reason  string
	}{
		"greeting":  {map[string]string{"": "hang"}, "timed out (after the connection)"},
		"ehlo":      {map[string]string{"EHLO": "hang"}, "timed out (after EHLO)"},
		"mail":      {map[string]string{"MAIL": "hang"}, "timed out (after MAIL FROM)"},
		"rcpt":      {map[string]string{"RCPT": "hang"}, "timed out (after RCPT TO)"},
		"data":      {map[string]string{"DATA": "hang"}, "timed out (after DATA)"},
		"dot":       {map[string]string{".": "hang"}, "timed out (after the end of data)"},
		"drops":     {map[string]string{"DATA": "drop"}, "Lost connection with"},
		"dropped":   {map[string]string{".": "drop"}, "Lost connection with"},
		"nonsense":  {map[string]string{"MAIL": "<html>no</html>"}, "does not speak SMTP"},
		"wrong":     {map[string]string{"DATA": "250 ok"}, "250 ok (in reply to DATA)"},
		"later":     {map[string]string{"RCPT": "450 4.7.1 later"}, "450 4.7.1 later"},
		"clear":     {map[string]string{"EHLO": "250-remote.example\r\n250 STARTTLS", "STARTTLS": "220 go\r\n250 in clear"}, ""},
		"forgetful": {map[string]string{"EHLO": "250-remote.example\r\n250 PIPELINING", "RCPT": ""}, ""},
	}
	var tables strings.Builder
	hosts := map[string]*remoteHost{}
	for name, f := range faults {
		hosts[name] = newRemoteHost(t, f.answers)
		tables.WriteString(hosts[name].transport(name + ".example"))
	}
	good := newRemoteHost(t, map[string]string{})
	tables.WriteString(good.transport("good.example"))
	addTables(t, b, tables.String())
	s, err := dialSMTP(b.SMTP(), "EHLO")
	must(t, err)
	defer s.Close()
	send := func(to, subject string) {
		t.Helper()
		_, err := s.send(alice, []string{to}, "From: <"+alice+">\r\nSubject: "+subject+"\r\n\r\ntext\r\n")
		must(t, err)
	}
	for name := range faults {
		for i := range each {
			send("x@"+name+".example", fmt.Sprintf("%s %d", name, i))
		}
	}
	for i := range 10 {
		send("x@good.example", fmt.Sprintf("good %d", i))
	}
	eventually(t, func() error {
		if n := len(good.messages()); n != 10 {
			return fmt.Errorf("%d of 10 messages", n)
		}
		return nil
	})
	eventually(t, func() error {
		out, err := b.Run(testContext(t), "", "queue", "list")
		if err != nil {
			return err
		}
		for name, f := range faults {
			if f.reason == "" {
				continue
			}
			found := false
			for entry := range strings.SplitSeq(out, "\n\n") {
				found = found || strings.Contains(entry, "x@"+name+".example") && strings.Contains(entry, f.reason)
			}
			if !found && !strings.Contains(out, f.reason) {
				return fmt.Errorf("%s: no %q in\n%s", name, f.reason, out)
			}
		}
		return nil
	})
	for name := range faults {
		if n := len(b.mail(t, alice, "")); n != 0 {
			t.Errorf("%s: %d reports", name, n)
		}
	}
}

// TestUndeliverableReportEnds: a report that nobody takes neither comes back nor revives its message, at once or
// after days, and over a SIGKILL.
func TestUndeliverableReportEnds(t *testing.T) {
	t.Parallel()
	h := newRemoteHost(t, map[string]string{"RCPT TO:<y@": "550 5.1.1 nobody", "RCPT TO:<x@": "550 5.1.1 nobody", "RCPT TO:<z@": "450 4.2.0 later"})
	b := serve(t, nil)
	addTables(t, b, h.transport("remote.example"))
	b.sendOne(t, "x@remote.example", "y@remote.example", "refused both ways")
	b.queueEmpty(t)
	if y, x := h.count("<y@remote.example>"), h.count("RCPT TO:<x@remote.example>"); y != 1 || x != 1 {
		t.Errorf("the message was tried %d times, its report %d times", y, x)
	}
	b.sendOne(t, "z@remote.example", "y@remote.example", "the report waits")
	tried := func(n int) {
		t.Helper()
		eventually(t, func() error {
			if got := h.count("RCPT TO:<z@remote.example>"); got < n {
				return fmt.Errorf("the report was tried %d times", got)
			}
			return nil
		})
	}
	tried(1)
	// That a message is done is written with the next one at the latest.
	b.sendOne(t, alice, bob, "another")
	b.waitMail(t, bob, 1)
	b.Kill()
	b.start(t)
	_, err := b.Run(testContext(t), "", "queue", "flush")
	must(t, err)
	tried(2)
	h.set("RCPT TO:<z@", "550 5.1.1 nobody")
	b.flushUntilEmpty(t)
	if y := h.count("RCPT TO:<y@remote.example>"); y != 2 {
		t.Errorf("two messages were tried %d times", y)
	}
	for _, m := range b.mail(t, "postmaster@mx.example.test", "") {
		if text := readFile(t, m); strings.Contains(text, "nobody@") {
			t.Errorf("a report of a report: %s", text)
		}
	}
}

// TestCatchAllEndsAfterOneRound: a report that a catch-all forwards to the address that refuses is not
// reported again.
func TestCatchAllEndsAfterOneRound(t *testing.T) {
	t.Parallel()
	h := newRemoteHost(t, map[string]string{"RCPT": "550 5.1.1 nobody"})
	b := serve(t, nil)
	addTables(t, b, h.transport("remote.example"))
	ctx := testContext(t)
	must(t, b.AddDomain(ctx, "all.test"))
	_, err := b.Run(ctx, "", "alias", "add", "@all.test", "refuser@remote.example")
	must(t, err)
	b.sendOne(t, "anybody@all.test", "refuser@remote.example", "round and round")
	eventually(t, func() error {
		if n := h.count("RCPT TO:<refuser@"); n < 2 {
			return fmt.Errorf("tried %d times", n)
		}
		return nil
	})
	b.queueEmpty(t)
	if n, null := h.count("RCPT TO:<refuser@"), h.count("MAIL FROM:<>"); n != 2 || null != 1 {
		t.Errorf("tried %d times, %d of them a report", n, null)
	}
}

// TestOneMailboxOneCopy: two recipients of one transaction that lead to one mailbox are one copy, however they
// do, and five transactions with the same message are five.
func TestOneMailboxOneCopy(t *testing.T) {
	t.Parallel()
	b := serve(t, nil)
	ctx := testContext(t)
	for _, alias := range [][]string{{"sales@example.test", alice}, {"info@example.test", "sales@example.test", alice}, {"both@example.test", "info@example.test", bob}} {
		_, err := b.Run(ctx, "", append([]string{"alias", "add"}, alias...)...)
		must(t, err)
	}
	s, err := dialSMTP(b.SMTP(), "EHLO")
	must(t, err)
	defer s.Close()
	const text = "From: <s@example.net>\r\nSubject: the same\r\nMessage-ID: <same@example.net>\r\n\r\nText.\r\n"
	for range 5 {
		_, err := s.send("s@example.net", []string{alice, "sales@example.test", "ALICE@Example.Test", "info@example.test", "both@example.test", alice}, text)
		must(t, err)
	}
	b.queueEmpty(t)
	b.waitMail(t, alice, 5)
	b.waitMail(t, bob, 5)
}

// TestDeliveryReportsBothWays: what a sender asks of reports goes through a Postfix to us and through us to a Postfix,
// over TLS, and comes back as he has written it; 8-bit text stays as it is.
func TestDeliveryReportsBothWays(t *testing.T) {
	t.Parallel()
	b := serve(t, nil)
	p := startPostfix(t, "mx.peer.example", "message_size_limit = 200000\ntransport_maps = inline:{ example.test=smtp:[127.0.0.1]:"+portOf(t, b.SMTP())+" }", "dave@peer.example")
	addTables(t, b, fmt.Sprintf("\n[[transport]]\nname = \"peer\"\ndomains = [\"peer.example\"]\nnexthop = \"[127.0.0.1]:%d\"\n", p.Port25()))
	const eight = "Gr\u00fc\u00dfe \u2014 .\r\n"
	send := func(address, from, options, to, rcptOptions string) {
		t.Helper()
		s, err := dialSMTP(address, "EHLO")
		must(t, err)
		defer s.Close()
		for _, c := range [][2]string{
			{"250", "MAIL FROM:<" + from + "> BODY=8BITMIME " + options}, {"250", "RCPT TO:<" + to + "> " + rcptOptions}, {"354", "DATA"},
			{"250", "From: <" + from + ">\r\nSubject: asked\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + eight + "."},
		} {
			_, err := s.command(c[0], "%s", c[1])
			must(t, err)
		}
	}
	check := func(files []string, subject string, want ...string) {
		t.Helper()
		for _, f := range files {
			text := readFile(t, f)
			for _, w := range want {
				if !strings.Contains(text, w) {
					t.Errorf("no %q in\n%s", w, text)
				}
			}
		}
	}
	send(b.SMTP(), alice, "RET=HDRS ENVID=QQ+2B314159", "dave@peer.example", "NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Dave+2Bx@peer.example")
	check(waitPeerMail(t, p, "dave@peer.example", 1), "asked", "with ESMTPS id", strings.TrimSuffix(eight, "\r\n"))
	check(b.waitMail(t, alice, 1), "report", "Original-Envelope-Id: QQ+314159", "Original-Recipient: rfc822;Dave+x@peer.example", "Action: delivered", "Reporting-MTA: dns; mx.peer.example", "with ESMTPS")

	send(p.SMTP(), "dave@peer.example", "RET=FULL ENVID=back+2Bagain", bob, "NOTIFY=SUCCESS ORCPT=rfc822;b+2Bb@example.test")
	check(b.waitMail(t, bob, 1), "asked", "with ESMTPS id", strings.TrimSuffix(eight, "\r\n"))
	var report string
	for _, f := range waitPeerMail(t, p, "dave@peer.example", 2) {
		if text := readFile(t, f); strings.Contains(text, "multipart/report") {
			report = text
		}
	}
	for _, want := range []string{"Original-Envelope-Id: back+again", "Original-Recipient: rfc822; b+b@example.test", "Action: delivered", "Reporting-MTA: dns; mx.example.test"} {
		if !strings.Contains(report, want) {
			t.Errorf("no %q in\n%s", want, report)
		}
	}

	// NEVER is never, there and back, and what is too large for the peer is known before it is sent.
	send(b.SMTP(), alice, "", "nobody@peer.example", "NOTIFY=NEVER")
	send(p.SMTP(), "dave@peer.example", "", "nobody@example.test", "NOTIFY=NEVER")
	s, err := dialSMTP(b.SMTP(), "EHLO")
	must(t, err)
	defer s.Close()
	_, err = s.send(alice, []string{"dave@peer.example"}, "From: <"+alice+">\r\nSubject: large\r\n\r\n"+strings.Repeat(strings.Repeat("x", 70)+"\r\n", 5000))
	must(t, err)
	found := false
	for _, f := range b.waitMail(t, alice, 2) {
		text := readFile(t, f)
		found = found || strings.Contains(text, "Status: 5.3.4") && strings.Contains(text, "exceeds the limit 200000")
	}
	if !found {
		t.Error("no report of 5.3.4")
	}
	b.queueEmpty(t)
	if n := len(maildirFiles(t, p.Maildir("dave@peer.example"))); n != 2 {
		t.Errorf("dave has %d messages", n)
	}
}

// TestOddContentsBothWays: what is hard to carry arrives as it was, from us at a Postfix (by BDAT and by DATA) and from
// a Postfix at us: dots, NUL octets, no line end at the end, and long lines in pieces.
func TestOddContentsBothWays(t *testing.T) {
	t.Parallel()
	b := serve(t, nil)
	main := "transport_maps = inline:{ example.test=smtp:[127.0.0.1]:" + portOf(t, b.SMTP()) + " }\n"
	p := startPostfix(t, "mx.peer.example", main, "dave@peer.example")
	q := startPostfix(t, "mx.other.example", main+"smtpd_discard_ehlo_keywords = chunking", "erin@other.example")
	addTables(t, b, fmt.Sprintf("\n[[transport]]\nname = \"peer\"\ndomains = [\"peer.example\"]\nnexthop = \"[127.0.0.1]:%d\"\n\n[[transport]]\nname = \"other\"\ndomains = [\"other.example\"]\nnexthop = \"[127.0.0.1]:%d\"\n", p.Port25(), q.Port25()))
	long := strings.Repeat("0123456789", 250)
	cut := long[:998] + "\n " + long[998:998+997] + "\n " + long[998+997:]
	bodies := map[string][2]string{
		"dots":   {".\n..\n.x\n\n.\n", ""},
		"nul":    {"a\x00b\n\x00\n", ""},
		"no end": {"one\ntwo", "one\ntwo\n"},
		"long":   {long + "\n.\n", cut + "\n.\n"},
		"large":  {strings.Repeat(strings.Repeat("y", 75)+"\n.\n", 20_000), ""},
	}
	s, err := dialSMTP(b.SMTP(), "EHLO")
	must(t, err)
	defer s.Close()
	for name, body := range bodies {
		text := "From: <" + alice + ">\nSubject: " + name + "\n\n" + body[0]
		wire := strings.ReplaceAll(strings.ReplaceAll(text, "\n.", "\n.."), "\n", "\r\n")
		if !strings.HasSuffix(wire, "\r\n") {
			wire += "\r\n"
		}
		_, err := s.send(alice, []string{"dave@peer.example", "erin@other.example"}, wire)
		must(t, err)
		must(t, p.Submit(testContext(t), "dave@peer.example", []string{bob}, strings.Replace(text, alice, "dave@peer.example", 1)))
	}
	for who, files := range map[string][]string{
		"Postfix by BDAT": waitPeerMail(t, p, "dave@peer.example", len(bodies)), "Postfix by DATA": waitPeerMail(t, q, "erin@other.example", len(bodies)), "us": b.waitMail(t, bob, len(bodies)),
	} {
		for name, text := range bySubject(t, files) {
			got := strings.TrimPrefix(text, "\n") // no MIME fields
			want := bodies[name][1]
			if want == "" {
				want = bodies[name][0]
			}
			if got != want {
				t.Errorf("%s, %s: %.300q", who, name, got)
			}
		}
	}
	b.queueEmpty(t)
}

// TestSendersLogInAtARelay: a relay that has TLS from the first octet, and lets each send as himself alone, takes the
// mail of each sender over a log-in of his own; who has none there keeps waiting, with the reason.
func TestSendersLogInAtARelay(t *testing.T) {
	t.Parallel()
	relay := serve(t, nil)
	ctx := testContext(t)
	must(t, relay.AddDomain(ctx, "other.test"))
	must(t, relay.AddMailbox(ctx, "carol@other.test", "x-carol-x"))
	b := serve(t, map[string]string{"smtp.sender_dependent_authentication": "true"})
	passwords := filepath.Join(b.Data(), "relay-passwords")
	must(t, os.WriteFile(passwords, []byte("# sender, user:password\nalice@example.test alice@example.test:"+alicesWord+"\n@example.test "+bob+":"+bobsWord+"\nwrong@example.net "+alice+":not-hers\n"), 0o600))
	addTables(t, b, fmt.Sprintf("\n[[transport]]\nname = \"relay\"\ndomains = [\"other.test\"]\nnexthop = \"[127.0.0.1]:%s\"\ntls_level = \"encrypt\"\ntls_wrappermode = true\npassword_file = %q\n",
		portOf(t, relay.Submissions()), passwords))
	for i := range 3 {
		for _, from := range []string{alice, bob} {
			b.sendOne(t, from, "carol@other.test", fmt.Sprintf("from %s %d", from, i))
		}
	}
	b.sendOne(t, "wrong@example.net", "carol@other.test", "by nobody")
	for _, f := range relay.waitMail(t, "carol@other.test", 6) {
		text := readFile(t, f)
		if !strings.Contains(text, "with ESMTPSA id") || !strings.HasPrefix(text, "Return-Path: <alice@") && !strings.HasPrefix(text, "Return-Path: <bob@") {
			t.Errorf("%s", text)
		}
	}
	eventually(t, func() error {
		out, err := b.Run(ctx, "", "queue", "list")
		if err != nil || !strings.Contains(out, "wrong@example.net") || !strings.Contains(out, "(in reply to AUTH)") {
			return fmt.Errorf("%v %s", err, out)
		}
		return nil
	})
	if n := len(relay.mail(t, "carol@other.test", "")); n != 6 {
		t.Errorf("carol has %d messages", n)
	}
}
