package policyclient

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"toastmaster/internal/clock"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server answers the nth request of the mth connection, both from 1, with what say returns; "" ends the
// connection, and "-" says nothing until the client goes.
type server struct {
	net.Listener
	conns, requests atomic.Int64
	wg              sync.WaitGroup
	last            atomic.Pointer[string]
}

func start(t *testing.T, network, address string, say func(conn, request int64) string) *server {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	s := &server{Listener: l}
	s.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			n := s.conns.Add(1)
			s.wg.Go(func() { s.serve(c, n, say) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		s.wg.Wait()
	})
	return s
}

func (s *server) serve(c net.Conn, n int64, say func(conn, request int64) string) {
	defer c.Close()
	in := bufio.NewReader(c)
	for i := int64(1); ; i++ {
		request := ""
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			if line == "\n" {
				break
			}
			request += line
		}
		s.requests.Add(1)
		s.last.Store(&request)
		switch reply := say(n, i); reply {
		case "":
			return
		case "-":
			_, _ = in.ReadByte()
			return
		default:
			fmt.Fprint(c, reply)
		}
	}
}

func options(endpoint string) Options {
	return Options{
		Endpoint: endpoint, Timeout: time.Minute, MaxIdle: time.Minute, MaxTTL: time.Hour, TryLimit: 2, RetryDelay: time.Millisecond,
		MaxConnections: 3, Clock: clock.System{},
	}
}

func client(t *testing.T, o Options) *Client {
	t.Helper()
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// TestOneConnectionForAll: requests go over the connection that is there, in the form of the protocol.
func TestOneConnectionForAll(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "s")
	for endpoint, s := range map[string]*server{
		"inet:":        start(t, "tcp", "127.0.0.1:0", func(_, n int64) string { return fmt.Sprintf("other=x\naction=DUNNO %d\naction=second\n\n", n) }),
		"unix:" + path: start(t, "unix", path, func(_, n int64) string { return fmt.Sprintf("action=DUNNO %d\n\n", n) }),
	} {
		if endpoint == "inet:" {
			endpoint += s.Addr().String()
		}
		c := client(t, options(endpoint))
		for i := range 5 {
			action, err := c.Ask(t.Context(), []Attribute{{"request", "x"}, {"a", "b\nc\x00"}, {"empty", ""}})
			if want := fmt.Sprintf("DUNNO %d", i+1); err != nil || action != want {
				t.Fatalf("%q, %v, want %s", action, err, want)
			}
		}
		if n, last := s.conns.Load(), *s.last.Load(); n != 1 || last != "request=x\na=b?c?\nempty=\n" {
			t.Errorf("%d connections, %q", n, last)
		}
	}
}

// TestAConnectionThatEndedMeanwhile is no failure: the request goes over a new one at once.
func TestAConnectionThatEndedMeanwhile(t *testing.T) {
	t.Parallel()
	s := start(t, "tcp", "127.0.0.1:0", func(_, n int64) string {
		if n == 2 {
			return ""
		}
		return "action=OK\n\n"
	})
	o := options("inet:" + s.Addr().String())
	o.TryLimit = 1
	c := client(t, o)
	for range 4 {
		if action, err := c.Ask(t.Context(), nil); err != nil || action != "OK" {
			t.Fatalf("%q, %v", action, err)
		}
	}
	if n := s.conns.Load(); n != 4 {
		t.Errorf("%d connections", n)
	}
}

// TestAnswersThatNobodyAskedFor are no answers to what is asked next.
func TestAnswersThatNobodyAskedFor(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	asked, spoiled := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := 1; ; n++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				in := bufio.NewReader(c)
				for {
					if line, err := in.ReadString('\n'); err != nil {
						return
					} else if line != "\n" {
						continue
					}
					fmt.Fprintf(c, "action=OK %d\n\n", n)
					if n == 1 {
						<-asked
						fmt.Fprint(c, "action=REJECT of another\n\n")
						close(spoiled)
					}
				}
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		wg.Wait()
	})
	c := client(t, options("unix:"+l.Addr().String()))
	for i, want := range []string{"OK 1", "OK 2", "OK 2"} {
		if action, err := c.Ask(t.Context(), nil); err != nil || action != want {
			t.Fatalf("%q, %v, want %s", action, err, want)
		}
		if i == 0 {
			close(asked)
			<-spoiled
		}
	}
}

