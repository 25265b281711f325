package binary

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"toastmaster/internal/testkit/proc"
)

// Build compiles the program into dir and returns its path.
func Build(ctx context.Context, dir string) (string, error) {
	path := filepath.Join(dir, "toastmaster")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", path, "toastmaster/cmd/toastmaster")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
}

// Options is how an instance is set up.
type Options struct {
	// Program is what Build returned.
	Program string
	// Dir is an empty folder.
	Dir string
	// Data is the instance's folder; "" is Dir/srv.
	Data     string
	Hostname string
	// Params are changes of the configuration that init wrote, "section.name"
	// to a TOML value.
	Params map[string]string
	// Init are more arguments of init.
	Init []string
	// Command is what runs the server, "" is "serve".
	Command string
	// Env is added to the environment of every run.
	Env []string
}

// Instance is one installation, running or not. Start, Kill and Stop are for
// one goroutine; the rest may be called by several.
type Instance struct {
	opts  Options
	ports *proc.Ports
	proc  *proc.Process
	// logged is the length of the log at the last Launch.
	logged int64
	// through is a command that runs the server, nil for none.
	through []string
	// server is the program that serves, "" that of the options.
	server string
}

// Create runs `toastmaster init`. Release the instance at the end.
func Create(ctx context.Context, o Options) (*Instance, error) {
	if o.Data == "" {
		o.Data = filepath.Join(o.Dir, "srv")
	}
	ports, err := proc.Reserve()
	if err != nil {
		return nil, err
	}
	i := &Instance{opts: o, ports: ports}
	_, err = i.run(ctx, "", append([]string{"init", o.Data, "--port-base", strconv.Itoa(ports.Base), "--hostname", o.Hostname}, o.Init...)...)
	for name, value := range o.Params {
		if err == nil {
			err = setParam(i.ConfigFile(), name, value)
		}
	}
	if err != nil {
		ports.Close()
		return nil, err
	}
	return i, nil
}

// ConfigFile is the instance's toastmaster.toml.
func (i *Instance) ConfigFile() string { return filepath.Join(i.opts.Data, "toastmaster.toml") }

// Data is the instance's folder.
func (i *Instance) Data() string { return i.opts.Data }

// SetParam changes a parameter, "section.name", to a TOML value. A server that runs does not see
// it before its next start.
func (i *Instance) SetParam(name, value string) error { return setParam(i.ConfigFile(), name, value) }

// LogFile is what all runs of the server have printed.
func (i *Instance) LogFile() string { return filepath.Join(i.opts.Dir, "serve.log") }

// LogTail is the last n octets of it.
func (i *Instance) LogTail(n int) string { return proc.Tail(i.LogFile(), n) }

// Start runs the server and waits until it says that it is ready.
func (i *Instance) Start(ctx context.Context) error {
	if err := i.Launch(); err != nil {
		return err
	}
	return i.WaitReady(ctx)
}

// Through makes a command run the server from now on, as systemd-socket-activate does;
// none runs it as it is. The command must become the server (exec).
func (i *Instance) Through(command ...string) { i.through = command }

// ServeBy makes another copy of the program the server from now on; commands stay those of the
// options.
func (i *Instance) ServeBy(program string) { i.server = program }

// Launch runs the server and does not wait.
func (i *Instance) Launch() error {
	if i.Running() {
		return errors.New("already running")
	}
	i.logged = 0
	if st, err := os.Stat(i.LogFile()); err == nil {
		i.logged = st.Size()
	}
	line := append(slices.Clone(i.through), cmp.Or(i.server, i.opts.Program), cmp.Or(i.opts.Command, "serve"), "-c", i.ConfigFile())
	p, err := proc.Start(proc.Spec{
		Path: line[0], Args: line[1:], Dir: i.opts.Dir, Log: i.LogFile(), Env: i.opts.Env,
	})
	i.proc = p
	return err
}

