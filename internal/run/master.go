package run

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"toastmaster/configs"
	"toastmaster/internal/clock"
	"toastmaster/internal/run/check"
	"toastmaster/internal/run/control"
	"toastmaster/internal/run/listeners"
	"toastmaster/internal/run/rights"
	"toastmaster/internal/run/usage"
	"toastmaster/internal/service"
	"toastmaster/mta/master"
)

// MasterOptions are what a master runs with.
type MasterOptions struct {
	Options
	// Program is the path of the program that is started for a role, and that an upgrade becomes.
	Program string
	// Args are those with which this process was started.
	Args []string
}

// MasterSocket is where the master of a configuration answers.
func MasterSocket(c *configs.Config) string { return c.Path(configs.MasterSocket) }

// mastered is what a master has open.
type mastered struct {
	o      MasterOptions
	config *configs.Config
	i      *Instance // for its log
	// sockets are all listening ones, by the address of the configuration.
	sockets map[string]*socket
	// lock is master.pid, which nobody else has while a process of this master lives: each role has it open.
	lock *os.File
	m    *master.Master
}

// socket is a listening socket of master's.
type socket struct {
	file *os.File
	// own is the path of a unix socket that master has made.
	own string
}

// Master runs the roles as processes until ctx ends.
func Master(ctx context.Context, o MasterOptions) (err error) {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	s := &mastered{o: o, config: o.Config, sockets: map[string]*socket{}}
	state, err := master.ReadState(o.Getenv)
	if err != nil {
		return err
	}
	if state == nil {
		err = s.open(ctx)
	} else if err = s.takeOver(state); err == nil && s.lock == nil {
		err = s.takeLock(ctx) // the program before had none
	}
	if err != nil {
		return errors.Join(err, s.close())
	}
	s.i = bareInstance(o.Config)
	if err := rights.KeepLog(o.Config); err != nil {
		return errors.Join(err, s.close())
	}
	if err := rights.AsOwner(o.Config, func() error { return s.i.openLog(ctx) }); err != nil {
		return errors.Join(err, s.close())
	}
	defer func() { err = errors.Join(err, s.close(), s.i.Close()) }()
	return s.run(ctx, state, hangup)
}

// open opens all listeners: those that the service manager has not.
func (s *mastered) open(ctx context.Context) error {
	c := s.config
	if err := check.DescriptorsFor(c).Refusal(); err != nil {
		return usage.New(err)
	}
	if err := rights.NotRootsOwn(c); err != nil {
		return usage.New(err)
	}
	in, err := listeners.Inherit(c, s.o.Getenv)
	if err != nil {
		return err
	}
	if _, err := check.All(ctx, c, in); err != nil {
		return errors.Join(err, in.Close())
	}
	if _, err := rights.RunAsRole(c, configs.RoleMTA); err != nil {
		return errors.Join(usage.New(err), in.Close())
	}
	// Before the ports: the roles of a master that was killed have them until they end.
	if err := s.takeLock(ctx); err != nil {
		return errors.Join(err, in.Close())
	}
	if err := makeMaildrop(c); err != nil {
		return errors.Join(usage.New(err), in.Close())
	}
	set := listeners.NewSet(c, in)
	for _, address := range append(c.Listeners(), adminSocket(c)) {
		if err := s.openOne(set, address, in.Has(address)); err != nil {
			return errors.Join(err, in.Close())
		}
	}
	for path, name := range s.ownSockets() {
		l, err := service.Listen("unix:"+path, 0o600)
		if err != nil {
			return err
		}
		if err := s.keep(name, l, path); err != nil {
			return err
		}
	}
	return errors.Join(in.Close(), s.giveSockets())
}

// openOne opens one address and keeps its descriptor.
func (s *mastered) openOne(set *listeners.Set, address string, inherited bool) error {
	l, err := set.Listen(address)
	if err != nil {
		return err
	}
	own := ""
	if path, ok := strings.CutPrefix(address, "unix:"); ok && !inherited {
		own = s.config.Path(path)
	}
	return s.keep(address, l, own)
}

