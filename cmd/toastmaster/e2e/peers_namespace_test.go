package e2e

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"toastmaster/internal/testkit/dnstest"
	"toastmaster/internal/testkit/peers"
)

// namespace is a host of its own: a network namespace of the kernel.
type namespace struct{ file *os.File }

// thread is the namespace of the calling thread.
func thread(t *testing.T) namespace {
	t.Helper()
	f, err := os.Open(fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid()))
	must(t, err)
	t.Cleanup(func() { f.Close() })
	return namespace{f}
}

// enter moves the calling thread, which is the test's alone; what it starts and what it opens is in the namespace.
func (n namespace) enter(t *testing.T) {
	t.Helper()
	must(t, unix.Setns(int(n.file.Fd()), unix.CLONE_NEWNET))
}

// twoHosts are two namespaces with a cable between them, each with addresses of both protocols; the test is in the first of them until it ends.
func twoHosts(t *testing.T) (ours, theirs namespace) {
	t.Helper()
	peers.NeedRoot(t, "a network namespace")
	peers.Need(t, "ip", "iproute2")
	runtime.LockOSThread()
	home := thread(t)
	t.Cleanup(func() { // a thread that cannot go back ends with its goroutine
		if unix.Setns(int(home.file.Fd()), unix.CLONE_NEWNET) == nil {
			runtime.UnlockOSThread()
		}
	})
	ip := func(args string) {
		t.Helper()
		if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v: %s", args, err, out)
		}
	}
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		peers.LeaveOut(t, "a network namespace: %v", err)
	}
	theirs = thread(t)
	must(t, unix.Unshare(unix.CLONE_NEWNET))
	ours = thread(t)
	ip(fmt.Sprintf("link add cable type veth peer name cable netns /proc/%d/fd/%d", os.Getpid(), theirs.file.Fd()))
	for _, host := range []struct {
		namespace
		last []string
	}{{theirs, []string{"10", "11"}}, {ours, []string{"1", "2"}}} {
		host.enter(t)
		ip("link set lo up")
		ip("link set cable up")
		for _, last := range host.last {
			ip("addr add 192.0.2." + last + "/24 dev cable")
			ip("addr add 2001:db8::" + last + "/64 dev cable nodad")
		}
	}
	ip("-6 route add unreachable 2001:db8:dead::/48")
	return ours, theirs
}

