package storetest

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"
)

// Dialogue is what a client of a protocol says and hears. An answer is given as
// the beginning of its last line.
type Dialogue struct {
	// Before is said before log-in and has one line for an answer; it may be empty.
	Before string
	// LogIn is alice's.
	LogIn, LoggedIn string
	Noop, Done      string
	// Bye is in the last words of a server that needs the place.
	Bye string
}

// UnderStress checks, of a server whose Limits.Stress is 3 and whose time for who
// has not logged in is long without and short with stress: with hardly any place
// left, who has not logged in leaves soon, also if it waits already; who has stays.
func UnderStress(t testing.TB, s *Server, d Dialogue) {
	t.Helper()
	user, in := greeted(t, s)
	say := func(text, answer string) {
		t.Helper()
		if _, err := io.WriteString(user, text); err != nil {
			t.Fatal(err)
		}
		for line := ""; !strings.HasPrefix(line, answer); {
			var err error
			if line, err = in.ReadString('\n'); err != nil {
				t.Fatalf("no %q to %q: %v", answer, text, err)
			}
		}
	}
	idle, waiting := greeted(t, s)
	say(d.LogIn, d.LoggedIn)
	if d.Before != "" {
		if _, err := io.WriteString(idle, d.Before); err != nil {
			t.Fatal(err)
		}
		if _, err := waiting.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	late := s.Dial(0)
	for name, r := range map[string]io.Reader{"the idle client": waiting, "the new client": late} {
		if got, err := io.ReadAll(r); !strings.Contains(string(got), d.Bye) || err != nil {
			t.Errorf("%s: %q %v", name, got, err)
		}
	}
	say(d.Noop, d.Done)
}

// greeted is a client that has read the greeting.
func greeted(t testing.TB, s *Server) (net.Conn, *bufio.Reader) {
	t.Helper()
	c := s.Dial(0)
	in := bufio.NewReader(c)
	if _, err := in.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	return c, in
}
