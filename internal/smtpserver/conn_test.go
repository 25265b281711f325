package smtpserver

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"toastmaster/internal/clock"
	"toastmaster/internal/dsn"
	"toastmaster/internal/msglog"
	"toastmaster/internal/service"
)

// script is a connection whose client says everything at once, in portions
// that a reader makes, and then leaves.
type script struct {
	in     io.Reader
	mu     sync.Mutex
	out    bytes.Buffer
	writes int
}

func (s *script) Read(p []byte) (int, error) { return s.in.Read(p) }

func (s *script) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writes++
	return s.out.Write(p)
}

func (s *script) Close() error                     { return nil }
func (s *script) LocalAddr() net.Addr              { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }
func (s *script) RemoteAddr() net.Addr             { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }
func (s *script) SetDeadline(time.Time) error      { return nil }
func (s *script) SetReadDeadline(time.Time) error  { return nil }
func (s *script) SetWriteDeadline(time.Time) error { return nil }

const transaction1 = "MAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nRCPT TO:<c@x.test>\r\nDATA\r\n"

func TestPipelinedGroupIsOneWrite(t *testing.T) {
	t.Parallel()
	client, server := net.Pipe()
	counted := &countedConn{Conn: server}
	done := make(chan struct{})
	go func() {
		defer close(done)
		testServer(&mailbag{}).ServeConn(context.Background(), counted)
		server.Close()
	}()
	in := bufio.NewReader(client)
	for i, step := range []struct {
		send  string
		lines int
	}{{"", 1}, {"EHLO c\r\n", 9}, {transaction1, 4}, {"x\r\n.\r\n" + transaction1, 5}, {"y\r\n.\r\nQUIT\r\n", 2}} {
		go io.WriteString(client, step.send)
		for range step.lines {
			if _, err := in.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
		}
		if n := counted.writes.Load(); n != int64(i+1) {
			t.Errorf("after step %d: %d writes", i, n)
		}
	}
	<-done
}

type countedConn struct {
	net.Conn
	writes atomic.Int64
}

func (c *countedConn) Write(p []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(p)
}

// TestRecipientsBeyondTheLimitAreNoErrors is a client that pipelines more
// recipients than are taken: it hears 452 for the rest and gets its message
// through. One that does not stop is an error like any other.
func TestRecipientsBeyondTheLimitAreNoErrors(t *testing.T) {
	t.Parallel()
	run := func(recipients int) (string, []message) {
		bag := &mailbag{}
		server := testServer(bag)
		server.MaxRecipients, server.MaxErrors = 5, 3
		s := &script{in: strings.NewReader("EHLO c\r\nMAIL FROM:<a@x.test>\r\n" +
			strings.Repeat("RCPT TO:<b@x.test>\r\n", recipients) + "DATA\r\nx\r\n.\r\nQUIT\r\n")}
		server.ServeConn(context.Background(), s)
		return s.out.String(), bag.take()
	}
	out, mail := run(10)
	if strings.Count(out, "452 4.5.3 ") != 5 || len(mail) != 1 || len(mail[0].rcpt) != 5 {
		t.Errorf("%s %+v", out, mail)
	}
	if out, mail := run(100); strings.Count(out, "452 4.5.3 ") != 8 || len(mail) != 0 || !strings.Contains(out, "\r\n421 ") {
		t.Errorf("%s %+v", out, mail)
	}
}

// TestPortionsDoNotMatter runs the same octets in portions of every kind.
func TestPortionsDoNotMatter(t *testing.T) {
	t.Parallel()
	text := "EHLO c\r\n" + transaction1 + "line\r\n..dot\r\n.\r\n" +
		"MAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nBDAT 5\r\nab\r\ncBDAT 4 LAST\r\nd\r\n.QUIT\r\n"
	var want string
	for name, r := range map[string]func(io.Reader) io.Reader{
		"whole": func(r io.Reader) io.Reader { return r }, "octets": iotest.OneByteReader, "halves": iotest.HalfReader,
	} {
		bag := &mailbag{lf: true}
		s := &script{in: r(strings.NewReader(text))}
		testServer(bag).ServeConn(context.Background(), s)
		if want == "" {
			want = s.out.String()
		}
		got := bag.take()
		if s.out.String() != want || len(got) != 2 || got[0].text != "line\n.dot\n" || got[1].text != "ab\ncd\n." {
			t.Errorf("%s: %q %+v", name, s.out.String(), got)
		}
	}
	if !strings.HasSuffix(want, "221 2.0.0 Bye\r\n") {
		t.Errorf("%q", want)
	}
}

