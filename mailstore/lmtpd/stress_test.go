package lmtpd

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"toastmaster/configs"
	"toastmaster/internal/service"
)

// TestStress: with hardly any place left, mail hosts that hold a connection and say
// nothing leave soon, also those that wait already and those in the middle of a
// message; whoever is on the unix socket stays.
func TestStress(t *testing.T) {
	t.Parallel()
	b := newBed(t, hosted(t), func(c *configs.LMTPD, l *service.Limits) {
		c.Timeout, c.MaxConnections, c.StressThreshold, c.StressTimeout = time.Hour, 5, 60, 200*time.Millisecond
		l.Connections, l.Stress = c.MaxConnections, c.StressAt()
	})
	say := func(c net.Conn, in *bufio.Reader, line, want string) {
		t.Helper()
		if _, err := io.WriteString(c, line); err != nil {
			t.Fatal(err)
		}
		for {
			got, err := in.ReadString('\n')
			if err != nil || len(got) < 4 {
				t.Fatalf("%q %v", got, err)
			}
			if got[3] == '-' {
				continue
			}
			if !strings.HasPrefix(got, want) {
				t.Fatalf("%q, want %q", got, want)
			}
			return
		}
	}
	open := func(network string) (net.Conn, *bufio.Reader) {
		t.Helper()
		c := b.dial(t, network)
		t.Cleanup(func() { _ = c.Close() })
		if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		in := bufio.NewReader(c)
		say(c, in, "", "220 ")
		return c, in
	}
	own, fromOwn := open("unix")
	_, idle := open("tcp") // it may wait for an hour now
	sender, sending := open("tcp")
	for _, step := range [][2]string{
		{"LHLO c\r\n", "250 "}, {"MAIL FROM:<>\r\n", "250 "}, {"RCPT TO:<alice@example.test>\r\n", "250 "}, {"DATA\r\n", "354 "},
	} {
		say(sender, sending, step[0], step[1])
	}
	_, late := open("tcp")
	for name, in := range map[string]io.Reader{"the idle client": idle, "the one with a message": sending, "the new client": late} {
		if got, err := io.ReadAll(in); !strings.HasPrefix(string(got), "421 4.4.2 ") || err != nil {
			t.Errorf("%s: %q %v", name, got, err)
		}
	}
	say(own, fromOwn, "NOOP\r\n", "250 ")
	if got := b.inbox(t, "alice"); len(got) != 0 { // half of a message is none
		t.Errorf("%q", got)
	}
}
