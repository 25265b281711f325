package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"toastmaster/internal/hostuser"
)

// nobody is a user that this process can become: another one for root, else its own.
func nobody(t *testing.T) hostuser.User {
	t.Helper()
	u, err := hostuser.Find("nobody")
	if os.Geteuid() != 0 {
		u, err = hostuser.FindID(os.Geteuid())
	}
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// sh is a command of the shell with a time limit that no test waits for.
func sh(t *testing.T, script string) Command {
	t.Helper()
	return Command{Argv: []string{"/bin/sh", "-c", script}, Name: "it", User: nobody(t), TimeLimit: time.Minute}
}

func run(t *testing.T, c Command) Result {
	t.Helper()
	r, err := Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func text(s string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, s)
		return err
	}
}

func says(r Result) string {
	if err := r.Error(); err != nil {
		return err.Error()
	}
	return r.Output
}

func TestOutcomes(t *testing.T) {
	t.Parallel()
	for script, want := range map[string]string{
		"cat":                                    "the message",
		"echo a; echo b >&2":                     "a b",
		"exit 0":                                 "",
		"exit 67":                                "5.1.1 user unknown",
		"echo full; exit 67":                     "5.1.1 user unknown. Command output: full",
		"echo 4.2.2 come back; exit 67":          "4.2.2 come back",
		"echo 2.2.2 done; exit 67":               "5.1.1 user unknown. Command output: 2.2.2 done",
		"exit 75":                                "4.3.0 temporary failure",
		"exit 1":                                 `5.3.0 Command died with status 1: "it"`,
		"exit 63":                                `5.3.0 Command died with status 63: "it"`,
		"exit 79":                                `5.3.0 Command died with status 79: "it"`,
		"echo oops; exit 255":                    `5.3.0 Command died with status 255: "it". Command output: oops`,
		"kill -9 $$":                             `4.3.0 Command died with signal 9: "it"`,
		"echo x; kill -TERM $$":                  `4.3.0 Command died with signal 15: "it". Command output: x`,
		`printf '\033[2Jx\303\244\n'`:            "_[2Jx_",
		"exec <&-; exit 0":                       "",
		"sleep 600 >/dev/null 2>&1 & echo begun": "begun",
	} {
		t.Run(script, func(t *testing.T) {
			t.Parallel()
			c := sh(t, script)
			c.Write = text("the message\n")
			if got := says(run(t, c)); got != want {
				t.Errorf("%q, want %q", got, want)
			}
		})
	}
}

