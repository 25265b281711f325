package smtpserver

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"toastmaster/internal/dsn"
	"toastmaster/internal/msglog"
	"toastmaster/internal/service"
	"toastmaster/internal/testkit/clocktest"
	"toastmaster/internal/testkit/logtest"
)

// trustedBag is a mailbag whose clients are all trusted.
type trustedBag struct{ mailbag }

func (b *trustedBag) NewSession(c *Conn) Session {
	c.SetTrusted()
	return b.mailbag.NewSession(c)
}

// TestErrorsCostTime: from the soft limit on an error is answered after a while,
// which a trusted client does not have to wait.
func TestErrorsCostTime(t *testing.T) {
	t.Parallel()
	clk := clocktest.New(time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC))
	server := testServer(&mailbag{})
	server.SoftErrors, server.ErrorSleep, server.MaxErrors, server.Clock = 3, time.Second, 5, clk
	client := dial(t, serve(t, server))
	defer client.Close()
	if _, err := io.WriteString(client, "EHLO c\r\nMAIL FROM:<a@x.test>\r\n"+strings.Repeat("RCPT TO:<refused@x.test>\r\n", 6)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for range 3 { // the third, fourth and fifth
		if err := clk.WaitTimers(ctx, 1); err != nil {
			t.Fatal("an error cost no time")
		}
		clk.Advance(time.Second)
	}
	out, err := io.ReadAll(client)
	if n := strings.Count(string(out), "\r\n550 5.1.1 "); n != 5 || !strings.Contains(string(out), "\r\n421 4.7.0 ") || err != nil {
		t.Errorf("%s %v", out, err)
	}
	server = testServer(nil)
	server.Backend, server.SoftErrors, server.ErrorSleep, server.Clock = &trustedBag{}, 1, time.Hour, clk
	s := &script{in: strings.NewReader("EHLO c\r\nNONSENSE\r\nNONSENSE\r\nQUIT\r\n")}
	server.ServeConn(t.Context(), s)
	if clk.Timers() != 0 || !strings.Contains(s.out.String(), "\r\n221 ") {
		t.Errorf("a trusted client waited: %s", s.out.String())
	}
}

// TestADrainEndsTheSleep of a client that has made errors.
func TestADrainEndsTheSleep(t *testing.T) {
	t.Parallel()
	clk := clocktest.New(time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC))
	server := testServer(&mailbag{})
	server.SoftErrors, server.ErrorSleep, server.Clock = 1, time.Hour, clk
	nc, client := tcpPair(t)
	c := newConn(t.Context(), server, nc)
	done := make(chan struct{})
	go func() { defer close(done); c.serve(); nc.Close() }()
	if _, err := io.WriteString(client, "NONSENSE\r\n"); err != nil {
		t.Fatal(err)
	}
	if err := clk.WaitTimers(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	c.drain()
	c.drain()
	<-done
	if out, err := io.ReadAll(client); !strings.Contains(string(out), "\r\n500 ") || !strings.Contains(string(out), "\r\n421 4.3.2 ") {
		t.Errorf("%s %v", out, err)
	}
}

func tcpPair(t *testing.T) (server, client net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client = dial(t, l.Addr().String())
	if server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(); server.Close() })
	return server, client
}

// TestRefusalsAreGathered: whoever probes addresses does not write the log.
func TestRefusalsAreGathered(t *testing.T) {
	t.Parallel()
	log := &logtest.Buffer{}
	server := testServer(&mailbag{})
	server.RejectLines, server.MaxErrors, server.Log = 2, 0, msglog.New(slog.NewTextHandler(log, nil))
	s := &script{in: strings.NewReader("EHLO c\r\nMAIL FROM:<a@x.test>\r\n" + strings.Repeat("RCPT TO:<refused@x.test>\r\n", 1000) + "QUIT\r\n")}
	server.ServeConn(t.Context(), s)
	text := log.String()
	if strings.Count(text, "msg=reject ") != 2 || strings.Count(text, "msg=rejects ") != 1 || !strings.Contains(text, "more=998") {
		t.Errorf("%.2000s", text)
	}
}

