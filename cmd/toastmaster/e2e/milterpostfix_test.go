package e2e

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"toastmaster/internal/milter"
	"toastmaster/internal/testkit/miltertest"
	"toastmaster/internal/testkit/peers"
)

// milterCase is a session with a filter that has a script.
type milterCase struct {
	name   string
	script miltertest.Script
	// say are the commands of the client; "" is the usual message to alice. A line "." ends a message.
	say []string
	// to is who gets a message; differs is why Postfix's packets, replies or messages are not looked at.
	to      []string
	differs string
}

// usual is a message to recipients.
func usual(n int, to ...string) []string {
	say := []string{"EHLO client.test", "MAIL FROM:<x@elsewhere.test>"}
	for _, r := range to {
		say = append(say, "RCPT TO:<"+r+">")
	}
	return append(append(say, "DATA"), milterMessage(n)...)
}

func milterMessage(n int) []string {
	return []string{fmt.Sprintf("X-Case: %d", n), "Received: from before.test by elsewhere.test; Fri, 27 Nov 2026 09:00:00 +0000", "From: <x@elsewhere.test>",
		"X-Spaces:   many spaces", "Subject:no space", "X-Tab:\ttab", "X-Folded: one", "  two", "\tthree", "Date: Fri, 27 Nov 2026 09:00:00 +0000",
		"Message-ID: <1@elsewhere.test>", "X-Same: first", "x-same: second", "X-Empty:", "", "first line", "", "..dotted", "last \xe4 line", "."}
}

// on makes a script of answers.
func on(pairs ...any) miltertest.Script {
	s := miltertest.Script{On: map[milter.Command][]miltertest.Packet{}}
	for i := 0; i < len(pairs); i += 2 {
		switch v := pairs[i+1].(type) {
		case miltertest.Packet:
			s.On[pairs[i].(milter.Command)] = []miltertest.Packet{v}
		case []miltertest.Packet:
			s.On[pairs[i].(milter.Command)] = v
		case milter.Reply:
			s.On[pairs[i].(milter.Command)] = []miltertest.Packet{{Code: v}}
		}
	}
	return s
}

// atEnd are changes at the end of a message.
func atEnd(packets ...miltertest.Packet) miltertest.Script {
	return on(milter.EndOfBody, append(packets, miltertest.Packet{Code: milter.Continue}))
}

func agreed(a milter.Agreement, s miltertest.Script) miltertest.Script {
	if s.Agreed = a; a.Version == 0 {
		s.Agreed.Version, s.Agreed.Actions = 6, milter.AllActions
	}
	return s
}