// keep takes the descriptor of a listener, which is left open for those who connect.
func (s *mastered) keep(address string, l net.Listener, own string) error {
	f, ok := l.(syscall.Conn)
	if !ok {
		return fmt.Errorf("listen on %s: no descriptor", address)
	}
	file, err := descriptor(f)
	if err != nil {
		return err
	}
	s.sockets[address] = &socket{file, own}
	if own != "" {
		return nil // Close would remove its name; the descriptor stays until this process ends
	}
	return l.Close()
}

// descriptor is one more of a socket. net's File would make the socket blocking when it is
// handed to a process, for all processes that have it: they could not stop accepting.
func descriptor(c syscall.Conn) (file *os.File, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	ctlErr := raw.Control(func(fd uintptr) {
		var n int
		if n, err = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0); err == nil {
			file = os.NewFile(uintptr(n), "listener")
		}
	})
	return file, errors.Join(ctlErr, err)
}

// ownSockets are those of master and of each role, by their path, with the names that they
// have here.
func (s *mastered) ownSockets() map[string]string {
	all := map[string]string{MasterSocket(s.config): "master"}
	for _, row := range roleTable(s.config) {
		all[controlPath(s.config, row.role)] = listeners.ControlName + ":" + string(row.role)
	}
	return all
}

// giveSockets makes the unix sockets the user's that serves; what group they have stays.
func (s *mastered) giveSockets() error {
	who, err := rights.RunAs(s.config)
	if who == nil || err != nil {
		return err
	}
	roles, err := rights.RolesOf(s.config)
	if err != nil {
		return err
	}
	for name, k := range s.sockets {
		if k.own == "" || name == "master" {
			continue
		}
		// admin.socket stays main.user's, whose commands it is for.
		user := who
		if name != adminSocket(s.config) {
			user = cmp.Or(roles.User(s.roleOf(name)), who)
		}
		gid, mode := -1, fs.FileMode(0)
		if roles != nil && strings.HasPrefix(name, listeners.ControlName+":") {
			gid, mode = roles.Main.GID(), 0o660 // other roles may come in, as far as it answers them
		}
		if err := user.Give(k.own, gid, mode); err != nil {
			return err
		}
	}
	return nil
}

func adminSocket(c *configs.Config) string { return "unix:" + c.Admin.Socket }

// roleOf is the role that a socket is for.
func (s *mastered) roleOf(name string) string {
	if role, own := strings.CutPrefix(name, listeners.ControlName+":"); own {
		return role
	}
	return string(roleOfListener(s.config, name))
}

// reopenLog opens the log again, as a file that every role may write.
func (s *mastered) reopenLog() error {
	if err := rights.KeepLog(s.config); err != nil {
		return err
	}
	return rights.AsOwner(s.config, s.i.log.Reopen)
}

// takeOver goes on with the listeners of the program before: those of the configuration stay
// open, others are closed, and new ones opened.
func (s *mastered) takeOver(state *master.State) error {
	wanted := map[string]bool{}
	for _, name := range s.ownSockets() {
		wanted[name] = true
	}
	for _, address := range append(s.config.Listeners(), adminSocket(s.config)) {
		wanted[address] = true
	}
	var errs []error
	for _, k := range state.Listeners {
		unix.CloseOnExec(k.FD)
		f := os.NewFile(uintptr(k.FD), k.Address)
		if f == nil {
			return fmt.Errorf("the listener on %s, descriptor %d, is not open", k.Address, k.FD)
		}
		if k.Address == lockName {
			s.lock = f
			continue
		}
		if !wanted[k.Address] {
			errs = append(errs, f.Close(), removeSocket(k.Own))
			continue
		}
		s.sockets[k.Address] = &socket{f, k.Own}
	}
	errs = append(errs, makeMaildrop(s.config))
	set := listeners.NewSet(s.config, nil)
	for address := range wanted {
		if s.sockets[address] == nil {
			errs = append(errs, s.openOne(set, address, false))
		}
	}
	return errors.Join(append(errs, s.giveSockets())...)
}

