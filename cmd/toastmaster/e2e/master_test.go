package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2/imapclient"

	"toastmaster/internal/testkit/binary"
)

// roles are those that master starts.
var roles = []string{"store", "mta", "admin"}

// masterStatus is what `master status --json` prints.
type masterStatus struct {
	Pid, Generation int
	Upgrading       bool
	Roles           []struct {
		Name, State   string
		Pid, Restarts int
		Old           []int
	}
}

// pid is that of a role.
func (s masterStatus) pid(role string) int {
	for _, r := range s.Roles {
		if r.Name == role {
			return r.Pid
		}
	}
	return 0
}

// masterStatus asks; the exit code is 1 while a role does not serve.
func (b *box) masterStatus(t *testing.T) (s masterStatus, serves bool) {
	t.Helper()
	out, err := b.Run(testContext(t), "", "master", "status", "--json")
	if jsonErr := json.Unmarshal([]byte(out), &s); jsonErr != nil {
		t.Fatalf("master status: %v %v", err, out)
	}
	return s, err == nil
}

// waitServes waits until all roles serve.
func (b *box) waitServes(t *testing.T) (s masterStatus) {
	t.Helper()
	eventually(t, func() error {
		var serves bool
		if s, serves = b.masterStatus(t); !serves {
			return fmt.Errorf("%+v", s)
		}
		return nil
	})
	return s
}

// waitRestarts waits until all roles serve, and one of them has been started again n times: a kill is
// not known to master at once.
func (b *box) waitRestarts(t *testing.T, role string, n int) (s masterStatus) {
	t.Helper()
	eventually(t, func() error {
		s = b.waitServes(t)
		for _, one := range s.Roles {
			if one.Name == role && one.Restarts < n {
				return fmt.Errorf("%+v", s)
			}
		}
		return nil
	})
	return s
}

// serveRoles is serve with a process per role, as the user nobody if root runs the test.
func serveRoles(t *testing.T, params map[string]string) *box {
	t.Helper()
	o := binary.Options{Command: "master", Params: params}
	if os.Geteuid() == 0 {
		o.Init = []string{"--user", "nobody"}
	}
	return serveWith(t, o)
}