func milterCases() []milterCase {
	var all []milterCase
	add := func(name string, s miltertest.Script, set ...func(*milterCase)) {
		c := milterCase{name: name, script: s, to: []string{alice}}
		for _, f := range set {
			f(&c)
		}
		all = append(all, c)
	}
	to := func(who ...string) func(*milterCase) { return func(c *milterCase) { c.to = who } }
	say := func(lines ...string) func(*milterCase) { return func(c *milterCase) { c.say = lines } }
	differs := func(why string) func(*milterCase) { return func(c *milterCase) { c.differs = why } }
	text, numbered := miltertest.Answer, miltertest.Numbered
	add("nothing", miltertest.Script{})
	for version := uint32(2); version <= 6; version++ {
		add(fmt.Sprintf("version %d", version), agreed(milter.Agreement{Version: version, Actions: milter.AllActions}, miltertest.Script{}))
	}
	add("no replies", agreed(milter.Agreement{Steps: milter.NoReplyConnect | milter.NoReplyHelo | milter.NoReplyMail | milter.NoReplyRcpt | milter.NoReplyData |
		milter.NoReplyHeader | milter.NoReplyEndOfHeader | milter.NoReplyBody | milter.NoReplyUnknown}, miltertest.Script{}))
	for bit := milter.Steps(1); bit <= milter.NoData; bit <<= 1 {
		add(fmt.Sprintf("step %#x", uint32(bit)), agreed(milter.Agreement{Steps: bit}, miltertest.Script{}))
	}
	add("leading space", agreed(milter.Agreement{Steps: milter.LeadingSpace}, atEnd(text(milter.AddHeader, "X-A", " one"), text(milter.AddHeader, "X-B", "two"),
		numbered(milter.ChangeHeader, 1, "Subject", "  changed"))))
	add("own macros", agreed(milter.Agreement{Macros: [...]string{
		"{client_addr} {client_name},{client_ptr} {client_port} {client_connections} {client_resolve} {daemon_port} {if_name} {nothing}", "j {tls_version}", "{mail_addr} i", "{rcpt_addr}", "{i} v", "i j", "{daemon_name}",
	}}, miltertest.Script{}))
	refusals := []struct {
		name string
		p    miltertest.Packet
	}{
		{"reject", miltertest.Packet{Code: milter.Reject}}, {"tempfail", miltertest.Packet{Code: milter.TempFail}}, {"shutdown", miltertest.Packet{Code: milter.Shutdown}},
		{"550", text(milter.ReplyCode, "550 5.7.9 no thanks")}, {"451", text(milter.ReplyCode, "451 4.7.9 later 100%% not %n")}, {"421", text(milter.ReplyCode, "421 4.7.8 go away")},
		{"lines", text(milter.ReplyCode, "554-5.7.9 one\r\n554-5.7.9 two\r\n554 5.7.9 three")},
		{"malformed", text(milter.ReplyCode, "250 2.0.0 fine")}, {"malformed 3", text(milter.ReplyCode, "550 4.7.1 half")},
		{"accept", miltertest.Packet{Code: milter.Accept}}, {"discard", miltertest.Packet{Code: milter.Discard}},
		{"close", miltertest.Packet{Code: miltertest.Close}}, {"data behind", miltertest.Raw(milter.Continue, "x")}, {"unknown", miltertest.Raw('z', "")},
	}
	stages := []struct {
		name string
		c    milter.Command
	}{{"helo", milter.Helo}, {"mail", milter.Mail}, {"rcpt", milter.Rcpt}, {"data", milter.Data}, {"header", milter.Header}, {"eoh", milter.EndOfHeader}, {"body", milter.Body}, {"eom", milter.EndOfBody}, {"connect", milter.Connect}}
	for _, st := range stages {
		for _, r := range refusals {
			var who []string
			inside := slices.Contains([]string{"header", "eoh", "body", "eom"}, st.name)
			if r.name == "accept" || r.name == "discard" && (st.name == "helo" || st.name == "connect") {
				who = []string{alice}
			}
			set := []func(*milterCase){to(who...)}
			if st.name == "connect" && (r.name == "reject" || r.name == "550" || r.name == "lines" || r.name == "421" || r.name == "shutdown") {
				set = append(set, differs("the greeting, and the end of the session"))
			}
			if inside && r.name == "shutdown" {
				set = append(set, differs("Postfix says 250, and has no message"))
			}
			add(st.name+" "+r.name, on(st.c, r.p), set...)
		}
	}
	add("rcpt one of two", miltertest.Script{By: func(c milter.Command, n int, _ []byte) []miltertest.Packet {
		if c == milter.Rcpt && n == 1 {
			return []miltertest.Packet{{Code: milter.Reject}}
		}
		return nil
	}}, say(usual(0, alice, bob)...), to(bob))
	add("refused rcpts", agreed(milter.Agreement{Steps: milter.WantsRefusedRcpts}, miltertest.Script{}), say(usual(0, "nobody@example.test", alice)...))
	add("skip", agreed(milter.Agreement{Steps: milter.MaySkip}, on(milter.Header, milter.Skip, milter.Body, milter.Skip)))
	add("progress", on(milter.EndOfBody, []miltertest.Packet{{Code: milter.Progress}, {Code: milter.Progress}, {Code: milter.Continue}}))
	add("progress at mail", on(milter.Mail, []miltertest.Packet{{Code: milter.Progress}, {Code: milter.Continue}}))
	add("change at mail", on(milter.Mail, []miltertest.Packet{text(milter.AddHeader, "X-A", "b"), {Code: milter.Continue}}), to())
	add("quarantine", atEnd(text(milter.Quarantine, "a reason")), to())
	// Changes.
	add("add header", atEnd(text(milter.AddHeader, "X-A", "one"), text(milter.AddHeader, "X-B", "two\n\tfolded\n and more"), text(milter.AddHeader, "X-C", "")))
	for _, n := range []uint32{0, 1, 2, 3, 5, 12, 13, 14, 15, 100} {
		add(fmt.Sprintf("insert %d", n), atEnd(numbered(milter.InsertHeader, n, "X-I", "inserted"), numbered(milter.InsertHeader, n, "X-I", "again")))
	}
	for _, n := range []uint32{0, 1, 2, 3} {
		for _, name := range []string{"Received", "X-Same", "Subject", "X-Folded", "X-None", "subject", "Date"} {
			add(fmt.Sprintf("change %d %s", n, name), atEnd(numbered(milter.ChangeHeader, n, name, "changed\n\ttwice")))
			add(fmt.Sprintf("delete %d %s", n, name), atEnd(numbered(milter.ChangeHeader, n, name, "")))
		}
	}
	add("change twice", atEnd(numbered(milter.ChangeHeader, 1, "Subject", "once"), numbered(milter.ChangeHeader, 1, "Subject", "twice"), numbered(milter.ChangeHeader, 1, "X-Same", ""),
		numbered(milter.ChangeHeader, 1, "X-Same", "the second"), text(milter.AddHeader, "X-New", "1"), numbered(milter.ChangeHeader, 1, "X-New", "2"), numbered(milter.InsertHeader, 1, "X-New", "0"), numbered(milter.ChangeHeader, 2, "X-New", "")))
	add("above received", atEnd(numbered(milter.InsertHeader, 0, "Received", "from a filter"), numbered(milter.ChangeHeader, 1, "Received", "changed")))
	add("delete all", atEnd(numbered(milter.ChangeHeader, 1, "X-Spaces", ""), numbered(milter.ChangeHeader, 1, "Subject", ""), numbered(milter.ChangeHeader, 1, "X-Empty", ""), numbered(milter.ChangeHeader, 1, "X-Tab", "")))
	add("body", atEnd(miltertest.Raw(milter.ReplaceBody, "new\r\nbody"), miltertest.Raw(milter.ReplaceBody, " goes\r"), miltertest.Raw(milter.ReplaceBody, "\n.on\r\n"), text(milter.AddHeader, "X-A", "one")))
	add("body and header", atEnd(text(milter.AddHeader, "X-A", "one"), numbered(milter.InsertHeader, 1, "X-I", "i"), miltertest.Raw(milter.ReplaceBody, "new\r\n"), numbered(milter.ChangeHeader, 1, "Subject", "x")))
	add("body between", atEnd(miltertest.Raw(milter.ReplaceBody, "new\r\n"), text(milter.AddHeader, "X-A", "one"), miltertest.Raw(milter.ReplaceBody, "more\r\n")), to())
	add("empty body", atEnd(miltertest.Raw(milter.ReplaceBody, "")))
	add("add rcpt", atEnd(text(milter.AddRcpt, "<bob@example.test>")), to(alice, bob))
	add("add rcpt bare", atEnd(text(milter.AddRcpt, "bob@example.test"), text(milter.AddRcpt, "<alice@example.test>")), to(alice, bob), differs("Postfix delivers twice"))
	add("add rcpt args", atEnd(text(milter.AddRcptArgs, "<bob@example.test>", "NOTIFY=NEVER ORCPT=rfc822;a+40b BAD=x"), text(milter.AddRcptArgs, "<alice@example.test>", "")), to(alice, bob), differs("Postfix delivers twice"))
	add("delete rcpt", atEnd(text(milter.DeleteRcpt, "<alice@example.test>")), say(usual(0, alice, bob)...), to(bob))
	add("delete all rcpts", atEnd(text(milter.DeleteRcpt, "<alice@example.test>")), to())
	add("redirect", atEnd(text(milter.DeleteRcpt, "alice@example.test"), text(milter.AddRcpt, "<bob@example.test>")), to(bob))
	add("change from", atEnd(text(milter.ChangeFrom, "<other@elsewhere.test>")))
	add("change from args", atEnd(text(milter.ChangeFrom, "<>", "RET=HDRS ENVID=abc SIZE=1")))
	add("no name", atEnd(text(milter.AddHeader, "", "one")), differs("Postfix writes \": one\""), to())
	add("change then reject", on(milter.EndOfBody, []miltertest.Packet{text(milter.AddHeader, "X-A", "one"), text(milter.ReplyCode, "550 5.7.1 spam")}), to())
	add("change then close", on(milter.EndOfBody, []miltertest.Packet{text(milter.AddHeader, "X-A", "one"), {Code: miltertest.Close}}), to())
	add("change then accept", on(milter.EndOfBody, []miltertest.Packet{text(milter.AddHeader, "X-A", "one"), {Code: milter.Accept}}))
	add("change then discard", on(milter.EndOfBody, []miltertest.Packet{text(milter.AddHeader, "X-A", "one"), {Code: milter.Discard}}), to())
	// Sessions.
	two := append(append(usual(0, alice), "MAIL FROM:<>", "RCPT TO:<alice@example.test> NOTIFY=NEVER", "DATA"), milterMessage(0)...)
	add("two messages", miltertest.Script{}, say(two...), to(alice, alice))
	add("accept the first", miltertest.Script{By: func(c milter.Command, n int, _ []byte) []miltertest.Packet {
		if c == milter.Mail && n == 1 {
			return []miltertest.Packet{{Code: milter.Accept}}
		}
		return nil
	}}, say(two...), to(alice, alice))
	add("rset", miltertest.Script{}, say(append([]string{"EHLO client.test", "MAIL FROM:<x@elsewhere.test> SIZE=1000 BODY=8BITMIME", "RCPT TO:<alice@example.test>", "RSET"}, usual(0, alice)[1:]...)...))
	add("rset alone", miltertest.Script{}, say("EHLO client.test", "RSET", "MAIL FROM:<x@elsewhere.test>", "RSET", "RSET"), to())
	add("helo twice", miltertest.Script{}, say(append([]string{"HELO one.test"}, usual(0, alice)...)...))
	add("unknown commands", miltertest.Script{}, say("EHLO client.test", "FOO bar", "MAIL FROM:<x@elsewhere.test>", "FOO again"), to(), differs("Postfix tells the first word alone"))
	add("unknown refused", on(milter.Unknown, text(milter.ReplyCode, "450 4.5.0 not now")), say("EHLO client.test", "FOO"), to())
	add("unknown rejected", on(milter.Unknown, milter.Reject), say("EHLO client.test", "FOO bar"), to(), differs("Postfix 3.7 has the filter's reply, later ones their own"))
	add("syntax of addresses", miltertest.Script{}, say("EHLO client.test", "MAIL FROM:<X.y@Elsewhere.TEST> BODY=8BITMIME SIZE=100", `RCPT TO:<"alice"@EXAMPLE.test> ORCPT=rfc822;a@b`, "RCPT TO:<alice+ext@example.test>"), to())
	add("null sender", miltertest.Script{}, say("EHLO client.test", "MAIL FROM:<>", "RCPT TO:<alice@example.test>"), to())
	large := []string{"EHLO client.test", "MAIL FROM:<x@elsewhere.test>", "RCPT TO:<alice@example.test>", "DATA", "X-Case: 0", "Subject: large", ""}
	for range 3000 {
		large = append(large, strings.Repeat("0123456789", 6))
	}
	add("large", miltertest.Script{}, say(append(large, ".")...))
	add("large skip", agreed(milter.Agreement{Steps: milter.MaySkip}, on(milter.Body, milter.Skip)), say(append(large, ".")...))
	add("no body", miltertest.Script{}, say("EHLO client.test", "MAIL FROM:<x@elsewhere.test>", "RCPT TO:<alice@example.test>", "DATA", "X-Case: 0", "Subject: x", "", "."))
	add("no empty line", atEnd(text(milter.AddHeader, "X-A", "one")), say("EHLO client.test", "MAIL FROM:<x@elsewhere.test>", "RCPT TO:<alice@example.test>", "DATA", "X-Case: 0", "Subject: x", "."))
	return all
}