// TestNothingBeforeItsTime: what a client says before it can know what it
// answers is refused, by every command that must be the last of its group.
func TestNothingBeforeItsTime(t *testing.T) {
	t.Parallel()
	const refusal = "554 5.5.0 Error: SMTP protocol synchronization\r\n"
	const rcpt = "EHLO c\r\n<wait>MAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\n"
	for _, c := range []struct {
		says    string
		refused bool
	}{
		{"EHLO c\r\nMAIL FROM:<a@x.test>\r\n", true},
		{"HELO c\r\nMAIL FROM:<a@x.test>\r\n", true},
		{"EHLO c\r\n<wait>NOOP\r\nNOOP\r\n", true},
		{"EHLO c\r\n<wait>VRFY x\r\nQUIT\r\n", true},
		{rcpt + "DATA\r\nSubject: x\r\n\r\nx\r\n.\r\nQUIT\r\n", true},
		{rcpt + "DATA\r\n.\r\nMAIL FROM:<evil@x.test>\r\n", true},
		{rcpt + "DATA\r\n<wait>x\r\n.\r\n" + strings.TrimPrefix(rcpt, "EHLO c\r\n<wait>") + "DATA\r\n<wait>y\r\n.\r\nQUIT\r\n", false},
		{rcpt + "BDAT 1\r\nxBDAT 2 LAST\r\n\r\nRSET\r\nQUIT\r\n", false},
		{rcpt + "RSET\r\nQUIT\r\n", false},
	} {
		for _, trusted := range []bool{false, true} {
			server := testServer(&mailbag{})
			if trusted {
				server.Backend = &trustedBag{}
			}
			server.ForbidEarly, server.MaxErrors = true, 100
			client := dial(t, serve(t, server))
			r := bufio.NewReader(client)
			out := readReply(t, r)
			for i, part := range strings.Split(c.says, "<wait>") {
				if i > 0 {
					out += readReply(t, r)
				}
				if _, err := io.WriteString(client, part); err != nil {
					t.Fatal(err)
				}
				// One reply for each command of the part but the last.
				for range strings.Count(part, "\r\nRCPT") + strings.Count(part, "\r\nDATA") + strings.Count(part, "x\r\n.\r\nMAIL") {
					out += readReply(t, r)
				}
			}
			if tcp, ok := client.(*net.TCPConn); ok {
				_ = tcp.CloseWrite()
			}
			rest, _ := io.ReadAll(r)
			out += string(rest)
			client.Close()
			if got := strings.Contains(out, refusal); got != (c.refused && !trusted) {
				t.Errorf("%q, trusted %v: %q", c.says, trusted, out)
			}
			if strings.Contains(out, refusal) && !strings.HasSuffix(out, refusal) {
				t.Errorf("%q: it went on: %q", c.says, out)
			}
		}
	}
}

// readReply reads one reply, all its lines; "" at the end.
func readReply(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	all := ""
	for {
		line, err := r.ReadString('\n')
		if all += line; err != nil || len(line) < 4 || line[3] != '-' {
			return all
		}
	}
}

// TestTextBeforeTheGreeting is a client that does not wait to be greeted.
func TestTextBeforeTheGreeting(t *testing.T) {
	t.Parallel()
	for _, trusted := range []bool{false, true} {
		server := testServer(&mailbag{})
		if trusted {
			server.Backend = &trustedBag{}
		}
		server.ForbidEarly = true
		nc, client := tcpPair(t)
		if _, err := io.WriteString(client, "EHLO c\r\n"); err != nil {
			t.Fatal(err)
		}
		// The octets are there when the session begins.
		if err := waitReadable(nc); err != nil {
			t.Fatal(err)
		}
		go func() { server.ServeConn(context.Background(), nc); nc.Close() }()
		if tcp, ok := client.(*net.TCPConn); ok {
			_ = tcp.CloseWrite()
		}
		out, _ := io.ReadAll(client)
		if got := string(out) == "554 5.5.0 Error: SMTP protocol synchronization\r\n"; got == trusted {
			t.Errorf("trusted %v: %q", trusted, out)
		}
	}
}

// waitReadable returns when there is something to read, and does not read it.
func waitReadable(nc net.Conn) error {
	raw, err := nc.(*net.TCPConn).SyscallConn()
	if err != nil {
		return err
	}
	var octet [1]byte
	return raw.Read(func(fd uintptr) bool {
		_, _, err := unix.Recvfrom(int(fd), octet[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		return err != unix.EAGAIN
	})
}

// dripped is what a server says to a client that first sends begin and then goes
// on with drop each second, until the server ends it; and how long that took.
func dripped(t *testing.T, server *Server, begin, drop string) (out string, took time.Duration) {
	t.Helper()
	nc, client := net.Pipe()
	began := time.Now()
	var both sync.WaitGroup
	both.Go(func() {
		server.ServeConn(t.Context(), nc)
		took = time.Since(began)
		nc.Close()
	})
	both.Go(func() {
		_, err := io.WriteString(client, begin)
		for err == nil {
			time.Sleep(time.Second)
			_, err = io.WriteString(client, drop)
		}
	})
	all, _ := io.ReadAll(client)
	both.Wait()
	return string(all), took
}

// TestACommandOctetByOctet gets its place back within the time of one command.
func TestACommandOctetByOctet(t *testing.T) {
	t.Parallel()
	for name, begin := range map[string]string{
		"command": "", "DATA": "EHLO c\r\nMAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nDATA\r\n",
		"BDAT": "EHLO c\r\nMAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nBDAT 19000 LAST\r\n", "AUTH": "EHLO c\r\nAUTH LOGIN\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server := testServer(&mailbag{})
				server.Timeout, server.MinRate = 5*time.Minute, 500
				out, took := dripped(t, server, begin, "x")
				if !strings.Contains(out, "421 4.4.2 ") || took < server.Timeout || took > server.Timeout+time.Second {
					t.Errorf("after %v: %q", took, out)
				}
			})
		})
	}
}

