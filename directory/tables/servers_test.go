package tables

import (
	"bufio"
	"context"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"toastmaster/directory"
	"toastmaster/internal/netstring"
)

// fakeServer answers lookups over connections; serve is called for each.
type fakeServer struct {
	net.Listener
	connections atomic.Int64
	wait        sync.WaitGroup
}

func listen(t *testing.T, network, address string, serve func(net.Conn)) *fakeServer {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	f := &fakeServer{Listener: l}
	ctx, end := context.WithCancel(context.Background())
	f.wait.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			f.connections.Add(1)
			f.wait.Go(func() {
				defer c.Close()
				defer context.AfterFunc(ctx, func() { _ = c.Close() })()
				serve(c)
			})
		}
	})
	t.Cleanup(func() {
		end()
		_ = l.Close()
		f.wait.Wait()
	})
	return f
}

// sockets is a socketmap server with the answers of reply.
func sockets(reply func(request string) string) func(net.Conn) {
	return func(c net.Conn) {
		in := bufio.NewReader(c)
		for {
			request, err := netstring.Read(in, 10_000)
			if err != nil {
				return
			}
			answer := reply(string(request))
			if answer == "" {
				return
			}
			if _, err := c.Write(netstring.Append(nil, answer)); err != nil {
				return
			}
		}
	}
}

// answers are those of the test's socketmap.
func answers(request string) string {
	switch request {
	case "m key":
		return "OK a text"
	case "m a b":
		return "OK  spaces "
	case "m long":
		return "OK " + strings.Repeat("x", 100_000-3)
	case "m temp":
		return "TEMP try later"
	case "m timeout":
		return "TIMEOUT "
	case "m perm":
		return "PERM no such map"
	case "m nonsense":
		return "WHAT"
	case "m toolong":
		return "OK " + strings.Repeat("x", 100_010)
	case "m hang up":
		return ""
	}
	return "NOTFOUND "
}

// lines is a server of tcp_table(5).
func lines(c net.Conn) {
	in := bufio.NewReader(c)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		answer := "500 no such key\n"
		switch line {
		case "get key\n":
			answer = "200 a%20text%25\n"
		case "get a%20b%25%C3%A9\n":
			answer = "200 plain text\n"
		case "get temp\n":
			answer = "400 try later\n"
		case "get nonsense\n":
			answer = "220 hello\n"
		case "get long\n":
			answer = "200 " + strings.Repeat("x", 5000) + "\n"
		case "get badcode\n":
			answer = "200 %zz\n"
		}
		if _, err := c.Write([]byte(answer)); err != nil {
			return
		}
	}
}

// TestServersAsPostfix asks the same servers with Debian's postmap and with ours.
func TestServersAsPostfix(t *testing.T) {
	dir := t.TempDir()
	inet := listen(t, "tcp", "127.0.0.1:0", sockets(answers)).Addr().String()
	listen(t, "unix", filepath.Join(dir, "sock"), sockets(answers))
	tcp := listen(t, "tcp", "127.0.0.1:0", lines).Addr().String()
	for _, table := range []string{"socketmap:inet:" + inet + ":m", "socketmap:unix:" + filepath.Join(dir, "sock") + ":m", "tcp:" + tcp} {
		sameAsPostfix(t, dir, table, []string{"key", "KEY", "a b", "long", "none", "key"}[:3], false)
		sameAsPostfix(t, dir, table, []string{"none", "a b%é"}, false)
	}
	sameAsPostfix(t, dir, "socketmap:inet:"+inet+":m", []string{"long"}, false)
}