func removeSocket(path string) error {
	if path == "" {
		return nil
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// close removes the names of master's own sockets.
func (s *mastered) close() error {
	var errs []error
	for _, k := range s.sockets {
		errs = append(errs, removeSocket(k.own), k.file.Close())
	}
	clear(s.sockets)
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
		s.lock = nil
	}
	return errors.Join(errs...)
}

// lockName is what master.pid is called among what an upgrade keeps open.
const lockName = "lock"

// lockPoll is how often a start looks whether the roles of a master that was killed have ended. It is no parameter:
// they take as long as a stop does.
const lockPoll = 50 * time.Millisecond

// takeLock makes sure that this is the one master, and that no role of an earlier one lives: roles that lose their
// master end in order, and a start waits for them as long as that may take.
func (s *mastered) takeLock(ctx context.Context) error {
	path := s.config.Path(configs.MasterPID)
	f, err := openLock(path)
	if err != nil {
		return err
	}
	clk := clock.System{}
	limit, cancel := context.WithTimeout(ctx, StopTimeout(s.config)+s.config.Store.CloseTimeout)
	defer cancel()
	for waited := false; ; waited = true {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			break
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return errors.Join(&fs.PathError{Op: "flock", Path: path, Err: err}, f.Close())
		}
		if st, err := (master.Client{Socket: MasterSocket(s.config)}).Status(limit); err == nil {
			return errors.Join(fmt.Errorf("a master runs already: it is process %d", st.Pid), f.Close())
		}
		if !waited {
			Say(clk, s.o.Stderr, "toastmaster: waiting for the end of the roles of a master that has ended\n")
		}
		timer := clk.NewTimer(lockPoll)
		select {
		case <-timer.C():
		case <-limit.Done():
			timer.Stop()
			err := limit.Err()
			if ctx.Err() == nil {
				err = fmt.Errorf("roles of a master that has ended do not end: `fuser %s` names them, end them by hand", path)
			}
			return errors.Join(err, f.Close())
		}
	}
	s.lock = f
	err = f.Truncate(0)
	if err == nil {
		_, err = f.WriteAt([]byte(fmt.Sprintf("%d\n", os.Getpid())), 0)
	}
	return err
}

// openLock opens or makes the file of the lock. Roles may write in its folder, and root opens it: a link that one
// of them put in its place would have another's file emptied.
func openLock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o644)
	if err != nil {
		return nil, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG || st.Nlink != 1 {
		return nil, errors.Join(fmt.Errorf("%s is not the file that a master makes: remove it", path), err, f.Close())
	}
	return f, nil
}

// run supervises until ctx ends.
func (s *mastered) run(ctx context.Context, state *master.State, hangup <-chan os.Signal) error {
	roles := s.clients()
	defer roles.Close()
	c := s.config
	stderr, ok := s.o.Stderr.(*os.File)
	if !ok {
		stderr = os.Stderr
	}
	s.m = master.New(master.Options{
		Params: c.Master, Roles: s.roles(), Adopt: state, Check: s.checkNew, Exec: s.become,
		Reload: func(ctx context.Context) ([]string, error) {
			err := s.reopenLog()
			names, failed := roles.Reload(ctx)
			return names, errors.Join(err, failed)
		},
		Ready: func() {
			Say(s.i.clock, s.o.Stderr, fmt.Sprintf("toastmaster: ready, %d roles on %d listeners\n", len(roleTable(c)), len(c.Listeners())+1))
		},
		Held: []*os.File{s.lock}, StopTimeout: StopTimeout(c) + c.Store.CloseTimeout, Stderr: stderr, Notify: service.NewNotifier(s.o.Getenv),
		Watchdog: service.WatchdogInterval(s.o.Getenv), Log: s.i.log, Clock: s.i.clock,
	})
	l, err := net.FileListener(s.sockets["master"].file)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: s.m.Handler(os.Getpid()), ReadHeaderTimeout: 5 * time.Second}
	served, hung := make(chan struct{}), make(chan struct{})
	over, cancel := context.WithCancel(ctx)
	go func() {
		// No fence: net/http has one for each request.
		defer close(served)
		_ = server.Serve(l)
	}()
	go func() {
		// No fence: a reload that panics in a role is the role's.
		defer close(hung)
		s.reloadOnHangup(over, roles, hangup)
	}()
	err = s.m.Run(ctx)
	cancel()
	_ = server.Close()
	<-served
	<-hung
	var mistake *master.UsageError
	if errors.As(err, &mistake) {
		return usage.New(err)
	}
	return err
}

