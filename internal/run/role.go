package run

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"toastmaster/configs"
	"toastmaster/internal/clock"
	"toastmaster/internal/printable"
	"toastmaster/internal/run/fence"
	"toastmaster/internal/run/rights"
	"toastmaster/internal/run/usage"
	"toastmaster/mta/master"
)

// errNoMaster is why a role ends whose master has gone.
var errNoMaster = errors.New("master has ended")

// errTold is why a role ends that master wants to end: a stop in order.
var errTold error = told{}

type told struct{}

func (told) Error() string        { return "master says so" }
func (told) Is(target error) bool { return target == context.Canceled }

// ServeRole runs one role as a process of master, until ctx ends or master says so.
func ServeRole(ctx context.Context, o Options) error {
	if !slices.ContainsFunc(roleTable(o.Config), func(r roleRow) bool { return r.role == o.Role }) {
		return usage.Errorf("there is no role %q", o.Role)
	}
	conn, err := masterConn(o.Getenv)
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	o.Linger = &Linger{}
	goOn := make(chan struct{})
	heard := make(chan struct{})
	go func() {
		// No fence: it reads lines.
		defer close(heard)
		hearMaster(conn, o.Linger, goOn, cancel)
	}()
	// Longer than ctx, because sessions may go on when that has ended.
	working, over := context.WithCancel(context.WithoutCancel(ctx))
	defer over()
	alive := make(chan struct{})
	go func() {
		// No fence: it says that it lives.
		defer close(alive)
		sayAlive(working, conn, clock.System{}, o.Config.Master.DaemonTimeout/aliveParts)
	}()
	getenv := o.Getenv
	o.Getenv = func(name string) string {
		if name == "LISTEN_PID" { // master cannot know it before there is a process
			return strconv.Itoa(os.Getpid())
		}
		return getenv(name)
	}
	o.Prepared = func(ctx context.Context) error {
		if err := tellMaster(conn, "prepared"); err != nil {
			return err
		}
		select {
		case <-goOn:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	o.OnReady = func(context.Context) error { return tellMaster(conn, "ready") }
	err = Serve(ctx, o)
	if err != nil && !errors.Is(err, errTold) && !errors.Is(err, errNoMaster) {
		_ = tellMaster(conn, failedLine(err)) // who does not hear it has the exit status
	}
	over()
	_ = conn.Close()
	<-heard
	<-alive
	if errors.Is(err, errTold) && context.Cause(ctx) == errTold {
		return nil // before it served
	}
	return err
}

// failedLimit is the most of an error that master is told. It is no parameter: it is for a line of a log.
const failedLimit = 1000

func failedLine(err error) string {
	text := printable.UTF8(strings.ReplaceAll(strings.TrimSpace(err.Error()), "\n", "; "))
	return master.FailedWord + text[:min(len(text), failedLimit)]
}

// TellFailed tells master why a role does not begin: an error before ServeRole.
func TellFailed(getenv func(string) string, err error) {
	if conn, none := masterConn(getenv); none == nil {
		_ = tellMaster(conn, failedLine(err))
		_ = conn.Close()
	}
}

// aliveParts is how often a role says that it lives in the time that it may be silent.
const aliveParts = 5

// sayAlive says so, and when it will again, until ctx or the stream ends.
func sayAlive(ctx context.Context, conn net.Conn, clk clock.Clock, every time.Duration) {
	for tellMaster(conn, "alive "+every.String()) == nil {
		timer := clk.NewTimer(every)
		select {
		case <-timer.C():
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

// masterConn is the stream that master has given this process.
func masterConn(getenv func(string) string) (net.Conn, error) {
	fd, err := strconv.Atoi(getenv(master.FDVariable))
	if err != nil {
		return nil, usage.Errorf("a role is started by `toastmaster master`, not by hand")
	}
	f := os.NewFile(uintptr(fd), "master")
	defer f.Close()
	return net.FileConn(f)
}

// hearMaster does what master says until it ends.
func hearMaster(conn net.Conn, linger *Linger, goOn chan<- struct{}, cancel context.CancelCauseFunc) {
	gone := false
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		word, argument, _ := strings.Cut(lines.Text(), " ")
		switch word {
		case "go":
			if !gone {
				gone = true
				close(goOn)
			}
		case "finish":
			if d, err := time.ParseDuration(argument); err == nil {
				linger.Set(d)
			}
			cancel(errTold)
		case "stop":
			linger.Set(0)
			cancel(errTold)
		}
	}
	cancel(errNoMaster)
}

// tellTimeout is how long master may take to read a line. It is no parameter: the kernel has
// room for it.
const tellTimeout = time.Second

func tellMaster(conn net.Conn, line string) error {
	if err := conn.SetWriteDeadline(time.Now().Add(tellTimeout)); err != nil {
		return err
	}
	_, err := conn.Write([]byte(line + "\n"))
	return err
}

// enterFence fences a role in, once its database is open.
func (i *Instance) enterFence(context.Context) error {
	if i.role == "" || !i.config.Master.Fence {
		return nil
	}
	f := fenceOf(i.config, i.role)
	holds, err := f.Enter()
	if err != nil && i.config.Master.FenceRequired {
		return usage.New(i.config.Mistake("master.fence_required", fmt.Errorf("the role %s does not get its fence, but %q: %w", i.role, holds, err)))
	}
	if err != nil {
		i.log.Warn("fence", "role", string(i.role), "holds", holds, "cause", err)
		return nil
	}
	i.log.Info("fence", "role", string(i.role), "holds", holds, "writable", strings.Join(f.Writable, " "))
	return nil
}

// fenceOf is what a role may.
func fenceOf(c *configs.Config, r Role) fence.Fence {
	f := fence.Fence{Execute: r == RoleMTA && !c.Privileged(), Connect: r != RoleStore || c.Directory.Type != "sqlite", Writable: []string{c.Path(c.Store.Path), os.TempDir(), "/dev/null"}}
	if r == RolePrivileged {
		f.Writable = []string{os.TempDir(), "/dev/null"}
	}
	log := ""
	if c.Log.File != "stderr" {
		log = filepath.Dir(c.Path(c.Log.File))
		f.Writable = append(f.Writable, log)
	}
	if r == RoleMTA {
		f.Writable = append(f.Writable, c.Master.WritableFolders...)
		if c.Pickup.Directory != "" {
			f.Writable = append(f.Writable, c.Path(c.Pickup.Directory))
		}
	}
	if roles, err := rights.RolesOf(c); err == nil && roles != nil {
		if r == RolePrivileged {
			return privilegedFence(c, roles, f)
		}
		f.Writable = append(f.Writable, roles.Folders(c, string(r))...)
		return f
	}
	database := c.Path(c.Directory.Path)
	if r != RoleStore || log == filepath.Clean(c.Dir()) {
		f.Writable = append(f.Writable, c.Dir(), filepath.Dir(database))
		return f
	}
	// The files are there: the database is open, and stays so. A folder of its own is
	// allowed as a whole.
	if dir := filepath.Dir(database); dir != filepath.Clean(c.Dir()) {
		f.Writable = append(f.Writable, dir)
	} else {
		f.Writable = append(f.Writable, database, database+"-wal", database+"-shm")
	}
	return f
}