// milterSide is a server with its filter.
type milterSide struct {
	smtp    string
	filter  *miltertest.Filter
	maildir func(string) string
}

// play runs a case, and is what the filter was sent and the client was told.
func (s *milterSide) play(t *testing.T, n int, c milterCase) (packets, replies []string) {
	t.Helper()
	script := c.script
	s.filter.Play(script)
	conn, err := net.DialTimeout("tcp", s.smtp, time.Minute)
	must(t, err)
	defer conn.Close()
	must(t, conn.SetDeadline(time.Now().Add(time.Minute)))
	in := bufio.NewReader(conn)
	read := func() string {
		all := ""
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return all + "closed"
			}
			if all += line; len(line) < 4 || line[3] != '-' {
				return strings.TrimRight(strings.ReplaceAll(all, "\r\n", "|"), "|")
			}
		}
	}
	say := c.say
	if say == nil {
		say = usual(n, alice)
	}
	reply, content := read(), false
	replies = append(replies, reply)
	for _, line := range say {
		line = strings.Replace(line, "X-Case: 0", fmt.Sprintf("X-Case: %d", n), 1)
		if _, err := fmt.Fprintf(conn, "%s\r\n", line); err != nil {
			break
		}
		if content && line != "." {
			continue
		}
		reply = read()
		content = line == "DATA" && strings.HasPrefix(reply, "354")
		if line == "DATA" && !content || strings.HasPrefix(reply, "421") || reply == "closed" {
			replies = append(replies, line+" -> "+reply)
			break
		}
		replies = append(replies, line+" -> "+reply)
	}
	fmt.Fprint(conn, "QUIT\r\n")
	read()
	if !s.filter.Wait(testContext(t).Done(), func(all [][]string) bool {
		return len(all) > 0 && all[0][len(all[0])-1] == "closed"
	}) {
		t.Fatalf("%s: the filter's session does not end", c.name)
	}
	return s.filter.Sessions()[0], replies
}

