package smtp

import (
	"context"
	"crypto/tls"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"toastmaster/configs"
	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/testkit/dnstest"
	"toastmaster/mta/agent"
	"toastmaster/mta/queue"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestDelivers(t *testing.T) {
	t.Parallel()
	for name, ehlo := range map[string][]string{
		"pipelined": {"PIPELINING", "8BITMIME"}, "one by one": {"8BITMIME"}, "nothing offered": {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPeer(t, "127.0.0.1:0")
			p.ehlo = ehlo
			r := newRig(t, p.start().port, one(), nil)
			got := r.deliver(request("remote.test", hello, "a@remote.test", "b@remote.test"))
			r.want(got, dsn.OK, dsn.OK)
			if got[0].Action != agent.Relayed || got[0].Effect != queue.EffectFinal || !strings.HasPrefix(got[0].Relay, "mx.remote.test[127.0.0.1]:") ||
				got[0].Text != "250 2.0.0 queued as 1" || got[0].Connected.IsZero() {
				t.Errorf("%+v", got[0])
			}
			if want := "Subject: hello\r\n\r\nhello\r\n..dot\r\n"; len(p.messages) != 1 || p.messages[0] != want {
				t.Errorf("%q", p.messages)
			}
			if e := p.seen("EHLO"); len(e) != 1 || e[0] != "EHLO mail.example.test" {
				t.Errorf("%q", e)
			}
		})
	}
}

func TestMixedReplies(t *testing.T) {
	t.Parallel()
	for _, ehlo := range [][]string{{"PIPELINING"}, {}} {
		p := newPeer(t, "127.0.0.1:0")
		p.ehlo = ehlo
		p.answers = map[string][]string{
			"RCPT TO:<gone@":  {"550 5.1.1 no such user\x07"},
			"RCPT TO:<later@": {"450 4.2.0 greylisted"},
			"RCPT TO:<old@":   {"553 go away"},
		}
		r := newRig(t, p.start().port, one(), nil)
		got := r.deliver(request("remote.test", hello, "gone@remote.test", "ok@remote.test", "later@remote.test", "old@remote.test"))
		r.want(got, dsn.BadDestMailbox, dsn.OK, dsn.Make(4, 2, 0), dsn.Make(5, 0, 0))
		e := got[0].Err
		if e.RemoteMTA != "mx.remote.test" || e.RemoteReply != "550 5.1.1 no such user?" || got[0].Site {
			t.Errorf("%+v", got[0])
		}
		if _, n := p.count(); n != 1 {
			t.Errorf("%d messages", n)
		}
	}
}

func TestGreylistedThenTaken(t *testing.T) {
	t.Parallel()
	p := newPeer(t, "127.0.0.1:0")
	p.answers = map[string][]string{"RCPT": {"450 4.7.1 come back", "250 ok"}}
	r := newRig(t, p.start().port, one(), nil)
	q := request("remote.test", hello, "a@remote.test")
	r.want(r.deliver(q), dsn.Make(4, 7, 1))
	r.want(r.deliver(q), dsn.OK)
	if sessions, messages := p.count(); sessions != 1 || messages != 2 {
		t.Errorf("%d sessions, %d messages", sessions, messages)
	}
	if len(p.seen("RSET")) != 1 {
		t.Error("the refused transaction was not reset")
	}
	if p.messages[0] != "" {
		t.Error("somebody got the message that nobody was to get")
	}
}

func TestReplyToMailOrDataIsForAll(t *testing.T) {
	t.Parallel()
	for key, reply := range map[string]string{"MAIL": "451 4.1.8 who are you", "DATA": "451 4.1.8 no", "<data>": "451 4.1.8 hm"} {
		for _, ehlo := range [][]string{{"PIPELINING"}, {}} {
			p := newPeer(t, "127.0.0.1:0")
			p.ehlo = ehlo
			p.answers = map[string][]string{key: {reply}}
			r := newRig(t, p.start().port, one(), nil)
			got := r.deliver(request("remote.test", hello, "a@remote.test", "b@remote.test"))
			r.want(got, dsn.Make(4, 1, 8), dsn.Make(4, 1, 8))
			if got[0].Site {
				t.Errorf("%s: counted against the site", key)
			}
		}
	}
}

