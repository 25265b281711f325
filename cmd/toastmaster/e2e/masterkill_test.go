package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"context"

	"toastmaster/internal/testkit/binary"
)

// TestMasterThatIsKilled: the roles of a master that is killed end in order, and a start at once waits for them, though they have
// the ports and the queue; nothing that was accepted is lost or doubled. It is so many times, under load.
func TestMasterThatIsKilled(t *testing.T) {
	t.Parallel()
	const kills = 6
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
	seed := crashSeed(t)
	t.Logf("TOASTMASTER_SEED=%d repeats this run", seed)
	for i, work := range []func(context.Context, *rand.Rand){b.smtpLoad(l), b.smtpLoad(l), b.lmtpLoad(l), b.imapLoad(l), b.popLoad(l)} {
		r := rand.New(rand.NewPCG(seed, uint64(i)+1))
		load.Go(func() { repeat(ctx, r, work) })
	}
	for range kills {
		before := b.waitServes(t)
		l.waitAnswers(t, 10)
		must(t, syscall.Kill(b.Process().Pid(), syscall.SIGKILL))
		<-b.Process().Done()
		b.start(t)
		for _, role := range roles {
			// Nobody may be there who waits for it.
			stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", before.pid(role)))
			if err == nil && !strings.Contains(string(stat), ") Z ") {
				t.Errorf("%s of the master before: %s", role, stat)
			}
		}
	}
	l.waitAnswers(t, 10)
	stop()
	load.Wait()
	b.flushUntilEmpty(t)
	l.compareSome(t, b.inventory(t), 100, 0)
	checkNoCorruption(t, b)
}

// TestMasterStartsOnce: a second master is refused with the number of the first, whose roles stay, by both commands; so is one at the
// same moment. A role that is stopped is ended by the watchdog and started again; the others go on.
func TestMasterStartsOnce(t *testing.T) {
	t.Parallel()
	b := serveRoles(t, map[string]string{"log.file": `"mail.log"`, "master.daemon_timeout": `"2s"`})
	s := b.waitServes(t)
	for _, args := range []string{"master", "master start"} {
		_, err := b.Run(testContext(t), "", strings.Fields(args)...)
		if err == nil || !strings.Contains(err.Error(), "a master runs already") || args == "master" && !strings.Contains(err.Error(), fmt.Sprint(s.Pid)) {
			t.Errorf("%s: %v", args, err)
		}
	}
	if text := readFile(t, filepath.Join(b.Data(), "master.pid")); text != fmt.Sprintf("%d\n", s.Pid) {
		t.Errorf("master.pid: %q", text)
	}
	if again := b.waitServes(t); again.pid("mta") != s.pid("mta") || again.pid("store") != s.pid("store") {
		t.Errorf("%+v, was %+v", again, s)
	}
	b.sendOne(t, "a@example.net", bob, "still")
	b.waitMail(t, bob, 1)
	for n, role := range roles {
		must(t, syscall.Kill(b.waitServes(t).pid(role), syscall.SIGSTOP))
		if last := b.waitRestarts(t, role, 1); last.pid(role) == s.pid(role) {
			t.Errorf("%s: %+v", role, last)
		}
		b.sendOne(t, "a@example.net", bob, "after "+role)
		b.waitMail(t, bob, 2+n)
	}
	if log := readFile(t, filepath.Join(b.Data(), "mail.log")); strings.Count(log, "status=silent") != len(roles) {
		t.Errorf("%s", log)
	}
}

