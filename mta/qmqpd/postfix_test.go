package qmqpd

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"toastmaster/configs"
	"toastmaster/internal/netstring"
	"toastmaster/internal/testkit/peers"
	"toastmaster/internal/testkit/proc"
)

// TestAnswersArePostfixs sends the same octets to Debian's qmqpd and to ours: both say K, both say no, or both say nothing.
func TestAnswersArePostfixs(t *testing.T) {
	t.Parallel()
	peers.Need(t, "postfix", "postfix")
	ports, err := proc.Reserve()
	if err != nil {
		t.Fatal(err)
	}
	defer ports.Close()
	p, err := peers.StartPostfix(t.Context(), peers.PostfixOptions{
		Dir: peers.TempDir(t), Hostname: "mx.test", Accounts: []peers.Account{{Address: "alice@example.test"}},
		Main:   "qmqpd_authorized_clients = 127.0.0.0/8\nqmqpd_error_delay = 0\nmessage_size_limit = 1000",
		Master: ports.Addr(24) + " inet n - n - - qmqpd\n",
	})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Stop()
	ours := daemon(t, &kept{}, func(o *Options) { o.Params = configs.Default().QMQPD; o.Params.ErrorDelay = 0 })
	good := text("Subject: x\n\nx\n", "s@example.test", "alice@example.test")
	// Where Postfix is more lenient, or says so later, it says why in docs/postfix-differences.md.
	for name, in := range map[string]string{
		"a message": good, "the null sender": text("x\n", "", "alice@example.test"), "two recipients": text("x\n", "s@example.test", "alice@example.test", "bob@example.test"),
		"an unknown recipient": text("x\n", "s@example.test", "nobody@example.test"), "no content": text("", "s@example.test", "alice@example.test"),
		"no recipient": text("x\n", "s@example.test"), "too large": text(strings.Repeat("x\n", 600), "s@example.test", "alice@example.test"),
		"no netstring": "hello", "another end": good[:len(good)-1] + ";", "no sender": text("x\n"), "half of one": good[:len(good)-5],
	} {
		theirs := overTCP(t, ports.Addr(24), in)
		got := exchange(t, ours, in, "")
		if kind(got) != kind(theirs) {
			t.Errorf("%s: %q, Postfix says %q", name, got, theirs)
		}
	}
}

// kind is the letter of an answer. Z of Postfix for what it does not understand and D of ours are both no.
func kind(answer string) string {
	switch {
	case answer == "":
		return "nothing"
	case answer[0] == 'K':
		return "K"
	}
	return "no"
}

func overTCP(t *testing.T, address, in string) string {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(2 * time.Minute))
	if _, err := io.WriteString(c, in); err != nil {
		t.Fatal(err)
	}
	_ = c.(*net.TCPConn).CloseWrite()
	answer, err := netstring.Read(bufio.NewReader(c), 10_000)
	if err != nil && err != io.EOF {
		return fmt.Sprintf("?%v", err)
	}
	return string(answer)
}