// TestServersThatFail: no failure of a server is an answer.
func TestServersThatFail(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreAnyFunction("github.com/dlclark/regexp2/v2.runClock"))
	b := newBench(t)
	b.set.o.Params.Timeout = 300 * time.Millisecond
	inet := listen(t, "tcp", "127.0.0.1:0", sockets(answers))
	stalls := make(chan struct{})
	silent := listen(t, "tcp", "127.0.0.1:0", func(net.Conn) { <-stalls })
	garbage := listen(t, "tcp", "127.0.0.1:0", func(c net.Conn) { _, _ = c.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")) })
	gone := listen(t, "tcp", "127.0.0.1:0", func(net.Conn) {})
	tcp := listen(t, "tcp", "127.0.0.1:0", lines)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	of := func(l net.Listener, name string) string { return "socketmap:inet:" + l.Addr().String() + name }
	for _, c := range []struct {
		table, key string
		want       directory.Outcome
	}{
		{of(inet, ":m"), "temp", directory.Unavailable}, {of(inet, ":m"), "timeout", directory.Unavailable},
		{of(inet, ":m"), "perm", directory.Misconfigured}, {of(inet, ":m"), "nonsense", directory.Unavailable},
		{of(inet, ":m"), "toolong", directory.Unavailable}, {of(inet, ":m"), "hang up", directory.Unavailable},
		{of(inet, ":m"), "none", directory.NotFound}, {of(inet, ":m"), "", directory.NotFound},
		{of(silent, ":m"), "key", directory.Unavailable}, {of(garbage, ":m"), "key", directory.Unavailable},
		{of(gone, ":m"), "key", directory.Unavailable}, {of(closed, ":m"), "key", directory.Unavailable},
		{"tcp:" + tcp.Addr().String(), "temp", directory.Unavailable}, {"tcp:" + tcp.Addr().String(), "nonsense", directory.Unavailable},
		{"tcp:" + tcp.Addr().String(), "long", directory.Unavailable}, {"tcp:" + tcp.Addr().String(), "badcode", directory.Unavailable},
		{"tcp:" + silent.Addr().String(), "key", directory.Unavailable}, {"tcp:" + closed.Addr().String(), "key", directory.Unavailable},
		{"socketmap:unix:nowhere:m", "key", directory.Unavailable},
	} {
		text, err := b.open(c.table).Lookup(context.Background(), c.key)
		if directory.OutcomeOf(err) != c.want || text != "" {
			t.Errorf("%s, %q: %q, %v", c.table, c.key, text, err)
		}
	}
	close(stalls)
	if err := b.set.Close(); err != nil {
		t.Error(err)
	}
	if _, err := b.set.Open(context.Background(), "static:x"); err == nil {
		t.Error("opened after the end")
	}
	for _, l := range []*fakeServer{inet, silent, garbage, gone, tcp} {
		_ = l.Close()
		l.wait.Wait()
	}
}

// TestConnectionsAreShared: all tables on one server have few connections, which are
// kept; one that the server has ended is made anew.
func TestConnectionsAreShared(t *testing.T) {
	b := newBench(t)
	b.set.o.Params.MaxConnections, b.set.o.Params.MaxIdle = 2, time.Hour
	var once atomic.Bool
	l := listen(t, "tcp", "127.0.0.1:0", sockets(func(request string) string {
		if request == "m drop" && once.CompareAndSwap(false, true) {
			return "" // as a server that was restarted
		}
		return "OK " + request
	}))
	m, n := b.open("socketmap:inet:"+l.Addr().String()+":m"), b.open("socketmap:inet:"+l.Addr().String()+":n")
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			for range 50 {
				b.is(m, "k", "m k")
				b.is(n, "k", "n k")
			}
		})
	}
	all.Wait()
	if c := l.connections.Load(); c > 2 {
		t.Errorf("%d connections", c)
	}
	b.is(m, "drop", "m drop")
	// Who gives up does not spoil the next one's answer.
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := m.Lookup(ctx, "k"); directory.OutcomeOf(err) != directory.Unavailable {
		t.Error(err)
	}
	b.is(m, "other", "m other")
}

// TestAnswersThatNobodyAskedFor are no answers to what is asked next.
func TestAnswersThatNobodyAskedFor(t *testing.T) {
	b := newBench(t)
	b.set.o.Params.MaxIdle = time.Hour
	asked, spoiled := make(chan struct{}), make(chan struct{})
	var once sync.Once
	l := listen(t, "unix", filepath.Join(t.TempDir(), "s"), func(c net.Conn) {
		sockets(func(request string) string {
			once.Do(func() {
				go func() {
					<-asked
					_, _ = c.Write(netstring.Append(nil, "OK of another"))
					close(spoiled)
				}()
			})
			return "OK " + request
		})(c)
	})
	m := b.open("socketmap:unix:" + l.Addr().String() + ":m")
	b.is(m, "k", "m k")
	close(asked)
	<-spoiled
	b.is(m, "other", "m other")
	b.is(m, "more", "m more")
	if n := l.connections.Load(); n != 2 {
		t.Errorf("%d connections", n)
	}
}

// TestIdleConnectionsEnd by themselves.
func TestIdleConnectionsEnd(t *testing.T) {
	b := newBench(t)
	b.set.o.Params.MaxIdle = time.Minute
	ended := make(chan struct{}, 1)
	l := listen(t, "tcp", "127.0.0.1:0", func(c net.Conn) {
		sockets(answers)(c)
		ended <- struct{}{}
	})
	b.is(b.open("socketmap:inet:"+l.Addr().String()+":m"), "key", "a text")
	b.clock.Advance(time.Minute)
	<-ended
}
