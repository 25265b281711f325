package process

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"toastmaster/internal/hostuser"
)

// pair is a connection: the client's end, and the file that a command gets.
func pair(t *testing.T, network string) (client net.Conn, file *os.File) {
	t.Helper()
	address := "127.0.0.1:0"
	if network == "unix" {
		address = filepath.Join(t.TempDir(), "s")
	}
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if client, err = net.Dial(network, l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	file, err = c.(interface{ File() (*os.File, error) }).File()
	if err != nil {
		t.Fatal(err)
	}
	return client, file
}

// TestServe: a command reads from its connection and writes to it, errors, too, and has no other descriptor; the peer
// sees the end when it is over, and how it ended is the result.
func TestServe(t *testing.T) {
	t.Parallel()
	for _, network := range []string{"tcp", "unix"} {
		client, file := pair(t, network)
		done := make(chan Result, 1)
		go func() {
			r, err := Serve(t.Context(), sh(t, `read line; echo "got $line"; echo err >&2; for n in 3 4 5 6 7 8 9; do [ -e /proc/$$/fd/$n ] && echo "has $n"; done; exit 3`), file)
			if err != nil {
				t.Error(err)
			}
			done <- r
		}()
		fmt.Fprintln(client, "a line")
		all, err := io.ReadAll(client)
		if err != nil || string(all) != "got a line\nerr\n" {
			t.Errorf("%s: %q %v", network, all, err)
		}
		if r := <-done; r.Exit != 3 || r.Output != "" {
			t.Errorf("%+v", r)
		}
	}
}

// TestServeLimits: at the time limit, and with the server, the command ends, with what it has started.
func TestServeLimits(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		limit  time.Duration
		cancel bool
	}{"time limit": {time.Second, false}, "server": {time.Hour, true}} {
		client, file := pair(t, "tcp")
		ctx, cancel := context.WithCancel(t.Context())
		command := sh(t, `sleep 600 & echo $!; wait`)
		command.TimeLimit = c.limit
		type ended struct {
			r   Result
			err error
		}
		done := make(chan ended, 1)
		go func() {
			r, err := Serve(ctx, command, file)
			done <- ended{r, err}
		}()
		line, err := bufio.NewReader(client).ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if c.cancel {
			cancel()
		}
		if rest, err := io.ReadAll(client); err != nil || len(rest) > 0 {
			t.Errorf("%s: %q %v", name, rest, err)
		}
		got := <-done
		if got.r.TimedOut == c.cancel || errors.Is(got.err, context.Canceled) != c.cancel {
			t.Errorf("%s: %+v", name, got)
		}
		pid, _ := strconv.Atoi(strings.TrimSpace(line))
		if err := awaitGone(pid); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		cancel()
	}
}

// awaitGone waits for a process that was killed: whoever inherits it takes its time.
func awaitGone(pid int) error {
	for range 600 {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || strings.Contains(string(text), ") Z ") || errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return fmt.Errorf("process %d lives on", pid)
}

// TestServeFails: what cannot be run ends the connection.
func TestServeFails(t *testing.T) {
	t.Parallel()
	root := sh(t, "exit 0")
	root.User = hostuser.User{Name: "root"}
	missing := sh(t, "")
	missing.Argv = []string{"/no/such/program"}
	for name, c := range map[string]Command{"root": root, "missing": missing, "not in PATH": {Argv: []string{"no-such-program"}, User: nobody(t), TimeLimit: time.Minute}} {
		client, file := pair(t, "tcp")
		r, err := Serve(t.Context(), c, file)
		if errors.Is(err, hostuser.ErrRoot) != (name == "root") || err == nil && r.Exit != exTempFail {
			t.Errorf("%s: %+v %v", name, r, err)
		}
		if all, err := io.ReadAll(client); err != nil || len(all) > 0 {
			t.Errorf("%s: %q %v", name, all, err)
		}
	}
}
