package pop3d

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"

	"toastmaster/internal/anvil"
	"toastmaster/internal/clock"
)

// client speaks POP3 for tests.
type client struct {
	t testing.TB
	net.Conn
	r *bufio.Reader
}

func (h *host) client(listener int) *client {
	h.t.Helper()
	conn := h.Dial(listener)
	if listener == 1 {
		conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
	}
	c := &client{h.t, conn, bufio.NewReaderSize(conn, 64<<10)}
	c.expect("+OK pop.test POP3 server ready")
	return c
}

// login is a client that has logged in.
func (h *host) login(name string) *client {
	h.t.Helper()
	c := h.client(0)
	c.send("USER " + name + "@example.test\r\nPASS secret word\r\n")
	c.expect("+OK ")
	c.expect("+OK Logged in")
	return c
}

// waitTime bounds each single wait of a client; a long dialogue takes its time.
const waitTime = time.Minute

func (c *client) send(text string) {
	c.t.Helper()
	_ = c.SetDeadline(time.Now().Add(waitTime))
	if _, err := io.WriteString(c, text); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) line() string {
	c.t.Helper()
	_ = c.SetDeadline(time.Now().Add(waitTime))
	line, err := c.r.ReadString('\n')
	if err != nil {
		c.t.Fatalf("%q %v", line, err)
	}
	return strings.TrimSuffix(line, "\r\n")
}

func (c *client) expect(prefix string) string {
	c.t.Helper()
	line := c.line()
	if !strings.HasPrefix(line, prefix) {
		c.t.Fatalf("got %q, want %q", line, prefix)
	}
	return line
}

func (c *client) ask(command, prefix string) string {
	c.t.Helper()
	c.send(command + "\r\n")
	return c.expect(prefix)
}

// body reads up to the lone dot, with LF line ends and without stuffed dots.
// The size is that of the wire without them.
func (c *client) body() (text string, size int) {
	c.t.Helper()
	var b strings.Builder
	for {
		line := c.line()
		if line == "." {
			return b.String(), size
		}
		line = strings.TrimPrefix(line, ".")
		size += len(line) + 2
		b.WriteString(line + "\n")
	}
}

func (c *client) eof() {
	c.t.Helper()
	if line, err := c.r.ReadString('\n'); err == nil || line != "" {
		c.t.Fatalf("%q %v, want the end", line, err)
	}
}

func TestImplicitTLS(t *testing.T) {
	t.Parallel()
	h := newHost(t, func(h *host) { h.gate.SecureNetworks = nil })
	c := h.client(1)
	c.send("CAPA\r\n")
	c.expect("+OK")
	if capabilities, _ := c.body(); strings.Contains(capabilities, "STLS") || !strings.Contains(capabilities, "SASL PLAIN LOGIN\n") {
		t.Errorf("capabilities %s", capabilities)
	}
	c.ask("USER alice@example.test", "+OK")
	c.ask("PASS secret word", "+OK")
	c.ask("QUIT", "+OK")
	c.eof()
}

// TestRetrieveEverything compares content and size over a pipelined session.
func TestRetrieveEverything(t *testing.T) {
	t.Parallel()
	h := newHost(t, nil)
	messages := []string{first, third, big(10 << 20), "", "\n", "\n\n.", "Subject: cr\n\nbare \r here\nend\r\n", "Subject: n\x00l\n\nbody \x00\n", big(100)}
	h.deliver("bob", messages...)
	c := h.login("bob")
	go func() {
		var commands strings.Builder
		for i := range messages {
			fmt.Fprintf(&commands, "LIST %d\r\nRETR %d\r\n", i+1, i+1)
		}
		_, _ = io.WriteString(c, commands.String())
	}()
	for i, m := range messages {
		var listed int
		if _, err := fmt.Sscanf(c.expect(fmt.Sprintf("+OK %d ", i+1)), "+OK %d %d", new(int), &listed); err != nil {
			t.Fatal(err)
		}
		c.expect(fmt.Sprintf("+OK %d octets", listed))
		got, size := c.body()
		want := strings.ReplaceAll(m, "\r\n", "\n")
		if added := want != "" && !strings.HasSuffix(want, "\n"); added {
			want += "\n"
			size -= 2
		}
		if got != want {
			t.Errorf("message %d differs: %.80q", i+1, got)
		}
		if size != listed {
			t.Errorf("message %d has %d octets, LIST said %d", i+1, size, listed)
		}
	}
}

func (h *host) flags(name string) map[imap.UID]bool {
	h.t.Helper()
	view := h.open(name)
	seen := map[imap.UID]bool{}
	for seq := range view.Len() {
		m := view.Message(uint32(seq + 1))
		seen[m.UID] = hasSeen(m.Flags)
	}
	return seen
}

func TestRetrMarksSeenAndTopDoesNot(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		off  bool
		end  string
		seen bool
	}{
		{"quit", false, "QUIT\r\n", true},
		{"connection lost", false, "", true},
		{"turned off", true, "QUIT\r\n", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, func(h *host) { h.config.POP3D.NoFlagUpdates = c.off })
			h.deliver("bob", first, second)
			p := h.login("bob")
			p.ask("TOP 1 5", "+OK")
			p.body()
			p.ask("RETR 2", "+OK")
			p.body()
			p.send(c.end)
			_ = p.Close()
			h.Finish()
			if seen := h.flags("bob"); len(seen) != 2 || seen[1] || seen[2] != c.seen {
				t.Errorf("seen %v", seen)
			}
		})
	}
}

