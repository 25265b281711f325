package e2e

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"toastmaster/internal/testkit/binary"
	"toastmaster/internal/testkit/peers"
	"toastmaster/internal/testkit/proc"
)

// behindHAProxy starts Debian's haproxy in front of ports, by name, each with the options of its server line, and
// returns where it listens for each.
func behindHAProxy(t *testing.T, ports map[string][2]string) map[string]string {
	t.Helper()
	peers.Need(t, "haproxy", "haproxy")
	path, err := proc.Find("haproxy")
	must(t, err)
	own, err := proc.Reserve()
	must(t, err)
	t.Cleanup(own.Close)
	at := map[string]string{}
	var text strings.Builder
	text.WriteString("global\n  maxconn 100\ndefaults\n  mode tcp\n  timeout connect 60s\n  timeout client 60s\n  timeout server 60s\n")
	// A block is free at these only: haproxy shares a port with another haproxy that has it already.
	free := []int{24, 25, 110, 143, 465, 587, 993, 995}
	for name, p := range ports {
		at[name], free = own.Addr(free[0]), free[1:]
		fmt.Fprintf(&text, "listen %s\n  bind %s\n  server ours %s %s\n", name, at[name], p[0], p[1])
	}
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "haproxy.cfg"), []byte(text.String()), 0o644))
	p, err := proc.Start(proc.Spec{Path: path, Args: []string{"-db", "-f", filepath.Join(dir, "haproxy.cfg")}, Dir: dir, Log: filepath.Join(dir, "haproxy.log")})
	must(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(p.LogTail(2000))
		}
		p.Kill()
	})
	for _, address := range at {
		must(t, proc.WaitPort(testContext(t), address, p))
	}
	return at
}

// dialFrom connects from an address of the loopback network.
func dialFrom(t *testing.T, from, to string) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: testTime}
	c, err := d.Dial("tcp", to)
	must(t, err)
	t.Cleanup(func() { c.Close() })
	must(t, c.SetDeadline(time.Now().Add(testTime)))
	return c
}

