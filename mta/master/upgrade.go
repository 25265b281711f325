package master

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// StateVariable is the environment variable by which a program hands its processes and
// listeners to the next one.
const StateVariable = "TOASTMASTER_MASTER"

// State is what survives an upgrade. Descriptors are numbers of this process.
type State struct {
	Generation int
	Listeners  []Kept
	Children   []Adopted
}

// Kept is a listening socket.
type Kept struct {
	// Address is that of the configuration, or a name of master's own.
	Address string
	FD      int
	// Own is the path of a unix socket that master has made, "" for others.
	Own string
}

// Adopted is a process.
type Adopted struct {
	Role    string
	Pid, FD int
	Started time.Time
}

// ReadState reads what the program before has left; nil when there was none.
func ReadState(getenv func(string) string) (*State, error) {
	text := getenv(StateVariable)
	if text == "" {
		return nil, nil
	}
	s := &State{}
	if err := json.Unmarshal([]byte(text), s); err != nil {
		return nil, fmt.Errorf("%s: %w", StateVariable, err)
	}
	return s, nil
}

// Become executes a program in the place of this one, with the state and what is open in it.
func (s State) Become(program string, args, env []string) error {
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	var fds []int
	for _, l := range s.Listeners {
		fds = append(fds, l.FD)
	}
	for _, c := range s.Children {
		fds = append(fds, c.FD)
	}
	for _, fd := range fds {
		if err := stayOpen(fd); err != nil {
			return err
		}
		defer unix.CloseOnExec(fd) // nobody else shall have it
	}
	return fmt.Errorf("exec %s: %w", program, unix.Exec(program, append([]string{program}, args...), append(env, StateVariable+"="+string(text))))
}

func stayOpen(fd int) error {
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, 0); err != nil {
		return fmt.Errorf("descriptor %d: %w", fd, err)
	}
	return nil
}

// adopt takes over the processes of the program before, and plans to replace them.
func (m *Master) adopt() error {
	if m.o.Adopt == nil {
		return nil
	}
	m.generation = m.o.Adopt.Generation
	for _, a := range m.o.Adopt.Children {
		conn, err := connOf(a.FD)
		if err != nil {
			return fmt.Errorf("role %s: %w", a.Role, err)
		}
		p, err := os.FindProcess(a.Pid)
		if err != nil {
			return err
		}
		c := &child{process: p, conn: conn, started: a.Started, prepared: true, ready: true, readyAt: a.Started}
		known := true
		if c.role = m.named(a.Role); c.role == nil { // the configuration has it no more
			known, c.role = false, &role{Role: Role{Name: a.Role}}
			m.gone = append(m.gone, c.role)
			c.tell("finish 0s")
		}
		if known && c.role.current == nil {
			c.role.current = c
		} else { // it was on its way out
			c.role.old = append(c.role.old, c)
			m.awaitEnd(c)
		}
		m.watch(c)
	}
	m.replacing = append(m.replacing, m.roles...)
	m.serving = true
	m.o.Log.Info("upgrade", "status", "begins", "generation", m.generation)
	return nil
}

func (m *Master) named(name string) *role {
	for _, r := range m.roles {
		if r.Name == name {
			return r
		}
	}
	return nil
}

// ask has the loop do something.
func (m *Master) ask(ctx context.Context, do func() error) error {
	c := command{do, make(chan error, 1)}
	select {
	case m.commands <- c:
		return <-c.reply
	case <-ctx.Done():
		return ctx.Err()
	}
}

// beginUpgrade says whether one may begin now.
func (m *Master) beginUpgrade() error {
	switch {
	case m.checking || len(m.replacing) > 0:
		return errors.New("an upgrade is under way")
	case !m.serving:
		return errors.New("the roles do not serve yet")
	}
	for _, r := range m.roles {
		if r.current == nil || !r.current.ready {
			return fmt.Errorf("the role %s does not serve: an upgrade begins when all do", r.Name)
		}
	}
	m.checking, m.upgradeOf = true, nil
	return nil
}

// another is one more descriptor of a connection, which stays as it is.
func another(conn *net.UnixConn) (fd int, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return -1, err
	}
	ctlErr := raw.Control(func(own uintptr) { fd, err = unix.FcntlInt(own, unix.F_DUPFD_CLOEXEC, 0) })
	return fd, errors.Join(ctlErr, err)
}

// become is the new program from here on.
func (m *Master) become() error {
	m.checking = false
	m.note(m.o.Notify.Reloading())
	s := State{Generation: m.generation + 1}
	for _, c := range m.all() {
		fd, err := another(c.conn)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		s.Children = append(s.Children, Adopted{Role: c.role.Name, Pid: c.process.Pid, FD: fd, Started: c.started})
	}
	err := m.o.Exec(s)
	m.upgradeOf = err
	m.o.Log.Error("upgrade", "status", "failed", "cause", err)
	m.note(m.o.Notify.Ready())
	return err
}
