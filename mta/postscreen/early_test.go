package postscreen

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"toastmaster/configs"
	"toastmaster/internal/dsn"
	"toastmaster/internal/service"
	"toastmaster/internal/smtpserver"
	"toastmaster/internal/testkit/dnstest"
)

func readFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	must(t, err)
	return string(text)
}

// TestWhoWaitsIsHandedOn: a new client hears the first line of the greeting, waits, and is
// smtpd's; for a day it need not wait again; then it has to, and is an old one.
func TestWhoWaitsIsHandedOn(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	p := r.dial("127.0.0.2")
	p.hear("220-mx.test ESMTP\r\n$")
	r.waiting(1)
	r.clock.Advance(6*time.Second - 1)
	if n := r.clock.Timers(); n != 1 {
		t.Fatalf("%d wait before the time is over", n)
	}
	r.clock.Advance(1)
	p.hear("220 next")
	p.ask("hello\r\n", "250 you said hello\r\n$")
	r.wantLog("127.0.0.2", "PASS NEW CLIENT")

	p = r.dial("127.0.0.2")
	p.hear("220 next")
	r.wantLog("127.0.0.2", "PASS NEW CLIENT", "PASS OLD CLIENT")
	r.clock.Advance(24*time.Hour - 7*time.Second)
	r.dial("127.0.0.2").hear("220 next")
	r.clock.Advance(8 * time.Second)
	p = r.dial("127.0.0.2")
	p.hear("220-mx.test ESMTP")
	r.waiting(1)
	r.clock.Advance(6 * time.Second)
	p.hear("220 next")
	r.wantLog("127.0.0.2", "PASS NEW CLIENT", "PASS OLD CLIENT", "PASS OLD CLIENT", "PASS OLD CLIENT")

	r.clock.Advance(9 * 24 * time.Hour) // greet_ttl and cache_retention_time
	r.greeted("127.0.0.2").hear("220 next")
	r.wantLog("127.0.0.2", "PASS NEW CLIENT", "PASS OLD CLIENT", "PASS OLD CLIENT", "PASS OLD CLIENT", "PASS NEW CLIENT")
}

// TestWhoTalksTooEarly: with each action, and that the test is made again the next time. What
// was sent is not lost.
func TestWhoTalksTooEarly(t *testing.T) {
	t.Parallel()
	for action, hears := range map[configs.ScreenAction]func(r *rig, p *peer){
		configs.ScreenIgnore: func(_ *rig, p *peer) { p.hear("220 next", "250 you said EHLO early\r\n$") },
		configs.ScreenDrop:   func(_ *rig, p *peer) { p.hear("521 5.5.1 Protocol error", "") },
		configs.ScreenEnforce: func(_ *rig, p *peer) {
			// No 220: it does not wait for one, and would take the 250 of EHLO for that of MAIL.
			p.hear("250-mx.test\r\n$", "250-SIZE 10240000", "250-ENHANCEDSTATUSCODES", "250-8BITMIME", "250-DSN", "250 SMTPUTF8")
			p.ask("MAIL FROM:<a@x.test>\r\n", "250 2.1.0 Ok")
			p.ask("RCPT TO:<b@y.test>\r\n", "550 5.5.1 Protocol error")
			p.ask("QUIT\r\n", "221 2.0.0", "")
		},
	} {
		t.Run(fmt.Sprint(action), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, func(r *rig) { r.params.GreetAction = action })
			const line = `PREGREET 12 after T from CLIENT: EHLO early\r\n`
			var want []string
			for range 2 {
				p := r.dial("127.0.0.2")
				p.hear("220-mx.test ESMTP")
				r.waiting(1)
				p.say("EHLO early\r\n")
				hears(r, p)
				want = append(want, line)
				if action == configs.ScreenEnforce {
					want = append(want, "NOQUEUE: reject: RCPT from CLIENT: 550 5.5.1 Protocol error; from=<a@x.test>, to=<b@y.test>, proto=ESMTP, helo=<early>")
				}
				r.wantLog("127.0.0.2", want...)
				_ = p.Close()
			}
			if r.cache.Len() != 0 {
				t.Error("a client that failed is remembered")
			}
		})
	}
}

