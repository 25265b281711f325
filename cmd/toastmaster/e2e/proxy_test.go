package e2e

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// TestXForwardToAndFromPostfix: Debian's Postfix hears from us whose message it is, as the client was told by XCLIENT, and
// tells us of its own.
func TestXForwardToAndFromPostfix(t *testing.T) {
	t.Parallel()
	p := startPostfix(t, "mx.remote.example", "smtpd_authorized_xforward_hosts = 127.0.0.0/8\n", "carol@remote.example")
	b := serve(t, map[string]string{
		"smtp.relayhost": fmt.Sprintf("%q", p.SMTP()), "smtp.send_xforward_command": "true", "main.trusted_networks": `["192.0.2.0/24"]`,
		"smtpd.authorized_xclient_hosts": `["127.0.0.1/32"]`, "smtpd.authorized_xforward_hosts": `["127.0.0.1/32"]`,
	})
	c := converse(t, b.SMTP())
	for _, s := range [][2]string{
		{"", "220"}, {"EHLO front.test", "250"}, {"MAIL FROM:<x@y.test>", "250"}, {"RCPT TO:<carol@remote.example>", "554"}, {"RSET", "250"},
		{"XCLIENT NAME=client.test ADDR=192.0.2.7 HELO=told.test PROTO=ESMTP", "220"}, {"MAIL FROM:<x@y.test>", "250"},
		{"RCPT TO:<carol@remote.example>", "250"}, {"DATA", "354"}, {"Subject: told\r\n\r\ntext\r\n.", "250"}, {"QUIT", "221"},
	} {
		c.say(t, line(s[0]), s[1]+" ")
	}
	text := readFile(t, waitPeerMail(t, p, "carol@remote.example", 1)[0])
	id := regexp.MustCompile(`\(Toastmaster\) with ESMTP id (\w+)`).FindStringSubmatch(text)
	if id == nil || !strings.Contains(text, "from told.test (client.test [192.0.2.7])") {
		t.Fatal(text)
	}
	told := ", orig_queue_id=" + id[1] + ", orig_client=client.test[192.0.2.7]"
	eventually(t, func() error {
		if !strings.Contains(p.LogTail(20000), told) {
			return fmt.Errorf("Postfix has not heard %q", told)
		}
		return nil
	})

	from := startPostfix(t, "mx.front.example", "smtp_send_xforward_command = yes\nrelayhost = "+bracketed(b.SMTP())+"\n")
	c = converse(t, from.SMTP())
	queued := ""
	for _, s := range [][2]string{
		{"", "220"}, {"EHLO relay.test", "250"}, {"MAIL FROM:<dave@front.example>", "250"}, {"RCPT TO:<" + alice + ">", "250"}, {"DATA", "354"}, {"Subject: from Postfix\r\n\r\ntext\r\n.", "250"},
	} {
		queued = c.say(t, line(s[0]), s[1]+" ")
	}
	b.waitMail(t, alice, 1)
	_, theirs, _ := strings.Cut(strings.TrimSpace(queued), "queued as ")
	want := "orig_id=" + theirs + " orig_client=127.0.0.1 orig_name=localhost "
	eventually(t, func() error { // nobody waits for the log
		if theirs == "" || !strings.Contains(readFile(t, b.LogFile()), want) {
			return fmt.Errorf("the log lacks %q", want)
		}
		return nil
	})
}

// bracketed is an address as a nexthop.
func bracketed(address string) string {
	host, port, _ := strings.Cut(address, ":")
	return "[" + host + "]:" + port
}

// line is a command as it is sent; "" waits for the greeting.
func line(command string) string {
	if command == "" {
		return ""
	}
	return command + "\r\n"
}
