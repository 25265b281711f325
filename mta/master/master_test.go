package master

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"toastmaster/configs"
	"toastmaster/internal/msglog"
	"toastmaster/internal/testkit/clocktest"
)

// childVariable is the file that says what a process that this test starts does. The processes are real: only
// the clock is not.
const childVariable = "MASTER_TEST_CHILD"

func TestMain(m *testing.M) {
	if file := os.Getenv(childVariable); file != "" {
		os.Exit(beARole(file))
	}
	os.Exit(m.Run())
}

// beARole is a role that does what the file says.
func beARole(file string) int {
	text, err := os.ReadFile(file)
	if err != nil {
		return 99
	}
	fd, _ := strconv.Atoi(os.Getenv(FDVariable))
	conn, err := connOf(fd)
	if err != nil {
		return 98
	}
	say := func(line string) { _, _ = conn.Write([]byte(line + "\n")) }
	lines := bufio.NewScanner(conn)
	deaf := false
	for word := range strings.FieldsSeq(string(text)) {
		switch word {
		case "alive":
			say("alive 1s")
		case "serve":
			say("prepared")
			for lines.Scan() && lines.Text() != "go" {
			}
			say("ready")
		case "prepare":
			say("prepared")
			for lines.Scan() && lines.Text() != "go" {
			}
		case "deaf":
			deaf = true
		case "explain":
			say(FailedWord + "the log: permission denied")
		case "freeze":
			_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
		default:
			code, _ := strconv.Atoi(word)
			return code
		}
	}
	for lines.Scan() {
		if word, _, _ := strings.Cut(lines.Text(), " "); !deaf && (word == "stop" || word == "finish") {
			return 0
		}
	}
	if deaf {
		select {}
	}
	return 3 // master has gone
}

// said are the lines of a log, as they come.
type said struct {
	slog.Handler
	lines chan string
}

// Enabled is true of all.
func (s said) Enabled(context.Context, slog.Level) bool { return true }

func (s said) Handle(_ context.Context, r slog.Record) error {
	b := strings.Builder{}
	b.WriteString(r.Message)
	r.Attrs(func(a slog.Attr) bool {
		fmt.Fprintf(&b, " %s=%v", a.Key, a.Value)
		return true
	})
	s.lines <- b.String()
	return nil
}

// trial is a master with roles that do what files say.
type trial struct {
	m     *Master
	dir   string
	clock *clocktest.Clock
	lines chan string
	ended chan error
	ready chan struct{}
	stop  context.CancelCauseFunc
}

// try starts a master. Each role does what roles says of it, in the order of the names.
func try(t *testing.T, p configs.Master, roles ...[2]string) *trial {
	t.Helper()
	x := &trial{dir: t.TempDir(), clock: clocktest.New(time.Unix(1e9, 0)), lines: make(chan string, 1000), ended: make(chan error, 1), ready: make(chan struct{})}
	o := Options{
		Params: p, StopTimeout: time.Minute, Stderr: os.Stderr, Ready: func() { close(x.ready) }, Clock: x.clock,
		Log: msglog.New(said{slog.DiscardHandler, x.lines}),
	}
	for _, r := range roles {
		x.does(t, r[0], r[1])
		o.Roles = append(o.Roles, Role{
			Name: r[0], Program: os.Args[0], Env: append(os.Environ(), childVariable+"="+filepath.Join(x.dir, r[0])),
		})
	}
	x.m = New(o)
	ctx, cancel := context.WithCancelCause(t.Context())
	x.stop = cancel
	var running sync.WaitGroup
	running.Go(func() { x.ended <- x.m.Run(ctx) })
	t.Cleanup(func() {
		cancel(errors.New("the test ends"))
		done := make(chan struct{})
		go func() { running.Wait(); close(done) }()
		for {
			select {
			case <-done:
				return
			case <-time.After(50 * time.Millisecond):
				x.clock.Advance(time.Minute) // for what does not stop
			}
		}
	})
	return x
}