// TestMasterServesWhatServeServes: mail in, delivered, read, queued, held and listed, with each
// role in a process of its own, which has nothing of root's and no new rights.
func TestMasterServesWhatServeServes(t *testing.T) {
	t.Parallel()
	b := serveRoles(t, map[string]string{"smtp.relayhost": `"127.0.0.1:1"`})
	s := b.waitServes(t)
	b.sendOne(t, "a@example.net", bob, "roles")
	b.waitMail(t, bob, 1)
	c := dialIMAP(t, b.IMAP())
	c.command(t, "LOGIN "+bob+" "+bobsWord)
	if text := string(c.command(t, "SELECT INBOX")); !strings.Contains(text, "* 1 EXISTS") {
		t.Error(text)
	}
	ctx := testContext(t)
	// The administration sees the sessions of the store, and the queue of the mta.
	for _, step := range []struct{ says, args string }{
		{bob, "who"}, {"imapd", "status"}, {"qmgr", "status"}, {"deliver", "check " + bob}, {"smtp", "check x@example.net"}, {"empty", "queue list"}, {"reloaded", "reload"},
		{"reloaded", "master reload"},
	} {
		out, err := b.Run(ctx, "", strings.Fields(step.args)...)
		if err != nil || !strings.Contains(out, step.says) {
			t.Errorf("%s: %v %s", step.args, err, out)
		}
	}
	// A log-in that is revoked in one role ends in another, before the command has ended.
	_, err := b.Run(ctx, "", "mailbox", "set", bob, "--enabled=no")
	must(t, err)
	if _, err := c.r.ReadString('\n'); err != nil {
		t.Errorf("the session of a mailbox that is disabled: %v", err)
	}
	if os.Geteuid() == 0 {
		who, err := user.Lookup("nobody")
		must(t, err)
		for _, role := range roles {
			status := readFile(t, fmt.Sprintf("/proc/%d/status", s.pid(role)))
			for _, want := range []string{"Uid:\t" + who.Uid + "\t" + who.Uid, "NoNewPrivs:\t1", "CapEff:\t0000000000000000"} {
				if !strings.Contains(status, want) {
					t.Errorf("%s: no %q in %s", role, want, status)
				}
			}
		}
	}
	if out, err := b.Run(ctx, "", "stop"); err != nil || !strings.Contains(out, fmt.Sprintf("process %d has ended", s.Pid)) {
		t.Errorf("stop: %v %s", err, out)
	}
	<-b.Process().Done()
	for _, role := range roles {
		if err := syscall.Kill(s.pid(role), 0); !errors.Is(err, syscall.ESRCH) {
			t.Errorf("%s: %v", role, err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(b.Data(), "*.sock")); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

// TestARoleThatIsKilledTakesNobodyWithIt: SIGKILL of one role, many times, under load: a session of the
// other roles goes on, the role comes back, and nothing is lost or doubled.
func TestARoleThatIsKilledTakesNobodyWithIt(t *testing.T) {
	t.Parallel()
	const kills = 12
	for _, role := range roles {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			seed := crashSeed(t)
			t.Logf("TOASTMASTER_SEED=%d repeats this run", seed)
			b := serveRoleUsers(t, nil)
			var boxes []string
			for i := range crashMailboxes {
				boxes = append(boxes, crashAddress(i))
			}
			must(t, b.AddMailboxes(testContext(t), crashWord, boxes...))
			must(t, b.AddAlias(testContext(t), "team@example.test", boxes[0], boxes[1]))
			l := newLedger()
			ctx, stop := context.WithCancel(testContext(t))
			var load sync.WaitGroup
			t.Cleanup(load.Wait)
			t.Cleanup(stop)
			for i, work := range []func(context.Context, *rand.Rand){
				b.smtpLoad(l), b.smtpLoad(l), b.smtpLoad(l), b.lmtpLoad(l), b.appendLoad(l), b.popLoad(l), b.imapLoad(l),
			} {
				r := rand.New(rand.NewPCG(seed, uint64(i)+1))
				load.Go(func() { repeat(ctx, r, work) })
			}
			r := rand.New(rand.NewPCG(seed, 0))
			first := b.waitServes(t)
			smtp, imap := b.steadySMTP(t), dialIMAP(t, b.IMAP())
			imap.command(t, "LOGIN "+bob+" "+bobsWord)
			for n := range kills {
				s := b.waitRestarts(t, role, n)
				l.waitAnswers(t, 1+r.IntN(40))
				time.Sleep(time.Duration(r.IntN(5000)) * time.Microsecond) // at any moment
				must(t, syscall.Kill(s.pid(role), syscall.SIGKILL))
				if role != "mta" {
					_, err := smtp.command("250", "NOOP")
					must(t, err)
				}
				if role != "store" {
					imap.command(t, "NOOP")
				}
			}
			last := b.waitRestarts(t, role, kills)
			for _, one := range last.Roles {
				if one.Name != role && one.Pid != first.pid(one.Name) {
					t.Errorf("%s is another process: %+v", one.Name, last)
				}
			}
			l.waitAnswers(t, 20)
			stop()
			load.Wait()
			b.flushUntilEmpty(t)
			l.compareSome(t, b.inventory(t), 100, 0)
			b.compareWithIMAP(t, l)
			checkNoCorruption(t, b)
		})
	}
}

// steadySMTP is a session that stays.
func (b *box) steadySMTP(t *testing.T) *smtpConn {
	t.Helper()
	s, err := dialSMTP(b.SMTP(), "EHLO")
	must(t, err)
	t.Cleanup(func() { s.Close() })
	return s
}

// strict are clients that take no error: each has one connection after the other, and does
// one thing on it.
type strict struct {
	b      *box
	l      *ledger
	mu     sync.Mutex
	errs   []error
	rounds map[string]int
	// all says that no session may be told that the server ends.
	all bool
}

// mayEnd is the answer of a server that ends, at a place where the client knows what became of its message.
func (s *strict) mayEnd(err error) bool {
	text := err.Error()
	return !s.all && (strings.Contains(text, "421") || strings.Contains(text, "BYE"))
}

func (s *strict) loop(ctx context.Context, name string, once func() error) {
	for ctx.Err() == nil {
		err := once()
		if err != nil && s.mayEnd(err) {
			err = nil
		}
		s.mu.Lock()
		s.rounds[name]++
		if err != nil {
			s.errs = append(s.errs, fmt.Errorf("%s: %w", name, err))
		}
		s.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// done is how often each has been through.
func (s *strict) done() (least int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	least = 1 << 30
	for _, n := range s.rounds {
		least = min(least, n)
	}
	return least
}

func (s *strict) smtp(r *rand.Rand) func() error {
	return func() error {
		c, err := dialSMTP(s.b.SMTP(), "EHLO")
		if err != nil {
			return err
		}
		defer c.Close()
		id := s.l.newID("smtp")
		to, mailboxes := someRecipients(r)
		for _, m := range mailboxes {
			s.l.sending(id, m)
		}
		if _, err := c.send("a@example.net", to, crashMessage(r, id)); err != nil {
			return err
		}
		for _, m := range mailboxes {
			s.l.accepted(id, m)
		}
		_, err = c.command("221", "QUIT")
		return err
	}
}

func (s *strict) imap(address string) func() error {
	return func() error {
		c, err := imapclient.DialInsecure(s.b.IMAP(), &imapclient.Options{Dialer: &net.Dialer{Timeout: time.Minute}})
		if err != nil {
			return err
		}
		defer c.Close()
		if err := c.Login(address, crashWord).Wait(); err != nil {
			return err
		}
		if _, err := c.Select("INBOX", nil).Wait(); err != nil {
			return err
		}
		return c.Logout().Wait()
	}
}

func (s *strict) pop(address string) func() error {
	return func() error {
		conn, err := net.DialTimeout("tcp", s.b.POP3(), time.Minute)
		if err != nil {
			return err
		}
		defer conn.Close()
		p := &popConn{conn, bufio.NewReader(conn)}
		for _, command := range []string{"", "USER " + address, "PASS " + crashWord, "STAT", "QUIT"} {
			if _, err := p.line(command); err != nil {
				return fmt.Errorf("%s: %w", command, err)
			}
		}
		return nil
	}
}

// TestMasterUpgradeBreaksNoConnection: twenty upgrades under load; every connection is accepted and ends as
// its client wants it, every message comes once. A session in IDLE hears BYE when its time is over. It is so with
// users of the roles, and with a time to linger that a busy machine does not need.
func TestMasterUpgradeBreaksNoConnection(t *testing.T) {
	t.Parallel()
	b := serveRoleUsers(t, map[string]string{"master.linger_time": `"2m"`, "master.store_linger_time": `"2m"`})
	upgradeUnderLoad(t, b, true)
}

// TestMasterUpgradeByDefault: the same with the parameters as they are. What a client on a busy machine has not done within
// master.linger_time is told 421, which is the one error that it may hear; all is accepted, and nothing lost or doubled.
func TestMasterUpgradeByDefault(t *testing.T) {
	t.Parallel()
	upgradeUnderLoad(t, serveRoles(t, nil), false)
}

// upgradeUnderLoad makes twenty upgrades. Unless all is to be done, a session may hear that the server ends.
func upgradeUnderLoad(t *testing.T, b *box, all bool) {
	t.Helper()
	const upgrades = 20
	var boxes []string
	for i := range crashMailboxes {
		boxes = append(boxes, crashAddress(i))
	}
	must(t, b.AddMailboxes(testContext(t), crashWord, boxes...))
	must(t, b.AddAlias(testContext(t), "team@example.test", boxes[0], boxes[1]))
	s := &strict{b: b, l: newLedger(), rounds: map[string]int{}, all: all}
	ctx, stop := context.WithCancel(testContext(t))
	var load sync.WaitGroup
	t.Cleanup(load.Wait)
	t.Cleanup(stop)
	for i, work := range []func() error{
		s.smtp(rand.New(rand.NewPCG(1, 1))), s.smtp(rand.New(rand.NewPCG(1, 2))), s.smtp(rand.New(rand.NewPCG(1, 3))),
		s.imap(crashAddress(2)), s.imap(crashAddress(3)), s.pop(crashAddress(4)), s.pop(crashAddress(5)),
	} {
		s.rounds[fmt.Sprint(i)] = 0
		load.Go(func() { s.loop(ctx, fmt.Sprint(i), work) })
	}
	before := b.waitServes(t)
	for n := range upgrades {
		want := s.done() + 1 // each client once, at least, between two upgrades
		if n > 0 {
			eventually(t, func() error {
				s.mu.Lock()
				broken := errors.Join(s.errs...)
				s.mu.Unlock()
				if broken == nil && s.done() < want {
					return errors.New("a client does not come through")
				}
				return nil
			})
		}
		if out, err := b.Run(testContext(t), "", "master", "upgrade"); err != nil {
			t.Fatalf("upgrade %d: %v %s", n+1, err, out)
		}
	}
	after := b.waitServes(t)
	if after.Pid != before.Pid || after.Generation != upgrades {
		t.Errorf("%+v, was %+v", after, before)
	}
	for _, role := range roles {
		if after.pid(role) == before.pid(role) {
			t.Errorf("%s was not replaced", role)
		}
	}
	stop()
	load.Wait()
	if err := errors.Join(s.errs...); err != nil {
		t.Errorf("broken: %v", err)
	}
	t.Logf("rounds: %v", s.rounds)
	b.flushUntilEmpty(t)
	s.l.compareSome(t, b.inventory(t), 100, 0)
	checkNoCorruption(t, b)
}

// TestMasterUpgradeTakesAnotherProgram: what lies at the path of the program is what serves afterwards, with the
// configuration that is there; a program that refuses it changes nothing; an old session in IDLE hears BYE.
func TestMasterUpgradeTakesAnotherProgram(t *testing.T) {
	t.Parallel()
	b := serveRoles(t, map[string]string{"master.store_linger_time": `"100ms"`, "master.linger_time": `"100ms"`})
	must(t, b.Stop())
	own := filepath.Join(b.dir, "toastmaster")
	install := func(text string) {
		t.Helper()
		must(t, os.WriteFile(own+".new", []byte(text), 0o755))
		must(t, os.Rename(own+".new", own))
	}
	install(readFile(t, program))
	must(t, os.Chmod(b.dir, 0o755))
	b.ServeBy(own)
	b.start(t)
	before := b.waitServes(t)
	idle := dialIMAP(t, b.IMAP())
	idle.command(t, "LOGIN "+bob+" "+bobsWord)
	idle.command(t, "SELECT INBOX")
	idle.send(t, "IDLE")

	install("#!/bin/sh\necho no such thing >&2\nexit 2\n")
	if out, err := b.Run(testContext(t), "", "master", "upgrade"); err == nil || !strings.Contains(err.Error(), "no such thing") {
		t.Errorf("%v %s", err, out)
	}
	if s := b.waitServes(t); s.Generation != 0 || s.pid("mta") != before.pid("mta") {
		t.Errorf("%+v, was %+v", s, before)
	}
	install(readFile(t, program) + "another\n")
	_, err := b.Run(testContext(t), "", "config", "set", "smtpd.message_size_limit", "12345678")
	must(t, err)
	_, err = b.Run(testContext(t), "", "master", "upgrade")
	must(t, err)
	s := b.waitServes(t)
	want, err := os.Stat(own)
	must(t, err)
	for _, pid := range []int{s.Pid, s.pid("mta"), s.pid("store"), s.pid("admin")} {
		have, err := os.Stat(fmt.Sprintf("/proc/%d/exe", pid))
		if err != nil || !os.SameFile(want, have) {
			t.Errorf("process %d: %v", pid, err)
		}
	}
	c := b.steadySMTP(t)
	if text, err := c.command("250", "EHLO x.example.net"); err != nil || !strings.Contains(text, "SIZE 12345678") {
		t.Errorf("%v %s", err, text)
	}
	var heard []string
	for {
		line, err := idle.r.ReadString('\n')
		if err != nil {
			break
		}
		heard = append(heard, line)
	}
	if !slices.ContainsFunc(heard, func(l string) bool { return strings.HasPrefix(l, "* BYE") }) {
		t.Errorf("IDLE heard %q", heard)
	}
}

// TestMasterUnderSystemd: sockets by systemd-socket-activate, which has no name of ours for one; the service manager hears READY, WATCHDOG,
// RELOADING and READY of an upgrade, all of one process, and STOPPING.
func TestMasterUnderSystemd(t *testing.T) {
	t.Parallel()
	b := serveRoles(t, nil)
	must(t, b.Stop())
	path := filepath.Join(b.dir, "notify.sock")
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	must(t, err)
	t.Cleanup(func() { notify.Close() })
	hear := func(want string) string {
		t.Helper()
		must(t, notify.SetReadDeadline(time.Now().Add(2*time.Minute)))
		buf := make([]byte, 1000)
		for {
			n, err := notify.Read(buf)
			must(t, err)
			if text := string(buf[:n]); strings.HasPrefix(text, want) {
				return text
			}
		}
	}
	b.Through(activate, "-l", b.SMTP(), "-l", b.IMAP(), "--fdname=smtp:imapd.listen", "-E", "NOTIFY_SOCKET="+path, "-E", "WATCHDOG_USEC=200000")
	must(t, b.Launch())
	eventually(t, func() error { // the first client starts it
		c, err := net.Dial("tcp", b.IMAP())
		if err != nil {
			return err
		}
		return c.Close()
	})
	pid := fmt.Sprint(b.Process().Pid())
	if text := hear("READY=1"); !strings.Contains(text, "MAINPID="+pid) {
		t.Errorf("%q, the process is %s", text, pid)
	}
	hear("WATCHDOG=1")
	b.sendOne(t, "a@example.net", bob, "activated")
	b.waitMail(t, bob, 1)
	upgraded := make(chan error, 1)
	go func() {
		_, err := b.Run(testContext(t), "", "master", "upgrade")
		upgraded <- err
	}()
	hear("RELOADING=1")
	if text := hear("READY=1"); !strings.Contains(text, "MAINPID="+pid) {
		t.Errorf("%q, the process is %s", text, pid)
	}
	must(t, <-upgraded)
	hear("WATCHDOG=1")
	b.sendOne(t, "a@example.net", bob, "again")
	b.waitMail(t, bob, 2)
	dialIMAP(t, b.IMAP()).command(t, "LOGIN "+bob+" "+bobsWord)
	must(t, b.Stop())
	hear("STOPPING=1")
	b.Through()
}