func TestIdleClientIsTold(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, before, want, reason string }{
		{"command", "EHLO c\r\n", "421 4.4.2 mx.test Timeout exceeded", "timeout"},
		{"content", "EHLO c\r\n" + transaction1 + "half a line", "421 4.4.2 mx.test Timeout exceeded", "timeout in DATA"},
		{"chunk", "EHLO c\r\nMAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nBDAT 10\r\nabc", "421 4.4.2 mx.test Timeout exceeded", "timeout in BDAT"},
		{"auth", "EHLO c\r\nAUTH PLAIN\r\n", "421 4.4.2 mx.test Timeout exceeded", "timeout in AUTH"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				bag := &mailbag{}
				s := testServer(bag)
				s.Timeout = 5 * time.Minute
				s.Log = msglog.New(slog.NewTextHandler(&log, nil))
				client, server := net.Pipe()
				began := time.Now()
				done := make(chan struct{})
				go func() {
					defer close(done)
					s.ServeConn(context.Background(), server)
					server.Close()
				}()
				go io.WriteString(client, c.before)
				out, _ := io.ReadAll(client)
				<-done
				if took := time.Since(began); took != s.Timeout {
					t.Errorf("after %v", took)
				}
				lines := strings.Split(strings.TrimRight(string(out), "\r\n"), "\r\n")
				if lines[len(lines)-1] != c.want || len(bag.take()) != 0 {
					t.Errorf("%q, %+v", out, bag.take())
				}
				if !strings.Contains(log.String(), `reason="`+c.reason+`"`) && !strings.Contains(log.String(), "reason="+c.reason) {
					t.Errorf("log: %s", log.String())
				}
			})
		})
	}
}