// TestIgnoreRefusesNobody: smtpd itself forbids text before its greeting, but a client that is let
// pass in spite of that is not refused for it at the next desk.
func TestIgnoreRefusesNobody(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(r *rig) {
		r.next = &smtpserver.Server{Service: "smtpd", Hostname: "mx.test", ForbidEarly: true, Log: discard(), Clock: r.clock, Backend: smtpserver.BackendFunc(func(*smtpserver.Conn) smtpserver.Session { return mailbag{} })}
	})
	p := r.dial("127.0.0.2")
	p.hear("220-mx.test ESMTP")
	r.waiting(1)
	p.ask("HELO early\r\n", "220 mx.test", "250 mx.test")
	p.ask("MAIL FROM:<a@x.test>\r\n", "250 ")
	_ = p.Close()
	// One that has passed, and is not told to wait, is smtpd's affair, as without postscreen.
	r.greeted("127.0.0.3").hear("220 mx.test")
	p = r.dial("127.0.0.3")
	p.say("HELO early\r\nMAIL FROM:<a@x.test>\r\n")
	line, err := p.in.ReadString('\n')
	if err == nil && strings.HasPrefix(line, "220") { // it came after the greeting
		line, err = p.in.ReadString('\n')
	}
	if err != nil || !strings.HasPrefix(line, "554 5.5.0") {
		t.Errorf("%q %v", line, err)
	}
}

// mailbag takes everything.
type mailbag struct{}

func (mailbag) Mail(context.Context, smtpserver.Mail) *dsn.Error { return nil }
func (mailbag) Rcpt(context.Context, smtpserver.Rcpt) *dsn.Error { return nil }
func (mailbag) Data(_ context.Context, r io.Reader) (smtpserver.Accepted, *dsn.Error) {
	_, err := io.Copy(io.Discard, r)
	return smtpserver.Accepted{}, dsn.From(err)
}
func (mailbag) Reset() {}

// TestNoTeaser: an empty greet_banner is none, and the test is made.
func TestNoTeaser(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(r *rig) { r.params.GreetBanner = ""; r.params.GreetAction = configs.ScreenDrop })
	p := r.dial("127.0.0.2")
	r.waiting(1)
	r.clock.Advance(6 * time.Second)
	p.hear("220 next")
	p = r.dial("127.0.0.3")
	r.waiting(1)
	p.ask("x", "521 5.5.1", "")
}

// TestWhoHangsUp: nothing is held against it, and nothing remembered.
func TestWhoHangsUp(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	p := r.dial("127.0.0.2")
	p.hear("220-mx.test ESMTP")
	r.waiting(1)
	_ = p.Close()
	r.wantLog("127.0.0.2", "HANGUP after T from CLIENT in tests before SMTP handshake")
	r.greeted("127.0.0.2").hear("220 next")
	r.wantLog("127.0.0.2", "HANGUP after T from CLIENT in tests before SMTP handshake", "PASS NEW CLIENT")
}

