package smtpd

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"toastmaster/internal/addr"
	"toastmaster/internal/clock"
	"toastmaster/internal/dns"
	"toastmaster/internal/policyclient"
	"toastmaster/internal/testkit/dnstest"
	"toastmaster/internal/testkit/peers"
	"toastmaster/mta/policy"
)

// policyServer is a policy service that keeps what it is asked. It refuses the sender
// bad@good.test, and is silent about others.
type policyServer struct {
	net.Listener
	mu    sync.Mutex
	asked []string
}

func startPolicyServer(t *testing.T) *policyServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &policyServer{Listener: l}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { s.serve(c) })
		}
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
	return s
}

func (s *policyServer) serve(c net.Conn) {
	defer c.Close()
	request := ""
	for in := bufio.NewScanner(c); in.Scan(); {
		if line := in.Text(); line != "" {
			request += line + "\n"
			continue
		}
		s.mu.Lock()
		s.asked = append(s.asked, request)
		s.mu.Unlock()
		action := "dunno"
		if strings.Contains(request, "sender=bad@good.test\n") {
			action = "550 5.7.9 not from you"
		}
		fmt.Fprintf(c, "action=%s\n\n", action)
		request = ""
	}
}

// take is what was asked so far, without what differs from connection to connection.
func (s *policyServer) take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for _, request := range s.asked {
		if !strings.Contains(request, "client_address=127.66.0.1\n") {
			continue // who waited for Postfix
		}
		request = regexp.MustCompile(`(?m)^(client_port|server_port|instance|queue_id|compatibility_level|mail_version|server_name)=.*\n`).ReplaceAllString(request, "")
		lines := strings.Split(strings.TrimSpace(request), "\n")
		slices.Sort(lines)
		all = append(all, strings.Join(lines, "\n"))
	}
	s.asked = nil
	return all
}

// TestPolicyRequestsArePostfixs: at each step of the same dialogue a policy service is told the same by Debian's Postfix
// and by us, and the reply to the client is the same.
func TestPolicyRequestsArePostfixs(t *testing.T) {
	t.Parallel()
	peers.NeedRoot(t, "Postfix")
	peers.Need(t, "postfix", "postfix")
	server := startPolicyServer(t)
	names := dnstest.StartForSystem(t, clientZone())
	service := "check_policy_service inet:" + server.Addr().String()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	main := "smtpd_delay_reject = no\nsmtpd_reject_unlisted_recipient = no\nsmtpd_peername_lookup = yes\nmynetworks =\nsmtpd_policy_service_policy_context = here\n"
	for _, list := range []string{"client", "helo", "sender", "recipient", "data", "end_of_data"} {
		main += "smtpd_" + list + "_restrictions = " + service + "\n"
	}
	p, err := peers.StartPostfix(ctx, peers.PostfixOptions{
		Dir: peers.TempDir(t), Hostname: "mx.test", NameServer: names.Addr, Accounts: []peers.Account{{Address: "alice@example.test"}, {Address: "bob@example.test"}}, Main: main,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Stop()
	b := newBed(t)
	b.o.Trusted, b.o.DNS = nil, dns.New(dns.Options{Servers: []string{names.Addr}, CacheLimit: 100, Clock: clock.System{}})
	r := &b.o.Params.Restrictions
	r.Client, r.Helo, r.Sender, r.Relay, r.Recipient = []string{service}, []string{service}, []string{service}, []string{"reject_unauth_destination"}, []string{service}
	r.Data, r.EndOfData, r.Delay = []string{service}, []string{service}, false
	b.o.Params.PolicyService.Context = "here"
	set := &policyclient.Set{}
	t.Cleanup(func() { set.Close() })
	b.o.Services = set
	ours := serve(t, served(daemon(t, b.o).MX()), nil)
	say := func(address string, lines ...string) (replies, asked []string) {
		c := dialFrom(t, address, "127.66.0.1")
		defer c.Close()
		c.reply(t, "greeting")
		for _, line := range lines {
			fmt.Fprintf(c, "%s\r\n", line)
			if reply := c.reply(t, line); reply[0] != '2' && reply[0] != '3' {
				replies = append(replies, reply)
			}
		}
		return replies, server.take()
	}
	for _, lines := range [][]string{
		{"EHLO client.test", "MAIL FROM:<x@good.test> SIZE=100", "RCPT TO:<alice@example.test>", "DATA", "Subject: x\r\n\r\ntext\r\n.", "MAIL FROM:<>",
			"RCPT TO:<alice@example.test>", "RCPT TO:<bob@example.test>", "DATA", "Subject: x\r\n\r\n.", "QUIT"},
		{"HELO client.test", "MAIL FROM:<bad@good.test>", "MAIL FROM:<X+y@good.test>", "RCPT TO:<alice+z@example.test>", "QUIT"},
	} {
		theirReplies, theirs := say(p.SMTP(), lines...)
		ourReplies, asked := say(ours, lines...)
		if !slices.Equal(ourReplies, theirReplies) {
			t.Errorf("ours %q, Postfix %q", ourReplies, theirReplies)
		}
		if len(asked) != len(theirs) {
			t.Errorf("%d requests, Postfix has %d", len(asked), len(theirs))
			continue
		}
		for i := range asked {
			if asked[i] != theirs[i] {
				t.Errorf("request %d: ours\n%s\nPostfix\n%s", i, asked[i], theirs[i])
			}
		}
	}
}

// TestPolicyServiceSettings: those of one service, the default action, and what is no setting.
func TestPolicyServiceSettings(t *testing.T) {
	t.Parallel()
	for item, want := range map[string]string{
		"check_policy_service inet:127.0.0.1:1":                                                                     "451 4.3.5 <x@example.test>: Recipient address rejected: Server configuration problem",
		"check_policy_service { inet:127.0.0.1:1, try_limit=1, default_action=DUNNO }":                              "",
		"check_policy_service { inet:127.0.0.1:1 try_limit=1 { default_action = 450 4.7.0 come again } timeout=3 }": "450 4.7.0 <x@example.test>: Recipient address rejected: come again",
		"check_policy_service { inet:127.0.0.1:1, try_limit=1, default_action=none }":                               "451 4.3.5 Server configuration error",
		"check_policy_service { inet:127.0.0.1:1, try_limit=0 }":                                                    "mistake",
		"check_policy_service { inet:127.0.0.1:1, tries=1 }":                                                        "mistake",
		"check_policy_service { inet:127.0.0.1:1, { default_action = check_client_access hash:x } }":                "mistake",
		"check_policy_service { inet:127.0.0.1:1":                                                                   "mistake",
		"check_policy_service inet:127.0.0.1":                                                                       "mistake",
	} {
		b := newBed(t)
		b.o.Params.PolicyService.RetryDelay = time.Millisecond
		d := daemon(t, b.o)
		d.env.Clock = clock.System{}
		l, err := policy.Compile(policy.Rcpt, []string{item}, d.env)
		if (err != nil) != (want == "mistake") {
			t.Errorf("%s: %v", item, err)
		}
		if err != nil {
			continue
		}
		known := &policy.Transaction{Stage: policy.Rcpt}
		to := addr.Address{Local: "x", Domain: "example.test"}
		known.SetRecipient(to, to)
		got := ""
		if e := l.Decide(t.Context(), known).Err; e != nil {
			got = fmt.Sprintf("%d %s %s", e.Reply(), e.Status, e.Text)
		}
		if got != want {
			t.Errorf("%s: %q, want %q", item, got, want)
		}
	}
}