func TestLostBehindTheDotIsDeferredAndNotSentElsewhere(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"drop", "hang", "421 4.3.2 shutting down"} {
		p := newPeer(t, "127.0.0.1:0")
		p.answers = map[string][]string{"<data>": {how}}
		names := one()
		names["remote.test"] = dnstest.Name{MX: []net.MX{{Host: "mx.remote.test", Pref: 1}, {Host: "mx2.remote.test", Pref: 2}}}
		names["mx2.remote.test"] = dnstest.Name{Addrs: []string{"127.0.0.1"}}
		r := newRig(t, p.start().port, names, func(c *configs.SMTP, _ *Options) { c.DataDoneTimeout = 100 * time.Millisecond })
		got := r.deliver(request("remote.test", hello, "a@remote.test"))
		if e := got[0].Err; e == nil || !e.Temporary() {
			t.Fatalf("%s: %+v", how, got[0])
		}
		if sessions, _ := p.count(); sessions != 1 {
			t.Errorf("%s: %d sessions", how, sessions)
		}
	}
}

func TestNextHost(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]func(*peer){
		"greeting 554":   func(p *peer) { p.greeting = "554 5.7.1 no mail here" },
		"greeting 421":   func(p *peer) { p.greeting = "421 4.3.2 busy" },
		"no greeting":    func(p *peer) { p.greeting = "drop" },
		"no smtp":        func(p *peer) { p.greeting = "HTTP/1.0 400 Bad Request" },
		"dies in MAIL":   func(p *peer) { p.answers["MAIL"] = []string{"drop"} },
		"421 at RCPT":    func(p *peer) { p.answers["RCPT"] = []string{"421 4.3.2 enough"} },
		"EHLO and HELO":  func(p *peer) { p.answers["EHLO"], p.answers["HELO"] = []string{"502 no"}, []string{"550 no"} },
		"reply no SMTP":  func(p *peer) { p.answers["RCPT"] = []string{"250-ok\r\n550 no"} },
		"reply too long": func(p *peer) { p.answers["MAIL"] = []string{"pour"} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bad, good := newPeers(t)
			script(bad)
			bad.start()
			good.start()
			r := newRig(t, bad.port, map[string]dnstest.Name{
				"remote.test":   {MX: []net.MX{{Host: "b.remote.test", Pref: 20}, {Host: "a.remote.test", Pref: 10}}},
				"a.remote.test": {Addrs: []string{"127.0.0.1"}}, "b.remote.test": {Addrs: []string{"127.0.0.2"}},
			}, nil)
			got := r.deliver(request("remote.test", hello, "a@remote.test"))
			r.want(got, dsn.OK)
			if s, n := bad.count(); s != 1 || n != 0 {
				t.Errorf("bad host: %d sessions, %d messages", s, n)
			}
			if _, n := good.count(); n != 1 {
				t.Errorf("good host: %d messages", n)
			}
		})
	}
}

func itoa(n int) string { return strconv.Itoa(n) }

func TestNobodyThere(t *testing.T) {
	t.Parallel()
	port := silentPort(t)
	r := newRig(t, port, one(), nil)
	got := r.deliver(request("remote.test", hello, "a@remote.test", "b@remote.test"))
	r.want(got, dsn.NoAnswer, dsn.NoAnswer)
	if !got[0].Site || !got[1].Site {
		t.Error("not counted against the site")
	}
	if want := "[127.0.0.1]:" + itoa(port) + ": Connection refused"; !strings.HasSuffix(got[0].Err.Text, want) {
		t.Errorf("%q does not say where and why: %q", got[0].Err.Text, want)
	}
}

func TestGreetingRefusedForGoodIsTemporary(t *testing.T) {
	t.Parallel()
	p := newPeer(t, "127.0.0.1:0")
	p.greeting = "554 5.7.1 no mail from you"
	r := newRig(t, p.start().port, one(), nil)
	got := r.deliver(request("remote.test", hello, "a@remote.test"))
	r.want(got, dsn.Make(4, 7, 1))
	if !got[0].Site {
		t.Error("not counted against the site")
	}
}

// TestPatienceEnds: slow and endless replies cost bounded time and memory.
func TestPatienceEnds(t *testing.T) {
	t.Parallel()
	for how, want := range map[string]dsn.Status{"hang": dsn.BadConnection, "drip": dsn.BadConnection, "pour": protocolError} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			p := newPeer(t, "127.0.0.1:0")
			p.answers = map[string][]string{"MAIL": {how}}
			r := newRig(t, p.start().port, one(), func(c *configs.SMTP, _ *Options) {
				if how != "pour" { // which is too much long before it is too long
					c.MailTimeout = 200 * time.Millisecond
				}
			})
			start := time.Now()
			got := r.deliver(request("remote.test", hello, "a@remote.test"))
			r.want(got, want)
			if !got[0].Site {
				t.Error("not counted against the site")
			}
			if took := time.Since(start); took > 5*time.Minute {
				t.Errorf("took %v", took)
			}
		})
	}
}