// WaitReady waits for the line that says so since the last Launch. When ctx is
// done before, the server is killed.
func (i *Instance) WaitReady(ctx context.Context) error {
	for {
		ready, err := logSays(i.LogFile(), i.logged, "toastmaster: ready")
		if err != nil {
			return err
		}
		if ready {
			return nil
		}
		select {
		case <-i.proc.Done():
			return fmt.Errorf("the server ended before it was ready: %v\n%s", i.proc.Err(), i.LogTail(4000))
		case <-ctx.Done():
			i.Kill()
			return fmt.Errorf("the server did not get ready: %w\n%s", ctx.Err(), i.LogTail(4000))
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// logSays looks for a word in the log behind an offset.
func logSays(file string, offset int64, word string) (bool, error) {
	f, err := os.Open(file)
	if err != nil {
		return false, err
	}
	defer f.Close()
	b := make([]byte, 64<<10)
	n, err := f.ReadAt(b, offset)
	if err != nil && err != io.EOF {
		return false, err
	}
	return bytes.Contains(b[:n], []byte(word)), nil
}

// Running says that the server runs.
func (i *Instance) Running() bool { return i.proc != nil && i.proc.Running() }

// Process is the running server.
func (i *Instance) Process() *proc.Process { return i.proc }

// Kill ends the server as a power cut would end it, but for the disk's cache.
func (i *Instance) Kill() {
	if i.proc != nil {
		i.proc.Kill()
	}
}

// Stop ends the server with SIGTERM; it is an error when that takes longer
// than a minute or the exit code is not 0.
func (i *Instance) Stop() error {
	if i.proc == nil {
		return nil
	}
	return i.proc.Stop(time.Minute)
}

// Close stops the server if it runs and gives the ports back.
func (i *Instance) Close() {
	i.Kill()
	i.ports.Close()
}

// Maildir is where the mail of an address lies.
func (i *Instance) Maildir(address string) string {
	local, domain, _ := strings.Cut(address, "@")
	return filepath.Join(i.opts.Data, "mail", domain, local)
}

// Run calls the program with arguments and -c FILE, and returns what it
// printed.
func (i *Instance) Run(ctx context.Context, stdin string, args ...string) (string, error) {
	return i.run(ctx, stdin, append(args, "-c", i.ConfigFile())...)
}

func (i *Instance) run(ctx context.Context, stdin string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, i.opts.Program, args...)
	cmd.Stdin = strings.NewReader(stdin)
	cmd.Env = append(os.Environ(), i.opts.Env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("toastmaster %s: %w: %s%s", strings.Join(args, " "), err, stderr.String(), stdout.String())
	}
	return stdout.String(), nil
}

// AddDomain makes a hosted domain. The server must run.
func (i *Instance) AddDomain(ctx context.Context, name string) error {
	_, err := i.Run(ctx, "", "domain", "add", name)
	return err
}

// AddMailbox makes a mailbox.
func (i *Instance) AddMailbox(ctx context.Context, address, password string) error {
	_, err := i.Run(ctx, password+"\n", "mailbox", "add", address, "--password-stdin")
	return err
}

// AddMailboxes makes many mailboxes with one call. Their domains must exist.
func (i *Instance) AddMailboxes(ctx context.Context, password string, addresses ...string) error {
	var b strings.Builder
	for _, a := range addresses {
		fmt.Fprintf(&b, "%s,%s\n", a, password)
	}
	file := filepath.Join(i.opts.Dir, "mailboxes.csv")
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		return err
	}
	_, err := i.Run(ctx, "", "mailbox", "add", "--from", file)
	return err
}

// AddAlias makes an alias with its targets.
func (i *Instance) AddAlias(ctx context.Context, address string, targets ...string) error {
	_, err := i.Run(ctx, "", append([]string{"alias", "add", address}, targets...)...)
	return err
}

// Addresses of the services.
func (i *Instance) SMTP() string        { return i.ports.Addr(25) }  // for everybody
func (i *Instance) Submission() string  { return i.ports.Addr(587) } // STARTTLS
func (i *Instance) Submissions() string { return i.ports.Addr(465) } // TLS from the start
func (i *Instance) LMTP() string        { return i.ports.Addr(24) }
func (i *Instance) POP3() string        { return i.ports.Addr(110) }
func (i *Instance) POP3S() string       { return i.ports.Addr(995) }
func (i *Instance) IMAP() string        { return i.ports.Addr(143) }
func (i *Instance) IMAPS() string       { return i.ports.Addr(993) }
func (i *Instance) Admin() string       { return i.ports.Addr(80) } // HTTP