// TestLogInHasATime on a port for users, whatever is said meanwhile.
func TestLogInHasATime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := testServer(&mailbag{})
		server.LoginTimeout, server.MaxJunk = time.Minute, 0
		out, took := dripped(t, server, "", "NOOP\r\n")
		if !strings.Contains(out, "421 4.4.2 ") || took != server.LoginTimeout {
			t.Errorf("after %v: %.300q", took, out)
		}
	})
}

// TestStress: with hardly any place left, idle strangers leave soon and errors
// are not forgiven.
func TestStress(t *testing.T) {
	t.Parallel()
	server := testServer(&mailbag{})
	server.Timeout = time.Hour
	server.Stress = Stress{Timeout: 200 * time.Millisecond, MaxErrors: 1, MaxJunk: 1}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &service.Server{
		ServiceName: "smtpd", Handler: server, Log: msglog.Discard(), Clock: server.Clock, Listeners: []service.Listener{{Listener: l}},
		Limits: service.Limits{Connections: 10, Stress: 2},
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	first := dial(t, l.Addr().String())
	defer first.Close()
	in := bufio.NewReader(first)
	if got := readReply(t, in); !strings.HasPrefix(got, "220 ") {
		t.Fatal(got)
	}
	if _, err := io.WriteString(first, "EHLO c\r\n"); err != nil {
		t.Fatal(err)
	}
	readReply(t, in) // it waits for an hour now
	second := dial(t, l.Addr().String())
	defer second.Close()
	if out, err := io.ReadAll(in); !strings.HasPrefix(string(out), "421 4.4.2 ") || err != nil {
		t.Errorf("the idle client: %q %v", out, err)
	}
	if out, err := io.ReadAll(second); !strings.Contains(string(out), "421 4.4.2 ") || err != nil {
		t.Errorf("the new client: %q %v", out, err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestCommandsAreCounted: what OnCommand says ends the session, among chunks too.
func TestCommandsAreCounted(t *testing.T) {
	t.Parallel()
	for _, says := range []string{strings.Repeat("RSET\r\n", 10), "EHLO c\r\nMAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\n" + strings.Repeat("BDAT 1\r\nx", 10)} {
		server := testServer(nil)
		server.Backend = BackendFunc(func(c *Conn) Session {
			commands := 0
			c.OnCommand(func() *dsn.Error {
				if commands++; commands > 5 {
					return dsn.New(dsn.TooManyErrors, "Too many commands").WithCode(421)
				}
				return nil
			})
			return (&mailbag{}).NewSession(c)
		})
		s := &script{in: strings.NewReader(says)}
		server.ServeConn(t.Context(), s)
		if out := s.out.String(); strings.Count(out, "\r\n250 ") != 5 || !strings.HasSuffix(out, "421 4.7.0 mx.test Too many commands\r\n") {
			t.Errorf("%q: %q", says, out)
		}
	}
}

// TestARevokedSessionDoesNotSleep: the end of a log-in ends the sleep after an
// error, too, and the client hears why instead of the answer it waits for.
func TestARevokedSessionDoesNotSleep(t *testing.T) {
	t.Parallel()
	clk := clocktest.New(time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC))
	server := testServer(&mailbag{})
	server.SoftErrors, server.ErrorSleep, server.Clock = 1, time.Hour, clk
	nc, client := tcpPair(t)
	c := newConn(t.Context(), server, nc)
	done := make(chan struct{})
	go func() { defer close(done); c.serve(); nc.Close() }()
	if _, err := io.WriteString(client, "NONSENSE\r\n"); err != nil {
		t.Fatal(err)
	}
	if err := clk.WaitTimers(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	c.Revoke(dsn.New(dsn.AuthUnavailable, "Ended by an administrator").WithCode(421))
	c.Revoke(dsn.New(dsn.AuthUnavailable, "Ended by an administrator").WithCode(421))
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatal("the session sleeps on") // the clock stands still
	}
	if out, err := io.ReadAll(client); strings.Contains(string(out), "\r\n500 ") || !strings.HasSuffix(string(out), "\r\n421 4.7.0 mx.test Ended by an administrator\r\n") {
		t.Errorf("%q %v", out, err)
	}
}