func TestDrainEndsAfterThePresentCommand(t *testing.T) {
	t.Parallel()
	bag := &mailbag{}
	s := testServer(bag)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &service.Server{
		ServiceName: "smtpd", Handler: s, Log: s.Log, Clock: clock.System{},
		Listeners: []service.Listener{{Listener: l}}, Limits: service.Limits{DrainTimeout: 15 * time.Second},
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()
	idle, busy, within, stays := dial(t, l.Addr().String()), dial(t, l.Addr().String()), dial(t, l.Addr().String()), dial(t, l.Addr().String())
	defer idle.Close()
	defer busy.Close()
	defer within.Close()
	defer stays.Close()
	idleIn, busyIn, withinIn, staysIn := bufio.NewReader(idle), bufio.NewReader(busy), bufio.NewReader(within), bufio.NewReader(stays)
	line := func(r *bufio.Reader) string {
		s, err := r.ReadString('\n')
		if err != nil {
			t.Error(err)
		}
		return s
	}
	line(idleIn)
	io.WriteString(busy, "EHLO c\r\n"+transaction1)
	for s := line(busyIn); !strings.HasPrefix(s, "354"); s = line(busyIn) {
	}
	// One is between two commands of a transaction, and another stays there.
	for c, in := range map[net.Conn]*bufio.Reader{within: withinIn, stays: staysIn} {
		io.WriteString(c, "HELO c\r\nMAIL FROM:<a@x.test>\r\n")
		for range 3 {
			line(in)
		}
	}
	cancel()
	if got := line(idleIn); !strings.HasPrefix(got, "421 4.3.2 mx.test ") {
		t.Errorf("idle: %q", got)
	}
	io.WriteString(busy, "x\r\n.\r\n")
	if got := line(busyIn); !strings.HasPrefix(got, "250 2.0.0") {
		t.Errorf("busy: %q", got)
	}
	if got := line(busyIn); !strings.HasPrefix(got, "421 4.3.2") || len(bag.take()) != 1 {
		t.Errorf("busy: %q", got)
	}
	for _, step := range [][2]string{{"RCPT TO:<b@x.test>", "250"}, {"DATA", "354"}, {"x\r\n.", "250"}} {
		io.WriteString(within, step[0]+"\r\n")
		if got := line(withinIn); !strings.HasPrefix(got, step[1]) {
			t.Errorf("within a transaction, %s: %q", step[0], got)
		}
	}
	if got := line(withinIn); !strings.HasPrefix(got, "421 4.3.2 mx.test ") || len(bag.take()) != 2 {
		t.Errorf("after a transaction: %q", got)
	}
	if got, err := staysIn.ReadString('\n'); got != "" || err == nil { // until the time of the drain is over
		t.Errorf("one that stays: %q %v", got, err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestLogOfASession(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	s := testServer(&mailbag{})
	s.Log = msglog.New(slog.NewTextHandler(&log, nil))
	c := &script{in: strings.NewReader("EHLO me\r\nFROB\r\nMAIL FROM:<a@x.test>\r\nRCPT TO:<refused@x.test>\r\nRCPT TO:<b@x.test>\r\nDATA\r\nvirus\r\n.\r\n" +
		"MAIL FROM:<>\r\nRCPT TO:<later@x.test>\r\nQUIT\r\n")}
	s.ServeConn(context.Background(), c)
	for _, want := range []string{
		"msg=connect service=smtpd session=", "client=127.0.0.1",
		`msg=reject`, "stage=rcpt from=<a@x.test> to=<refused@x.test> code=550 dsn=5.1.1", "stage=data", "code=554 dsn=5.7.1",
		"stage=rcpt from=<> to=<later@x.test> code=451",
		`stats="ehlo=1 mail=2 rcpt=1/3 data=0/1 quit=1 unknown=0/1"`,
	} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("no %q in\n%s", want, log.String())
		}
	}
}

// refusing is a session that refuses everybody before the greeting.
type refusing struct{ *bagSession }

func (refusing) Connect(context.Context) *dsn.Error { return dsn.New(dsn.Policy, "Go away") }

func TestRefusedAtConnect(t *testing.T) {
	t.Parallel()
	s := testServer(nil)
	ended := 0
	s.Backend = BackendFunc(func(c *Conn) Session {
		c.OnEnd(func() { ended++ })
		return refusing{}
	})
	c := &script{in: strings.NewReader("EHLO me\r\n")}
	s.ServeConn(context.Background(), c)
	if c.out.String() != "554 5.7.1 Go away\r\n" || ended != 1 {
		t.Errorf("%q, ended %d times", c.out.String(), ended)
	}
}

func TestAuthNeedsASecureConnection(t *testing.T) {
	t.Parallel()
	s := testServer(&mailbag{needTLS: true})
	c := &script{in: strings.NewReader("EHLO me\r\nAUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n")}
	s.ServeConn(context.Background(), c)
	if out := c.out.String(); strings.Contains(out, "250-AUTH") || !strings.Contains(out, "538 5.7.11 ") {
		t.Errorf("%q", out)
	}
}

func TestProtocolNames(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		conn *Conn
	}{
		{"SMTP", &Conn{srv: &Server{}}},
		{"ESMTP", &Conn{srv: &Server{}, esmtp: true}},
		{"ESMTPA", &Conn{srv: &Server{}, esmtp: true, authed: true}},
		{"UTF8SMTP", &Conn{srv: &Server{}, esmtp: true, tx: transaction{utf8: true}}},
		{"UTF8SMTPA", &Conn{srv: &Server{}, esmtp: true, authed: true, tx: transaction{utf8: true}}},
		{"LMTP", &Conn{srv: &Server{LMTP: true}, esmtp: true}},
		{"UTF8LMTP", &Conn{srv: &Server{LMTP: true}, esmtp: true, tx: transaction{utf8: true}}},
	} {
		if got := c.conn.Protocol(); got != c.name {
			t.Errorf("%s, want %s", got, c.name)
		}
	}
}

// discarding is a backend that counts octets.
type discarding struct{ octets atomic.Int64 }

type discardSession struct{ d *discarding }

func (d *discarding) NewSession(*Conn) Session               { return discardSession{d} }
func (discardSession) Reset()                                {}
func (discardSession) Mail(context.Context, Mail) *dsn.Error { return nil }
func (discardSession) Rcpt(context.Context, Rcpt) *dsn.Error { return nil }
func (s discardSession) Data(_ context.Context, r io.Reader) (Accepted, *dsn.Error) {
	return Accepted{}, dsn.From(WriteLF(s, r))
}
func (s discardSession) Write(p []byte) (int, error) {
	s.d.octets.Add(int64(len(p)))
	return len(p), nil
}

// repeated is n times the same octets.
type repeated struct {
	text string
	n    int
	at   int
}

func (r *repeated) Read(p []byte) (int, error) {
	if r.n == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.text[r.at:])
	if r.at += n; r.at == len(r.text) {
		r.at = 0
		r.n--
	}
	return n, nil
}

