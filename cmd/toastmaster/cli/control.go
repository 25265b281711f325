package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"toastmaster/admin/client"
	"toastmaster/admin/model"
	"toastmaster/configs"
	"toastmaster/internal/run"
)

func newReloadCommand(env *Environment) *cobra.Command {
	cmd, f := adminGroup(env, "reload", "Make the running instance read its files again")
	cmd.Long = "Does what SIGHUP does, waits for it and says how it went: the log file is opened again,\n" +
		"certificates and the configuration are read. Changed parameters that wait for a restart\n" +
		"are named. Exit code 0: done; 1: there is no answer, or a mistake in a file, and all is\n" +
		"as before; 2: wrong usage."
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if done, err := reloadByMaster(cmd.Context(), env, f); done {
			return err
		}
		return f.withClient(func(c *client.Client) error {
			r, err := c.Reload(cmd.Context())
			if err != nil {
				return err
			}
			if len(r.NeedRestart) > 0 {
				return f.done(r, "reloaded; these have changed and wait for a restart: %s", strings.Join(r.NeedRestart, ", "))
			}
			return f.done(r, "reloaded")
		})
	}
	return cmd
}

// reloadByMaster asks master, where one runs and answers the user: it makes the log file, which no role may make where
// each has a user of its own. done is false when there is none to ask.
func reloadByMaster(ctx context.Context, env *Environment, f *adminFlags) (done bool, err error) {
	if f.url != "" {
		return false, nil
	}
	_, m, err := masterClient(env)
	if err != nil {
		return true, err
	}
	if _, err := m.Status(ctx); err != nil {
		return false, nil
	}
	names, err := m.Reload(ctx)
	if err != nil {
		return true, err
	}
	return true, f.done(model.Reloaded{NeedRestart: names}, "%s", masterReloaded(names))
}

func newStopCommand(env *Environment) *cobra.Command {
	var timeout time.Duration
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "stop",
		Short: "Stop the running instance and wait for its end",
		Long: "Sends SIGTERM to the process behind admin.socket, which drains: sessions finish their\n" +
			"command, deliveries under way end. Exit code 0: it has ended; 1: no instance runs, or it\n" +
			"has not ended after --timeout and goes on ending; 2: wrong usage. What a supervisor\n" +
			"starts again is better stopped there (systemctl stop toastmaster).",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := env.Config()
			if err != nil {
				return err
			}
			if timeout <= 0 {
				timeout = run.StopTimeout(c) + c.Store.CloseTimeout
			}
			began := time.Now()
			pid, err := stopProcess(cmd.Context(), c, timeout)
			if err != nil {
				return err
			}
			took := time.Since(began).Round(10 * time.Millisecond)
			if asJSON {
				return printJSON(env.Stdout, map[string]any{"pid": pid, "seconds": took.Seconds()})
			}
			_, err = fmt.Fprintf(env.Stdout, "process %d has ended after %s\n", pid, took)
			return err
		},
	}
	cmd.Flags().DurationVar(&timeout, "timeout", 0, "how long to wait (default as long as the configuration lets a stop take)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// stopProcess ends the process that listens on the admin socket. A descriptor of
// the process, not its number, is what is signalled and waited for: the number
// may be another's by then.
func stopProcess(ctx context.Context, c *configs.Config, timeout time.Duration) (pid int, err error) {
	// A role that ends is started again: its master is who must stop.
	socket := run.MasterSocket(c)
	if pid, err = listenerOf(ctx, socket); err != nil {
		socket = c.Path(c.Admin.Socket)
		pid, err = listenerOf(ctx, socket)
	}
	if err != nil {
		return 0, err
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return pid, fmt.Errorf("process %d: %w", pid, err)
	}
	defer unix.Close(fd)
	// Still the same one: it listens while we have its descriptor.
	if again, err := listenerOf(ctx, socket); err != nil || again != pid {
		return pid, errors.Join(err, fmt.Errorf("process %d is ending already", pid))
	}
	if err := unix.PidfdSendSignal(fd, unix.SIGTERM, nil, 0); err != nil {
		return pid, fmt.Errorf("process %d: %w", pid, err)
	}
	return pid, waitEnd(ctx, fd, pid, timeout)
}

// waitEnd polls, because a poll without an end would not hear of the end of ctx.
func waitEnd(ctx context.Context, fd, pid int, timeout time.Duration) error {
	const step = 100 * time.Millisecond
	for deadline := time.Now().Add(timeout); ; {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(step.Milliseconds()))
		switch {
		case n > 0:
			return nil
		case err != nil && !errors.Is(err, unix.EINTR):
			return fmt.Errorf("process %d: %w", pid, err)
		case ctx.Err() != nil:
			return fmt.Errorf("process %d is ending; not waited for: %w", pid, ctx.Err())
		case time.Now().After(deadline):
			return fmt.Errorf("process %d has not ended after %s; it goes on ending, its log says what it waits for", pid, timeout)
		}
	}
}

// listenerOf is the process that listens on a unix socket.
func listenerOf(ctx context.Context, path string) (pid int, err error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", path)
	switch {
	case errors.Is(err, os.ErrNotExist), errors.Is(err, unix.ECONNREFUSED):
		return 0, fmt.Errorf("no instance runs: nobody listens on %s", path)
	case err != nil:
		return 0, err
	}
	defer conn.Close()
	raw, err := conn.(*net.UnixConn).SyscallConn()
	if err != nil {
		return 0, err
	}
	var cred *unix.Ucred
	var credErr error
	if err := raw.Control(func(fd uintptr) { cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); err != nil {
		return 0, err
	}
	if credErr != nil {
		return 0, credErr
	}
	if name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", cred.Pid)); err == nil && strings.TrimSpace(string(name)) == "systemd" {
		return 0, fmt.Errorf("no instance runs: systemd holds %s and starts one for who connects; `systemctl stop toastmaster.socket toastmaster` stops both", path)
	}
	if cred.Pid <= 0 {
		return 0, fmt.Errorf("the process behind %s is in another container: stop it from there", path)
	}
	return int(cred.Pid), nil
}
