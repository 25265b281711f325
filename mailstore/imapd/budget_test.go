package imapd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// naive is what match means, by trial.
func naive(pattern, name string) bool {
	if pattern == "" {
		return name == ""
	}
	switch c := pattern[0]; {
	case c == '*' || c == '%':
		return naive(pattern[1:], name) || name != "" && (c == '*' || name[0] != '/') && naive(pattern, name[1:])
	default:
		return name != "" && name[0] == c && naive(pattern[1:], name[1:])
	}
}

func TestMatchMeansWhatItSays(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	text := func(alphabet string, most int) string {
		b := make([]byte, r.IntN(most+1))
		for i := range b {
			b[i] = alphabet[r.IntN(len(alphabet))]
		}
		return string(b)
	}
	hits := 0
	for range 200_000 {
		pattern, name := text("ab/*%", 8), text("ab/", 10)
		want := naive(pattern, name)
		if want {
			hits++
		}
		if got := newPattern(pattern, '/').match(name); got != want {
			t.Fatalf("match(%q, %q) = %v", pattern, name, got)
		}
	}
	if hits < 1000 {
		t.Errorf("only %d matched", hits)
	}
	// More literals than a word has bits, at its edges.
	for _, n := range []int{63, 64, 65, 127, 128, 129, 500} {
		long := strings.Repeat("ab", n)[:n]
		for _, p := range []string{long, "*" + long + "%", long[:n/2] + "*" + long[n/2:], strings.ReplaceAll(long, "a", "a%")} {
			if !newPattern(p, '/').match(long) || newPattern(p+"x", '/').match(long) || newPattern(p, '/').match(long[1:]) {
				t.Errorf("%d: %.20q", n, p)
			}
		}
	}
}

// TestHostilePatterns would not end in a day if the cost of a match were the
// length of the pattern times that of the name.
func TestHostilePatterns(t *testing.T) {
	t.Parallel()
	names := make([]string, 10_000)
	for i := range names {
		names[i] = strings.Repeat("a", 200) + fmt.Sprint(i)
	}
	for _, text := range []string{
		strings.Repeat("*", 64<<10), strings.Repeat("%*", 32<<10), strings.Repeat("*a", 32<<10), strings.Repeat("%a", 32<<10) + "b",
		strings.Repeat("*a", 200) + "b", strings.Repeat("%a%", 200) + "*", strings.Repeat("a", 64<<10),
	} {
		p := newPattern(text, '/')
		for _, name := range names {
			p.match(name)
		}
	}
}

// held gives the server what the client sends only when the client has closed.
type held struct {
	*net.TCPConn
	on atomic.Bool
}

func (c *held) Read(p []byte) (int, error) {
	n, err := c.TCPConn.Read(p)
	if !c.on.Load() {
		return n, err
	}
	raw, rawErr := c.SyscallConn()
	if rawErr != nil {
		return n, rawErr
	}
	rawErr = raw.Control(func(fd uintptr) {
		_, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}, 20_000)
	})
	return n, errors.Join(err, rawErr)
}

// TestClientGone has a client go away that has sent commands ahead.
func TestClientGone(t *testing.T) {
	t.Parallel()
	h := newHost(t, func(h *host) {
		h.started = func(s *Server) { s.lookEvery, s.patience = 1, 0 }
	})
	h.deliver("alice", plain, mixed)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	for _, command := range []string{
		"SEARCH BODY y", "SEARCH ALL", `LIST "" *`, `LSUB "" *`, "FETCH 1 FLAGS", "FETCH 1 BODY[]", `LIST "" * RETURN (STATUS (MESSAGES))`,
	} {
		peer, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		socket, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		server, done := &held{TCPConn: socket.(*net.TCPConn)}, make(chan struct{})
		go func() {
			defer close(done)
			h.handler.ServeConn(t.Context(), server)
			_ = server.Close()
		}()
		_ = peer.SetDeadline(time.Now().Add(time.Minute))
		c := &client{t: t, Conn: peer, r: bufio.NewReader(peer)}
		c.expect("* OK")
		c.ok(`LOGIN alice@example.test "secret word"`)
		c.ok("SELECT INBOX")
		server.on.Store(true)
		c.send("b " + command + "\r\nc NOOP\r\n")
		if err := peer.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		rest, _ := io.ReadAll(c.r)
		if strings.Contains(string(rest), "b OK") || strings.Contains(string(rest), "c OK") {
			t.Errorf("%s: %q", command, rest)
		}
		<-done
		_ = peer.Close()
	}
}

// looksAlways makes a command look whether its client is there at each step.
func looksAlways(s *Server) { s.lookEvery = 1 }

// TestScriptThatClosesItsSide sends everything, closes its side and waits for the
// answers, as "printf ... | nc -N" does.
func TestScriptThatClosesItsSide(t *testing.T) {
	t.Parallel()
	h := newHost(t, func(h *host) { h.started = looksAlways })
	h.deliver("alice", "Subject: large\n\n"+strings.Repeat(strings.Repeat("x", 99)+"\n", 100_000), plain)
	c := h.client(0)
	c.send("a LOGIN alice@example.test \"secret word\"\r\nb SELECT INBOX\r\nc LIST \"\" *\r\nd SEARCH BODY two\r\n" +
		"e FETCH 1:* (FLAGS BODY.PEEK[] BODY.PEEK[TEXT] BODY.PEEK[]<0.99999999>)\r\nf LOGOUT\r\n")
	if err := c.Conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(c.r)
	if err != nil || !strings.Contains(string(got), "* SEARCH 2\r\n") || !strings.HasSuffix(string(got), "f OK Logout completed\r\n") || len(got) < 30_000_000 {
		t.Errorf("%v, %d octets, %q", err, len(got), got[max(0, len(got)-200):])
	}
}