// does says what the next process of a role does.
func (x *trial) does(t *testing.T, role, script string) {
	t.Helper()
	file := filepath.Join(x.dir, role)
	if err := os.WriteFile(file+".new", []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
}

// hears waits for a line of the log that has all these words, and returns it with what stood before.
func (x *trial) hears(t *testing.T, words ...string) (line string, before []string) {
	t.Helper()
	timeout := time.After(time.Minute)
	for {
		select {
		case line := <-x.lines:
			all := true
			for _, w := range words {
				all = all && strings.Contains(line+" ", w)
			}
			if all {
				return line, before
			}
			before = append(before, line)
		case <-timeout:
			t.Fatalf("nothing with %q; heard %q", words, before)
		}
	}
}

// advance moves the clock and has the loop turn: it may have looked at the clock before, and not made its timer yet.
func (x *trial) advance(t *testing.T, d time.Duration) {
	t.Helper()
	x.clock.Advance(d)
	if err := x.m.ask(t.Context(), func() error { return nil }); err != nil {
		t.Fatal(err)
	}
}

// pid is the process of a role, as the loop knows it.
func (x *trial) pid(t *testing.T, role string) int {
	t.Helper()
	pid := 0
	if err := x.m.ask(t.Context(), func() error { pid = x.m.named(role).current.process.Pid; return nil }); err != nil {
		t.Fatal(err)
	}
	return pid
}

func params() configs.Master {
	return configs.Master{ThrottleTime: time.Minute, DaemonTimeout: 2 * time.Minute, StartTimeout: 10 * time.Minute}
}

// TestBackoff: a role that does not get to serve is started again after 0.1 s and twice as long each time, up to
// service_throttle_time; one that served waits 5 s at most; one that served for a while begins anew.
func TestBackoff(t *testing.T) {
	t.Parallel()
	x := try(t, params(), [2]string{"mta", "1"})
	waits := []time.Duration{}
	for d := 100 * time.Millisecond; d < time.Minute; d *= 2 {
		waits = append(waits, d)
	}
	for _, d := range append(waits, time.Minute, time.Minute) {
		line, _ := x.hears(t, "role=mta", "status=ended", "restart_in="+d.String()+" ")
		if !strings.Contains(line, "exit status 1") {
			t.Error(line)
		}
		if d == time.Minute {
			x.does(t, "mta", "serve")
		}
		x.advance(t, d-time.Millisecond)
		var early int
		if err := x.m.ask(t.Context(), func() error {
			if x.m.named("mta").current != nil {
				early++
			}
			return nil
		}); err != nil || early > 0 {
			t.Fatalf("started before %v: %v", d, err)
		}
		x.advance(t, time.Millisecond)
		if d == time.Minute {
			break
		}
	}
	x.hears(t, "role=mta", "status=serves")
	<-x.ready
	kill := func() {
		t.Helper()
		if err := syscall.Kill(x.pid(t, "mta"), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	kill() // soon after it served
	x.hears(t, "status=ended", "signal: killed", "restart_in=5s ")
	x.advance(t, 5*time.Second)
	x.hears(t, "role=mta", "status=serves")
	x.advance(t, servedEnough)
	kill()
	x.hears(t, "status=ended", "restart_in=100ms ")
	if s := x.status(t); s.Roles[0].State != "throttled" || s.Roles[0].Restarts < 12 || !strings.Contains(s.Roles[0].Cause, "killed") {
		t.Errorf("%+v", s)
	}
}

func (x *trial) status(t *testing.T) (s Status) {
	t.Helper()
	if err := x.m.ask(t.Context(), func() error { s = x.m.status(1); return nil }); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestRoleSaysWhyItEnds: its own words are in the log and in the status; the exit status alone says nothing to an operator.
func TestRoleSaysWhyItEnds(t *testing.T) {
	t.Parallel()
	x := try(t, configs.Master{ThrottleTime: time.Minute}, [2]string{"mta", "explain 1"})
	x.hears(t, "role=mta", "status=ended", "exit status 1: the log: permission denied")
	if s := x.status(t); !strings.Contains(s.Roles[0].Cause, "exit status 1: the log: permission denied") {
		t.Errorf("%+v", s)
	}
}

// TestFirstStartIsInOrder: a role is started when the one before serves, and a mistake of usage at the first start ends
// master, with those that serve.
func TestFirstStartIsInOrder(t *testing.T) {
	t.Parallel()
	x := try(t, params(), [2]string{"store", "serve"}, [2]string{"mta", "2"}, [2]string{"admin", "serve"})
	_, before := x.hears(t, "role=mta", "status=started")
	if got := strings.Join(before, "\n"); !strings.Contains(got, "role=store status=serves") || strings.Contains(got, "admin") {
		t.Errorf("%s", got)
	}
	err := <-x.ended
	var mistake *UsageError
	if !errors.As(err, &mistake) || mistake.Role != "mta" {
		t.Errorf("%v", err)
	}
	x.ended <- nil
}

// TestADeathInTheFirstStart: the first start of a role that dies once goes on when the role serves.
func TestADeathInTheFirstStart(t *testing.T) {
	t.Parallel()
	x := try(t, params(), [2]string{"store", "1"}, [2]string{"mta", "serve"})
	x.hears(t, "role=store", "restart_in=100ms")
	x.does(t, "store", "serve")
	x.advance(t, 100*time.Millisecond)
	x.hears(t, "role=store", "status=serves")
	<-x.ready
	// A mistake of usage later ends nothing: the others serve.
	x.does(t, "mta", "2")
	if err := syscall.Kill(x.pid(t, "mta"), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	x.hears(t, "role=mta", "signal: killed")
	x.advance(t, 5*time.Second)
	x.hears(t, "role=mta", "exit status 2", "restart_in=200ms")
	if s := x.status(t); s.Roles[0].State != "running" {
		t.Errorf("%+v", s)
	}
}

// TestWatchdog: a process that says nothing gets SIGQUIT, then SIGKILL, and is started again; one that was never heard is not
// watched, and a master that was stopped itself blames nobody.
func TestWatchdog(t *testing.T) {
	t.Parallel()
	x := try(t, params(), [2]string{"store", "serve"}, [2]string{"mta", "alive serve freeze"})
	x.hears(t, "role=mta", "status=serves")
	<-x.ready
	pid := x.pid(t, "mta")
	x.advance(t, 2*time.Minute-time.Second)
	if s := x.status(t); s.Roles[1].State != "running" {
		t.Errorf("%+v", s)
	}
	x.does(t, "mta", "alive serve")
	x.advance(t, time.Second)
	_, before := x.hears(t, "role=mta", "status=silent", fmt.Sprintf("pid=%d ", pid), "master.daemon_timeout")
	if len(before) > 0 {
		t.Errorf("before: %q", before)
	}
	x.advance(t, dumpTime)
	x.hears(t, "role=mta", "status=ended", "signal: killed")
	x.advance(t, 100*time.Millisecond)
	x.hears(t, "role=mta", "status=serves")
	if x.pid(t, "mta") == pid {
		t.Error("the same process")
	}
	// Everything stood still, master too.
	if err := x.m.ask(t.Context(), func() error { x.clock.Advance(time.Hour); return nil }); err != nil {
		t.Fatal(err)
	}
	if s := x.status(t); s.Roles[1].State != "running" || s.Roles[1].Restarts != 1 {
		t.Errorf("%+v", s)
	}
	select {
	case line := <-x.lines:
		t.Errorf("%s", line)
	default:
	}
}

// TestStopKillsWhoDoesNotStop: master waits StopTimeout for its roles, and says whom it killed.
func TestStopKillsWhoDoesNotStop(t *testing.T) {
	t.Parallel()
	x := try(t, params(), [2]string{"store", "deaf serve"}, [2]string{"mta", "serve"})
	x.hears(t, "role=mta", "status=serves")
	<-x.ready
	deaf, other := x.pid(t, "store"), x.pid(t, "mta")
	x.stop(errors.New("enough"))
	x.hears(t, "stopping", "enough")
	for !errors.Is(syscall.Kill(other, 0), syscall.ESRCH) {
		time.Sleep(time.Millisecond) // its end is nobody's event here
	}
	if err := syscall.Kill(deaf, 0); err != nil {
		t.Errorf("%v", err)
	}
	if err := x.clock.WaitTimers(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	x.clock.Advance(time.Minute)
	err := <-x.ended
	if err == nil || !strings.Contains(err.Error(), "role store: did not stop in time: killed") {
		t.Errorf("%v", err)
	}
	x.ended <- nil
}

// upgrade begins to replace the roles, as a program does that has become another one.
func (x *trial) upgrade(t *testing.T) {
	t.Helper()
	if err := x.m.ask(t.Context(), func() error {
		err := x.m.beginUpgrade()
		x.m.checking, x.m.replacing = false, append(x.m.replacing, x.m.roles...)
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// until waits for something to be true of the loop's state.
func (x *trial) until(t *testing.T, true func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; {
		is := false
		if err := x.m.ask(t.Context(), func() error { is = true(); return nil }); err != nil || is {
			return
		}
		if time.Now().After(end) {
			t.Fatal("it does not come")
		}
		time.Sleep(time.Millisecond) // a process says it
	}
}

// TestOneThatDoesNotFinishIsKilled: who was told to make room has its linger time and what a stop may take; then it is ended, and
// its replacement serves.
func TestOneThatDoesNotFinishIsKilled(t *testing.T) {
	t.Parallel()
	x := try(t, params(), [2]string{"mta", "deaf serve"}, [2]string{"admin", "serve"})
	x.hears(t, "role=admin", "status=serves")
	<-x.ready
	x.m.roles[0].Linger = 5 * time.Second // before anybody looks at it
	pid := x.pid(t, "mta")
	x.does(t, "mta", "serve")
	x.upgrade(t)
	x.until(t, func() bool { return x.m.roles[0].current.asked })
	x.advance(t, 65*time.Second-time.Millisecond)
	if err := syscall.Kill(pid, 0); err != nil || x.pid(t, "mta") != pid {
		t.Errorf("too early: %v", err)
	}
	x.advance(t, time.Millisecond)
	x.hears(t, "role=mta", "status=late", fmt.Sprintf("pid=%d ", pid), "told to finish, and did not in 1m5s")
	x.hears(t, "role=mta", "status=replaced")
	x.hears(t, "role=mta", "status=serves")
	x.hears(t, "upgrade", "status=ok")
}

// TestAReplacementThatHangsIsGivenUp: one that does not get prepared is ended, the old one serves on, the other roles are replaced, and the next
// upgrade may come; one that hangs when the old one has ended is started again.
func TestAReplacementThatHangsIsGivenUp(t *testing.T) {
	t.Parallel()
	x := try(t, params(), [2]string{"mta", "serve"}, [2]string{"admin", "serve"})
	x.hears(t, "role=admin", "status=serves")
	<-x.ready
	pid, other := x.pid(t, "mta"), x.pid(t, "admin")
	x.does(t, "mta", "deaf")
	x.upgrade(t)
	x.hears(t, "role=mta", "status=started")
	if !x.status(t).Upgrading {
		t.Error("it is over")
	}
	x.advance(t, 10*time.Minute)
	x.hears(t, "role=mta", "status=late", "master.start_timeout")
	x.hears(t, "role=admin", "status=serves")
	x.hears(t, "upgrade", "status=failed", "role mta: the new process ended before it served", "master.start_timeout")
	if s := x.status(t); s.Upgrading || s.Roles[0].Pid != pid || s.Roles[0].State != "running" || s.Roles[1].Pid == other {
		t.Errorf("%+v", s)
	}

	x.does(t, "mta", "prepare deaf")
	x.upgrade(t)
	x.hears(t, "role=mta", "status=replaced")
	x.does(t, "mta", "serve")
	x.advance(t, 10*time.Minute)
	x.hears(t, "role=mta", "status=late", "master.start_timeout")
	x.hears(t, "role=mta", "status=ended", "restart_in=100ms")
	x.advance(t, 100*time.Millisecond)
	x.hears(t, "role=mta", "status=serves")
	x.until(t, func() bool { return len(x.m.replacing) == 0 })

	x.upgrade(t)
	x.hears(t, "upgrade", "status=ok")
}

// TestAStartThatHangsIsNoMistake: SIGQUIT makes a process end with the code that a mistake of usage has, too.
func TestAStartThatHangsIsNoMistake(t *testing.T) {
	t.Parallel()
	x := try(t, params(), [2]string{"mta", "deaf"})
	x.hears(t, "role=mta", "status=started")
	x.does(t, "mta", "serve")
	x.advance(t, 10*time.Minute)
	x.hears(t, "role=mta", "status=ended", "master.start_timeout", "restart_in=100ms")
	x.advance(t, 100*time.Millisecond)
	x.hears(t, "role=mta", "status=serves")
	<-x.ready
}

// TestAnUpgradeDoesNotWaitForARestart: a role that ends during an upgrade, and does not come to serve, is no reason to refuse the next one.
func TestAnUpgradeDoesNotWaitForARestart(t *testing.T) {
	t.Parallel()
	x := try(t, params(), [2]string{"mta", "serve"}, [2]string{"admin", "serve"})
	x.hears(t, "role=admin", "status=serves")
	<-x.ready
	x.does(t, "mta", "1")
	if err := x.m.ask(t.Context(), func() error {
		x.m.replacing = append(x.m.replacing, x.m.roles[1], x.m.roles[0])
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(x.pid(t, "mta"), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	x.hears(t, "upgrade", "status=failed", "role mta: ")
	if x.status(t).Upgrading {
		t.Error("it goes on")
	}
}