func TestDeliveryTimeout(t *testing.T) {
	t.Parallel()
	p := newPeer(t, "127.0.0.1:0")
	p.answers = map[string][]string{"MAIL": {"hang"}}
	asked := make(chan struct{})
	p.heard = func(line string) {
		if strings.HasPrefix(line, "MAIL") {
			close(asked)
		}
	}
	r := newRig(t, p.start().port, one(), func(c *configs.SMTP, _ *Options) { c.MailTimeout, c.DeliveryTimeout = time.Hour, time.Minute })
	// The time ends while the agent waits for the answer, however long it took to
	// come that far.
	r.agent.timeout = func(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
		if d != time.Minute {
			t.Errorf("%v", d)
		}
		ctx, cancel := context.WithCancel(ctx)
		go func() {
			<-asked
			cancel()
		}()
		return ctx, cancel
	}
	r.want(r.deliver(request("remote.test", hello, "a@remote.test")), dsn.BadConnection)
}

func TestShutdownLeavesRecipientsAlone(t *testing.T) {
	t.Parallel()
	p := newPeer(t, "127.0.0.1:0")
	p.answers = map[string][]string{"MAIL": {"hang"}}
	ctx, cancel := context.WithCancel(t.Context())
	p.heard = func(line string) {
		if strings.HasPrefix(line, "MAIL") {
			cancel()
		}
	}
	r := newRig(t, p.start().port, one(), nil)
	r.agent.Deliver(ctx, request("remote.test", hello, "a@remote.test"), func(res agent.Result) { t.Errorf("reported %+v", res) })
}

func TestShutdownBehindTheDotWaitsForTheAnswer(t *testing.T) {
	t.Parallel()
	p := newPeer(t, "127.0.0.1:0")
	ctx, cancel := context.WithCancel(t.Context())
	r := newRig(t, p.port, one(), nil)
	p.atDot = cancelAndWait(r, cancel)
	p.start()
	var got []agent.Result
	r.agent.Deliver(ctx, request("remote.test", hello, "a@remote.test"), func(res agent.Result) { got = append(got, res) })
	if len(got) != 1 || got[0].Err != nil {
		t.Errorf("%+v", got)
	}
}

func TestShutdownBeforeTheDotSendsNothing(t *testing.T) {
	t.Parallel()
	p := newPeer(t, "127.0.0.1:0")
	ctx, cancel := context.WithCancel(t.Context())
	r := newRig(t, p.start().port, one(), nil)
	q := request("remote.test", hello, "a@remote.test")
	q.Content = &atRead{Memory: envelope.Memory(hello), call: cancelAndWait(r, cancel)}
	r.agent.Deliver(ctx, q, func(res agent.Result) { t.Errorf("reported %+v", res) })
	if _, n := p.count(); n != 0 {
		t.Errorf("%d messages", n)
	}
}

// cancelAndWait cancels a request and waits until that has reached its
// connection.
func cancelAndWait(r *rig, cancel context.CancelFunc) func() {
	done := make(chan struct{})
	r.agent.interrupted = sync.OnceFunc(func() { close(done) })
	return func() {
		cancel()
		select {
		case <-done:
		case <-time.After(time.Minute):
			r.t.Error("the end of the request does not reach the connection")
		}
	}
}

// atRead calls a function when its content is read.
type atRead struct {
	envelope.Memory
	call func()
}

func (c *atRead) Bytes() ([]byte, bool) { return nil, false }

func (c *atRead) ReadAt(p []byte, off int64) (int, error) {
	c.call()
	return c.Memory.ReadAt(p, off)
}

func TestConnectionsAreReused(t *testing.T) {
	t.Parallel()
	p := newPeer(t, "127.0.0.1:0")
	r := newRig(t, p.start().port, one(), func(c *configs.SMTP, _ *Options) { c.CacheReuseCount = 2 })
	for range 4 {
		r.want(r.deliver(request("remote.test", hello, "a@remote.test")), dsn.OK)
	}
	if sessions, messages := p.count(); sessions != 2 || messages != 4 {
		t.Errorf("%d sessions, %d messages", sessions, messages)
	}
}

func TestAStaleConnectionCostsNothing(t *testing.T) {
	t.Parallel()
	p := newPeer(t, "127.0.0.1:0")
	p.answers = map[string][]string{"MAIL": {"250 ok", "drop", "250 ok"}}
	r := newRig(t, p.start().port, one(), nil)
	for range 2 {
		r.want(r.deliver(request("remote.test", hello, "a@remote.test")), dsn.OK)
	}
	if sessions, messages := p.count(); sessions != 2 || messages != 2 {
		t.Errorf("%d sessions, %d messages", sessions, messages)
	}
}