// TestTwoProtocolsBetweenHosts: two hosts with IPv4 and IPv6, and a Postfix on one of them, on port 25. IPv6 is first, unless IPv4 is preferred; an address that is not reached, or where
// nobody listens, costs no attempt; the address that is to be bound is; and exchangers that are addresses of our own interfaces are no way to go.
func TestTwoProtocolsBetweenHosts(t *testing.T) {
	t.Parallel()
	ours, theirs := twoHosts(t)
	theirs.enter(t)
	domains := []string{"both.example", "noroute.example", "silent.example", "refused.example", "better.example"}
	var accounts []peers.Account
	for _, d := range domains {
		accounts = append(accounts, peers.Account{Address: "carol@" + d})
	}
	p, err := peers.StartPostfix(testContext(t), peers.PostfixOptions{
		Dir: peers.TempDir(t), Hostname: "mx.remote.example", Accounts: accounts, Main: "inet_protocols = all\n",
		Master: "192.0.2.10:25 inet n - n - - smtpd\n[2001:db8::10]:25 inet n - n - - smtpd\n",
	})
	must(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("Postfix's log ends:\n%s", p.LogTail(4000))
		}
		p.Stop()
	})
	ours.enter(t)
	mx := func(hosts ...string) (n dnstest.Name) {
		for i, h := range hosts {
			n.MX = append(n.MX, net.MX{Host: h, Pref: uint16(10 * (i + 1))})
		}
		return n
	}
	dns := dnstest.Start(t, map[string]dnstest.Name{
		"both.example": mx("mx.both.example"), "mx.both.example": {Addrs: []string{"192.0.2.10", "2001:db8::10"}},
		"noroute.example": mx("mx.noroute.example"), "mx.noroute.example": {Addrs: []string{"2001:db8:dead::1", "192.0.2.10"}},
		"silent.example": mx("six.silent.example", "four.silent.example"), "six.silent.example": {Addrs: []string{"2001:db8::99"}}, "four.silent.example": {Addrs: []string{"192.0.2.10"}},
		"refused.example": mx("six.refused.example", "four.refused.example"), "six.refused.example": {Addrs: []string{"2001:db8::11"}}, "four.refused.example": {Addrs: []string{"192.0.2.10"}},
		"better.example": mx("mx.both.example", "here.example"), "backup.example": mx("down.example", "here.example", "mx.both.example"), "down.example": {Addrs: []string{"192.0.2.11"}},
		"loop4.example": mx("four.here.example"), "four.here.example": {Addrs: []string{"192.0.2.2"}}, "loop6.example": mx("six.here.example"), "six.here.example": {Addrs: []string{"2001:db8::2"}},
		"here.example": {Addrs: []string{"192.0.2.2", "2001:db8::2"}},
	})
	b := serve(t, nil)
	must(t, b.Stop())
	for name, value := range map[string]string{
		"smtp.resolver": fmt.Sprintf("[%q]", dns.Addr), "smtp.private_networks": `["192.0.2.0/24", "2001:db8::/32"]`, "smtpd.listen": fmt.Sprintf("[%q, \":25\"]", b.SMTP()),
		"smtp.bind_address": `"192.0.2.2"`, "smtp.bind_address6": `"2001:db8::2"`, "smtp.connect_timeout": `"5s"`, "smtp.connection_cache_limit": "0", "qmgr.minimal_backoff_time": `"1h"`, "qmgr.maximal_backoff_time": `"1h"`,
	} {
		must(t, b.SetParam(name, value))
	}
	b.start(t)
	const many = 4
	for i := range many {
		b.sendOne(t, alice, "carol@both.example", fmt.Sprintf("both %d", i))
	}
	for _, d := range append(domains[1:], "loop4.example", "loop6.example", "backup.example") {
		b.sendOne(t, alice, "carol@"+d, "to "+d)
	}
	by := func(address string) (n int) {
		for _, f := range maildirFiles(t, p.Maildir("carol@both.example")) {
			if strings.Contains(readFile(t, f), "["+address+"])") {
				n++
			}
		}
		return n
	}
	waitPeerMail(t, p, "carol@both.example", many) // any: both in turn, IPv6 first
	if four, six := by("192.0.2.2"), by("IPv6:2001:db8::2"); four != 0 || six != many {
		t.Errorf("%d messages by IPv4, %d by IPv6", four, six)
	}
	for _, d := range domains[1:] {
		waitPeerMail(t, p, "carol@"+d, 1)
	}
	reports := ""
	for _, f := range b.waitMail(t, alice, 2) {
		reports += readFile(t, f)
	}
	for _, want := range []string{"Final-Recipient: rfc822; carol@loop4.example", "Final-Recipient: rfc822; carol@loop6.example"} {
		if strings.Count(reports, want) != 1 || strings.Count(reports, "Status: 5.4.6") != 2 {
			t.Errorf("no %q in\n%s", want, reports)
		}
	}
	// The one better host is down, and the others are not better than this one: the mail waits.
	eventually(t, func() error {
		if err := b.queued(t, "deferred"); err != nil {
			return err
		}
		out, err := b.Run(testContext(t), "", "queue", "list")
		if err == nil && !strings.Contains(out, "carol@backup.example") {
			err = errors.New(out)
		}
		return err
	})
	log := readFile(t, b.LogFile())
	for line := range strings.Lines(log) {
		if strings.Contains(line, "status=deferred") && !strings.Contains(line, "backup.example") || strings.Contains(line, "status=sent") && strings.Contains(line, "to=<carol@backup.example>") {
			t.Error(line)
		}
	}
	must(t, b.Stop())
	must(t, b.SetParam("smtp.address_preference", `"ipv4"`))
	b.start(t)
	b.sendOne(t, alice, "carol@both.example", "by the other")
	waitPeerMail(t, p, "carol@both.example", many+1)
	if four := by("192.0.2.2"); four != 1 {
		t.Errorf("%d messages by IPv4", four)
	}
}