// TestTries: what is no reply is asked for again, so often and not more.
func TestTries(t *testing.T) {
	t.Parallel()
	for name, reply := range map[string]string{
		"ended": "", "no action": "other=x\n\n", "no attribute": "action\n\n", "nothing": "\n", "long": "action=" + strings.Repeat("x", maxReply) + "\n\n", "half": "action=OK\n",
	} {
		s := start(t, "tcp", "127.0.0.1:0", func(n, _ int64) string {
			if n == 3 {
				return "action=OK\n\n"
			}
			return reply
		})
		o := options("inet:" + s.Addr().String())
		if name == "half" {
			o.Timeout = 50 * time.Millisecond // nothing else comes
		}
		for tries, want := range map[int]string{2: "", 3: "OK"} {
			s.conns.Store(0)
			o.TryLimit = tries
			action, err := client(t, o).Ask(t.Context(), nil)
			if action != want || (err == nil) != (want == "OK") || s.conns.Load() != int64(tries) {
				t.Errorf("%s, %d tries: %q, %v, %d connections", name, tries, action, err, s.conns.Load())
			}
		}
	}
	o := options("unix:" + filepath.Join(t.TempDir(), "nobody"))
	if _, err := client(t, o).Ask(t.Context(), nil); err == nil {
		t.Error("nobody answers")
	}
}

// TestBoundsOfAConnection: requests, age, and how many there are.
func TestBoundsOfAConnection(t *testing.T) {
	t.Parallel()
	s := start(t, "tcp", "127.0.0.1:0", func(int64, int64) string { return "action=OK\n\n" })
	for want, set := range map[int64]func(*Options){
		2: func(o *Options) { o.RequestLimit = 2 }, 4: func(o *Options) { o.MaxTTL = 0 }, 1: func(*Options) {},
	} {
		s.conns.Store(0)
		o := options("inet:" + s.Addr().String())
		set(&o)
		c := client(t, o)
		for range 4 {
			if _, err := c.Ask(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
		}
		if n := s.conns.Load(); n != want {
			t.Errorf("%d connections, want %d", n, want)
		}
		c.Close()
		if _, err := c.Ask(t.Context(), nil); err == nil {
			t.Error("it is closed")
		}
	}
	var all sync.WaitGroup
	s.conns.Store(0)
	c := client(t, options("inet:"+s.Addr().String()))
	for range 50 {
		all.Go(func() {
			if action, err := c.Ask(t.Context(), nil); err != nil || action != "OK" {
				t.Errorf("%q, %v", action, err)
			}
		})
	}
	if all.Wait(); s.conns.Load() > 3 {
		t.Errorf("%d connections, at most 3", s.conns.Load())
	}
}

// TestWhoGoesIsNotKept: a server that says nothing holds nobody longer than its time, and nobody who
// has gone.
func TestWhoGoesIsNotKept(t *testing.T) {
	t.Parallel()
	s := start(t, "tcp", "127.0.0.1:0", func(int64, int64) string { return "-" })
	o := options("inet:" + s.Addr().String())
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	if _, err := client(t, o).Ask(ctx, nil); err == nil || ctx.Err() == nil {
		t.Error(err)
	}
	o.Timeout, o.TryLimit = 20*time.Millisecond, 1
	if _, err := client(t, o).Ask(t.Context(), nil); err == nil {
		t.Error("there was no answer")
	}
}

// TestEndpoints and the clients of a Set.
func TestEndpoints(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "inet", "inet:", "inet:host", "inet::1", "unix:", "tcp:a:1", "hash:x"} {
		if _, err := New(Options{Endpoint: bad}); err == nil {
			t.Error(bad)
		}
	}
	var s Set
	a, err1 := s.Client(options("inet:localhost:1"))
	b, err2 := s.Client(options("inet:localhost:1"))
	other := options("inet:localhost:1")
	other.TryLimit = 7
	c, err3 := s.Client(other)
	if _, err := s.Client(Options{Endpoint: "x"}); err == nil || err1 != nil || err2 != nil || err3 != nil || a != b || a == c || s.Close() != nil {
		t.Error(err, err1, err2, err3)
	}
}

// FuzzReply: what is taken has an action without a line end.
func FuzzReply(f *testing.F) {
	for _, s := range []string{"action=OK\n\n", "a=b\naction=\n\n", "\n", "action\n\n", "action=x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		action, began, err := readReply(bufio.NewReaderSize(strings.NewReader(s), maxReply))
		if err == nil && (!began || strings.Contains(action, "\n") || !strings.Contains(s, "action="+action+"\n")) || began && s == "" {
			t.Fatalf("%q: %q, %v, %v", s, action, began, err)
		}
	})
}