func TestIdleConnectionsAreClosed(t *testing.T) {
	t.Parallel()
	p := newPeer(t, "127.0.0.1:0")
	quit := make(chan struct{})
	p.heard = func(line string) {
		if line == "QUIT" {
			close(quit)
		}
	}
	r := newRig(t, p.start().port, one(), func(c *configs.SMTP, _ *Options) { c.CacheTime = 20 * time.Millisecond })
	r.want(r.deliver(request("remote.test", hello, "a@remote.test")), dsn.OK)
	select {
	case <-quit:
	case <-time.After(time.Minute):
		t.Fatal("no QUIT")
	}
}

func TestCrowdedRecipientsComeAgain(t *testing.T) {
	t.Parallel()
	for _, ehlo := range [][]string{{"PIPELINING"}, {}} {
		p := newPeer(t, "127.0.0.1:0")
		p.ehlo = ehlo
		p.answers = map[string][]string{"RCPT": {"250 ok", "452 4.5.3 too many", "452 4.5.3 too many", "250 ok", "452 4.5.3 too many", "250 ok"}}
		r := newRig(t, p.start().port, one(), nil)
		r.want(r.deliver(request("remote.test", hello, "a@remote.test", "b@remote.test", "c@remote.test")), dsn.OK, dsn.OK, dsn.OK)
		if sessions, messages := p.count(); sessions != 1 || messages != 3 {
			t.Errorf("%d sessions, %d messages", sessions, messages)
		}
	}
}

func TestManyRecipients(t *testing.T) {
	t.Parallel()
	p := newPeer(t, "127.0.0.1:0")
	var to []string
	var want []dsn.Status
	for i := range 333 {
		to = append(to, "user"+itoa(i)+"@remote.test")
		want = append(want, dsn.OK)
	}
	r := newRig(t, p.start().port, one(), nil)
	r.want(r.deliver(request("remote.test", hello, to...)), want...)
	if len(p.seen("RCPT")) != 333 || len(p.messages) != 1 {
		t.Error("not all in one transaction")
	}
}

func TestSizeLimit(t *testing.T) {
	t.Parallel()
	p := newPeer(t, "127.0.0.1:0")
	p.ehlo = []string{"SIZE 30"}
	r := newRig(t, p.start().port, one(), nil)
	r.want(r.deliver(request("remote.test", hello, "a@remote.test")), dsn.MessageTooLong)
	r.want(r.deliver(request("remote.test", "A: b\n\nc\n", "a@remote.test")), dsn.OK)
	if m := p.seen("MAIL"); len(m) != 1 || m[0] != "MAIL FROM:<s@example.test> SIZE=11" {
		t.Errorf("%q", m)
	}
}

func TestEightBit(t *testing.T) {
	t.Parallel()
	p, q := newPeers(t)
	p.ehlo, q.ehlo = []string{"8BITMIME"}, nil
	p.start()
	q.start()
	names := one()
	names["old.test"] = dnstest.Name{Addrs: []string{"127.0.0.2"}}
	r := newRig(t, p.port, names, nil)
	eight := request("remote.test", "Subject: x\n\nna\xc3\xafve\n", "a@remote.test")
	eight.Envelope.Body = envelope.Body8BitMIME
	r.want(r.deliver(eight), dsn.OK)
	if m := p.seen("MAIL"); m[0] != "MAIL FROM:<s@example.test> BODY=8BITMIME" {
		t.Errorf("%q", m)
	}
	eight.Nexthop = "old.test"
	r.want(r.deliver(eight), dsn.OK)
	eight.Content = fileLike{envelope.Memory(strings.Repeat("x\n", 20_000) + "\xff\n")} // all of it is a header
	r.want(r.deliver(eight), dsn.OK)
	eight.Content = fileLike{envelope.Memory("A: b\n\n" + strings.Repeat(".x\n", 20_000) + "\xff\n")}
	r.want(r.deliver(eight), dsn.OK)
	eight.Content = envelope.Memory(hello)
	r.want(r.deliver(eight), dsn.OK)
	for _, m := range q.seen("MAIL") {
		if m != "MAIL FROM:<s@example.test>" {
			t.Errorf("%q", m)
		}
	}
	head := "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=unknown-8bit\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
	want := []string{
		"Subject: x\r\n" + head + "na=C3=AFve\r\n", strings.Repeat("x\r\n", 20_000) + "\xff\r\n",
		"A: b\r\n" + head + strings.Repeat("..x\r\n", 20_000) + "=FF\r\n", strings.ReplaceAll(strings.ReplaceAll(hello, "\n.", "\n.."), "\n", "\r\n"),
	}
	if !slices.Equal(q.messages, want) {
		t.Errorf("%.300q", q.messages)
	}
}

