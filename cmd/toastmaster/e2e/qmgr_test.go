package e2e

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"

	"toastmaster/internal/testkit/dnstest"
)

// stallingHost takes mail at once, and says nothing after the final dot of mail for
// slow.example until it is closed.
type stallingHost struct {
	net.Listener
	ended chan struct{}
	mu    sync.Mutex
	took  map[string]int // by sender
	held  int
}

func stalling(t *testing.T) *stallingHost {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	h := &stallingHost{Listener: l, ended: make(chan struct{}), took: map[string]int{}}
	var sessions sync.WaitGroup
	sessions.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			sessions.Go(func() { h.session(c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		close(h.ended)
		sessions.Wait()
	})
	return h
}

func (h *stallingHost) session(c net.Conn) {
	defer c.Close()
	say := func(text string) { fmt.Fprint(c, text+"\r\n") }
	say("220 stalling.example ESMTP")
	sender, slow := "", false
	lines := bufio.NewScanner(c)
	for data := false; lines.Scan(); {
		line := lines.Text()
		verb := strings.ToUpper(line)
		switch {
		case data && line == ".":
			data = false
			if slow {
				h.note(func() { h.held++ })
				<-h.ended
				return
			}
			h.note(func() { h.took[sender]++ })
			say("250 taken")
		case data:
		case strings.HasPrefix(verb, "MAIL FROM:<"):
			sender, _, _ = strings.Cut(line[len("MAIL FROM:<"):], ">")
			say("250 ok")
		case strings.HasPrefix(verb, "RCPT"):
			slow = strings.Contains(line, "@slow")
			say("250 ok")
		case verb == "DATA":
			data = true
			say("354 go on")
		case verb == "QUIT":
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
}

func (h *stallingHost) note(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f()
}

// await waits until the host has taken n messages of a sender.
func (h *stallingHost) await(t *testing.T, sender string, n int) {
	t.Helper()
	eventually(t, func() (err error) {
		h.note(func() {
			if h.took[sender] < n {
				err = fmt.Errorf("%d of %d messages of %s, %d are held", h.took[sender], n, sender, h.held)
			}
		})
		return err
	})
}

// TestTenantsHaveTurns: a domain with ten times as many messages for two hosts that stall as the
// active window takes holds up nobody else's mail, nor its own to other hosts. With more hosts that
// stall than there are deliveries it holds up its own, and nobody else's; also after a restart, with
// all of it in the journal.
func TestTenantsHaveTurns(t *testing.T) {
	t.Parallel()
	h := stalling(t)
	zone := map[string]dnstest.Name{"quick.example": {Addrs: []string{"127.0.0.1"}}}
	for i := range 60 {
		zone[fmt.Sprintf("slow%d.example", i)] = dnstest.Name{Addrs: []string{"127.0.0.1"}}
	}
	_, port, _ := net.SplitHostPort(h.Addr().String())
	b := serve(t, map[string]string{
		"qmgr.active_limit": "60", "qmgr.transport_concurrency": "20",
		"smtp.port": port, "smtp.resolver": fmt.Sprintf("[%q]", dnstest.Start(t, zone).Addr),
	})
	for i := range 600 {
		b.sendOne(t, "news@big.example", fmt.Sprintf("reader@slow%d.example", i%2), "news")
	}
	ten := func(sender string) {
		for range 10 {
			b.sendOne(t, sender, "x@quick.example", "short")
		}
		h.await(t, sender, 10)
	}
	ten("s@small.example")
	ten("s@big.example")
	for i := range 60 {
		b.sendOne(t, "news@big.example", fmt.Sprintf("reader@slow%d.example", i), "news to many hosts")
	}
	ten("t@small.example")
	must(t, b.Stop())
	b.start(t)
	ten("u@small.example")
}
