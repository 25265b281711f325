package proc

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Spec says what to run.
type Spec struct {
	Path string
	Args []string
	// Env is added to the environment of this process.
	Env []string
	Dir string
	// Log is the file that standard output and standard error are appended to.
	Log string
	// As is whose process it is; nil is ours.
	As *syscall.Credential
}

// Process is a running program. Its methods may be called by several
// goroutines.
type Process struct {
	cmd  *exec.Cmd
	log  string
	done chan struct{}
	err  error // set before done is closed
}

// Start runs a program in a process group of its own.
func Start(s Spec) (*Process, error) {
	log, err := os.OpenFile(s.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(s.Path, s.Args...)
	cmd.Env = append(os.Environ(), s.Env...)
	cmd.Dir = s.Dir
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: s.As}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", s.Path, err)
	}
	p := &Process{cmd: cmd, log: s.Log, done: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// Pid is the process id, which is the id of its group too.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Done is closed when the process has ended and was waited for.
func (p *Process) Done() <-chan struct{} { return p.done }

// Running says that the process has not ended.
func (p *Process) Running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Err is how the process ended, nil for exit code 0. Call it after Done.
func (p *Process) Err() error {
	<-p.done
	return p.err
}

// Signal sends a signal to the process alone.
func (p *Process) Signal(s syscall.Signal) error { return p.cmd.Process.Signal(s) }

// Kill ends the whole group at once and waits for the process.
func (p *Process) Kill() {
	if p.Running() {
		_ = syscall.Kill(-p.Pid(), syscall.SIGKILL)
	}
	<-p.done
}

// Stop asks the process to end and waits; after grace it kills the group and
// says so.
func (p *Process) Stop(grace time.Duration) error {
	if !p.Running() {
		return p.Err()
	}
	_ = p.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(grace):
		p.Kill()
		return fmt.Errorf("%s did not stop within %s", p.cmd.Path, grace)
	}
	// What the process left of its group, such as daemons that ignore SIGTERM.
	_ = syscall.Kill(-p.Pid(), syscall.SIGKILL)
	return p.err
}

// LogFile is where the output goes.
func (p *Process) LogFile() string { return p.log }

// LogTail is the last n octets of the log, for messages of failed tests.
func (p *Process) LogTail(n int) string { return Tail(p.log, n) }

// Tail is the last n octets of a file, or the reason why there are none.
func Tail(file string, n int) string {
	b, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	if len(b) > n {
		b = b[len(b)-n:]
	}
	return string(b)
}

// Memory is what the kernel says about a process, in octets.
type Memory struct {
	RSS  int64 // now
	Peak int64 // the highest RSS so far
}

// Memory reads /proc/PID/status.
func (p *Process) Memory() (Memory, error) { return MemoryOf(p.Pid()) }

// MemoryOf reads /proc/PID/status.
func MemoryOf(pid int) (Memory, error) {
	f, err := os.Open(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		return Memory{}, err
	}
	defer f.Close()
	var m Memory
	for s := bufio.NewScanner(f); s.Scan(); {
		key, value, _ := strings.Cut(s.Text(), ":")
		kib, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		switch key {
		case "VmRSS":
			m.RSS = kib << 10
		case "VmHWM":
			m.Peak = kib << 10
		}
	}
	if m.RSS == 0 {
		return m, errors.New("no VmRSS: the process has ended")
	}
	return m, nil
}

// Usage is what a process has spent so far.
type Usage struct {
	// Processor is the time of all its threads, exactly, and User what of that the program
	// itself took, by the kernel's ticks; the rest is system calls.
	Processor, User time.Duration
	// Waits and Turns are the context switches of the threads that live: because
	// a thread waited, and because another had its turn.
	Waits, Turns int64
	// Reads and Writes are system calls that read or write a descriptor.
	Reads, Writes int64
}

// Usage asks the kernel.
func (p *Process) Usage() (Usage, error) {
	var u Usage
	var now unix.Timespec
	// The clock of another process, as clock_getcpuclockid(3) makes it.
	if err := unix.ClockGettime(int32(^p.Pid()<<3|2), &now); err != nil {
		return u, err
	}
	u.Processor = time.Duration(now.Nano())
	dir := filepath.Join("/proc", strconv.Itoa(p.Pid()))
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return u, err
	}
	// Behind the name, which may have spaces, utime is the twelfth field of proc(5).
	_, fields, _ := strings.Cut(string(stat), ") ")
	if all := strings.Fields(fields); len(all) > 11 {
		ticks, err := strconv.ParseInt(all[11], 10, 64)
		if err != nil {
			return u, err
		}
		u.User = time.Duration(ticks) * time.Second / 100
	}
	err = numbersIn(filepath.Join(dir, "io"), map[string]*int64{"syscr": &u.Reads, "syscw": &u.Writes})
	if err != nil {
		return u, err
	}
	threads, err := filepath.Glob(filepath.Join(dir, "task", "*", "status"))
	for _, file := range threads {
		var waits, turns int64
		if numbersIn(file, map[string]*int64{"voluntary_ctxt_switches": &waits, "nonvoluntary_ctxt_switches": &turns}) == nil {
			u.Waits += waits
			u.Turns += turns
		}
	}
	return u, err
}

// numbersIn reads lines "key: number" of a file in /proc.
func numbersIn(file string, want map[string]*int64) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(line, ":")
		if to := want[key]; to != nil {
			if *to, err = strconv.ParseInt(strings.TrimSpace(value), 10, 64); err != nil {
				return err
			}
		}
	}
	return nil
}

// WaitPort waits until something accepts connections at address. It gives up
// when ctx is done or p, which may be nil, has ended.
func WaitPort(ctx context.Context, address string, p *Process) error {
	var dialer net.Dialer
	for {
		c, err := dialer.DialContext(ctx, "tcp", address)
		if err == nil {
			return c.Close()
		}
		if p != nil && !p.Running() {
			return fmt.Errorf("%s ended before it listened: %v\n%s", p.cmd.Path, p.err, p.LogTail(4000))
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("nothing listens at %s: %w", address, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Find looks for a program in PATH and where Debian keeps those that are not
// for users.
func Find(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	for _, dir := range []string{"/usr/sbin", "/usr/local/sbin", "/sbin", "/usr/lib/postfix/sbin", "/usr/lib/dovecot"} {
		path := filepath.Join(dir, name)
		if st, err := os.Stat(path); err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0 {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s is not installed", name)
}
