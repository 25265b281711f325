package pop3d

import (
	"bufio"
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"toastmaster/internal/msglog"
)

// FuzzSession feeds a session with whatever a client may send, with and
// without a log-in before it. Each reply must be one: +OK, -ERR, a
// continuation, or the lines of a multi-line reply up to their dot.
func FuzzSession(f *testing.F) {
	for _, s := range []string{
		"CAPA\r\nQUIT\r\n",
		"STAT\r\nLIST\r\nUIDL\r\nRETR 1\r\nTOP 1 1\r\nDELE 2\r\nRSET\r\nQUIT\r\n",
		"RETR 99999999999999999999\r\nLIST 0\r\nDELE 1\r\nRETR 1\r\n",
		"AUTH PLAIN\r\n*\r\nAUTH LOGIN =\r\n\r\n",
		"USER a b\r\nPASS  \r\nSTLS\r\n\x16\x03\x01\x00\x05hello",
		"AUTH PLAIN",
		"NOOP\n\nNOOP\r\r\n\x00\r\n",
	} {
		f.Add(true, []byte(s))
		f.Add(false, []byte(s))
	}
	h := newHost(f, func(h *host) { h.gate.MaxFailures = 100 })
	handler, err := New(Options{Config: h.config.POP3D, Hostname: "pop.test", Gate: h.gate, Log: msglog.Discard()})
	if err != nil {
		f.Fatal(err)
	}
	h.deliver("alice", first, second, third)
	f.Fuzz(func(t *testing.T, loggedIn bool, input []byte) {
		server, peer := net.Pipe()
		defer func() { _ = peer.Close() }()
		_ = peer.SetDeadline(time.Now().Add(time.Minute))
		done := make(chan struct{})
		go func() {
			defer close(done)
			handler.ServeConn(context.Background(), server)
			_ = server.Close()
		}()
		if loggedIn {
			input = append([]byte("USER alice@example.test\r\nPASS secret word\r\n"), input...)
		}
		go func() {
			_, _ = peer.Write(input)
			// Several, because a challenge takes one for its answer.
			_, _ = peer.Write([]byte("\r\n" + strings.Repeat("QUIT\r\n", 4)))
		}()
		checkReplies(t, peer)
		_ = peer.Close()
		<-done
	})
}

// checkReplies reads what the server says. Behind an accepted STLS there may
// be anything.
func checkReplies(t *testing.T, c io.Reader) {
	r := bufio.NewReader(c)
	multi := false
	for {
		line, err := r.ReadString('\n')
		if err != nil || strings.HasPrefix(line, "+OK Begin TLS") {
			return
		}
		if !strings.HasSuffix(line, "\r\n") {
			t.Fatalf("a bare LF: %q", line)
		}
		switch {
		case multi:
			multi = line != ".\r\n"
		case strings.HasPrefix(line, "-ERR "), strings.HasPrefix(line, "+ "):
		case strings.HasPrefix(line, "+OK "):
			multi = strings.HasSuffix(line, " octets\r\n") || strings.HasSuffix(line, " messages\r\n") ||
				strings.HasSuffix(line, " follows\r\n") || strings.HasSuffix(line, " follow\r\n")
		default:
			t.Fatalf("no reply: %q", line)
		}
	}
}