// messages waits for the messages of a case, without what differs.
func (s *milterSide) messages(t *testing.T, n int, to []string) []string {
	t.Helper()
	var found []string
	eventually(t, func() error {
		found = nil
		for _, who := range []string{alice, bob} {
			for _, f := range maildirFiles(t, s.maildir(who)) {
				raw, err := os.ReadFile(f)
				if err != nil {
					return err
				}
				if text := withoutDelivery(string(raw)); strings.Contains(text, fmt.Sprintf("X-Case: %d\n", n)) {
					found = append(found, who+"\n"+text)
				}
			}
		}
		if len(found) < len(to) {
			return fmt.Errorf("case %d: %d messages of %d", n, len(found), len(to))
		}
		return nil
	})
	slices.Sort(found)
	return found
}

var ourReceived = regexp.MustCompile(`(?m)^Received: from client\.test .*(\n[ \t].*)*`)

// withoutDelivery is a message without the fields of its delivery.
func withoutDelivery(text string) string {
	var out []string
	skip := false
	head, body, _ := strings.Cut(text, "\n\n")
	for _, line := range strings.Split(head, "\n") {
		if line != "" && line[0] != ' ' && line[0] != '\t' {
			name, _, _ := strings.Cut(line, ":")
			skip = slices.Contains([]string{"Delivered-To", "X-Original-To"}, name)
		}
		if !skip {
			out = append(out, line)
		}
	}
	return ourReceived.ReplaceAllString(strings.Join(out, "\n"), "Received: OURS") + "\n\n" + body
}