// TestWhatDoesNotStart waits: a program may be installed later, as for Postfix.
func TestWhatDoesNotStart(t *testing.T) {
	t.Parallel()
	notRun := filepath.Join(t.TempDir(), "not-run")
	if err := os.WriteFile(notRun, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for want, c := range map[string]Command{
		"execvp /no/such/program: No such file or directory":                   {Argv: []string{"/no/such/program"}},
		"execvp no-such-program: No such file or directory":                    {Argv: []string{"no-such-program"}},
		": Permission denied":                                                  {Argv: []string{notRun}},
		"4.3.0 temporary failure: the command cannot start in /no/such/folder": {Argv: []string{"/bin/true"}, Dir: "/no/such/folder"},
	} {
		c.User, c.TimeLimit = nobody(t), time.Minute
		if got := says(run(t, c)); !strings.HasPrefix(got, "4.3.0 temporary failure") || !strings.Contains(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestTheGroupEnds: at the time limit, at the end of ctx and after the command everything
// that it has started is killed, also what does not read, and what holds the output.
func TestTheGroupEnds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		script  string
		limit   time.Duration
		cancels bool
		want    string
	}{
		"sleeps":            {"sleep 600", 50 * time.Millisecond, false, `5.3.0 Command time limit exceeded: "it"`},
		"forks":             {"sleep 600 & sleep 600 & wait", 50 * time.Millisecond, false, `5.3.0 Command time limit exceeded: "it"`},
		"ignores signals":   {"trap '' TERM INT HUP; sleep 600", 50 * time.Millisecond, false, `5.3.0 Command time limit exceeded: "it"`},
		"leaves the output": {"sleep 600 & exit 0", 50 * time.Millisecond, false, `5.3.0 Command time limit exceeded: "it"`},
		"leaves others":     {"sleep 600 >/dev/null 2>&1 & exit 0", time.Minute, false, ""},
		"is stopped":        {"sleep 600 & sleep 600", time.Minute, true, ""},
		"multiplies":        {"b() { b & b & sleep 600; }; ulimit -p 200; b 2>/dev/null & while :; do :; done", 200 * time.Millisecond, false, `5.3.0 Command time limit exceeded: "it"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			began := filepath.Join(dirForAll(t), "began")
			command := sh(t, "echo $$ > "+began+"; "+c.script)
			command.TimeLimit = c.limit
			if os.Geteuid() == 0 {
				command.User = hostuser.User{Name: "bomber", UID: 61234, GID: 61234} // whose processes nobody else counts
			}
			command.Write = text(strings.Repeat("nobody reads this\n", 1<<16))
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if c.cancels {
				go func() {
					for {
						if b, _ := os.ReadFile(began); len(b) > 1 {
							cancel()
							return
						}
					}
				}()
			}
			r, err := Run(ctx, command)
			if c.cancels != errors.Is(err, context.Canceled) || !c.cancels && says(r) != c.want {
				t.Errorf("%q, %v", says(r), err)
			}
			group := 0
			pid, err := os.ReadFile(began)
			if err != nil && c.limit > 50*time.Millisecond {
				t.Error(err)
			}
			if _, err := fmt.Sscan(string(pid), &group); err == nil {
				gone(t, group)
			}
		})
	}
}

// gone waits until nobody of a process group is left: who has been killed is collected by init.
func gone(t *testing.T, group int) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !errors.Is(syscall.Kill(-group, 0), syscall.ESRCH); {
		if onlyZombies(group) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("group %d lives on", group)
		}
		time.Sleep(time.Millisecond)
	}
}

// onlyZombies says that whoever is left in a group has ended: an init that collects nobody is
// not ours to mend.
func onlyZombies(group int) bool {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, name := range stats {
		b, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		_, rest, _ := strings.Cut(string(b), ") ")
		f := strings.Fields(rest)
		if len(f) > 2 && f[2] == fmt.Sprint(group) && f[0] != "Z" && f[0] != "X" {
			return false
		}
	}
	return true
}

// dirForAll is a folder that every user may write to.
func dirForAll(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "tm-")
	if err == nil {
		err = os.Chmod(dir, 0o777)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// TestOutputIsBounded: what is kept has a bound, and a command that writes without an end is ended.
func TestOutputIsBounded(t *testing.T) {
	t.Parallel()
	r := run(t, sh(t, "yes abcdefg"))
	if r.Signal != syscall.SIGPIPE && r.Exit == 0 || len(r.Output) > MaxOutput || !strings.HasPrefix(r.Output, "abcdefg abcdefg ") {
		t.Errorf("%v %d %d octets", r.Signal, r.Exit, len(r.Output))
	}
	if r := run(t, sh(t, "head -c 500000 /dev/zero | tr '\\0' x")); r.Exit != 0 || r.Output != strings.Repeat("x", MaxOutput) {
		t.Errorf("%d, %d octets", r.Exit, len(r.Output))
	}
}

// TestWritesBeforeItReads: a command that fills its output before it reads does not stop the
// delivery.
func TestWritesBeforeItReads(t *testing.T) {
	t.Parallel()
	c := sh(t, "head -c 300000 /dev/zero; wc -c")
	c.Write = text(strings.Repeat("0123456789", 50_000))
	if r := run(t, c); r.Exit != 0 {
		t.Error(says(r))
	}
}

// TestAMessageThatCannotBeRead is no message for the command: it is killed before it sees an
// end, and the error is ours, so that the message waits.
func TestAMessageThatCannotBeRead(t *testing.T) {
	t.Parallel()
	file := filepath.Join(dirForAll(t), "whole")
	c := sh(t, "cat >/dev/null; echo > "+file+"; exit 65")
	c.Write = func(w io.Writer) error {
		if _, err := io.WriteString(w, "half"); err != nil {
			return err
		}
		return syscall.EIO
	}
	if r, err := Run(t.Context(), c); !errors.Is(err, syscall.EIO) {
		t.Errorf("%q, %v", says(r), err)
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("the command took the message for whole")
	}
}

// TestWhatACommandHas: the user's numbers and one group, a folder, the environment that is
// given, and no descriptor but its three.
func TestWhatACommandHas(t *testing.T) {
	f, err := os.Open("/etc/passwd")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	t.Setenv("TM_KEPT", "yes")
	t.Setenv("TM_SECRET", "no")
	u := nobody(t)
	c := Command{Argv: []string{"/bin/sh", "-c", "id -u; id -g; id -G; umask; pwd; env | sort | tr '\\n' ' '; ls /proc/self/fd | tr '\\n' ' '"}, User: u, TimeLimit: time.Minute, Dir: "/usr"}
	c.Env = Environment([]string{"TM_KEPT", "TM_MISSING", "FIXED=1"}, "SENDER=a b")
	// ls has one more, for the folder.
	want := fmt.Sprintf("%d %d %d 0077 /usr FIXED=1 PATH=/usr/bin:/bin PWD=/usr SENDER=a b TM_KEPT=yes 0 1 2 3", u.UID, u.GID, u.GID)
	if os.Geteuid() != 0 {
		return // its groups are those of the process
	}
	if got := says(run(t, c)); got != want {
		t.Errorf("%q, want\n%q", got, want)
	}
}

func TestNeverRoot(t *testing.T) {
	t.Parallel()
	for _, u := range []hostuser.User{{Name: "root", UID: 0, GID: 0}, {Name: "x", UID: 1234, GID: 0}, {Name: "x", UID: 0, GID: 1234}, {Name: "x", UID: -1, GID: 5}, {}} {
		c := sh(t, "true")
		c.User = u
		if _, err := Run(t.Context(), c); !errors.Is(err, hostuser.ErrRoot) {
			t.Errorf("%+v: %v", u, err)
		}
		if err := As(u, -1, func() error { t.Error("it is done as root"); return nil }); !errors.Is(err, hostuser.ErrRoot) {
			t.Errorf("%+v: %v", u, err)
		}
	}
}

// TestAs: files are the user's, what he may not is refused, and the rest of the process stays
// what it was.
func TestAs(t *testing.T) {
	t.Parallel()
	u, dir := nobody(t), dirForAll(t)
	secret := filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := As(u, -1, func() error { return os.WriteFile(filepath.Join(dir, "his"), nil, 0o666) })
	if err != nil {
		t.Fatal(err)
	}
	var st syscall.Stat_t
	if err := syscall.Stat(filepath.Join(dir, "his"), &st); err != nil || int(st.Uid) != u.UID || int(st.Gid) != u.GID {
		t.Errorf("%d:%d %v", st.Uid, st.Gid, err)
	}
	if os.Geteuid() != 0 {
		return
	}
	for range 20 {
		if err := As(u, -1, func() error { _, err := os.ReadFile(secret); return err }); !errors.Is(err, os.ErrPermission) {
			t.Errorf("the user reads what is root's: %v", err)
		}
		if _, err := os.ReadFile(secret); err != nil {
			t.Errorf("root does not: %v", err)
		}
	}
}

// TestAPanicIsTheCallers: what panics under a user's rights, or while the message is written, panics in the caller.
func TestAPanicIsTheCallers(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]func() error{
		"as": func() error { return As(nobody(t), -1, func() error { panic("odd message") }) },
		"write": func() error {
			c := sh(t, "sleep 600")
			c.Write = func(io.Writer) error { panic("odd message") }
			_, err := Run(t.Context(), c)
			return err
		},
	} {
		func() {
			defer func() {
				if p, ok := recover().(*Panicked); !ok || p.Value != "odd message" || !strings.Contains(p.Error(), "run_test.go") {
					t.Errorf("%s: %v", name, p)
				}
			}()
			t.Errorf("%s returned: %v", name, f())
		}()
	}
}

// TestWhatHasEndedIsDone: a command that has ended well before the server stops is not run again, whatever it has
// left running.
func TestWhatHasEndedIsDone(t *testing.T) {
	t.Parallel()
	pidFile := filepath.Join(dirForAll(t), "pid")
	c := sh(t, "sleep 600 & echo $$ > "+pidFile+"; exit 0")
	c.TimeLimit = time.Minute
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		defer cancel()
		for ctx.Err() == nil {
			pid, _ := os.ReadFile(pidFile)
			if len(pid) == 0 {
				continue
			}
			stat, err := os.ReadFile("/proc/" + strings.TrimSpace(string(pid)) + "/stat")
			if err != nil || strings.Contains(string(stat), ") Z ") {
				return
			}
		}
	}()
	r, err := Run(ctx, c)
	if err != nil || r.TimedOut || r.Exit != 0 {
		t.Errorf("%+v %v", r, err)
	}
}

// TestCommandLines: a shell only where it is needed.
func TestCommandLines(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"/usr/bin/procmail -a x":    "/usr/bin/procmail|-a|x",
		"cat  -n\tx":                "cat|-n|x",
		"exit 67":                   "/bin/sh|-c|exit 67",
		"cat; true":                 "/bin/sh|-c|cat; true",
		`IFS=' '&&exec /usr/bin/x`:  `/bin/sh|-c|IFS=' '&&exec /usr/bin/x`,
		"/no/such/program":          "/no/such/program",
		"cat > $HOME/x":             "/bin/sh|-c|cat > $HOME/x",
		"":                          "/bin/sh|-c|",
		"cat \u00e4":                "/bin/sh|-c|cat \u00e4",
		"env A=b /bin/true x@y,%-_": "env|A=b|/bin/true|x@y,%-_",
	} {
		if got := strings.Join(CommandLine(line), "|"); got != want {
			t.Errorf("%q is %q, want %q", line, got, want)
		}
	}
}

// TestNoDescriptorStays: commands that end in every way leave no descriptor and no child.
func TestNoDescriptorStays(t *testing.T) {
	count := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	all := func() {
		for _, script := range []string{"cat >/dev/null", "exit 1", "sleep 600", "yes", "exec <&- >&- 2>&-; sleep 600"} {
			c := sh(t, script)
			c.TimeLimit = 100 * time.Millisecond
			c.Write = text(string(bytes.Repeat([]byte("x"), 200_000)))
			run(t, c)
		}
		c := sh(t, "true")
		c.Argv[0] = "/no/such/program"
		run(t, c)
	}
	all()
	before := count()
	for range 3 {
		all()
	}
	if after := count(); after > before {
		t.Errorf("%d descriptors, before %d", after, before)
	}
}
