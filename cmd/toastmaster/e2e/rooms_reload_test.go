package e2e

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// TestReloadTakesUpTheWay: what says how mail is rewritten, where it goes, by which agent, and who may send it counts after a reload, also for
// what waits; what cannot be taken up is named, alone.
func TestReloadTakesUpTheWay(t *testing.T) {
	t.Parallel()
	first, second := stalling(t), stalling(t)
	nexthop := func(h *stallingHost) string { return fmt.Sprintf("[127.0.0.1]:%s", portOf(t, h.Addr().String())) }
	b := serve(t, map[string]string{"smtp.relayhost": fmt.Sprintf("%q", nexthop(first)), "qmgr.minimal_backoff_time": `"10m"`})
	text := readFile(t, b.ConfigFile())
	reload := func(word, more string, params ...string) {
		t.Helper()
		must(t, os.WriteFile(b.ConfigFile(), []byte(text+more), 0o600))
		for n := 0; n < len(params); n += 2 {
			must(t, b.SetParam(params[n], params[n+1]))
		}
		b.hangup(t, word)
	}
	const ok = "info reload status=ok"
	b.sendOne(t, "one@a.example", "x@far.example", "relayed")
	first.await(t, "one@a.example", 1)

	// rewrite and smtp: another relayhost.
	toSecond := fmt.Sprintf("%q", nexthop(second))
	reload(ok, "", "smtp.relayhost", toSecond)
	b.sendOne(t, "two@a.example", "x@far.example", "relayed")
	second.await(t, "two@a.example", 1)

	// A new transport, and cleanup: an address is another one.
	peer := fmt.Sprintf("\n[[transport]]\nname = \"peer\"\nagent = \"smtp\"\ndomains = [\"far.example\"]\nnexthop = %q\n", nexthop(first))
	reload(ok, peer, "smtp.relayhost", toSecond, "cleanup.sender_canonical_maps", `["inline:{ {three@a.example = III@a.example} }"]`)
	b.sendOne(t, "three@a.example", "x@far.example", "by peer")
	first.await(t, "III@a.example", 1)

	// qmgr: a transport waits, and what waits goes when it is told so, the new way. What needs a restart is named alone.
	reload(`warn reload status="needs a restart" parameters=qmgr.active_limit`, "", "smtp.relayhost", toSecond, "qmgr.defer_transports", `["smtp"]`, "qmgr.active_limit", "77")
	b.sendOne(t, "four@a.example", "x@far.example", "waits")
	b.inLog(t, "deferred transport")
	reload(ok, peer)
	client(t, b.dir, "", program, "--config", b.ConfigFile(), "queue", "flush")
	first.await(t, "four@a.example", 1)

	// smtpd, main: another size, and nobody is trusted.
	reload(ok, "", "smtpd.message_size_limit", `"2 KiB"`, "main.trusted_networks", "[]")
	s, err := dialSMTP(b.SMTP(), "EHLO")
	must(t, err)
	defer s.Close()
	for _, step := range [][2]string{
		{"552", "MAIL FROM:<five@a.example> SIZE=3000"}, {"250", "MAIL FROM:<five@a.example>"}, {"554 5.7.1", "RCPT TO:<x@far.example>"}, {"250", "RCPT TO:<" + alice + ">"},
	} {
		if _, err := s.command(step[0], step[1]); err != nil {
			t.Errorf("%s: %v", step[1], err)
		}
	}

	// A mistake is told with file, line and parameter, and changes nothing.
	reload("error reload status=failed", "", "main.trusted_networks", "[]", "cleanup.header_checks", `["regexp:no-such-file"]`)
	b.inLog(t, "toastmaster.toml:")
	b.inLog(t, "cleanup.header_checks")
	if _, err := s.command("250", "RSET"); err != nil {
		t.Error(err)
	}
	b.sendOne(t, "six@a.example", alice, "taken")
	b.waitMail(t, alice, 1)
}

// inLog waits for a word in the log.
func (b *box) inLog(t *testing.T, word string) {
	t.Helper()
	eventually(t, func() error {
		if !strings.Contains(readFile(t, b.LogFile()), word) {
			return fmt.Errorf("no %q in the log", word)
		}
		return nil
	})
}

// TestReloadUnderLoad: twenty reloads, each with another way for the mail and some with a mistake, refuse no message, and lose and double none.
func TestReloadUnderLoad(t *testing.T) {
	t.Parallel()
	host := stalling(t)
	b := serve(t, map[string]string{"smtp.relayhost": fmt.Sprintf("\"[127.0.0.1]:%s\"", portOf(t, host.Addr().String()))})
	text := readFile(t, b.ConfigFile())
	var number, toAlice atomic.Int64
	stop := make(chan struct{})
	var senders sync.WaitGroup
	for range 4 {
		senders.Go(func() {
			s, err := dialSMTP(b.SMTP(), "EHLO")
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { s.Close() }()
			for n := 1; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				if n%10 == 0 { // who connects now has the pieces of now
					s.Close()
					if s, err = dialSMTP(b.SMTP(), "EHLO"); err != nil {
						t.Error(err)
						return
					}
				}
				to := []string{"x@far.example"}
				if n%5 == 0 {
					to = append(to, alice)
					toAlice.Add(1)
				}
				if _, err := s.send(fmt.Sprintf("m%d@a.example", number.Add(1)), to, "Subject: load\r\n\r\n"); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	way := func(n int) string {
		return fmt.Sprintf("\n[[transport]]\nname = \"way%d\"\nagent = \"smtp\"\ndomains = [\"far.example\"]\nnexthop = \"[127.0.0.1]:%s\"\nprocess_limit = %d\n", n%3, portOf(t, host.Addr().String()), 1+n%4)
	}
	for n := range 20 {
		mistake, word := "", "info reload status=ok"
		if n%7 == 3 {
			mistake, word = "\n[[transport]]\nname = \"bad\"\nagent = \"no such agent\"\n", "error reload status=failed"
		}
		must(t, os.WriteFile(b.ConfigFile(), []byte(text+way(n)+mistake), 0o600))
		b.hangup(t, word)
		sent := number.Load()
		eventually(t, func() error {
			if number.Load() < sent+10 {
				return fmt.Errorf("%d messages", number.Load()-sent)
			}
			return nil
		})
	}
	close(stop)
	senders.Wait()
	total := int(number.Load())
	eventually(t, func() (err error) {
		host.note(func() {
			if len(host.took) < total {
				err = fmt.Errorf("%d of %d", len(host.took), total)
			}
		})
		return err
	})
	b.queueEmpty(t)
	host.note(func() {
		for who, n := range host.took {
			if n != 1 {
				t.Errorf("%s: %d times", who, n)
			}
		}
	})
	if got, want := len(b.waitMail(t, alice, int(toAlice.Load()))), int(toAlice.Load()); got != want {
		t.Errorf("alice has %d of %d", got, want)
	}
	t.Logf("%d messages", total)
}