var (
	noMail  = regexp.MustCompile(`(-> 503|-> 554 5.5.1).*`)
	noUser  = regexp.MustCompile(`(?i)(Recipient address rejected: )?User unknown( in virtual mailbox table)?`)
	nobody  = regexp.MustCompile(`\{mail_addr\}="" .*`)
	unlike  = regexp.MustCompile(`port=\d+|\{client_port\}="\d+"|\{daemon_port\}="\d+"`)
	queueID = regexp.MustCompile(`( \{?i\}?=)"[^"]+"`)
	okText  = regexp.MustCompile(`(-> |^)(2\d\d|354)[ -].*`)
)

func alike(lines []string) string {
	var out []string
	for i, l := range lines {
		if l == "A []" && i > 0 && lines[i-1] == l {
			continue // Postfix says it twice
		}
		l = unlike.ReplaceAllString(l, "PORT")
		l = queueID.ReplaceAllString(l, "$1ID")
		if strings.HasPrefix(l, "D ") {
			l = nobody.ReplaceAllString(strings.ToLower(l), "nobody")
		}
		l = noUser.ReplaceAllString(l, "unknown")
		l = noMail.ReplaceAllString(l, "$1")
		out = append(out, okText.ReplaceAllString(l, "$1$2"))
	}
	return strings.Join(out, "\n")
}