// TestLists: what DNS lists say decides by its sum.
func TestLists(t *testing.T) {
	t.Parallel()
	listed := func(zone string, addrs ...string) (string, dnstest.Name) {
		return dnstest.Listed("127.0.0.2", zone), dnstest.Name{Addrs: addrs, TTL: 300}
	}
	blocked := `550 5.7.1 Service unavailable; client \[127.0.0.2\] blocked using `
	for name, c := range map[string]struct {
		sites     []string
		threshold int
		names     [][2]any
		replyMap  []string
		blocked   string // what the refusal ends with, "" for none
		log       []string
	}{
		"on no list": {sites: []string{"a.test", "b.test*5"}, log: []string{"PASS NEW CLIENT"}},
		"on one": {sites: []string{"a.test", "b.test"}, names: [][2]any{pair(listed("a.test", "127.0.0.2"))}, blocked: "a.test",
			log: []string{"dnsblog: addr 127.0.0.2 listed by domain a.test as 127.0.0.2", "DNSBL rank 1 for CLIENT"}},
		"weights add up, the heaviest is named": {sites: []string{"a.test*2", "b.test*3"}, threshold: 5, blocked: "b.test",
			names: [][2]any{pair(listed("a.test", "127.0.0.2")), pair(listed("b.test", "127.0.0.2"))},
			log: []string{"dnsblog: addr 127.0.0.2 listed by domain a.test as 127.0.0.2", "dnsblog: addr 127.0.0.2 listed by domain b.test as 127.0.0.2",
				"DNSBL rank 5 for CLIENT"}},
		"not enough": {sites: []string{"a.test*2", "b.test*3"}, threshold: 4, names: [][2]any{pair(listed("b.test", "127.0.0.2"))},
			log: []string{"dnsblog: addr 127.0.0.2 listed by domain b.test as 127.0.0.2", "PASS NEW CLIENT"}},
		"a good list takes away": {sites: []string{"a.test*2", "good.test*-2"}, names: [][2]any{pair(listed("a.test", "127.0.0.2")), pair(listed("good.test", "127.0.5.1"))},
			log: []string{"dnsblog: addr 127.0.0.2 listed by domain a.test as 127.0.0.2", "dnsblog: addr 127.0.0.2 listed by domain good.test as 127.0.5.1", "PASS NEW CLIENT"}},
		"a filter that fits": {sites: []string{"a.test=127.0.0.[4..6]*2", "a.test=127.0.0.9*7"}, threshold: 2, blocked: "a.test", names: [][2]any{pair(listed("a.test", "127.0.0.5"))},
			log: []string{"dnsblog: addr 127.0.0.2 listed by domain a.test as 127.0.0.5", "DNSBL rank 2 for CLIENT"}},
		"filters of one list add up": {sites: []string{"a.test=127.0.0.[4..6]*2", "a.test*7"}, threshold: 9, blocked: "a.test", names: [][2]any{pair(listed("a.test", "127.0.0.5"))},
			log: []string{"dnsblog: addr 127.0.0.2 listed by domain a.test as 127.0.0.5", "DNSBL rank 9 for CLIENT"}},
		"a filter that does not": {sites: []string{"a.test=127.0.0.[4..6]*2"}, names: [][2]any{pair(listed("a.test", "127.0.0.3"))}, log: []string{"PASS NEW CLIENT"}},
		"a name that hides": {sites: []string{"s3cret.a.test"}, replyMap: []string{"inline:{{s3cret.a.test=a.test}}"}, blocked: "a.test",
			names: [][2]any{pair(listed("s3cret.a.test", "127.0.0.2"))},
			log:   []string{"dnsblog: addr 127.0.0.2 listed by domain a.test as 127.0.0.2", "DNSBL rank 1 for CLIENT"}},
		"a table that hides and does not answer": {sites: []string{"s3cret.a.test"}, replyMap: []string{"fail:no"}, blocked: "a DNS list",
			names: [][2]any{pair(listed("s3cret.a.test", "127.0.0.2"))},
			log:   []string{"dnsblog: addr 127.0.0.2 listed by domain a DNS list as 127.0.0.2", "DNSBL rank 1 for CLIENT"}},
		"one that fails": {sites: []string{"a.test", "b.test"}, names: [][2]any{{dnstest.Listed("127.0.0.2", "a.test"), dnstest.Name{Fail: true}}}, log: []string{"PASS NEW CLIENT"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, func(r *rig) {
				r.params.DNSBLSites, r.params.DNSBLAction, r.params.DNSBLReplyMap = c.sites, configs.ScreenEnforce, c.replyMap
				r.params.DNSBLThreshold = max(c.threshold, 1)
				r.names = dnstest.Start(t, nil)
				for _, n := range c.names {
					r.names.Set(n[0].(string), n[1].(dnstest.Name))
				}
			})
			p := r.dial("127.0.0.2")
			p.hear("220-mx.test ESMTP")
			r.waiting(1)
			r.answered()
			r.clock.Advance(6 * time.Second)
			if c.blocked == "" {
				p.hear("220 next")
			} else {
				p.hear("220 mx.test")
				p.ehlo()
				p.ask("MAIL FROM:<>\r\n", "250")
				p.ask("RCPT TO:<b@y.test>\r\n", blocked+c.blocked+"\r\n$")
				c.log = append(c.log, "NOQUEUE: reject: RCPT from CLIENT: 550 5.7.1 Service unavailable; client [127.0.0.2] blocked using "+c.blocked+"; from=<>, to=<b@y.test>, proto=ESMTP, helo=<client.test>")
			}
			r.wantLogSorted("127.0.0.2", c.log...)
			if text := readFile(t, r.logs); strings.Contains(text, "s3cret") {
				t.Errorf("the password of a list is in the log:\n%s", text)
			}
		})
	}
}

func pair(a string, b dnstest.Name) [2]any { return [2]any{a, b} }

