package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"toastmaster/internal/hostuser"
)

// MaxOutput is how much of a command's output is kept: what Postfix keeps. It is in
// reports and in the log, so a parameter would only make both longer.
const MaxOutput = 4096

// maxDrained is how much output is read before it is closed.
const maxDrained = 1 << 20

// Command is one to be run.
type Command struct {
	// Argv are the program, found in Path unless a slash is in it, and its arguments.
	Argv []string
	// Name is what reports call it, Argv with spaces between when empty.
	Name string
	// Dir is the working directory, "/" when empty; the user must be able to enter it.
	Dir string
	// Env is the whole environment; see Environment.
	Env  []string
	User hostuser.User
	// Write writes the standard input. A command that does not read all of it is no error.
	Write func(io.Writer) error
	// TimeLimit is how long the command, and what it has started, may take.
	TimeLimit time.Duration
}

// Result is how a command ended.
type Result struct {
	// Exit is the exit status, Signal the signal that ended it, 0 for none.
	Exit   int
	Signal syscall.Signal
	// TimedOut says that the time limit ended it.
	TimedOut bool
	// Output is the beginning of what it wrote, in one line of printable ASCII.
	Output string
	name   string
	cause  error
}

// Environment is Path, the variables of this process that names lists, and the rest.
func Environment(names []string, rest ...string) []string {
	env := make([]string, 0, 1+len(names)+len(rest))
	env = append(env, "PATH="+Path)
	for _, name := range names {
		if key, _, given := strings.Cut(name, "="); given && key != "" {
			env = append(env, name)
		} else if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return append(env, rest...)
}

// Run runs a command to its end. An error is one of ours: the user may not be become, or ctx
// has ended, and then the command has been killed. What the command did is the Result's.
func Run(ctx context.Context, c Command) (Result, error) {
	if err := c.User.Permitted(); err != nil {
		return Result{}, err
	}
	r, cmd, err := c.prepare()
	if err != nil || cmd == nil {
		return r, err
	}
	in, err := newPipe()
	if err != nil {
		return r, err
	}
	out, err := newPipe()
	if err != nil {
		in.close()
		return r, err
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in.r, out.w, out.w
	err = start(cmd)
	in.r.Close()
	out.w.Close()
	if err != nil {
		in.w.Close()
		out.r.Close()
		if isOurs(err) {
			return r, err
		}
		r.failedToStart(c, err)
		return r, nil
	}
	defer out.r.Close()
	return r.follow(ctx, c, cmd, in.w, out.r)
}

// prepare makes what is to be started, but for its descriptors; without one the Result says why it cannot be.
func (c *Command) prepare() (r Result, cmd *exec.Cmd, err error) {
	r.name = c.Name
	if r.name == "" {
		r.name = strings.Join(c.Argv, " ")
	}
	if c.Dir == "" {
		c.Dir = "/"
	}
	path, err := lookPath(c.Argv[0])
	if err != nil {
		r.failedToStart(*c, err)
		return r, nil, nil
	}
	if err := closeOnExec(); err != nil {
		return r, nil, err
	}
	return r, &exec.Cmd{Path: path, Args: c.Argv, Dir: c.Dir, Env: c.Env, SysProcAttr: attributes(c.User)}, nil
}

// umask is that of commands, as Postfix's: what they make is the user's alone.
const umask = 0o077

// start starts a command with that mask, which belongs to a thread only once it shares
// none; the thread ends with the goroutine, as that of As.
func start(cmd *exec.Cmd) error {
	return onThread(func() error {
		err := unix.Unshare(unix.CLONE_FS)
		if err == nil {
			unix.Umask(umask)
			err = cmd.Start()
		}
		return err
	})
}

// attributes make the command a process group of its own, and the user's.
func attributes(u hostuser.User) *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Setpgid: true}
	if os.Geteuid() == 0 {
		a.Credential = &syscall.Credential{Uid: uint32(u.UID), Gid: uint32(u.GID), Groups: []uint32{uint32(u.GID)}}
	}
	return a
}

// closeOnExec keeps what this process was started with from the command: what it has opened
// itself is closed anyway.
func closeOnExec() error {
	if unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC) == nil {
		return nil
	}
	open, err := os.ReadDir("/proc/self/fd") // a kernel before 5.11
	if err != nil {
		return err
	}
	for _, e := range open {
		if fd, err := strconv.Atoi(e.Name()); err == nil && fd > 2 {
			unix.CloseOnExec(fd)
		}
	}
	return nil
}

// isOurs says that no command could be started: it is not this one's mistake.
func isOurs(err error) bool {
	return errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.ENOMEM) || errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) || errors.Is(err, syscall.EPERM)
}