// TestMiltersAsPostfix: Debian's Postfix and we tell a filter the same, do what it says in the same way, and answer the client alike.
func TestMiltersAsPostfix(t *testing.T) {
	t.Parallel()
	peers.NeedRoot(t, "Postfix")
	peers.Need(t, "postfix", "postfix")
	start := func() *miltertest.Filter {
		f, err := miltertest.Start("tcp", "127.0.0.1:0", miltertest.Script{})
		must(t, err)
		t.Cleanup(f.Close)
		return f
	}
	ours, theirs := milterSide{filter: start()}, milterSide{filter: start()}
	b := serve(t, map[string]string{
		"smtpd.milters": `["` + ours.filter.Name() + `"]`, "milter.macro_v": `"mail"`, "smtpd.error_limit": "1000", "smtpd.soft_error_limit": "1000",
		"main.trusted_networks": `["192.0.2.0/24"]`, "smtpd.client_refused_recipient_rate_limit": "0",
	})
	ours.smtp, ours.maildir = b.SMTP(), b.Maildir
	p, err := peers.StartPostfix(testContext(t), peers.PostfixOptions{
		Dir: peers.TempDir(t), Hostname: "mx.example.test", Accounts: []peers.Account{{Address: alice}, {Address: bob}},
		Main: "smtpd_milters = " + theirs.filter.Name() + "\nmilter_macro_v = mail\nsmtpd_recipient_restrictions = reject_unlisted_recipient\n" +
			"smtpd_delay_reject = yes\nmynetworks = 192.0.2.0/24\nlocal_header_rewrite_clients =\nsmtpd_discard_ehlo_keywords = chunking\nsmtpd_error_sleep_time = 0\nsmtpd_hard_error_limit = 1000\n",
	})
	must(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("Postfix's log ends:\n%s", p.LogTail(3000))
		}
		p.Stop()
	})
	theirs.smtp, theirs.maildir = p.SMTP(), p.Maildir
	for _, s := range []*milterSide{&ours, &theirs} {
		s.play(t, 0, milterCase{say: []string{"NOOP"}}) // who looked whether the port is open is gone
	}
	for n, c := range milterCases() {
		n++
		packets, replies := ours.play(t, n, c)
		wantPackets, wantReplies := theirs.play(t, n, c)
		if c.differs == "" {
			if got, want := alike(packets), alike(wantPackets); got != want {
				t.Errorf("%s: packets\n--- ours\n%s\n--- Postfix\n%s", c.name, got, want)
			}
			if got, want := alike(replies), alike(wantReplies); got != want {
				t.Errorf("%s: replies\n--- ours\n%s\n--- Postfix\n%s", c.name, got, want)
			}
		}
		got := ours.messages(t, n, c.to)
		if c.differs != "" {
			continue
		}
		if want := theirs.messages(t, n, c.to); !slices.Equal(got, want) {
			t.Errorf("%s: messages\n--- ours\n%s\n--- Postfix\n%s", c.name, strings.Join(got, "\n===\n"), strings.Join(want, "\n===\n"))
		}
	}
}