// TestListsWithOtherActions: drop says it at once; ignore notes it, lets the client pass, and
// asks again the next time.
func TestListsWithOtherActions(t *testing.T) {
	t.Parallel()
	for _, action := range []configs.ScreenAction{configs.ScreenIgnore, configs.ScreenDrop} {
		r := newRig(t, func(r *rig) {
			r.params.DNSBLSites, r.params.DNSBLAction = []string{"a.test"}, action
			r.names = dnstest.Start(t, map[string]dnstest.Name{dnstest.Listed("127.0.0.2", "a.test"): {Addrs: []string{"127.0.0.2"}, TTL: 9}})
		})
		for visit := range 2 {
			p := r.dial("127.0.0.2")
			if action == configs.ScreenDrop || visit == 0 {
				p.hear("220-mx.test ESMTP")
				r.waiting(1)
				r.answered()
				r.clock.Advance(6 * time.Second)
			}
			if action == configs.ScreenDrop {
				p.hear(`521 5.7.1 Service unavailable; client \[127.0.0.2\] blocked using a.test`, "")
			} else {
				p.hear("220 next") // the second time without a wait: the first test counts
			}
			_ = p.Close()
		}
		const one, two = "dnsblog: addr 127.0.0.2 listed by domain a.test as 127.0.0.2", "DNSBL rank 1 for CLIENT"
		r.wantLog("127.0.0.2", one, two, one, two)
		must(t, r.stop())
	}
}

// TestHowLongAnAnswerCounts: as long as DNS says, within dnsbl_min_ttl and dnsbl_max_ttl; one that
// is missing makes it the shortest time.
func TestHowLongAnAnswerCounts(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		negative uint32
		b        dnstest.Name
		want     time.Duration
	}{
		"TTL of a no":    {600, dnstest.Name{NoName: true, NegativeTTL: 900}, 600 * time.Second},
		"too short":      {5, dnstest.Name{NoName: true, NegativeTTL: 900}, time.Minute},
		"too long":       {90_000, dnstest.Name{NoName: true, NegativeTTL: 80_000}, time.Hour},
		"TTL of a yes":   {900, dnstest.Name{Addrs: []string{"127.0.0.9"}, TTL: 300}, 300 * time.Second},
		"one that fails": {900, dnstest.Name{Fail: true}, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, func(r *rig) {
				r.params.DNSBLSites = []string{"a.test", "b.test=127.0.0.4"}
				r.names = dnstest.Start(t, map[string]dnstest.Name{"": {NegativeTTL: c.negative}, dnstest.Listed("127.0.0.2", "b.test"): c.b})
			})
			p := r.dial("127.0.0.2")
			p.hear("220-mx.test ESMTP")
			r.waiting(1)
			r.answered()
			r.clock.Advance(6 * time.Second)
			p.hear("220 next")
			// The resolver has the machine's clock: some of the TTL may be over.
			text, _ := r.cache.Get("127.0.0.2")
			var greet, dnsbl int64
			if _, err := fmt.Sscanf(text, "%d;%d;0;0;0", &greet, &dnsbl); err != nil {
				t.Fatalf("%q: %v", text, err)
			}
			if got := time.Unix(dnsbl, 0).Sub(r.clock.Now()); got > c.want || got < c.want-20*time.Second && c.want > time.Minute || c.want <= time.Minute && got != c.want {
				t.Errorf("counts for %v, not %v", got, c.want)
			}
			if got := time.Unix(greet, 0).Sub(r.clock.Now()); got != 24*time.Hour {
				t.Errorf("the greeting counts for %v", got)
			}
		})
	}
}

// TestAListThatIsSilent: nobody waits for longer than greet_wait, and it does not count.
func TestAListThatIsSilent(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(r *rig) {
		r.params.DNSBLSites, r.params.DNSBLAction = []string{"a.test", "b.test"}, configs.ScreenDrop
		r.names = dnstest.Start(t, map[string]dnstest.Name{"": {NegativeTTL: 900}, dnstest.Listed("127.0.0.2", "a.test"): {Silent: true}})
	})
	p := r.dial("127.0.0.2")
	p.hear("220-mx.test")
	r.waiting(1)
	r.silent(1)
	r.clock.Advance(6 * time.Second)
	p.hear("220 next")
	text, _ := r.cache.Get("127.0.0.2")
	if want := fmt.Sprintf("%d;%d;0;0;0", start.Add(6*time.Second+24*time.Hour).Unix(), start.Add(6*time.Second+time.Minute).Unix()); text != want {
		t.Errorf("remembered %s, not %s", text, want)
	}
}

