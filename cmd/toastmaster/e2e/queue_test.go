package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"toastmaster/internal/testkit/binary"
	"toastmaster/internal/testkit/dnstest"
)

// withQueue is an instance with the commands that look at its queue.
func withQueue(t *testing.T, b *box) flushBed {
	t.Helper()
	f := flushBed{box: b, submit: newSendmail(t, b)}
	f.admin = sendmail{path: program, env: f.submit.env}
	return f
}

// places is where each message is, by its ID.
func (f flushBed) places(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, m := range f.listed(t) {
		all[m.ID] = m.Place
	}
	return all
}

// TestCallsAboutActiveMailSurviveKills: what postsuper answered for is so after a kill in the next moment, of messages that
// are being delivered, from the journal and from their files: held, released, made due.
func TestCallsAboutActiveMailSurviveKills(t *testing.T) {
	t.Parallel()
	f := withDeferred(t, map[string]string{"qmgr.minimal_backoff_time": `"1h"`, "qmgr.maximal_backoff_time": `"1h"`})
	f.stall(t)
	small, large, other := f.withStalled(t, "small@stall.example", 0), f.withStalled(t, "large@stall.example", 1<<20), f.withStalled(t, "other@stall.example", 0)
	postsuper := newProgram(t, f.box, "postsuper")
	super := func(args ...string) {
		t.Helper()
		if code, out, errs := postsuper.run(t, "", args...); code != 0 || out != "" {
			t.Fatal(args, code, out, errs)
		}
	}
	// Those that are held are on hold after a kill, the others are tried again.
	killed := func(held ...string) {
		t.Helper()
		f.Kill()
		f.start(t)
		want := map[string]string{small: "active", large: "active", other: "active"}
		for _, id := range held {
			want[id] = "hold"
		}
		eventually(t, func() error {
			got := f.places(t)
			for id, place := range want {
				if got[id] != place {
					return fmt.Errorf("%s is %q, want %q: %v", id, got[id], place, got)
				}
			}
			return nil
		})
	}
	super("-h", small, "-h", large)
	killed(small, large)
	super("-H", small)
	super("-r", large)
	killed()
	super("-h", small, "-h", large) // each has a file now
	killed(small, large)
	super("-H", small)
	super("-h", small)
	super("-H", small)
	killed(large)
	super("-h", "ALL")
	super("-H", large)
	killed(small, other)
	for _, m := range f.listed(t) {
		if m.Attempts > 20 {
			t.Errorf("%+v", m)
		}
	}
}

// TestSeatsOfTheJournalAreParted: one domain with more mail for a host that stalls than the journal has seats for keeps nobody
// else's mail out, and has none refused.
func TestSeatsOfTheJournalAreParted(t *testing.T) {
	t.Parallel()
	h := stalling(t)
	host := "[127.0.0.1]:" + portOf(t, h.Addr().String())
	b := serve(t, map[string]string{
		"queue.incoming_limit": "100", "qmgr.active_limit": "20",
		"smtp.relayhost": strconv.Quote(host), "smtp.private_networks": `["127.0.0.0/8"]`,
	})
	for range 400 {
		b.sendOne(t, "news@big.example", "reader@slow.example", "news")
	}
	for i := range 10 {
		b.sendOne(t, "s@small.example", alice, fmt.Sprint("short ", i))
	}
	b.waitMail(t, alice, 10)
	f := withQueue(t, b)
	code, out, errs := f.admin.run(t, "", "queue", "list", "--json")
	if code != 0 || strings.Count(out, `"news@big.example"`) != 400 {
		t.Errorf("%d messages of the other domain are there, %d %s", strings.Count(out, `"news@big.example"`), code, errs)
	}
}

// choosyHost answers by the recipient: ok... is taken, bad... is 550, later... is 450. It counts what it took, and how
// often it was asked.
type choosyHost struct {
	net.Listener
	mu    sync.Mutex
	took  map[string]int
	asked map[string]int
}