// failedToStart is what Postfix's child says, which ends with EX_TEMPFAIL.
func (r *Result) failedToStart(c Command, err error) {
	cause := err
	var p *os.PathError
	if errors.As(err, &p) {
		cause = p.Err
	}
	if errors.Is(err, exec.ErrNotFound) {
		cause = syscall.ENOENT
	}
	r.Exit = exTempFail
	if err := As(c.User, -1, func() error { _, err := os.Stat(c.Dir + "/."); return err }); err != nil {
		r.cause = fmt.Errorf("the command cannot start in %s: %w", c.Dir, err)
		return
	}
	why := cause.Error()
	r.Output = printable([]byte("execvp " + c.Argv[0] + ": " + strings.ToUpper(why[:1]) + why[1:]))
}

// follow waits for the end of the command, or makes it.
func (r *Result) follow(ctx context.Context, c Command, cmd *exec.Cmd, in, out *os.File) (Result, error) {
	limit, cancel := context.WithTimeout(ctx, c.TimeLimit)
	defer cancel()
	group := cmd.Process.Pid
	var wg sync.WaitGroup
	var output []byte
	var writeErr error
	read := make(chan struct{})
	wg.Go(func() {
		defer close(read)
		output = drain(out)
	})
	var panicked *Panicked
	wg.Go(func() {
		defer in.Close()
		func() {
			defer catch(&panicked)
			writeErr = write(c, in)
		}()
		if panicked != nil || writeErr != nil && !unread(writeErr) {
			kill(group) // before it takes the end of what there is for the end of the message
		}
	})
	ended := make(chan error, 1)
	wg.Go(func() { ended <- awaitEnd(group) })

	// stopped: the server ends, and the command had not. One that had has done its work, whatever its children do.
	over, stopped, waitErr := false, false, error(nil)
	for reading := read; !over || reading != nil; {
		select {
		case waitErr = <-ended:
			over = true
			in.Close() // nobody reads it, but what the command has left running
		case <-reading:
			reading = nil
		case <-limit.Done():
			stopped = !over && ctx.Err() != nil
			r.TimedOut = !over || ctx.Err() == nil
			kill(group)
			out.Close()
			in.Close()
			if !over {
				waitErr = <-ended
			}
			over, reading = true, nil
		}
	}
	// The command is a zombie until Wait, so its group's number is nobody else's yet.
	kill(group)
	out.Close()
	in.Close()
	wg.Wait()
	err := cmd.Wait()
	if panicked != nil {
		panic(panicked)
	}
	if stopped && cmd.ProcessState != nil && cmd.ProcessState.Exited() {
		stopped, r.TimedOut = false, false // it had ended in that moment
	}
	r.Output = printable(output)
	if stopped {
		return *r, fmt.Errorf("%s: ended with the server: %w", r.name, ctx.Err())
	}
	if err := r.exited(cmd, waitErr, err); err != nil {
		return *r, err
	}
	if writeErr != nil && !r.TimedOut && !unread(writeErr) {
		return *r, fmt.Errorf("%s: writing the message: %w", r.name, writeErr)
	}
	return *r, nil
}

// exited notes how a command ended, which was waited for twice.
func (r *Result) exited(cmd *exec.Cmd, waitErr, err error) error {
	var exit *exec.ExitError
	if waitErr != nil || err != nil && !errors.As(err, &exit) {
		return errors.Join(waitErr, err)
	}
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		r.Signal = status.Signal()
	} else {
		r.Exit = cmd.ProcessState.ExitCode()
	}
	return nil
}

// unread says that the command has not read everything, which is its own affair.
func unread(err error) bool {
	return errors.Is(err, syscall.EPIPE) || errors.Is(err, os.ErrClosed)
}

func write(c Command, in *os.File) error {
	if c.Write == nil {
		return nil
	}
	return c.Write(in)
}

// drain keeps the beginning of the output and reads on, up to a bound; closing is the
// caller's, but beyond the bound it is done here.
func drain(out *os.File) []byte {
	kept := make([]byte, 0, 512)
	block := make([]byte, 8<<10)
	for total := 0; ; {
		n, err := out.Read(block)
		if room := MaxOutput - len(kept); room > 0 {
			kept = append(kept, block[:min(n, room)]...)
		}
		if total += n; total > maxDrained {
			out.Close()
			return kept
		}
		if err != nil {
			return kept
		}
	}
}

// awaitEnd returns when the process has ended and leaves it for Wait.
func awaitEnd(pid int) error {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

func kill(group int) { _ = syscall.Kill(-group, syscall.SIGKILL) } // nobody left is as good

type pipe struct{ r, w *os.File }

func newPipe() (p pipe, err error) {
	p.r, p.w, err = os.Pipe()
	return p, err
}

func (p pipe) close() {
	p.r.Close()
	p.w.Close()
}

// printable is output as one line that a report and the log can hold: line ends are spaces,
// what is not printable is "_", as Postfix has it.
func printable(b []byte) string {
	s := strings.Map(func(c rune) rune {
		switch {
		case c == '\r' || c == '\n' || c == '\t':
			return ' '
		case c < ' ' || c >= 0x7f:
			return '_'
		}
		return c
	}, string(b))
	return strings.TrimRight(s, " ")
}
