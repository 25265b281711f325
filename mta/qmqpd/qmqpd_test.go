package qmqpd

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"toastmaster/configs"
	"toastmaster/internal/clock"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/msglog"
	"toastmaster/internal/netstring"
	"toastmaster/internal/spool"
	"toastmaster/internal/vfs"
)

// said is a connection on which a client has said all that it will, and reads everything.
type said struct {
	io.Reader
	heard bytes.Buffer
	from  net.Addr
}

func (s *said) Write(p []byte) (int, error)    { return s.heard.Write(p) }
func (*said) Close() error                     { return nil }
func (*said) LocalAddr() net.Addr              { return &net.UnixAddr{} }
func (s *said) RemoteAddr() net.Addr           { return s.from }
func (*said) SetDeadline(time.Time) error      { return nil }
func (*said) SetReadDeadline(time.Time) error  { return nil }
func (*said) SetWriteDeadline(time.Time) error { return nil }

// kept is an envelope.Submitter that keeps what it gets, or refuses.
type kept struct {
	mu    sync.Mutex
	err   error
	texts []string
	envs  []*envelope.Envelope
}

func (k *kept) Submit(_ context.Context, s *envelope.Submission) (envelope.QueueID, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	text, err := io.ReadAll(envelope.Reader(s.Content))
	if err != nil {
		return "", err
	}
	k.texts, k.envs = append(k.texts, string(text)), append(k.envs, s.Envelope)
	if k.err != nil {
		_ = s.Content.Close()
		return "", k.err
	}
	return "3ABC", s.Content.Close()
}

func daemon(t testing.TB, k *kept, set func(*Options)) *Daemon {
	t.Helper()
	p := configs.Default().QMQPD
	p.ErrorDelay, p.Clients = 0, []string{"192.0.2.0/24"}
	o := Options{
		Params: p, Hostname: "mx.test", MaxMessage: 1000, Submit: k, Spool: &spool.Dir{FS: vfs.OS{}, Path: t.TempDir(), Memory: 200},
		Log: msglog.Discard(), Clock: clock.System{}, ClientName: func(context.Context, netip.Addr) string { return "client.test" },
	}
	if set != nil {
		set(&o)
	}
	return New(o)
}

func text(parts ...string) string {
	var in []byte
	for _, p := range parts {
		in = netstring.Append(in, p)
	}
	return string(netstring.Append(nil, string(in)))
}

// exchange is what a client hears, "" for nothing.
func exchange(t testing.TB, d *Daemon, in, from string) string {
	t.Helper()
	c := &said{Reader: strings.NewReader(in), from: &net.UnixAddr{}}
	if from != "" {
		c.from = net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(from), 1234))
	}
	d.ServeConn(t.Context(), c)
	if c.heard.Len() == 0 {
		return ""
	}
	answer, err := netstring.Read(bufio.NewReader(&c.heard), 10_000)
	if err != nil || c.heard.Len() > 0 {
		t.Fatalf("%q: %v", in, err)
	}
	return string(answer)
}

// TestAMessage: envelope and content as they came, addresses completed, and K only behind the queue.
func TestAMessage(t *testing.T) {
	t.Parallel()
	k := &kept{}
	d := daemon(t, k, nil)
	for _, content := range []string{"Subject: x\n\nhello\n", "", "no line end", strings.Repeat("long\n", 199), "caf\xc3\xa9\n"} {
		if got := exchange(t, d, text(content, "s@example.test", "a@example.test", "bob"), "192.0.2.1"); got != "Kok: queued as 3ABC" {
			t.Errorf("%q", got)
		}
		e := k.envs[len(k.envs)-1]
		if last := k.texts[len(k.texts)-1]; last != content {
			t.Errorf("%q, sent %q", last, content)
		}
		if e.Sender.String() != "s@example.test" || len(e.Recipients) != 2 || e.Recipients[1].Address.String() != "bob@mx.test" ||
			e.Origin.Protocol != "QMQP" || e.Origin.ClientAddr != "192.0.2.1" || e.Origin.ClientName != "client.test" || (e.Body == envelope.Body8BitMIME) != strings.Contains(content, "caf") {
			t.Errorf("%+v", e)
		}
	}
	if got := exchange(t, d, text("From a@b Mon Jan  5 10:00:00 2026\nSubject: x\n\n", "", "a@example.test"), ""); got[0] != 'K' || !strings.HasPrefix(k.texts[len(k.texts)-1], "X-Mailbox-Line: From a@b") {
		t.Errorf("%q %q", got, k.texts[len(k.texts)-1])
	}
}