// TestGoodListsEndTheWait: who is well known enough is handed on without a wait, and without
// the tests after the greeting.
func TestGoodListsEndTheWait(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(r *rig) {
		r.params.DNSBLSites, r.params.DNSBLAllowlistThreshold = []string{"good.test*-3", "bad.test"}, -2
		r.params.Pipelining.Enable = true
		r.names = dnstest.Start(t, map[string]dnstest.Name{
			dnstest.Listed("127.0.0.2", "good.test"): {Addrs: []string{"127.0.0.2"}, TTL: 500},
			dnstest.Listed("127.0.0.3", "good.test"): {Addrs: []string{"127.0.0.2"}, TTL: 500}, dnstest.Listed("127.0.0.3", "bad.test"): {Addrs: []string{"127.0.0.2"}, TTL: 500},
			dnstest.Listed("127.0.0.4", "good.test"): {Addrs: []string{"127.0.0.2"}, TTL: 500}, dnstest.Listed("127.0.0.4", "bad.test"): {Silent: true},
		})
	})
	for _, from := range []string{"127.0.0.2", "127.0.0.3"} {
		p := r.dial(from)
		p.hear("220-mx.test ESMTP", "220 next")
		r.dial(from).hear("220 next")
	}
	// As long as one that may be against it is silent, it waits.
	p := r.dial("127.0.0.4")
	p.hear("220-mx.test ESMTP")
	r.waiting(1)
	r.wantLog("127.0.0.4", "dnsblog: addr 127.0.0.4 listed by domain good.test as 127.0.0.2")
	r.clock.Advance(6 * time.Second)
	p.hear("220 next")
}

// TestAListThatIsNoMore: an address of nobody knows whom lists nobody, whichever the weight; the log says so.
func TestAListThatIsNoMore(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(r *rig) {
		r.params.DNSBLSites, r.params.DNSBLAction = []string{"gone.test"}, configs.ScreenEnforce
		r.names = dnstest.Start(t, map[string]dnstest.Name{dnstest.Listed("127.0.0.2", "gone.test"): {Addrs: []string{"203.0.113.80"}}})
	})
	p := r.dial("127.0.0.2")
	p.hear("220-mx.test ESMTP")
	r.waiting(1)
	r.answered()
	r.clock.Advance(6 * time.Second)
	p.hear("220 next")
	if log := strings.Join(r.log(), "\n"); !strings.Contains(log, "DNS list lists nobody") || strings.Contains(log, "listed by domain") {
		t.Errorf("log:\n%s", log)
	}
}

// TestAddressChangesLists: what counts is what lists say when the wait is over, and the next
// session asks again, on whichever side the address was.
func TestAddressChangesLists(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(r *rig) {
		r.params.DNSBLSites, r.params.DNSBLAction = []string{"a.test"}, configs.ScreenEnforce
		r.names = dnstest.Start(t, map[string]dnstest.Name{dnstest.Listed("127.0.0.2", "a.test"): {Addrs: []string{"127.0.0.2"}}})
	})
	name := dnstest.Listed("127.0.0.2", "a.test")
	p := r.dial("127.0.0.2")
	p.hear("220-mx.test ESMTP")
	r.waiting(1)
	r.answered()
	r.names.Set(name, dnstest.Name{NoName: true})
	r.clock.Advance(6 * time.Second)
	p.hear("220 mx.test")
	p.ehlo()
	p.ask("MAIL FROM:<>\r\n", "250")
	p.ask("RCPT TO:<b@y.test>\r\n", "550 5.7.1")
	p.ask("QUIT\r\n", "221", "")

	p = r.dial("127.0.0.2")
	p.hear("220-mx.test ESMTP")
	r.waiting(1)
	r.answered()
	r.names.Set(name, dnstest.Name{Addrs: []string{"127.0.0.2"}})
	r.clock.Advance(6 * time.Second)
	p.hear("220 next")
	p.ask("still here\r\n", "250 you said still")
	r.dial("127.0.0.2").hear("220 next") // dnsbl_min_ttl
	r.clock.Advance(time.Minute)
	q := r.dial("127.0.0.2") // only this test has to be made again, and no teaser needs a wait
	q.hear("220 mx.test")
	q.ehlo()
	q.ask("MAIL FROM:<>\r\n", "250")
	q.ask("RCPT TO:<b@y.test>\r\n", "550 5.7.1")
	p.ask("and here\r\n", "250 you said and")
}

// TestStress: with hardly any place left those who wait, and those who come, wait two seconds.
func TestStress(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(r *rig) { r.limits.Stress = 3 })
	one, two := r.dial("127.0.0.2"), r.dial("127.0.0.3")
	one.hear("220-mx")
	two.hear("220-mx")
	r.waiting(2)
	r.clock.Advance(time.Second)
	three := r.dial("127.0.0.4")
	three.hear("220-mx")
	r.waiting(3)
	r.clock.Advance(time.Second)
	one.hear("220 next")
	two.hear("220 next")
	r.waiting(1)
	r.clock.Advance(time.Second)
	three.hear("220 next")
}

