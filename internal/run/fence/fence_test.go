package fence

import (
	"bufio"
	"bytes"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestFenceHolds: in every thread, and for the programs that are run. The program is one
// without cgo, as ours is; a kernel without Landlock or seccomp says so.
func TestFenceHolds(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "inside")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./testdata/inside")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	for _, execute := range []string{"execute", "no"} {
		in, out := t.TempDir(), t.TempDir()
		file := filepath.Join(t.TempDir(), "file")
		for _, f := range []string{file, filepath.Join(out, "old")} {
			if err := os.WriteFile(f, []byte("text"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		said := sayings(t, program, execute, in, file, out)
		if !strings.Contains(said["holds"], "no_new_privs") {
			t.Errorf("holds %s", said["holds"])
		}
		if !strings.Contains(said["holds"], "landlock") {
			t.Fatalf("this kernel has no Landlock, which the test needs: %s", said["holds"])
		}
		if !strings.Contains(said["holds"], " seccomp") {
			t.Errorf("no filter: holds %s", said["holds"])
		}
		for what, want := range map[string]string{
			"write inside": "true", "folder inside": "true", "rename inside": "true", "write the file": "true", "read outside": "true",
			"make outside": "false", "change outside": "false", "remove outside": "false", "move out": "false", "run that writes outside": "false",
			"accept": "true", "unix socket": "true", "addresses": "true",
			"ptrace": "false", "memory": "false", "user namespace": "false", "clone in a namespace": "false", "mount": "false", "time": "false", "io_uring": "false", "bpf": "false",
		} {
			if said[what] != want {
				t.Errorf("%s, %s: %q", execute, what, said[what])
			}
		}
		// What the role that runs programs may, and no other.
		want := map[string]string{"execute": "true", "no": "false"}[execute]
		for _, what := range []string{"run", "connect out", "setgroups", "execveat"} {
			if said[what] != want {
				t.Errorf("%s: %s %q", execute, what, said[what])
			}
		}
	}
}

// sayings runs the program inside, is there for it to connect to, and connects to it once.
func sayings(t *testing.T, program string, args ...string) map[string]string {
	t.Helper()
	outside, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer outside.Close()
	cmd := exec.CommandContext(t.Context(), program, append(args, outside.Addr().String())...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := map[string]string{}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		what, is, _ := strings.Cut(lines.Text(), ": ")
		said[what] = is
		if what == "listens" {
			c, err := net.Dial("tcp", is)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v %s", err, stderr.String())
	}
	return said
}

// TestFilterEnds: every jump of the filter ends inside of it, and what nothing refuses is allowed.
func TestFilterEnds(t *testing.T) {
	t.Parallel()
	for _, f := range []Fence{{}, {Execute: true}, {Connect: true}, {Execute: true, Connect: true}} {
		p, err := f.filter()
		if errors.Is(err, errArchitecture) {
			continue
		}
		if err != nil || len(p) > unix.BPF_MAXINSNS {
			t.Fatalf("%v, %d", err, len(p))
		}
		for n, i := range p {
			if i.Code&7 == unix.BPF_JMP && n+1+int(max(i.Jt, i.Jf)) >= len(p) {
				t.Errorf("%+v: instruction %d jumps out: %+v", f, n, i)
			}
		}
		if last := p[len(p)-1]; last.Code != unix.BPF_RET|unix.BPF_K || last.K != unix.SECCOMP_RET_ALLOW {
			t.Errorf("%+v ends with %+v", f, last)
		}
	}
}

// TestTheUnitLetsTheFenceIn: @system-service of systemd has none of the calls that a fence is made of, and what the unit does not
// name is refused there.
func TestTheUnitLetsTheFenceIn(t *testing.T) {
	t.Parallel()
	unit, err := os.ReadFile("../../../configs/samples/toastmaster-master.service")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(unit)) {
		names, is := strings.CutPrefix(line, "SystemCallFilter=")
		for _, call := range []string{"landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self", "seccomp"} {
			if is && !strings.Contains(" "+strings.TrimSpace(names)+" ", " "+call+" ") {
				t.Errorf("%s is not in %s", call, line)
			}
		}
	}
}
