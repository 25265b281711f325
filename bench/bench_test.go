package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestMessagesAreTheSameOnEveryRun(t *testing.T) {
	t.Parallel()
	for i := range 50 {
		m := message(i, messageSize)
		if !bytes.Equal(m, message(i, messageSize)) {
			t.Fatal("two calls differ")
		}
		if len(m) > messageSize || len(m) < messageSize-100 || !bytes.HasSuffix(m, []byte("\r\n")) {
			t.Errorf("%d octets", len(m))
		}
		if bytes.Contains(m, []byte("\n.")) || bytes.Count(m, []byte("\n")) != bytes.Count(m, []byte("\r\n")) {
			t.Error("a line that would need care")
		}
	}
}

// server answers with chunks, so that the cuts of a network are known.
func server(t *testing.T, chunks ...string) *client {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		conn, err := l.Accept()
		_ = l.Close() // not before: what waits to be accepted would be reset
		if err != nil {
			return
		}
		defer conn.Close()
		for _, c := range chunks {
			_, _ = io.WriteString(conn, c)
			time.Sleep(5 * time.Millisecond)
		}
		// The end of the answers, not a reset: requests may still come.
		_ = conn.(*net.TCPConn).CloseWrite()
		_, _ = io.Copy(io.Discard, conn)
	}()
	c, err := dial(context.Background(), l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestUntilFindsTheTaggedLine(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("* 1 FETCH (FLAGS ())\r\n", 50000)
	for _, chunks := range [][]string{
		{"t1 OK done\r\n"},
		{"* 1 EXISTS\r\nt1 OK done\r\n"},
		{"* 1 EXISTS\r", "\nt1", " OK done\r\n"},
		{"* t1 OK is not it\r\n", "t1 OK", " it is\r\n"},
		{long, "t1 OK done\r\n"},
		{long + "t1 OK done", "\r\n"},
	} {
		c := server(t, chunks...)
		n, err := c.until("t1")
		if want := len(strings.Join(chunks, "")); err != nil || n != want {
			t.Errorf("%d octets, want %d: %v", n, want, err)
		}
	}
	if _, err := server(t, "* x\r\nt1 NO sorry\r\n").until("t1"); err == nil || err.Error() != "t1 NO sorry" {
		t.Errorf("NO: %v", err)
	}
	if _, err := server(t, "* t1 OK is not it\r\n").until("t1"); err != io.EOF {
		t.Errorf("end: %v", err)
	}
}

func TestPopMessagesCountsEachEndOnce(t *testing.T) {
	t.Parallel()
	const one = "+OK\r\nA: b\r\n\r\nx\r\n.\r\n"
	for _, chunks := range [][]string{
		{one, one, one}, {one + one + one}, {one + one + "+OK\r\nA: b\r\n\r\nx\r\n.", "\r\n"},
		{one + "+OK\r\nA: b\r\n\r\nx\r", "\n.\r", "\n" + one},
	} {
		c := server(t, append(chunks, "+OK bye\r\n")...)
		if err := c.popMessages(3); err != nil {
			t.Error(err)
		}
	}
	if err := server(t, one, one).popMessages(3); err == nil {
		t.Error("two answers were taken for three")
	}
}

func TestArrivals(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a, err := expectArrivals(dir, 2)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "new"), 0o700); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Millisecond)
		err := a.wait(ctx)
		cancel()
		if (err == nil) != (i == 2) {
			t.Errorf("%d files: %v", i, err)
		}
		if err := os.WriteFile(filepath.Join(dir, "new", fmt.Sprint(i)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.wait(context.Background()); err == nil {
		t.Error("a message too many is not told")
	}
}

func TestArrivalsCountBothFolders(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := &side{maildir: func(address string) string { return filepath.Join(dir, address) }}
	all, err := expectEach(s, 2, 2)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		for _, folder := range []string{"new", "cur"} {
			path := filepath.Join(s.maildir(address(i)), folder)
			if err := os.MkdirAll(path, 0o700); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(context.Background(), 30*time.Millisecond)
			if err := awaitEach(ctx, all); err == nil {
				t.Errorf("mailbox %d, %s: a message too few was not seen", i, folder)
			}
			cancel()
			if err := os.WriteFile(filepath.Join(path, "1"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := checkEach(context.Background(), all); err != nil {
		t.Error(err)
	}
}

func TestRepliesAre(t *testing.T) {
	t.Parallel()
	envelope := lmtpReplies[0]
	for _, c := range []struct {
		read  string
		whole bool
		fails bool
	}{
		{read: ""}, {read: "250 2.1.0 Ok\r\n"}, {read: "250 Ok\r\n250 Ok\r\n354 go on\r"},
		{read: "250 Ok\r\n250 Ok\r\n354 go on\r\n", whole: true},
		{read: "250-Ok\r\n250 Ok\r\n250\r\n354 go on\r\n", whole: true},
		{read: "250 Ok\r\n550 no\r\n", fails: true},
		{read: "250 Ok\r\n250 Ok\r\n354 go on\r\n250 more\r\n", fails: true},
	} {
		whole, err := repliesAre([]byte(c.read), envelope)
		if whole != c.whole || (err != nil) != c.fails {
			t.Errorf("%q: %v, %v", c.read, whole, err)
		}
	}
}

func TestLMTPExchangeSendsEnvelopeAndContent(t *testing.T) {
	t.Parallel()
	var asked []int
	x := lmtpExchange(server(t, "250 a\r\n250 b\r\n354 c\r\n", "250 d\r\n", "250 a\r\n250 b\r\n", "354 c\r\n", "250 d\r\n"),
		func(i int) (string, []byte) { asked = append(asked, i); return "a@example.test", []byte("x\r\n.\r\n") })
	if _, err := oneLoop(context.Background(), []*exchange{x}, 2*lmtpSteps); err != nil || len(asked) != 2 || asked[1] != 1 {
		t.Errorf("%v, %v", asked, err)
	}
	x = lmtpExchange(server(t, "250 a\r\n250 b\r\n354 c\r\n", "452 4.2.2 full\r\n"),
		func(int) (string, []byte) { return "a@example.test", []byte("x\r\n.\r\n") })
	if _, err := oneLoop(context.Background(), []*exchange{x}, lmtpSteps); err == nil || !strings.Contains(err.Error(), "full") {
		t.Errorf("a refusal: %v", err)
	}
}

func TestReport(t *testing.T) {
	t.Parallel()
	l := &lab{rounds: 3, scale: 1}
	text := report(machine{rows: [][2]string{{"Disk", "fast"}}}, l, []result{
		{metric: metric{title: "A", unit: "messages/s", goal: 5}, peer: "Postfix", ours: []float64{3000, 1000, 2000}, theirs: []float64{399, 400, 401}},
		{metric: metric{title: "B", unit: "KiB, at most", goal: 40}, peer: string(peerNone), ours: []float64{41}},
		{metric: metric{title: "C", unit: "messages/s", goal: 1}, peer: "Dovecot", ours: []float64{1234567, 1234569}, theirs: []float64{1300000}},
		{metric: metric{title: "D", unit: "messages/s", goal: 1}, peer: "Dovecot", theirs: []float64{1}},
	})
	for _, want := range []string{
		"| Disk | fast |",
		"| A | messages/s | 2,000 (1,000-3,000) | Postfix 400 (399-401) | **5.0x** | 5x | reached |",
		"| B | KiB, at most | 41.0 (41.0-41.0) | - | - | 40 | missed |",
		"| C | messages/s | 1,234,568 (1,234,567-1,234,569) | Dovecot 1,300,000 (1,300,000-1,300,000) | **0.9x** | 1x | missed |",
		"| D | messages/s | - | Dovecot 1.0 (1.0-1.0) | - | 1x | not measured |",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no row %q in\n%s", want, text)
		}
	}
}

func TestOneLoopTakesEachAnswerOnce(t *testing.T) {
	t.Parallel()
	const ok = appendTag + "OK [APPENDUID 1 1] done\r\n"
	run := func(n int, chunks ...string) (int, error) {
		asked := 0
		x := &exchange{
			c:        server(t, chunks...),
			next:     func(int) []byte { asked++; return []byte("x\r\n") },
			answered: appendAnswered,
		}
		_, err := oneLoop(context.Background(), []*exchange{x}, n)
		return asked, err
	}
	for _, chunks := range [][]string{{ok, ok}, {ok[:5], ok[5:], ok[:len(ok)-1], ok[len(ok)-1:]}} {
		if asked, err := run(2, chunks...); asked != 2 || err != nil {
			t.Errorf("%q: %d requests, %v", chunks, asked, err)
		}
	}
	if _, err := run(2, ok, appendTag+"NO sorry\r\n"); err == nil || !strings.Contains(err.Error(), "NO sorry") {
		t.Errorf("NO: %v", err)
	}
	if _, err := run(2, ok, "* BYE"); err == nil {
		t.Error("an answer without its end was taken")
	}
}

func TestReportOfTwoPrograms(t *testing.T) {
	t.Parallel()
	l := &lab{rounds: 1, scale: 1, against: "/old", ours: true, theirs: true, progress: io.Discard}
	if all := l.opponents(stage{peer: peerNone}); len(all) != 2 {
		t.Errorf("%d sides of a stage without a peer, want both programs", len(all))
	}
	if a, b := l.mails(&side{ours: true}), l.mails(&side{}); a != b {
		t.Errorf("%d messages to one program and %d to the other", a, b)
	}
	if _, err := parseOptions([]string{"-against", "/old", "-solo"}); err == nil {
		t.Error("-against was taken with one side only")
	}
	text := report(machine{}, l, []result{
		{metric: metric{title: "A", unit: "messages/s", goal: 1}, peer: otherName, ours: []float64{300}, theirs: []float64{400}},
		{metric: metric{title: "B", unit: "KiB, at most", goal: 40}, peer: string(peerNone), ours: []float64{39}, theirs: []float64{38}},
	})
	for _, want := range []string{
		"| A | messages/s | 300 (300-300) | the other 400 (400-400) | **0.8x** | 1x | missed |",
		"| B | KiB, at most | 39.0 (39.0-39.0) | the other 38.0 (38.0-38.0) | - | 40 | reached |",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no row %q in\n%s", want, text)
		}
	}
}