// TestHurryInAFullRoom: with nine tenths of pre_queue_limit taken those who wait have two seconds, and a
// conversation that is none the time of stress; when it is over, as before.
func TestHurryInAFullRoom(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(r *rig) {
		r.params.PreQueueLimit, r.params.Pipelining.Enable = 10, true
		r.params.CommandTimeLimit, r.params.StressTimeLimit = time.Hour, 50*time.Millisecond
	})
	slow := r.greeted("127.0.0.2")
	slow.hear("220 mx.test")
	slow.ask("HELO c\r\n", "250")
	var peers []*peer
	for i := range 8 { // with slow, nine
		p := r.dial(fmt.Sprintf("127.0.1.%d", i+1))
		p.hear("220-mx")
		peers = append(peers, p)
	}
	slow.hear("421 4.4.2", "")
	r.waiting(8)
	r.clock.Advance(2 * time.Second)
	for _, p := range peers {
		p.hear("220 mx.test")
	}
	for _, p := range peers {
		_ = p.Close()
	}
	r.wantInLog("postscreen leaves stress")
	p := r.dial("127.0.0.3")
	p.hear("220-mx")
	r.waiting(1)
	r.clock.Advance(2 * time.Second)
	if n := r.clock.Timers(); n != 1 {
		t.Errorf("%d wait", n)
	}
	r.clock.Advance(4 * time.Second)
	p.hear("220 mx.test")
	p.ask("HELO c\r\n", "250")
}

// TestDrain: who waits hears 421 when the service stops, and does not hold it up.
func TestDrain(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(r *rig) { r.limits.DrainTimeout = time.Hour })
	p := r.dial("127.0.0.2")
	p.hear("220-mx")
	r.waiting(1)
	must(t, r.stop())
	p.hear("421 4.3.2 ", "")
}

// TestPreQueueLimit: one client more than may be tested hears 421; those who have passed need
// no place.
func TestPreQueueLimit(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(r *rig) { r.params.PreQueueLimit = 2 })
	r.greeted("127.0.0.9").hear("220 next")
	one, two := r.dial("127.0.0.2"), r.dial("127.0.0.3")
	one.hear("220-mx")
	two.hear("220-mx")
	r.waiting(2)
	r.dial("127.0.0.4").hear("421 4.3.2 All screening ports are busy", "")
	r.wantLog("127.0.0.4") // with CONNECT only
	r.dial("127.0.0.9").hear("220 next")
	r.clock.Advance(6 * time.Second)
	one.hear("220 next")
	two.hear("220 next")
	r.greeted("127.0.0.4").hear("220 next")
	r.wantInLog(": all screening ports busy\n")
}

// TestManyAtOnce: three hundred clients, of which each third talks too early, hangs up, or waits,
// get what is theirs.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	const n = 300
	r := newRig(t, func(r *rig) {
		r.params.GreetAction = configs.ScreenDrop
		r.params.DNSBLSites = []string{"a.test"}
		r.names = dnstest.Start(t, nil)
	})
	var peers [n]*peer
	for i := range peers {
		peers[i] = r.dial(fmt.Sprintf("127.0.%d.%d", 1+i/200, 1+i%200))
	}
	for _, p := range peers {
		p.hear("220-mx.test ESMTP")
	}
	r.waiting(n)
	var all sync.WaitGroup
	for i, p := range peers {
		switch i % 3 {
		case 0:
			all.Go(func() { p.ask("EHLO early\r\n", "521 5.5.1", "") })
		case 1:
			all.Go(func() { _ = p.Close() })
		}
	}
	all.Wait()
	for end := time.Now().Add(patience); r.clock.Timers() > n/3; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("who hung up is waited for")
		}
	}
	r.clock.Advance(6 * time.Second)
	for i, p := range peers {
		if i%3 == 2 {
			all.Go(func() { p.hear("220 next"); p.ask("x\r\n", "250 you said x") })
		}
	}
	all.Wait()
	if got := r.cache.Len(); got != n/3 {
		t.Errorf("%d remembered, not %d", got, n/3)
	}
	for end := time.Now().Add(patience); r.places() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d places are not given back", r.places())
		}
	}
}

var _ service.Handler = (*Screen)(nil)