// TestCommandsLookAtTheContext runs commands in a session whose time is over.
func TestCommandsLookAtTheContext(t *testing.T) {
	t.Parallel()
	h := newHost(t, func(h *host) { h.started = looksAlways })
	h.deliver("alice", plain, mixed)
	for _, command := range []string{
		"SEARCH ALL", "UID SEARCH NOT (OR SEEN FLAGGED)", "SEARCH TEXT a", "SEARCH HEADER X y", `LIST "" *`, `LSUB "" *`, "FETCH 1:* FLAGS", "FETCH 1 BODY.PEEK[]",
		`LIST "" % RETURN (STATUS (UNSEEN))`,
	} {
		ctx, cancel := context.WithCancel(t.Context())
		server, peer := net.Pipe()
		done := make(chan struct{})
		go func() {
			defer close(done)
			h.handler.ServeConn(ctx, server)
			_ = server.Close()
		}()
		_ = peer.SetDeadline(time.Now().Add(time.Minute))
		c := &client{t: t, Conn: peer, r: bufio.NewReader(peer)}
		c.expect("* OK")
		c.ok(`LOGIN alice@example.test "secret word"`)
		c.ok("SELECT INBOX")
		cancel()
		c.send("b " + command + "\r\n")
		rest, _ := io.ReadAll(c.r)
		if strings.Contains(string(rest), "b OK") || !strings.Contains(string(rest), "* BYE Server is shutting down") {
			t.Errorf("%s: %q", command, rest)
		}
		<-done
	}
}

// TestBudgets has commands that are too much work.
func TestBudgets(t *testing.T) {
	t.Parallel()
	h := newHost(t, func(h *host) {
		h.config.IMAPD.MaxSearchKeys, h.config.IMAPD.MaxSearchTests, h.config.IMAPD.MaxSearchDepth = 40, 100, 10
		h.config.IMAPD.MaxListPatterns, h.config.IMAPD.MaxFetchItems = 5, 20
		h.config.IMAPD.MaxBadCommands = 1000
	})
	h.deliver("alice", plain, mixed, plain)
	c := h.login("alice", "INBOX")
	c.answers("SEARCH "+strings.TrimSpace(strings.Repeat("NOT SEEN ", 20)), "* SEARCH 1 2 3")
	for _, too := range []struct{ command, answer string }{
		{"SEARCH " + strings.Repeat("NOT SEEN ", 21), "NO [LIMIT]"},
		{"SEARCH " + strings.Repeat("NOT SEEN ", 3000), "NO [LIMIT]"},
		{"SEARCH " + strings.Repeat("ALL ", 38) + "1:3", "NO [LIMIT]"},
		{"SEARCH SUBJECT x SUBJECT y SUBJECT z", "* "},
		{"SEARCH NOT SUBJECT x NOT SUBJECT y", "NO [LIMIT]"},
		{"SEARCH " + strings.Repeat("NOT ", 10) + "ALL", "BAD "},
		{"SEARCH " + strings.Repeat("(", 10) + "ALL" + strings.Repeat(")", 10), "BAD "},
		{"SEARCH " + strings.Repeat("OR ALL ", 10) + "ALL", "BAD "},
		{`LIST "" (a b c d e f)`, "NO [LIMIT]"},
		{`LSUB "" (a b c d e f)`, "NO [LIMIT]"},
		{"FETCH 1 (" + differentItems(21) + ")", "NO [LIMIT]"},
		{"SEARCH " + strings.Repeat("ALL {0+}\r\n", 10000), "BAD "},
		// Lines between literals are of the command, too.
		{"SEARCH SUBJECT {0+}\r\n NOT 1:1" + strings.Repeat(",1:1", 10000) + " SUBJECT {0+}\r\n NOT 1:1" + strings.Repeat(",1:1", 10000), "BAD Command line is too long"},
	} {
		if too.answer == "* " {
			c.ok(too.command)
			continue
		}
		c.refused(too.command, too.answer)
	}
	c.answers(`LIST "" (a INBOX c d e)`, `* LIST (\HasNoChildren) "/" "INBOX"`)
}

// TestManyFieldNames has a header and a list of names that are both long.
func TestManyFieldNames(t *testing.T) {
	t.Parallel()
	h := newHost(t, nil)
	var names, header strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&names, "X-%d ", i)
	}
	for i := range 200_000 {
		fmt.Fprintf(&header, "X-%d: y\n", i)
	}
	h.deliver("alice", header.String()+"\nbody\n")
	c := h.login("alice", "INBOX")
	got := c.ok("FETCH 1 BODY.PEEK[HEADER.FIELDS (" + names.String() + ")]")[0]
	if n := strings.Count(got, ": y\r\n"); n != 5000 {
		t.Errorf("%d fields", n)
	}
	got = c.ok("FETCH 1 BODY.PEEK[HEADER.FIELDS.NOT (" + names.String() + ")]")[0]
	if n := strings.Count(got, ": y\r\n"); n != 195_000 {
		t.Errorf("%d other fields", n)
	}
}

// differentItems are so many items of FETCH, each with another answer.
func differentItems(n int) string {
	items := make([]string, n)
	for i := range items {
		items[i] = fmt.Sprintf("BODY.PEEK[]<0.%d>", i+1)
	}
	return strings.Join(items, " ")
}