func TestDeletionsCountOnlyWithQuit(t *testing.T) {
	t.Parallel()
	h := newHost(t, nil)
	h.deliver("bob", first, second, third)
	c := h.login("bob")
	c.ask("DELE 1", "+OK")
	c.ask("DELE 3", "+OK")
	_ = c.Close()

	c = h.login("bob")
	c.ask("STAT", fmt.Sprintf("+OK 3 %d", wireSize(first, second, third)))
	c.ask("DELE 2", "+OK")
	c.ask("RETR 2", "-ERR")
	c.ask("RSET", "+OK")
	c.ask("DELE 1", "+OK")
	c.ask("STAT", fmt.Sprintf("+OK 2 %d", wireSize(second, third)))
	c.ask("QUIT", "+OK")
	c.eof()

	c = h.login("bob")
	c.ask("STAT", fmt.Sprintf("+OK 2 %d", wireSize(second, third)))
	c.send("UIDL\r\n")
	c.expect("+OK")
	validity := h.open("bob").Info().UIDValidity
	if got, _ := c.body(); got != fmt.Sprintf("1 00000002%08x\n2 00000003%08x\n", validity, validity) {
		t.Errorf("unique ids %q", got)
	}
}

func wireSize(messages ...string) int {
	n := 0
	for _, m := range messages {
		n += len(m) + strings.Count(m, "\n")
	}
	return n
}

func TestTheListStandsStill(t *testing.T) {
	t.Parallel()
	h := newHost(t, nil)
	h.deliver("bob", first, second)
	c := h.login("bob")
	h.deliver("bob", third)
	other := h.open("bob")
	if err := other.Expunge(t.Context(), []uint32{1}); err != nil {
		t.Fatal(err)
	}
	if _, err := other.Update(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	c.ask("STAT", fmt.Sprintf("+OK 2 %d", wireSize(first, second)))
	c.ask("RETR 1", "-ERR")
	c.ask("RETR 2", "+OK")
	if got, _ := c.body(); got != second+"\n" {
		t.Errorf("%q", got)
	}
	c.ask("RETR 3", "-ERR")
	c.ask("DELE 1", "+OK")
	c.ask("QUIT", "+OK")
	c = h.login("bob")
	c.ask("STAT", "+OK 2 ")
}

func TestQuitReportsWhatItCouldNotDelete(t *testing.T) {
	t.Parallel()
	h := newHost(t, nil)
	h.deliver("bob", first)
	c := h.login("bob")
	c.ask("DELE 1", "+OK")
	// The store cannot write where a file stands in the way of a folder.
	box := filepath.Join(storeRoot(h), "example.test", "bob")
	if err := os.Rename(box, box+".away"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(box, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c.ask("QUIT", "-ERR [SYS/TEMP]")
	c.eof()
	if err := os.Remove(box); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(box+".away", box); err != nil {
		t.Fatal(err)
	}
}

func TestDrain(t *testing.T) {
	t.Parallel()
	h := newHost(t, nil)
	h.deliver("bob", first)
	idle, before := h.login("bob"), h.client(0)
	idle.ask("DELE 1", "+OK")
	h.Finish()
	idle.expect("-ERR [SYS/TEMP] Server is shutting down")
	idle.eof()
	before.expect("-ERR [SYS/TEMP] Server is shutting down")
	before.eof()
	if n := h.open("bob").Len(); n != 1 {
		t.Errorf("%d messages: a drain is no QUIT", n)
	}
}

func TestLoginTimeout(t *testing.T) {
	t.Parallel()
	h := newHost(t, func(h *host) { h.gate.Timeout = 2 * time.Second })
	in, out := h.login("bob"), h.client(0)
	out.expect("-ERR Disconnected for inactivity")
	out.eof()
	in.ask("NOOP", "+OK")
}

func TestIdleTimeout(t *testing.T) {
	t.Parallel()
	h := newHost(t, func(h *host) { h.config.POP3D.IdleTimeout = 2 * time.Second })
	c := h.login("bob")
	c.expect("-ERR Disconnected for inactivity")
	c.eof()
}

func TestSingleOctetsDoNotProlongTheLogin(t *testing.T) {
	t.Parallel()
	h := newHost(t, func(h *host) { h.gate.Timeout = 300 * time.Millisecond })
	c := h.client(0)
	go func() {
		for {
			if _, err := io.WriteString(c, "x"); err != nil {
				return
			}
		}
	}()
	// The goodbye may be lost in the reset that unread octets cause.
	line, err := c.r.ReadString('\n')
	if errors.Is(err, os.ErrDeadlineExceeded) || err == nil && !strings.HasPrefix(line, "-ERR Disconnected") {
		t.Errorf("%q %v", line, err)
	}
}

func TestSlowReaderIsDropped(t *testing.T) {
	t.Parallel()
	h := newHost(t, func(h *host) { h.config.POP3D.IdleTimeout = 200 * time.Millisecond })
	h.deliver("bob", big(16<<20))
	c := h.login("bob")
	c.send("RETR 1\r\n")
	// There is no event for the end of a session but what its client would read.
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for range 12000 {
		if h.Sessions() == 0 {
			return
		}
		<-tick.C
	}
	t.Error("a client that reads nothing is held forever")
}

func TestOneUserFromOneAddress(t *testing.T) {
	t.Parallel()
	h := newHost(t, func(h *host) {
		h.gate.PerUser, h.gate.Counter = 1, anvil.New(anvil.Options{Clock: clock.System{}})
	})
	first := h.login("bob")
	second := h.client(0)
	second.ask("USER bob@example.test", "+OK")
	second.ask("PASS secret word", "-ERR [IN-USE]")
	first.ask("QUIT", "+OK")
	first.eof()
	second.ask("USER bob@example.test", "+OK")
	second.ask("PASS secret word", "+OK")
}

// storeRoot is the folder of all accounts.
func storeRoot(h *host) string { return filepath.Dir(filepath.Dir(h.store.Spool().Path)) }
