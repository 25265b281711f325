package e2e

import (
	"bufio"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"toastmaster/internal/testkit/proc"
)

// ownPorts are addresses for listeners of a test.
func ownPorts(t *testing.T) *proc.Ports {
	t.Helper()
	ports, err := proc.Reserve()
	must(t, err)
	t.Cleanup(ports.Close)
	return ports
}

// serveListeners is serve with text behind the configuration.
func serveListeners(t *testing.T, params map[string]string, text string) *box {
	t.Helper()
	b := serve(t, nil) // what params name may be in text
	must(t, b.Stop())
	for name, value := range params {
		must(t, b.SetParam(name, value))
	}
	b.appendConfig(t, text)
	b.start(t)
	return b
}

func (b *box) appendConfig(t *testing.T, text string) {
	t.Helper()
	f, err := os.OpenFile(b.ConfigFile(), os.O_APPEND|os.O_WRONLY, 0)
	must(t, err)
	_, err = f.WriteString("\n" + text)
	must(t, err)
	must(t, f.Close())
}

// TestListenersHaveTheirOwn: each port obeys its own restrictions, limits, trust and TLS, and the others theirs; it counts among
// the services, stands in the log by its name, and a loop to it is known.
func TestListenersHaveTheirOwn(t *testing.T) {
	t.Parallel()
	own := ownPorts(t)
	strict, secure, users := own.Addr(25), own.Addr(465), own.Addr(587)
	b := serveListeners(t, map[string]string{
		"smtpd.client_restrictions": `["check_client_access inline:{ 192.0.2.1=OK }"]`,
	}, `[[listener]]
name = "strict"
listen = ["`+strict+`"]
trusted_networks = []
sender_restrictions = ["check_sender_access inline:{ {bad.test = REJECT not here} }"]
error_limit = 2
message_size_limit = "2 KiB"
syslog_name = "postfix/strict"

[[listener]]
name = "secure"
listen_tls = ["`+secure+`"]
discard_ehlo_keywords = ["CHUNKING"]

[[listener]]
name = "users"
listen = ["`+users+`"]
submission = true
`)
	// The same client is trusted at one port and a stranger at the other.
	open, err := dialSMTP(b.SMTP(), "EHLO")
	must(t, err)
	defer open.Close()
	if _, err := open.command("250", "MAIL FROM:<x@bad.test>"); err != nil {
		t.Error(err)
	}
	if _, err := open.command("250", "RCPT TO:<y@elsewhere.example>"); err != nil {
		t.Error(err)
	}
	s, err := dialSMTP(strict, "EHLO")
	must(t, err)
	defer s.Close()
	if _, err := s.command("250", "MAIL FROM:<x@bad.test> SIZE=2000"); err != nil {
		t.Error(err)
	}
	if said, err := s.command("554", "RCPT TO:<%s>", alice); err != nil || !strings.Contains(said, "not here") {
		t.Error(said, err)
	}
	_, err = s.command("250", "RSET")
	must(t, err)
	if _, err := s.command("552", "MAIL FROM:<x@good.test> SIZE=3000"); err != nil {
		t.Error(err)
	}
	if _, err := s.command("421", "NOOP"); err != nil {
		t.Errorf("behind two errors: %v", err)
	}
	// TLS from the first octet, and STARTTLS, with the log-in that it is for.
	if !strings.Contains(helloOver(t, secure, true), "PIPELINING") || strings.Contains(helloOver(t, secure, true), "CHUNKING") {
		t.Errorf("%s", helloOver(t, secure, true))
	}
	if said := helloOver(t, users, false); !strings.Contains(said, "STARTTLS") || !strings.Contains(said, "CHUNKING") {
		t.Errorf("%s", said)
	}
	u, err := dialSMTP(users, "EHLO")
	must(t, err)
	defer u.Close()
	if _, err := u.command("530", "MAIL FROM:<x@good.test>"); err != nil {
		t.Error(err)
	}
	out, err := b.Run(testContext(t), "", "status", "--json")
	must(t, err)
	for _, name := range []string{"smtpd/strict", "smtpd/secure", "smtpd/users", strict, secure, users} {
		if !strings.Contains(out, name) {
			t.Errorf("the status has no %s: %s", name, out)
		}
	}
	eventually(t, func() error {
		if !strings.Contains(readFile(t, b.LogFile()), "service=strict/smtpd") {
			return errors.New("the log does not name the service")
		}
		return nil
	})
	if out, err = b.Run(testContext(t), "", "config", "show"); err != nil || !strings.Contains(out, "listener.strict.error_limit = 2\n") || strings.Contains(out, "listener.users.client_restrictions") {
		t.Errorf("%v %s", err, out)
	}
}

// helloOver is what EHLO announces at a port.
func helloOver(t *testing.T, address string, secured bool) string {
	t.Helper()
	c, err := net.DialTimeout("tcp", address, time.Minute)
	must(t, err)
	defer c.Close()
	must(t, c.SetDeadline(time.Now().Add(time.Minute)))
	if secured {
		c = tls.Client(c, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // what it announces is asked, not who it is
	}
	s := &smtpConn{c, bufio.NewReader(c)}
	_, err = s.expect("220")
	must(t, err)
	said, err := s.command("250", "EHLO client.test")
	must(t, err)
	return said
}

// TestListenersUnderMaster: the ports are opened by master and served by the role mta; they stay open when that is killed.
func TestListenersUnderMaster(t *testing.T) {
	t.Parallel()
	b := serveRoles(t, nil)
	b.waitServes(t)
	must(t, b.Stop())
	address := ownPorts(t).Addr(25)
	b.appendConfig(t, "[[listener]]\nname = \"own\"\nlisten = [\""+address+"\"]\nclient_restrictions = [\"reject\"]\n")
	b.start(t)
	for n := range 2 {
		before := b.waitRestarts(t, "mta", n)
		s, err := dialSMTP(address, "EHLO")
		must(t, err)
		_, err = s.command("250", "MAIL FROM:<x@elsewhere.example>")
		must(t, err)
		if _, err = s.command("554", "RCPT TO:<"+alice+">"); err != nil {
			t.Error(err)
		}
		s.Close()
		must(t, syscall.Kill(before.pid("mta"), syscall.SIGKILL))
	}
}