// TestEveryPortBehindHAProxy: with a real haproxy before it, with version 1 and 2, with and without TLS and postscreen, each
// protocol knows the real client; the proxy itself, and who is none, get nothing out of it.
func TestEveryPortBehindHAProxy(t *testing.T) {
	t.Parallel()
	for _, screened := range []bool{false, true} {
		params := map[string]string{
			"main.haproxy_trusted_networks": `["127.0.0.1/32"]`, "main.trusted_networks": `["127.66.7.0/24"]`, "lmtpd.trusted_networks": `["127.66.0.0/16"]`,
			"smtpd.upstream_proxy_protocol": `"haproxy"`,
		}
		if screened {
			params["postscreen.enable"], params["postscreen.upstream_proxy_protocol"], params["postscreen.greet_wait"] = "true", `"haproxy"`, `"1s"`
		}
		b := serveProxied(t, params)
		at := behindHAProxy(t, map[string][2]string{
			"smtp": {b.SMTP(), "send-proxy"}, "smtp2": {b.SMTP(), "send-proxy-v2 check check-send-proxy inter 100ms proxy-v2-options unique-id,crc32c"},
			"submissions": {b.Submissions(), "send-proxy-v2"}, "imap": {b.IMAP(), "send-proxy"}, "imaps": {b.IMAPS(), "send-proxy-v2"},
			"pop3s": {b.POP3S(), "send-proxy"}, "lmtp": {b.LMTP(), "send-proxy-v2"},
		})
		for i, name := range []string{"smtp", "smtp2"} {
			stranger, trusted := fmt.Sprintf("127.66.1.%d", i+1), fmt.Sprintf("127.66.7.%d", i+1)
			for from, want := range map[string]string{stranger: "554", trusted: "250"} {
				c := &dialogue{dialFrom(t, from, at[name]), nil}
				c.in = bufio.NewReader(c.Conn)
				c.say(t, "", "220 ")
				c.say(t, "EHLO c.test\r\n", "250 ")
				c.say(t, "MAIL FROM:<x@y.test>\r\n", "250 ")
				c.say(t, "RCPT TO:<x@elsewhere.test>\r\n", want+" ")
				c.say(t, "RSET\r\n", "250 ")
				c.say(t, "MAIL FROM:<x@y.test>\r\n", "250 ")
				c.say(t, "RCPT TO:<"+alice+">\r\n", "250 ")
				c.say(t, "DATA\r\n", "354 ")
				c.say(t, "Subject: x\r\n\r\nfrom "+from+"\r\n.\r\n", "250 ")
			}
		}
		for _, f := range b.waitMail(t, alice, 4) {
			text := readFile(t, f)
			_, from, _ := strings.Cut(text, "\n\nfrom ")
			if from = strings.TrimSpace(from); from == "" || !strings.Contains(text, "["+from+"])") {
				t.Errorf("%s", text)
			}
		}
		for name, c := range map[string]struct {
			from, greeting, login, want string
			tls                         bool
		}{
			"submissions": {"127.66.2.1", "220 ", "EHLO c\r\n", "250 ", true},
			"imap":        {"127.66.2.2", "* OK", "a LOGOUT\r\n", "a OK", false},
			"imaps":       {"127.66.2.3", "* OK", "a LOGIN " + alice + " " + alicesWord + "\r\n", "a OK", true},
			"pop3s":       {"127.66.2.4", "+OK", "QUIT\r\n", "+OK", true},
			"lmtp":        {"127.66.2.5", "220 ", "LHLO c\r\n", "250 ", false},
		} {
			nc := dialFrom(t, c.from, at[name])
			if c.tls {
				nc = tls.Client(nc, &tls.Config{InsecureSkipVerify: true})
			}
			d := &dialogue{nc, bufio.NewReader(nc)}
			d.say(t, "", c.greeting)
			d.say(t, c.login, c.want)
			eventually(t, func() error {
				if !strings.Contains(readFile(t, b.LogFile()), "client="+c.from+" ") {
					return fmt.Errorf("%s: nothing in the log from %s", name, c.from)
				}
				return nil
			})
		}
		// Who is no proxy, and a proxy without a header.
		for _, from := range []string{"127.66.3.1", "127.0.0.1"} {
			for _, address := range []string{b.SMTP(), b.Submissions(), b.IMAP(), b.LMTP()} {
				c := dialFrom(t, from, address)
				_, _ = io.WriteString(c, "EHLO c.test\r\nPROXY TCP4 127.66.7.1 127.0.0.1 1 25\r\n")
				if answer, _ := io.ReadAll(c); len(answer) > 0 {
					t.Errorf("%s at %s hears %q", from, address, answer)
				}
			}
		}
	}
}

// serveProxied is an instance whose ports all want a header.
func serveProxied(t *testing.T, params map[string]string) *box {
	t.Helper()
	dir := peers.TempDir(t)
	i, err := binary.Create(testContext(t), binary.Options{Program: program, Dir: dir, Hostname: "mx.example.test", Params: params})
	must(t, err)
	config := readFile(t, i.ConfigFile())
	for section, list := range map[string][]string{"imapd": {i.IMAP(), i.IMAPS()}, "pop3d": {i.POP3(), i.POP3S()}, "lmtpd": {i.LMTP()}} {
		config = strings.Replace(config, "["+section+"]\n", fmt.Sprintf("[%s]\nhaproxy = [%q]\n", section, list[0]), 1)
		if len(list) > 1 {
			config = strings.Replace(config, fmt.Sprintf("haproxy = [%q]", list[0]), fmt.Sprintf("haproxy = [%q, %q]", list[0], list[1]), 1)
		}
	}
	must(t, os.WriteFile(i.ConfigFile(), []byte(config), 0o600))
	b := &box{Instance: i, dir: dir}
	t.Cleanup(func() {
		if b.Running() {
			if err := b.Stop(); err != nil {
				t.Error(err)
			}
		}
		b.Close()
		if t.Failed() {
			t.Logf("the server's log ends:\n%s", b.LogTail(4000))
		}
		b.checkLog(t)
	})
	b.start(t)
	must(t, b.AddDomain(testContext(t), "example.test"))
	must(t, b.AddMailbox(testContext(t), alice, alicesWord))
	return b
}
