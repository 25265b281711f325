package e2e

import (
	"bufio"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"toastmaster/internal/testkit/peers"
	"toastmaster/internal/testkit/proc"
)

// TestPostgrey: Debian's postgrey defers a sender it does not know, and lets it pass later, with a field on
// top of the message; when it is gone, the default action is taken.
func TestPostgrey(t *testing.T) {
	t.Parallel()
	peers.NeedRoot(t, "postgrey")
	path := peers.Need(t, "postgrey", "postgrey")
	ports, err := proc.Reserve()
	must(t, err)
	defer ports.Close()
	dir, server := peers.TempDir(t), ports.Addr(25)
	p, err := proc.Start(proc.Spec{
		Path: path, Args: []string{"--inet=" + server, "--dbdir=" + dir, "--user=root", "--group=root", "--delay=2", "--lookup-by-host"},
		Dir: dir, Log: filepath.Join(dir, "postgrey.log"),
	})
	must(t, err)
	defer p.Kill()
	must(t, proc.WaitPort(testContext(t), server, p))
	b := serve(t, map[string]string{
		"main.trusted_networks": `["192.0.2.0/24"]`, "smtpd.error_limit": "1000", "smtpd.junk_limit": "1000", "smtpd.soft_error_limit": "1000",
		"smtpd.client_refused_recipient_rate_limit": "0", "smtpd.policy_service_retry_delay": `"10ms"`,
		"smtpd.recipient_restrictions": `["reject_unlisted_recipient", "check_policy_service inet:` + server + `"]`,
	})
	s, err := dialSMTP(b.SMTP(), "EHLO")
	must(t, err)
	defer s.Close()
	send := func() error {
		_, err := s.send("x@example.net", []string{alice}, "From: <x@example.net>\r\nSubject: grey\r\n\r\ntext\r\n")
		if err != nil {
			_, reset := s.command("250", "RSET")
			must(t, reset)
		}
		return err
	}
	if err := send(); err == nil || !strings.Contains(err.Error(), "450 4.2.0 <alice@example.test>: Recipient address rejected: Greylisted") {
		t.Fatalf("%v\n%s", err, p.LogTail(2000))
	}
	eventually(t, send)
	if text := readFile(t, b.waitMail(t, alice, 1)[0]); !strings.Contains(text, "\nX-Greylist: delayed ") {
		t.Errorf("%s", text)
	}
	p.Kill()
	if err := send(); err == nil || !strings.Contains(err.Error(), "451 4.3.5 <alice@example.test>: Recipient address rejected: Server configuration problem") {
		t.Error(err)
	}
}

// TestPolicyService: a service of the test's own on a unix socket is asked at RCPT and at the end of the data, over one
// connection, and says HOLD.
func TestPolicyService(t *testing.T) {
	t.Parallel()
	path := filepath.Join(peers.TempDir(t), "policy")
	l, err := net.Listen("unix", path)
	must(t, err)
	defer l.Close()
	requests := make(chan string, 100)
	go func() {
		for n := 0; ; n++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				request := ""
				for in := bufio.NewScanner(c); in.Scan(); {
					if in.Text() != "" {
						request += in.Text() + "\n"
						continue
					}
					requests <- request + "connection=" + strconv.Itoa(n) + "\n"
					action := "DUNNO"
					if strings.Contains(request, "protocol_state=END-OF-MESSAGE\n") {
						action = "HOLD for a look"
					}
					fmt.Fprintf(c, "action=%s\n\n", action)
					request = ""
				}
			}()
		}
	}()
	b := serve(t, map[string]string{
		"smtpd.recipient_restrictions":   `["reject_unlisted_recipient", "check_policy_service unix:` + path + `"]`,
		"smtpd.end_of_data_restrictions": `["check_policy_service { unix:` + path + `, policy_context=end, timeout=60 }"]`,
	})
	s, err := dialSMTP(b.SMTP(), "EHLO")
	must(t, err)
	defer s.Close()
	for range 2 {
		_, err = s.send("x@example.net", []string{alice, bob}, "Subject: held\r\n\r\ntext\r\n")
		must(t, err)
	}
	instances := map[string]int{}
	for i, want := range []string{
		"protocol_state=RCPT recipient=alice@example.test recipient_count=0 policy_context= connection=0",
		"protocol_state=RCPT recipient=bob@example.test recipient_count=0 policy_context= connection=0",
		"protocol_state=END-OF-MESSAGE recipient= recipient_count=2 size=23 policy_context=end connection=1",
		"protocol_state=RCPT recipient=alice@example.test connection=0", "protocol_state=RCPT recipient=bob@example.test connection=0",
		"protocol_state=END-OF-MESSAGE connection=1",
	} {
		select {
		case request := <-requests:
			for _, line := range strings.Fields(want) {
				if !strings.Contains(request, "\n"+line+"\n") {
					t.Errorf("request %d has not %s: %s", i, line, request)
				}
			}
			_, after, _ := strings.Cut(request, "\ninstance=")
			instance, _, _ := strings.Cut(after, "\n")
			instances[instance]++
		case <-time.After(time.Minute):
			t.Fatal("nobody asks")
		}
	}
	if len(instances) != 2 {
		t.Errorf("instances %v", instances)
	}
	out, err := b.Run(testContext(t), "", "queue", "list", "--json", "--place", "hold")
	if must(t, err); strings.Count(out, `"sender": "x@example.net"`)+strings.Count(out, `"sender":"x@example.net"`) != 2 {
		t.Errorf("not on hold: %s", out)
	}
}