// TestConvertedInSize: SIZE is that of what is sent, and so is what is compared with the limit.
func TestConvertedInSize(t *testing.T) {
	t.Parallel()
	p := newPeer(t, "127.0.0.1:0")
	p.ehlo = []string{"SIZE 400"}
	r := newRig(t, p.start().port, one(), nil)
	q := request("remote.test", "Subject: x\n\nna\xc3\xafve\n", "a@remote.test")
	r.want(r.deliver(q), dsn.OK)
	if m := p.seen("MAIL"); len(m) != 1 || m[0] != "MAIL FROM:<s@example.test> SIZE="+itoa(len(p.messages[0])) {
		t.Errorf("%q for %d octets", m, len(p.messages[0]))
	}
	q.Content = envelope.Memory("Subject: x\n\n" + strings.Repeat("\xff", 150) + "\n")
	r.want(r.deliver(q), dsn.MessageTooLong)
}

// TestNotConverted: what is signed comes back, for each recipient, and the next peer may take it as it is.
func TestNotConverted(t *testing.T) {
	t.Parallel()
	p, q := newPeers(t)
	p.ehlo = nil
	p.start()
	q.start()
	names := one()
	names["new.test"] = dnstest.Name{Addrs: []string{"127.0.0.2"}}
	r := newRig(t, p.port, names, nil)
	text := "Content-Type: multipart/signed; boundary=s\n\n--s\n\n\xff\n--s\n\nsignature\n--s--\n"
	got := r.deliver(request("remote.test", text, "a@remote.test", "b@remote.test"))
	r.want(got, notConverted, notConverted)
	if !strings.Contains(got[0].Err.Text, "multipart/signed") || len(p.seen("MAIL")) > 0 {
		t.Errorf("%v, %q", got[0].Err, p.commands)
	}
	r.want(r.deliver(request("new.test", text, "a@remote.test")), dsn.OK)
	if len(q.messages) != 1 || q.messages[0] != strings.ReplaceAll(text, "\n", "\r\n") {
		t.Errorf("%q", q.messages)
	}
	as := newRig(t, p.port, names, func(c *configs.SMTP, _ *Options) { c.KeepEightBit = true })
	as.want(as.deliver(request("remote.test", text, "a@remote.test")), dsn.OK)
	if len(p.messages) != 1 || p.messages[0] != q.messages[0] {
		t.Errorf("%q", p.messages)
	}
}

// fileLike is a content that does not lie in memory.
type fileLike struct{ envelope.Memory }

func (fileLike) Bytes() ([]byte, bool) { return nil, false }

func TestContentOfAFile(t *testing.T) {
	t.Parallel()
	p := newPeer(t, "127.0.0.1:0")
	r := newRig(t, p.start().port, one(), nil)
	text := strings.Repeat(".A line of some length\n", 10_000)
	q := request("remote.test", "", "a@remote.test")
	q.Content = fileLike{envelope.Memory(text)}
	r.want(r.deliver(q), dsn.OK)
	if want := strings.ReplaceAll(strings.ReplaceAll(text, "\n", "\r\n"), ".A", "..A"); p.messages[0] != want {
		t.Error("changed on the way")
	}
}

// broken cannot be read beyond its first half.
type broken struct{ fileLike }

func (b broken) Size() int64 { return 2 * b.Memory.Size() }

func TestAContentThatCannotBeReadIsNotCutShort(t *testing.T) {
	t.Parallel()
	p := newPeer(t, "127.0.0.1:0")
	r := newRig(t, p.start().port, one(), nil)
	q := request("remote.test", "", "a@remote.test")
	q.Content = broken{fileLike{envelope.Memory(hello)}}
	got := r.deliver(q)
	r.want(got, dsn.MailSystem)
	if _, n := p.count(); n != 0 || got[0].Site {
		t.Errorf("%d messages, %+v", n, got[0])
	}
}