func choosy(t *testing.T) *choosyHost {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	h := &choosyHost{Listener: l, took: map[string]int{}, asked: map[string]int{}}
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
		sessions.Wait()
	})
	return h
}

func (h *choosyHost) session(c net.Conn) {
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(5 * time.Minute)); err != nil {
		return
	}
	say := func(text string) { fmt.Fprint(c, text+"\r\n") }
	say("220 choosy.example ESMTP")
	var to []string
	lines := bufio.NewScanner(c)
	for data := false; lines.Scan(); {
		line := lines.Text()
		verb := strings.ToUpper(line)
		switch {
		case data && line == ".":
			data = false
			h.mu.Lock()
			for _, a := range to {
				h.took[a]++
			}
			h.mu.Unlock()
			time.Sleep(5 * time.Millisecond) // a network
			say("250 2.0.0 taken")
		case data:
		case strings.HasPrefix(verb, "MAIL"):
			to = nil
			say("250 ok")
		case strings.HasPrefix(verb, "RCPT TO:<"):
			a, _, _ := strings.Cut(line[len("RCPT TO:<"):], ">")
			h.mu.Lock()
			h.asked[a]++
			h.mu.Unlock()
			switch a[:2] {
			case "ba":
				say("550 5.1.1 no such user")
			case "la":
				say("450 4.2.1 come again later")
			default:
				to = append(to, a)
				say("250 ok")
			}
		case verb == "DATA":
			data = true
			time.Sleep(5 * time.Millisecond)
			say("354 go on")
		case verb == "QUIT":
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
}

// counts is how often a message's recipients were taken and asked for.
func (h *choosyHost) counts(n int) [4]int {
	h.mu.Lock()
	defer h.mu.Unlock()
	ok, bad, later := mixed(n)
	return [4]int{h.took[ok], h.asked[ok], h.asked[bad], h.asked[later]}
}

// count is how often a recipient was taken.
func (h *choosyHost) count(a string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.took[a]
}

func mixed(n int) (ok, bad, later string) {
	return fmt.Sprintf("ok%d@choosy.example", n), fmt.Sprintf("bad%d@choosy.example", n), fmt.Sprintf("later%d@choosy.example", n)
}

// TestMixedRecipientsSurviveKills: messages with a recipient who is taken, one who is refused and one who has to wait, of an
// instance that is killed at any moment. Once the message rests in deferred/, which is when the first two are settled, nothing of it is tried
// again before its time, whatever is killed: no recipient twice, no second report, and the time stays what it was. Before that a kill
// repeats one attempt at most, and a failure is reported once, whenever the process is killed. Nobody is forgotten.
func TestMixedRecipientsSurviveKills(t *testing.T) {
	t.Parallel()
	h := choosy(t)
	b := serveWith(t, binary.Options{Params: map[string]string{
		"smtp.relayhost": strconv.Quote("[127.0.0.1]:" + portOf(t, h.Addr().String())), "smtp.private_networks": `["127.0.0.0/8"]`,
		"qmgr.minimal_backoff_time": `"1h"`, "qmgr.maximal_backoff_time": `"1h"`,
	}})
	f := withQueue(t, b)
	const rounds, each = 10, 6
	type rest struct {
		next     time.Time
		counts   [4]int
		attempts int
		kills    int // before it rested
	}
	settled, interrupted := map[int]rest{}, 0
	rng := rand.New(rand.NewPCG(crashSeed(t), 1))
	look := func(sent, kills int) (open int) {
		t.Helper()
		list := f.listed(t)
		for n := range sent {
			ok, bad, later := mixed(n)
			m, there := list[later]
			was, rested := settled[n]
			switch {
			case rested && (!there || m.Place != "deferred" || m.Attempts != was.attempts || !m.Next.Equal(was.next) || h.counts(n) != was.counts):
				t.Errorf("message %d rested with %+v, and after %d kills it has %+v, %v", n, was, kills, m, h.counts(n))
			case rested:
			case there && m.Place == "deferred" && len(m.Recipients) == 1:
				settled[n] = rest{*m.Next, h.counts(n), m.Attempts, kills}
			case list[ok].ID == "" && list[bad].ID == "" && !there && n < sent-each: // those of this round may come
				t.Errorf("message %d is nowhere", n)
			default:
				open++
			}
		}
		return open
	}
	// Messages with a recipient who is taken, and no other, have no file: that they are done is a mark in the journal, which travels with
	// the next commit. Those that have left before another message was accepted are never sent again.
	single := func(n int) string { return fmt.Sprintf("ok%d.alone@choosy.example", n) }
	send := func(n int) {
		t.Helper()
		b.sendOne(t, alice, single(n), "alone")
	}
	gone := map[int]bool{}
	marked := func(r int) {
		t.Helper()
		list := f.listed(t)
		send(2*r + 1)
		for n := range 2*r + 1 {
			gone[n] = gone[n] || list[single(n)].ID == "" && h.count(single(n)) == 1
		}
	}
	for r := range rounds {
		send(2 * r)
		var sends sync.WaitGroup
		for i := range each {
			sends.Go(func() {
				ok, bad, later := mixed(r*each + i)
				s, err := dialSMTP(b.SMTP(), "EHLO")
				if err != nil {
					t.Error(err)
					return
				}
				defer s.Close()
				if _, err := s.send(alice, []string{bad, ok, later}, fmt.Sprintf("Subject: mixed %d\r\n\r\ntext\r\n", r*each+i)); err != nil {
					t.Error(err)
				}
			})
		}
		sends.Wait()
		time.Sleep(time.Duration(rng.IntN(40)) * time.Millisecond) // the moment is the test
		if r%2 == 0 {                                              // else it is killed in the middle of an attempt
			interrupted += look((r+1)*each, r)
			marked(r)
		}
		f.Kill()
		f.start(t)
		look((r+1)*each, r+1)
	}
	eventually(t, func() error {
		if open := look(rounds*each, rounds); open > 0 {
			return fmt.Errorf("%d messages do not rest", open)
		}
		return nil
	})
	var reports string
	eventually(t, func() error {
		reports = ""
		for _, name := range b.mail(t, alice, "") {
			reports += readFile(t, name)
		}
		for n := range rounds * each {
			_, bad, _ := mixed(n)
			if !strings.Contains(reports, "rfc822; "+bad) && !strings.Contains(reports, "rfc822;"+bad) {
				return errors.New("no report about " + bad)
			}
		}
		return nil
	})
	for n := range gone {
		if c := h.count(single(n)); gone[n] && c != 1 {
			t.Errorf("the message for %s had left, and was sent %d times", single(n), c)
		}
	}
	twice := 0
	for n := range rounds * each {
		_, bad, _ := mixed(n)
		c, most := h.counts(n), 1+settled[n].kills-n/each
		told := strings.Count(reports, "Final-Recipient: rfc822; "+bad) + strings.Count(reports, "Final-Recipient: rfc822;"+bad)
		if told != 1 { // a report and its mark are one record
			t.Errorf("message %d: its failure was told %d times", n, told)
		}
		for _, k := range c {
			if k < 1 || k > most {
				t.Errorf("message %d: taken, asked for ok, bad, later %v, %d kills before it rested", n, c, most-1)
				break
			}
		}
		if c[0] > 1 {
			twice++
		}
	}
	t.Logf("%d messages, %d did not rest when the process was killed, %d were taken twice", rounds*each, interrupted, twice)
}

// TestNameServersThatFailDeferMail: at each question that stands before a delivery: exchangers, their addresses, a relay host, a store,
// with a server that says SERVFAIL or REFUSED, nothing at all, or something useless. Nothing goes back, and what is known is used.
func TestNameServersThatFailDeferMail(t *testing.T) {
	t.Parallel()
	trouble := map[string]dnstest.Name{"fail": {Fail: true}, "silent": {Silent: true}, "refused": {Code: 5}, "lame": {Lame: true}, "cut": {Cut: true}}
	zone, tables := map[string]dnstest.Name{}, strings.Builder{}
	var domains []string
	domain := func(name string) string {
		domains = append(domains, name)
		return name
	}
	for kind, n := range trouble {
		zone[domain(kind+".mx.example")] = n
		zone[domain(kind+".address.example")] = dnstest.Name{MX: []net.MX{{Host: kind + ".host.example.", Pref: 10}}}
		zone[kind+".host.example"] = n
		for agent, nexthop := range map[string]string{"smtp": "[" + kind + ".host.example]:25", "lmtp": "inet:" + kind + ".host.example:24"} {
			name := kind + "-" + agent
			fmt.Fprintf(&tables, "\n[[transport]]\nname = %q\nagent = %q\ndomains = [%q]\nnexthop = %q\n", name, agent, domain(name+".example"), nexthop)
		}
		fmt.Fprintf(&tables, "\n[[transport]]\nname = %q\nagent = \"smtp\"\ndomains = [%q]\nnexthop = %q\n", kind+"-relay", domain(kind+"-relay.example"), kind+".mx.example")
	}
	b := serve(t, map[string]string{
		"smtp.resolver": fmt.Sprintf("[%q]", dnstest.Start(t, zone).Addr), "dns.timeout": `"1s"`, "dns.attempts": "1",
		"qmgr.minimal_backoff_time": `"1h"`, "qmgr.maximal_backoff_time": `"1h"`,
	})
	must(t, b.Stop())
	file, err := os.OpenFile(b.ConfigFile(), os.O_APPEND|os.O_WRONLY, 0)
	must(t, err)
	_, err = file.WriteString(tables.String())
	must(t, errors.Join(err, file.Close()))
	b.start(t)
	for _, d := range domains {
		b.sendOne(t, alice, "x@"+d, "to "+d)
	}
	f := withQueue(t, b)
	eventually(t, func() error {
		list := f.listed(t)
		for _, d := range domains {
			if m := list["x@"+d]; m.Place != "deferred" || m.Attempts != 1 || !strings.HasPrefix(m.Recipients[0].Reason, "4.") {
				return fmt.Errorf("%s: %+v", d, m)
			}
		}
		return nil
	})
	if mail := b.mail(t, alice, ""); len(mail) > 0 {
		t.Errorf("a report: %s", readFile(t, mail[0]))
	}
}

// TestFlushUnderMaster: in roles with a fence of their own ETRN and postqueue -s have the mail of a domain tried, by the index
// that the mta writes in its folder.
func TestFlushUnderMaster(t *testing.T) {
	t.Parallel()
	refuses, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	host := "[127.0.0.1]:" + portOf(t, refuses.Addr().String())
	must(t, refuses.Close())
	b := serveRoles(t, map[string]string{
		"flush.fast_flush_domains": `["moving.example"]`, "qmgr.minimal_backoff_time": `"1h"`, "qmgr.maximal_backoff_time": `"1h"`,
		"smtp.relayhost": strconv.Quote(host), "smtp.private_networks": `["127.0.0.0/8"]`,
	})
	f := withQueue(t, b)
	for _, to := range []string{"a@moving.example", "b@waiting.example"} {
		b.sendOne(t, alice, to, "short")
	}
	f.wait(t, map[string]int{"a@moving.example": 1, "b@waiting.example": 1})
	s, err := dialSMTP(b.SMTP(), "EHLO")
	must(t, err)
	defer s.Close()
	_, err = s.command("250", "ETRN moving.example")
	must(t, err)
	f.wait(t, map[string]int{"a@moving.example": 2, "b@waiting.example": 1})
	if text := readFile(t, filepath.Join(b.Data(), "flush", "moving.example")); !strings.Contains(text, f.listed(t)["a@moving.example"].ID) {
		t.Errorf("the index has %q", text)
	}
	if log := readFile(t, b.LogFile()); strings.Contains(log, "permission denied") {
		t.Error("the log says: permission denied")
	}
}