// TestRefusals: what is refused is for good or for now, and nothing of it is kept.
func TestRefusals(t *testing.T) {
	t.Parallel()
	good := text("x\n", "s@example.test", "a@example.test")
	for _, c := range []struct {
		in, want string
	}{
		{text("x\n", "s@example.test"), "DError: no recipients specified"}, {text("x\n"), "DError: netstring format error"}, {text(), "DError: netstring format error"},
		{text(strings.Repeat("x", 1001), "s@example.test", "a@example.test"), "DError: message too large"}, {"99999999999999:", "DError: message too large"},
		{text("x\n", "s@@", "a@example.test"), "DError: bad sender address syntax"}, {text("x\n", "list-@host-@[]", "a@example.test"), "DError: bad sender address syntax"},
		{text("x\n", "s@example.test", ""), "DError: bad recipient address syntax"}, {text("x\n", "s@example.test", "a@example.test", "a b@"), "DError: bad recipient address syntax"},
		{text("x\n", "s@example.test", strings.Repeat("a", 2049)), "DError: address too long"},
		{good[:len(good)-1] + ";", "DError: netstring format error"}, {"x", "DError: netstring format error"}, {"05:hello,", "DError: netstring format error"},
		{"5:3:abc,,", "DError: netstring format error"}, {"6:9:abc,,", "DError: netstring format error"},
	} {
		k := &kept{}
		if got := exchange(t, daemon(t, k, nil), c.in, ""); got != c.want || len(k.texts) > 0 {
			t.Errorf("%q: %q, want %q", c.in, got, c.want)
		}
	}
	// Each part of a message, and the end of the connection: nobody hears anything, and nothing is kept.
	for n := range good {
		k := &kept{}
		if got := exchange(t, daemon(t, k, nil), good[:n], ""); got != "" || len(k.texts) > 0 {
			t.Errorf("%q: %q", good[:n], got)
		}
	}
	for err, want := range map[*dsn.Error]string{
		dsn.New(dsn.SystemFull, "Insufficient system storage"): "ZInsufficient system storage", dsn.New(dsn.Policy, "no\n5:x,"): "Dno?5:x,",
	} {
		if got := exchange(t, daemon(t, &kept{err: err}, nil), good, ""); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	full := daemon(t, &kept{}, func(o *Options) { o.Room = func(int64) error { return dsn.New(dsn.SystemFull, "full") } })
	if got := exchange(t, full, good, ""); got != "Zfull" {
		t.Errorf("%q", got)
	}
	if got := exchange(t, daemon(t, &kept{}, nil), good, "198.51.100.7"); got != "DError: 198.51.100.7 is not authorized to use this service" {
		t.Errorf("%q", got)
	}
	nobody := daemon(t, &kept{}, func(o *Options) { o.Params.Clients, o.Params.ClientPortLogging = nil, true })
	if got := exchange(t, nobody, good, "127.0.0.1"); got != "DError: 127.0.0.1:1234 is not authorized to use this service" {
		t.Errorf("%q", got)
	}
}

// FuzzSession: whatever comes, there is one answer at most, and a K for what is a message to the last octet.
func FuzzSession(f *testing.F) {
	for _, s := range []string{"", text("x\n", "s", "a"), "5:3:abc,,", "0:,", "12:1:x,1:s,1:a,,", "9:1:x,0:,,"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		k := &kept{}
		got := exchange(t, daemon(t, k, nil), string(in), "")
		if (got != "" && got[0] == 'K') != (len(k.envs) == 1) {
			t.Fatalf("%q: %q and %d messages", in, got, len(k.envs))
		}
		if len(k.envs) == 0 {
			return
		}
		rest := string(in)
		outer, err := netstring.Read(bufio.NewReader(strings.NewReader(rest)), 1<<20)
		if err != nil {
			t.Fatalf("%q is no netstring, and was taken", in)
		}
		n := 0
		for r := bufio.NewReader(bytes.NewReader(outer)); ; n++ {
			if _, err := netstring.Read(r, 1<<20); err == io.EOF {
				break
			} else if err != nil {
				t.Fatalf("%q was taken: %v", in, err)
			}
		}
		if n != 2+len(k.envs[0].Recipients) {
			t.Fatalf("%q: %s", in, fmt.Sprint(k.envs[0]))
		}
	})
}