func TestSMTPUTF8(t *testing.T) {
	t.Parallel()
	p, q := newPeers(t)
	p.ehlo, q.ehlo = []string{"8BITMIME", "SMTPUTF8"}, []string{"8BITMIME"}
	p.start()
	q.start()
	names := one()
	names["old.test"] = dnstest.Name{Addrs: []string{"127.0.0.2"}}
	r := newRig(t, p.port, names, nil)
	m := request("remote.test", hello, "a@remote.test", "jos\u00e9@remote.test")
	m.Envelope.UTF8 = true
	r.want(r.deliver(m), dsn.OK, dsn.OK)
	if c := p.seen("MAIL"); c[0] != "MAIL FROM:<s@example.test> SMTPUTF8" {
		t.Errorf("%q", c)
	}
	m.Nexthop = "old.test"
	r.want(r.deliver(m), dsn.OK, dsn.NonASCIIAddress)
	m.Content = envelope.Memory("Subject: caf\u00e9\n\nx\n")
	r.want(r.deliver(m), dsn.NonASCIIAddress, dsn.NonASCIIAddress)
	m.Content = envelope.Memory(hello)
	m.Envelope.Sender = addr.Address{Local: "andr\u00e9", Domain: "example.test"}
	r.want(r.deliver(m), dsn.NonASCIIAddress, dsn.NonASCIIAddress)
}

func TestDSNParameters(t *testing.T) {
	t.Parallel()
	p := newPeer(t, "127.0.0.1:0")
	p.ehlo = []string{"DSN"}
	r := newRig(t, p.start().port, one(), nil)
	q := request("remote.test", hello, "a@remote.test", "b@remote.test", "c@remote.test")
	q.Envelope.Return, q.Envelope.EnvID = envelope.ReturnHeaders, "QQ+3D1"
	q.Envelope.Recipients[0].Notify = envelope.NotifySuccess | envelope.NotifyDelay
	q.Envelope.Recipients[0].ORcpt = "rfc822;x+2By@example.test"
	q.Envelope.Recipients[1].Notify = envelope.NotifyNever
	q.Envelope.Recipients[2].Original = addr.Address{Local: "c+d", Domain: "example.test"}
	got := r.deliver(q)
	r.want(got, dsn.OK, dsn.OK, dsn.OK)
	if got[0].Action != agent.Transferred {
		t.Errorf("%+v", got[0])
	}
	want := []string{
		"RCPT TO:<a@remote.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;x+2By@example.test",
		"RCPT TO:<b@remote.test> NOTIFY=NEVER",
		"RCPT TO:<c@remote.test> ORCPT=rfc822;c+2Bd@example.test",
	}
	if m := p.seen("MAIL"); m[0] != "MAIL FROM:<s@example.test> RET=HDRS ENVID=QQ+3D1" {
		t.Errorf("%q", m)
	}
	if c := p.seen("RCPT"); strings.Join(c, "\n") != strings.Join(want, "\n") {
		t.Errorf("%q", c)
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	cert, roots := certificate(t, "mx.remote.test")
	other, _ := certificate(t, "other.test")
	for name, c := range map[string]struct {
		level    configs.TLSLevel
		offer    bool
		starttls string
		cert     tls.Certificate
		want     dsn.Status
		inTLS    bool
		sessions int
	}{
		"may":                     {configs.TLSMay, true, "", cert, dsn.OK, true, 1},
		"may, any certificate":    {configs.TLSMay, true, "", other, dsn.OK, true, 1},
		"may, not offered":        {configs.TLSMay, false, "", cert, dsn.OK, false, 1},
		"may, refused":            {configs.TLSMay, true, "454 4.7.0 not now", cert, dsn.OK, false, 1},
		"may, handshake fails":    {configs.TLSMay, true, "bad", cert, dsn.OK, false, 2},
		"may, injected plaintext": {configs.TLSMay, true, "220 go\r\n250 injected", cert, dsn.OK, true, 1},
		"none":                    {configs.TLSNone, true, "", cert, dsn.OK, false, 1},
		"encrypt":                 {configs.TLSEncrypt, true, "", other, dsn.OK, true, 1},
		"encrypt, not offered":    {configs.TLSEncrypt, false, "", cert, tlsNotOffered, false, 1},
		"encrypt, fails":          {configs.TLSEncrypt, true, "bad", cert, tlsFailed, false, 1},
		"verify":                  {configs.TLSVerify, true, "", cert, dsn.OK, true, 1},
		"verify, somebody else's": {configs.TLSVerify, true, "", other, tlsFailed, false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPeer(t, "127.0.0.1:0")
			p.tls = &tls.Config{Certificates: []tls.Certificate{c.cert}}
			p.ehlo, p.underTLS = []string{"PIPELINING"}, []string{"PIPELINING", "DSN"}
			if c.offer {
				p.ehlo = append(p.ehlo, "STARTTLS")
			}
			p.badTLS = c.starttls == "bad"
			if c.starttls != "" && !p.badTLS {
				p.answers["STARTTLS"] = []string{c.starttls}
			}
			r := newRig(t, p.start().port, one(), func(s *configs.SMTP, o *Options) {
				s.TLSLevel, o.TLS = c.level, &tls.Config{RootCAs: roots}
			})
			got := r.deliver(request("remote.test", hello, "a@remote.test"))
			r.want(got, c.want)
			if inTLS := got[0].Action == agent.Transferred; inTLS != c.inTLS {
				t.Errorf("in TLS: %v", inTLS)
			}
			if sessions, _ := p.count(); sessions != c.sessions {
				t.Errorf("%d sessions", sessions)
			}
		})
	}
}