// TestMasterStart: `master start` serves in the background with its own files, `master stop` ends it, and a second of two at once is refused.
func TestMasterStart(t *testing.T) {
	t.Parallel()
	o := binary.Options{Command: "master", Params: map[string]string{"log.file": `"mail.log"`}}
	if os.Geteuid() == 0 {
		o.Init = []string{"--user", "nobody"}
	}
	b := serveWith(t, o)
	must(t, b.Stop())
	var both sync.WaitGroup
	errs := make([]error, 2)
	for n := range errs {
		both.Go(func() { _, errs[n] = b.Run(testContext(t), "", "master", "start") })
	}
	both.Wait()
	s := b.waitServes(t)
	t.Cleanup(func() { _ = syscall.Kill(s.Pid, syscall.SIGKILL) })
	// Both may say that it serves: the second finds the first one's. One process is all there is.
	for _, err := range errs {
		if err != nil && !strings.Contains(err.Error(), "a master runs already") {
			t.Errorf("%v", err)
		}
	}
	if errs[0] != nil && errs[1] != nil {
		t.Errorf("%v", errs)
	}
	b.sendOne(t, "a@example.net", bob, "in the background")
	b.waitMail(t, bob, 1)
	if out, err := b.Run(testContext(t), "", "master", "stop"); err != nil || !strings.Contains(out, fmt.Sprintf("process %d has ended", s.Pid)) {
		t.Errorf("%v %s", err, out)
	}
}

// TestMasterServices: each service stands under its role with its state, its limits and, asked for, their names.
func TestMasterServices(t *testing.T) {
	t.Parallel()
	b := serveRoles(t, map[string]string{"imapd.max_connections": "4321"})
	row := func(args ...string) map[string][]string {
		t.Helper()
		out, err := b.Run(testContext(t), "", append([]string{"master", "services"}, args...)...)
		must(t, err)
		rows := map[string][]string{}
		for line := range strings.Lines(out) {
			if f := strings.Fields(line); len(f) > 4 {
				rows[f[1]+" "+f[0]] = f
			}
		}
		return rows
	}
	dialIMAP(t, b.IMAP()).command(t, "NOOP")
	rows, params := row(), row("--params")
	for key, want := range map[string]string{"store imapd": "running 1 4321", "mta smtpd": "running 0", "mta qmgr": "running 0", "admin admin": "running", "mta store": "running 0", "store store": "running 0"} {
		if !strings.HasPrefix(strings.Join(rows[key][2:], " "), want) {
			t.Errorf("%s: %v, want %s", key, rows[key], want)
		}
	}
	if p := params["store imapd"]; len(p) < 5 || p[4] != "imapd.max_connections" {
		t.Errorf("%v", p)
	}
}

// TestMetricsOfAllRoles: one page has the metrics of each role, with its name; a role that is away is told there, and takes no
// other's with it.
func TestMetricsOfAllRoles(t *testing.T) {
	t.Parallel()
	b := serveRoles(t, nil)
	b.sendOne(t, "a@example.net", bob, "counted")
	b.waitMail(t, bob, 1)
	page := func() string { return get(t, "http://"+b.Admin()+"/metrics") }
	text := page()
	for _, want := range []string{
		`toastmaster_role_up{role="mta"} 1`, `toastmaster_role_up{role="store"} 1`, `toastmaster_role_up{role="admin"} 1`,
		`toastmaster_service_running{role="mta",service="smtpd"} 1`, `toastmaster_service_running{role="store",service="imapd"} 1`, `toastmaster_service_running{role="admin",service="admin"} 1`,
		`toastmaster_attempts_total{class="2",role="mta",status="sent"} 1`, `go_goroutines{role="store"} `,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in %s", want, text)
		}
	}
	seen := map[string]bool{}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "# TYPE ") && seen[line] {
			t.Errorf("twice: %s", line)
		}
		seen[line] = true
	}
	if one := get(t, "http://"+b.Admin()+"/metrics?role=mta"); !strings.Contains(one, `toastmaster_service_running{service="smtpd"} 1`) || strings.Contains(one, `imapd`) {
		t.Errorf("%s", one)
	}
	must(t, syscall.Kill(b.waitServes(t).pid("mta"), syscall.SIGSTOP))
	text = page()
	for _, want := range []string{`toastmaster_role_up{role="mta"} 0`, `toastmaster_role_up{role="store"} 1`, `toastmaster_service_running{role="store",service="imapd"} 1`} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in %s", want, text)
		}
	}
	must(t, syscall.Kill(b.waitServes(t).pid("mta"), syscall.SIGCONT))
}