// TestMemoryDoesNotGrowWithTheMessage: 200 MB in one message, once with lines
// and once without any.
func TestMemoryDoesNotGrowWithTheMessage(t *testing.T) {
	block := strings.Repeat("x", 62) + "\r\n"
	block = strings.Repeat(block, 1<<14)
	for name, text := range map[string]string{"lines": block, "one line": strings.Repeat("y", 1<<20)} {
		d := &discarding{}
		s := testServer(nil)
		s.Backend, s.MaxMessageBytes = d, 0
		c := &script{in: io.MultiReader(
			strings.NewReader("EHLO c\r\n"+transaction1), &repeated{text: text, n: 200}, strings.NewReader("\r\n.\r\nQUIT\r\n"),
		)}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		s.ServeConn(context.Background(), c)
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; got > 1<<20 {
			t.Errorf("%s: %d octets allocated", name, got)
		}
		if d.octets.Load() < 190<<20 || !strings.HasSuffix(c.out.String(), "221 2.0.0 Bye\r\n") {
			t.Errorf("%s: %d octets, %q", name, d.octets.Load(), c.out.String())
		}
	}
}

// FuzzServer: no octets make the engine panic or hang, and every message that
// it accepts is free of bare CR and LF.
func FuzzServer(f *testing.F) {
	f.Add([]byte("EHLO c\r\n"+transaction1+"x\r\n.\r\nQUIT\r\n"), uint8(7), false)
	f.Add([]byte("LHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\nBDAT 3\r\nabcBDAT 2 LAST\r\n\r\nRSET\r\n"), uint8(1), true)
	f.Add([]byte("EHLO c\r\nAUTH LOGIN\r\nYWxpY2U=\r\nc2VjcmV0\r\nMAIL FROM:<a@b> SIZE=1 BODY=8BITMIME\r\nSTARTTLS\r\n"), uint8(30), false)
	f.Add([]byte("EHLO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d> NOTIFY=NEVER ORCPT=utf-8;\\x{F6}\r\nDATA\r\n\n.\n\r.\r\n"), uint8(3), false)
	f.Fuzz(func(t *testing.T, in []byte, step uint8, lmtp bool) {
		bag := &mailbag{lf: true}
		s := testServer(bag)
		s.LMTP = lmtp
		s.MaxErrors, s.MaxJunk = 0, 0
		c := &script{in: &portions{in, int(step) + 1}}
		s.ServeConn(context.Background(), c)
		for line := range strings.SplitSeq(strings.TrimSuffix(c.out.String(), "\r\n"), "\r\n") {
			if len(line) < 4 || line[0] < '2' || line[0] > '5' || strings.ContainsAny(line, "\r\n") {
				t.Fatalf("reply %q", line)
			}
		}
		for _, m := range bag.take() {
			if strings.Contains(m.text, "\r") || len(m.rcpt) == 0 {
				t.Fatalf("%+v", m)
			}
		}
	})
}

type portions struct {
	p []byte
	n int
}

func (s *portions) Read(p []byte) (int, error) {
	if len(s.p) == 0 {
		return 0, io.EOF
	}
	n := copy(p, s.p[:min(s.n, len(s.p))])
	s.p = s.p[n:]
	return n, nil
}

// BenchmarkMessage is the CPU of the engine per pipelined message of 4 KiB.
func BenchmarkMessage(b *testing.B) {
	message := "MAIL FROM:<sender@example.test> SIZE=4096\r\nRCPT TO:<user17@example.test>\r\nDATA\r\n" +
		strings.Repeat(strings.Repeat("x", 62)+"\r\n", 64) + ".\r\n"
	s := testServer(nil)
	s.Backend = &discarding{}
	b.SetBytes(int64(len(message)))
	b.ReportAllocs()
	b.ResetTimer()
	c := &script{in: io.MultiReader(strings.NewReader("EHLO c\r\n"), &repeated{text: message, n: b.N})}
	s.ServeConn(context.Background(), c)
}

// BenchmarkLoopback is the same over TCP, with a client that waits for each
// group of replies.
func BenchmarkLoopback(b *testing.B) {
	s := testServer(nil)
	s.Backend = &discarding{}
	s.MaxErrors = 0
	c := dial(b, serve(b, s))
	defer c.Close()
	in := bufio.NewReader(c)
	lines := func(n int) {
		for range n {
			if _, err := in.ReadSlice('\n'); err != nil {
				b.Fatal(err)
			}
		}
	}
	io.WriteString(c, "EHLO c\r\n")
	lines(9)
	group := []byte("MAIL FROM:<sender@example.test> SIZE=4096\r\nRCPT TO:<user17@example.test>\r\nDATA\r\n")
	content := []byte(strings.Repeat(strings.Repeat("x", 62)+"\r\n", 64) + ".\r\n")
	b.ReportAllocs()
	for b.Loop() {
		c.Write(group)
		lines(3)
		c.Write(content)
		lines(1)
	}
}