// TestBrokenTLSFallsBack: with smtp.tls_level may a host whose TLS is broken in any way gets the
// mail in clear, in the same attempt, and without it (encrypt) nothing.
func TestBrokenTLSFallsBack(t *testing.T) {
	t.Parallel()
	cert, _ := certificate(t, "mx.remote.test")
	offer := "250-mx.test\r\n250 STARTTLS"
	for name, c := range map[string]struct {
		answers  map[string][]string
		change   func(*peer)
		sessions int
	}{
		"refused for now":         {map[string][]string{"STARTTLS": {"454 4.7.0 not now"}}, nil, 1},
		"refused for ever":        {map[string][]string{"STARTTLS": {"502 5.5.1 what is that"}}, nil, 1},
		"refused with the door":   {map[string][]string{"STARTTLS": {"421 4.7.0 no TLS today"}}, nil, 2},
		"connection lost":         {map[string][]string{"STARTTLS": {"drop"}}, nil, 2},
		"garbage":                 {map[string][]string{"STARTTLS": {"go ahead"}}, nil, 2},
		"garbage without end":     {map[string][]string{"STARTTLS": {"pour"}}, nil, 2},
		"go on, says a 3xx":       {map[string][]string{"STARTTLS": {"354 go on"}}, nil, 1},
		"clear text, and no TLS":  {nil, func(p *peer) { p.badTLS = true }, 2},
		"no certificate":          {nil, func(p *peer) { p.tls = &tls.Config{} }, 2},
		"wants one of ours":       {nil, func(p *peer) { p.tls.ClientAuth = tls.RequireAnyClientCert }, 2},
		"EHLO under TLS is lost":  {map[string][]string{"EHLO": {offer, "drop", offer}}, nil, 2},
		"EHLO under TLS: garbage": {map[string][]string{"EHLO": {offer, "hello", offer}}, nil, 2},
		"EHLO under TLS: refused": {map[string][]string{"EHLO": {offer, "421 4.3.2 not like this", offer}}, nil, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, level := range []configs.TLSLevel{configs.TLSMay, configs.TLSEncrypt} {
				p := newPeer(t, "127.0.0.1:0")
				p.tls, p.ehlo = &tls.Config{Certificates: []tls.Certificate{cert}}, []string{"STARTTLS"}
				for k, v := range c.answers {
					p.answers[k] = slices.Clone(v)
				}
				if c.change != nil {
					c.change(p)
				}
				r := newRig(t, p.start().port, one(), func(s *configs.SMTP, _ *Options) { s.TLSLevel = level })
				got := r.deliver(request("remote.test", hello, "a@remote.test"))
				sessions, messages := p.count()
				if level == configs.TLSMay {
					r.want(got, dsn.OK)
					if sessions != c.sessions || messages != 1 || len(p.seen("STARTTLS")) != 1 {
						t.Errorf("%d sessions, %d messages, %q", sessions, messages, p.seen("STARTTLS"))
					}
					continue
				}
				if e := got[0].Err; e == nil || !e.Temporary() || sessions != 1 || len(p.seen("MAIL")) > 0 {
					t.Errorf("encrypt: %v, %d sessions, %q", got[0].Err, sessions, p.seen("MAIL"))
				}
			}
		})
	}
}

