package master

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// FDVariable is the number of the descriptor by which a process speaks with master.
const FDVariable = "TOASTMASTER_MASTER_FD"

// FailedWord begins the line by which a process says why it ends. Its standard error is master's, which nobody may read.
const FailedWord = "failed "

// Role is a process that master supervises.
type Role struct {
	Name string
	// Overlap says that the next process may serve before this one has ended.
	Overlap bool
	// Linger is how long sessions go on when another process takes over.
	Linger time.Duration
	// Listeners are its listening sockets, Names what they are called. They stay master's.
	Listeners []*os.File
	Names     []string
	// Program, Args and Env make its process.
	Program string
	Args    []string
	Env     []string
}

// child is a process of a role.
type child struct {
	role    *role
	process *os.Process
	conn    *net.UnixConn
	started time.Time
	// prepared and ready are what it has said; asked is that it was told to end.
	prepared, ready, asked bool
	readyAt                time.Time
	// heard is when it last said that it is alive, zero for one that never does: a program before there was
	// a watchdog. dumped is when it was told to end with a list of its goroutines.
	heard, dumped time.Time
	// every is how often it says so.
	every time.Duration
	// failed is why it ends, in its own words.
	failed string
	// deadline is when it is ended that has not done by then what late says, zero for never; blamed is why it
	// was ended.
	deadline time.Time
	late     string
	blamed   string
}

// by gives a process until then to do what is asked of it.
func (c *child) by(deadline time.Time, late string) { c.deadline, c.late = deadline, late }

// event is what a goroutine of a child tells the loop.
type event struct {
	from *child
	// line is what it said, "" that it has ended with state or err.
	line  string
	state *os.ProcessState
	err   error
}

// pair makes the stream: our end, and the file that is the child's.
func pair() (*net.UnixConn, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("socketpair: %w", err)
	}
	theirs := os.NewFile(uintptr(fds[1]), "role")
	conn, err := connOf(fds[0])
	if err != nil {
		return nil, nil, errors.Join(err, theirs.Close())
	}
	return conn, theirs, nil
}

// connOf makes a descriptor a connection, and owns it.
func connOf(fd int) (*net.UnixConn, error) {
	f := os.NewFile(uintptr(fd), "master")
	if f == nil {
		return nil, fmt.Errorf("descriptor %d is not open", fd)
	}
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}
	u, ok := c.(*net.UnixConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("descriptor %d is no unix socket", fd), c.Close())
	}
	return u, nil
}

// spawn starts a process of a role.
func (m *Master) spawn(r *role) (*child, error) {
	conn, theirs, err := pair()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	cmd := exec.Command(r.Program, r.Args...)
	cmd.Env = append([]string{}, r.Env...)
	cmd.Env = append(cmd.Env, "LISTEN_FDS="+strconv.Itoa(len(r.Listeners)), "LISTEN_FDNAMES="+strings.Join(r.Names, ":"),
		FDVariable+"="+strconv.Itoa(3+len(r.Listeners)))
	cmd.Stdout, cmd.Stderr = m.o.Stderr, m.o.Stderr
	cmd.ExtraFiles = append(append(append([]*os.File{}, r.Listeners...), theirs), m.o.Held...)
	// A signal of the terminal is master's, which tells the roles.
	cmd.SysProcAttr = &unix.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	c := &child{role: r, process: cmd.Process, conn: conn, started: m.o.Clock.Now()}
	m.awaitStart(c)
	m.watch(c)
	m.o.Log.Info("role", "role", r.Name, "status", "started", "pid", c.process.Pid)
	return c, nil
}

// watch reads what a child says and waits for its end. Both goroutines end with it.
func (m *Master) watch(c *child) {
	said := make(chan struct{})
	m.children.Go(func() {
		// No fence: it reads lines and hands them on.
		defer close(said)
		lines := bufio.NewScanner(c.conn)
		for lines.Scan() {
			m.events <- event{from: c, line: lines.Text()}
		}
	})
	m.children.Go(func() {
		// No fence: it waits.
		state, err := c.process.Wait()
		<-said // its last words come before its end
		m.events <- event{from: c, state: state, err: err}
	})
}

// tellTimeout is how long a child may take to read a line. It is no parameter: the kernel
// has room for it.
const tellTimeout = time.Second

// tell sends a line. One who does not hear it has ended, or is ended by who waits for it.
func (c *child) tell(line string) {
	_ = c.conn.SetWriteDeadline(time.Now().Add(tellTimeout))
	_, _ = c.conn.Write([]byte(line + "\n"))
}
