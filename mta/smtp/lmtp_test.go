package smtp

import (
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"toastmaster/configs"
	"toastmaster/internal/dsn"
)

// newLMTP is an agent lmtp and a server on a Unix socket, with its nexthop.
func newLMTP(t *testing.T) (*rig, *peer, string) {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "lmtp")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	p := &peer{t: t, l: l, lmtp: true, greeting: "220 store.test LMTP", ehlo: []string{"PIPELINING", "8BITMIME", "CHUNKING"}, answers: map[string][]string{}, conns: map[net.Conn]bool{}}
	t.Cleanup(p.stop)
	r := newRig(t, 0, nil, func(_ *configs.SMTP, o *Options) { o.LMTP = true })
	return r, p, "unix:" + socket
}

// TestLMTPOneReplyForEach: what the server says behind the final dot is for one recipient after
// the other, of those that it took at RCPT.
func TestLMTPOneReplyForEach(t *testing.T) {
	t.Parallel()
	r, p, nexthop := newLMTP(t)
	p.answers["RCPT TO:<b@"] = []string{"550 5.1.1 unknown"}
	p.answers["<data>"] = []string{"250 2.1.5 kept", "452 4.2.2 full", "552 5.2.2 full for good", "250 2.1.5 kept"}
	p.start()
	got := r.deliver(request(nexthop, hello, "a@x.test", "b@x.test", "c@x.test", "d@x.test", "e@x.test"))
	r.want(got, dsn.OK, dsn.Make(5, 1, 1), dsn.Make(4, 2, 2), dsn.Make(5, 2, 2), dsn.OK)
	if _, n := p.count(); n != 1 || p.messages[0] != "Subject: hello\r\n\r\nhello\r\n..dot\r\n" {
		t.Errorf("%d messages: %q", n, p.messages)
	}
	if relay := got[0].Relay; !strings.HasPrefix(relay, "mail.example.test[/") {
		t.Errorf("relay %q", relay)
	}
	if len(p.seen("LHLO mail.example.test")) != 1 || len(p.seen("EHLO")) != 0 || len(p.seen("BDAT")) != 0 {
		t.Errorf("%q", p.commands)
	}
	// The connection is used again.
	p.mu.Lock()
	p.answers = map[string][]string{}
	p.mu.Unlock()
	r.want(r.deliver(request(nexthop, hello, "a@x.test")), dsn.OK)
	if n, _ := p.count(); n != 1 {
		t.Errorf("%d sessions", n)
	}
}

// TestLMTPLostAmongReplies: whose reply was read has it, the others wait; nobody is delivered
// twice in one attempt.
func TestLMTPLostAmongReplies(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"drop", "nonsense", "421 4.3.2 going down"} {
		t.Run(bad, func(t *testing.T) {
			t.Parallel()
			r, p, nexthop := newLMTP(t)
			p.answers["<data>"] = []string{"250 2.1.5 kept", bad}
			p.start()
			got := r.deliver(request(nexthop, hello, "a@x.test", "b@x.test", "c@x.test"))
			if len(got) != 3 || got[0].Err != nil || got[1].Err == nil || !got[1].Err.Temporary() || got[2].Err == nil || !got[2].Err.Temporary() {
				t.Errorf("%+v", got)
			}
			if _, n := p.count(); n != 1 {
				t.Errorf("sent %d times", n)
			}
		})
	}
}

// TestLMTPForNobody: a server that says 354 although it took nobody is left alone: there would be
// no reply to wait for.
func TestLMTPForNobody(t *testing.T) {
	t.Parallel()
	r, p, nexthop := newLMTP(t)
	p.answers["RCPT"] = []string{"550 5.1.1 unknown"}
	p.start()
	r.want(r.deliver(request(nexthop, hello, "a@x.test", "b@x.test")), dsn.Make(5, 1, 1), dsn.Make(5, 1, 1))
	if _, n := p.count(); n != 0 {
		t.Errorf("%d messages", n)
	}
}

// TestLMTPNobodyThere: a socket that is not there, and a name that is not, are temporary troubles
// of the site.
func TestLMTPNobodyThere(t *testing.T) {
	t.Parallel()
	r, _, _ := newLMTP(t)
	for nexthop, want := range map[string]string{
		"unix:/nowhere/at/all":                  "No such file or directory",
		"inet:127.0.0.1:" + itoa(silentPort(t)): "Connection refused",
	} {
		got := r.deliver(request(nexthop, hello, "a@x.test"))
		r.want(got, dsn.NoAnswer)
		if !strings.Contains(got[0].Err.Text, want) || !got[0].Site {
			t.Errorf("%s: %+v", nexthop, got[0])
		}
	}
}

// TestLMTPNexthops: no MX is looked up, and the port is that of LMTP.
func TestLMTPNexthops(t *testing.T) {
	t.Parallel()
	r := newRig(t, 24, one(), func(_ *configs.SMTP, o *Options) { o.LMTP = true })
	for nexthop, want := range map[string]string{
		"unix:/run/store":          "mail.example.test[/run/store]",
		"inet:mx.remote.test":      "mx.remote.test[127.0.0.1]:24",
		"inet:mx.remote.test:2424": "mx.remote.test[127.0.0.1]:2424",
		"mx.remote.test":           "mx.remote.test[127.0.0.1]:24",
		"[mx.remote.test]:25":      "mx.remote.test[127.0.0.1]:25",
		"remote.test":              "", // it has an MX and no address
		"inet:[127.0.0.1]:24":      "127.0.0.1[127.0.0.1]:24",
	} {
		n, err := r.agent.nexthop(nexthop)
		if err != nil {
			t.Error(err)
			continue
		}
		list, _, failed := r.agent.targets(t.Context(), n)
		got := ""
		if len(list) > 0 {
			got = list[0].String()
		}
		if got != want || (failed == nil) != (want != "") {
			t.Errorf("%s: %s %v, want %s", nexthop, got, failed, want)
		}
	}
	for _, bad := range []string{"unix:", "unix:relative", "unix:/" + strings.Repeat("x", 107), "inet:", "inet:x:0", "inet:a b"} {
		if n, err := r.agent.nexthop(bad); err == nil {
			t.Errorf("%s: %+v", bad, n)
		}
	}
	if !slices.Contains(configs.Agents(), "lmtp") {
		t.Error("no agent lmtp")
	}
}