// reloadOnHangup does at SIGHUP what `master reload` does.
func (s *mastered) reloadOnHangup(ctx context.Context, roles control.Roles, hangup <-chan os.Signal) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangup:
			if err := s.reopenLog(); err != nil {
				s.i.log.Warn("reload", "cause", err)
			}
			if _, err := roles.Reload(ctx); err != nil {
				s.i.log.Warn("reload", "cause", err)
			}
		}
	}
}

func (s *mastered) clients() control.Roles {
	var all control.Roles
	for _, row := range roleTable(s.config) {
		all = append(all, control.NewClient(string(row.role), controlPath(s.config, row.role)))
	}
	return all
}

// roles are the processes that master starts.
func (s *mastered) roles() []master.Role {
	var all []master.Role
	for _, row := range roleTable(s.config) {
		r := master.Role{
			Name: string(row.role), Overlap: row.overlap, Linger: s.config.Master.Linger,
			Program: s.o.Program, Args: []string{"-c", configs.Absolute(s.config.File), "role", string(row.role)}, Env: roleEnv(os.Environ()),
		}
		if row.overlap {
			r.Linger = s.config.Master.StoreLinger
		}
		for _, address := range append(s.config.Listeners(), adminSocket(s.config)) {
			if roleOfListener(s.config, address) == row.role {
				r.Listeners, r.Names = append(r.Listeners, s.sockets[address].file), append(r.Names, nameOf(s.config, address))
			}
		}
		name := listeners.ControlName + ":" + string(row.role)
		r.Listeners, r.Names = append(r.Listeners, s.sockets[name].file), append(r.Names, listeners.ControlName)
		all = append(all, r)
	}
	return all
}

// nameOf is the parameter of an address, by which a role finds a listener that is bound
// elsewhere.
func nameOf(c *configs.Config, address string) string {
	if p := c.ListenParam(address); p != "" {
		return p
	}
	return "admin.socket"
}

// roleEnv is the environment of a role: nothing of what the service manager said to master.
func roleEnv(all []string) []string {
	var env []string
	for _, v := range all {
		name, _, _ := strings.Cut(v, "=")
		switch name {
		case "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", master.StateVariable, master.FDVariable:
		default:
			env = append(env, v)
		}
	}
	return env
}

// checkTimeout is how long the new program may take to look at the configuration.
const checkTimeout = time.Minute

// checkNew has the program that is installed now look at the configuration.
func (s *mastered) checkNew(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, s.o.Program, "-c", configs.Absolute(s.config.File), "config", "check")
	cmd.Env = roleEnv(os.Environ())
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s refuses the configuration, nothing is changed: %w: %s", s.o.Program, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// become is the new program with what is open here.
func (s *mastered) become(state master.State) error {
	for address, k := range s.sockets {
		state.Listeners = append(state.Listeners, master.Kept{Address: address, FD: int(k.file.Fd()), Own: k.own})
	}
	state.Listeners = append(state.Listeners, master.Kept{Address: lockName, FD: int(s.lock.Fd())})
	var env []string
	for _, v := range os.Environ() {
		// The numbers of the descriptors are the first program's.
		if name, _, _ := strings.Cut(v, "="); !strings.HasPrefix(name, "LISTEN_") && name != master.StateVariable {
			env = append(env, v)
		}
	}
	return state.Become(s.o.Program, s.o.Args, env)
}