func TestLogIn(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "passwords")
	if err := os.WriteFile(file, []byte("# comment\n[127.0.0.1] me:se:cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cert, _ := certificate(t, "relay.test")
	for name, c := range map[string]struct {
		ehlo, underTLS []string
		answers        map[string][]string
		want           dsn.Status
		commands       []string
	}{
		"plain":   {[]string{"STARTTLS"}, []string{"AUTH PLAIN LOGIN"}, nil, dsn.OK, []string{"AUTH PLAIN AG1lAHNlOmNyZXQ="}},
		"login":   {[]string{"STARTTLS"}, []string{"AUTH LOGIN"}, map[string][]string{"AUTH LOGIN": {"334 VXNlcm5hbWU6"}, "bWU=": {"334 UGFzc3dvcmQ6"}, "c2U6Y3JldA==": {"235 ok"}}, dsn.OK, []string{"AUTH LOGIN"}},
		"refused": {[]string{"STARTTLS"}, []string{"AUTH PLAIN"}, map[string][]string{"AUTH": {"535 5.7.8 wrong"}}, loginRefused, nil},
		"clear":   {[]string{"AUTH PLAIN"}, nil, nil, dsn.AuthUnavailable, []string{}},
		"unknown": {[]string{"STARTTLS"}, []string{"AUTH X-MAGIC"}, nil, dsn.AuthUnavailable, []string{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPeer(t, "127.0.0.1:0")
			p.tls = &tls.Config{Certificates: []tls.Certificate{cert}}
			p.ehlo, p.underTLS = c.ehlo, c.underTLS
			if c.answers != nil {
				p.answers = c.answers
			}
			r := newRig(t, p.start().port, nil, func(s *configs.SMTP, _ *Options) { s.PasswordFile = file })
			r.want(r.deliver(request(p.nexthop(), hello, "a@remote.test")), c.want)
			if got := p.seen("AUTH"); c.commands != nil && strings.Join(got, "\n") != strings.Join(c.commands, "\n") {
				t.Errorf("%q", got)
			}
			if c.want != dsn.OK && len(p.seen("MAIL")) > 0 {
				t.Error("MAIL without log-in")
			}
		})
	}
}

// TestWhoSubmittedGoesOn (RFC 4954 section 5): to hosts that offer AUTH, and that
// nobody knows to those where we log in.
func TestWhoSubmittedGoesOn(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "passwords")
	if err := os.WriteFile(file, []byte("[127.0.0.1] me:secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cert, _ := certificate(t, "relay.test")
	known, null := &addr.Address{Local: "a=b", Domain: "example.test"}, &addr.Address{}
	for name, c := range map[string]struct {
		auth   *addr.Address
		ehlo   []string
		login  bool
		params string
	}{
		"known":                {known, []string{"AUTH PLAIN"}, false, " AUTH=a+3Db@example.test"},
		"known, not offered":   {known, []string{"DSN"}, false, ""},
		"known, logged in":     {known, nil, true, " AUTH=a+3Db@example.test"},
		"nobody":               {null, []string{"AUTH PLAIN"}, false, ""},
		"nobody, logged in":    {null, nil, true, " AUTH=<>"},
		"not said, logged in":  {nil, nil, true, ""},
		"no ASCII, not a word": {&addr.Address{Local: "andr\u00e9", Domain: "example.test"}, []string{"AUTH PLAIN", "SMTPUTF8"}, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPeer(t, "127.0.0.1:0")
			p.ehlo = c.ehlo
			if c.login {
				p.tls, p.ehlo, p.underTLS = &tls.Config{Certificates: []tls.Certificate{cert}}, []string{"STARTTLS"}, []string{"AUTH PLAIN"}
			}
			r := newRig(t, p.start().port, nil, func(s *configs.SMTP, _ *Options) {
				if c.login {
					s.PasswordFile = file
				}
			})
			q := request(p.nexthop(), hello, "a@remote.test")
			q.Envelope.Auth = c.auth
			r.want(r.deliver(q), dsn.OK)
			if m := p.seen("MAIL"); len(m) != 1 || m[0] != "MAIL FROM:<s@example.test>"+c.params {
				t.Errorf("%q", m)
			}
		})
	}
}

// TestNoBareCRLeaves: what a peer makes of a CR that stands alone is what SMTP
// smuggling is made of, wherever the message came from.
func TestNoBareCRLeaves(t *testing.T) {
	t.Parallel()
	p := newPeer(t, "127.0.0.1:0")
	r := newRig(t, p.start().port, one(), nil)
	text := "Subject: x\n\na\r.\rMAIL FROM:<evil@remote.test>\r\r\n\r.\r\nend\r"
	r.want(r.deliver(request("remote.test", text, "a@remote.test")), dsn.OK)
	want := "Subject: x\r\n\r\na . MAIL FROM:<evil@remote.test> \r\n .\r\nend\r\n"
	if len(p.messages) != 1 || p.messages[0] != want {
		t.Errorf("%q", p.messages)
	}
}
