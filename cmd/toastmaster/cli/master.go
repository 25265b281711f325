package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"toastmaster/configs"
	"toastmaster/internal/run"
	"toastmaster/internal/run/rights"
	"toastmaster/internal/run/usage"
	"toastmaster/mta/master"
)

func newMasterCommand(env *Environment) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "master",
		Short: "Run each role (mta, store, admin) as a process of its own",
		Long: "Opens the ports, starts one process for each role with the listeners it needs, and starts\n" +
			"again one that ends (master(8) of Postfix). Started by root it stays root and the roles\n" +
			"become main.user. SIGTERM stops all, SIGHUP does what `master reload` does. `serve` has the same\n" +
			"services in one process.",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := env.Config()
			if err != nil {
				return lastWords(env, err)
			}
			return lastWords(env, run.Master(cmd.Context(), run.MasterOptions{
				Options: run.Options{Config: c, Version: env.Version, Stderr: env.Stderr, Getenv: env.Getenv},
				Program: env.Program, Args: env.Args,
			}))
		},
	}
	stop := newStopCommand(env)
	stop.Short = "Stop the master that runs, and all its roles"
	cmd.AddCommand(newMasterStartCommand(env), stop, newMasterReloadCommand(env), newMasterStatusCommand(env), newMasterUpgradeCommand(env), newSetPermissionsCommand(env), newMasterServicesCommand(env))
	return cmd
}

// newRoleCommand is what master starts.
func newRoleCommand(env *Environment) *cobra.Command {
	return &cobra.Command{
		Use: "role NAME", Short: "Be one role of a master", Hidden: true, Args: exactArguments("a role"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := env.Config()
			if err != nil {
				run.TellFailed(env.Getenv, err)
				return lastWords(env, err)
			}
			return lastWords(env, run.ServeRole(cmd.Context(), run.Options{
				Config: c, Role: run.Role(args[0]), Version: env.Version, Stderr: env.Stderr, Getenv: env.Getenv,
			}))
		},
	}
}

// masterClient asks the master of the configuration.
func masterClient(env *Environment) (*configs.Config, master.Client, error) {
	c, err := env.Config()
	if err != nil {
		return nil, master.Client{}, err
	}
	return c, master.Client{Socket: run.MasterSocket(c)}, nil
}

func newMasterReloadCommand(env *Environment) *cobra.Command {
	return &cobra.Command{
		Use: "reload", Short: "Make all roles read their files again", Args: noArguments,
		Long: "Certificates, tables and the log file are read and opened again in every role. Parameters\n" +
			"that have changed are named: they wait for `master upgrade`, which breaks no connection.\n" +
			"Exit code 0: done; 1: no master runs, or a mistake in a file; 2: wrong usage.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, client, err := masterClient(env)
			if err != nil {
				return err
			}
			names, err := client.Reload(cmd.Context())
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(env.Stdout, masterReloaded(names))
			return err
		},
	}
}

// masterReloaded says what became of a reload by master.
func masterReloaded(names []string) string {
	if len(names) == 0 {
		return "reloaded"
	}
	return "reloaded; these have changed and wait for `toastmaster master upgrade`: " + strings.Join(names, ", ")
}

func newMasterUpgradeCommand(env *Environment) *cobra.Command {
	var timeout time.Duration
	cmd := &cobra.Command{
		Use: "upgrade", Short: "Become the program and the configuration that are installed now", Args: noArguments,
		Long: "Master becomes the installed program, with its pid, and replaces one role after the other: no\n" +
			"connection is refused, and none is broken that ends within master.linger_time or\n" +
			"master.store_linger_time. The new program checks the configuration first; what it refuses changes nothing.\n" +
			"Exit code 0: all roles are replaced; 1: one is not, or not yet after --timeout, or no master runs; 2: wrong usage.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, client, err := masterClient(env)
			if err != nil {
				return err
			}
			if timeout <= 0 {
				timeout = time.Minute + c.Master.Linger + run.StopTimeout(c)
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
			defer cancel()
			s, err := client.Upgrade(ctx)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(env.Stdout, "upgraded; generation %d\n", s.Generation)
			return err
		},
	}
	cmd.Flags().DurationVar(&timeout, "timeout", 0, "how long to wait (default as long as the configuration lets it take)")
	return cmd
}

func newMasterStatusCommand(env *Environment) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "status", Short: "Say which roles run", Args: noArguments,
		Long: "Lists the roles with their processes. Exit code 0: all serve; 1: one does not, or no master\n" +
			"runs; 2: wrong usage. `toastmaster status` lists the services of all roles.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, client, err := masterClient(env)
			if err != nil {
				return err
			}
			s, err := client.Status(cmd.Context())
			if err != nil {
				return err
			}
			if asJSON {
				err = printJSON(env.Stdout, s)
			} else {
				err = printRoles(env, s)
			}
			return errors.Join(err, rolesServe(s))
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func printRoles(env *Environment, s master.Status) error {
	l := (&adminFlags{env: env}).newListing("ROLE", "STATE", "PID", "UPTIME", "RESTARTS", "ENDING", "LAST END")
	for _, r := range s.Roles {
		var old []string
		for _, pid := range r.Old {
			old = append(old, strconv.Itoa(pid))
		}
		if err := l.add(r, r.Name, r.State, strconv.Itoa(r.Pid), r.Uptime.Round(time.Second).String(), strconv.Itoa(r.Restarts), orDash(strings.Join(old, " ")), orDash(r.Cause)); err != nil {
			return err
		}
	}
	return l.close()
}

// rolesServe is the first role that does not.
func rolesServe(s master.Status) error {
	for _, r := range s.Roles {
		if r.State != "running" {
			return fmt.Errorf("%s: %s: %s", r.Name, r.State, r.Cause)
		}
	}
	return nil
}

func newMasterStartCommand(env *Environment) *cobra.Command {
	return &cobra.Command{
		Use: "start", Short: "Start a master in the background and wait until it serves", Args: noArguments,
		Long: "Where systemd starts the service, `systemctl start toastmaster` is for this. log.file must be a\n" +
			"file. Exit code 0: all roles serve; 1: it has ended, one runs already, or a role ends again and\n" +
			"again, which is said with its reason while master goes on trying; 2: wrong usage.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, client, err := masterClient(env)
			if err != nil {
				return err
			}
			if c.Log.File == "stderr" {
				return usageError("log.file is \"stderr\", which nobody reads of a process in the background: name a file")
			}
			if _, err := client.Status(cmd.Context()); err == nil {
				return fmt.Errorf("a master runs already: it answers on %s", client.Socket)
			}
			return startMaster(cmd.Context(), env, client)
		},
	}
}

// newSetPermissionsCommand is what `postfix set-permissions` is for Postfix.
func newSetPermissionsCommand(env *Environment) *cobra.Command {
	var dry bool
	cmd := &cobra.Command{
		Use: "set-permissions", Short: "Give each role the files that are its own", Args: noArguments,
		Long: "Looks at all files of the instance and gives them the owner, group and mode that master.role_users and\n" +
			"main.user ask for: the queue to the mta, the mail to the store. Run it as root while nothing runs, after a\n" +
			"change of these parameters, and after a restore. It says what it changes; with -n it only says it.\n" +
			"Exit code 0: done; 1: an instance runs, or not root; 2: wrong usage.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := env.Config()
			if err != nil {
				return err
			}
			return setPermissions(cmd.Context(), env, c, dry)
		},
	}
	cmd.Flags().BoolVarP(&dry, "dry-run", "n", false, "only say what would be changed")
	return cmd
}

func setPermissions(ctx context.Context, env *Environment, c *configs.Config, dry bool) error {
	p, err := rights.PermissionsOf(c)
	if err != nil {
		return usage.New(err)
	}
	if _, err := (master.Client{Socket: run.MasterSocket(c)}).Status(ctx); err == nil && !dry {
		return errors.New("a master runs: stop it first (`toastmaster master stop`, or systemctl)")
	}
	n := 0
	set := func() error {
		return p.Set(dry, func(line string) {
			n++
			fmt.Fprintln(env.Stdout, line)
		})
	}
	if dry {
		err = set()
	} else {
		err = run.WithQueueLocked(c, set)
	}
	if err == nil && n == 0 {
		_, err = fmt.Fprintln(env.Stdout, "all files are as they should be")
	}
	return err
}

// startPoll is how often start looks whether all serve.
const startPoll = 50 * time.Millisecond

// startTries is how often a role may end before start gives up waiting, after some six seconds.
const startTries = 6

func startMaster(ctx context.Context, env *Environment, client master.Client) error {
	p := exec.Command(env.Program, "-c", configs.Absolute(env.File()), "master")
	said := &strings.Builder{}
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	p.Stderr, p.SysProcAttr = w, &unix.SysProcAttr{Setsid: true}
	err = p.Start()
	if closed := w.Close(); err != nil || closed != nil {
		return errors.Join(err, closed)
	}
	ended := make(chan error, 1)
	go func() {
		// No fence: it waits. It ends with this command, or the master.
		b := make([]byte, 4096)
		for n, err := r.Read(b); err == nil; n, err = r.Read(b) {
			said.Write(b[:n])
		}
		ended <- p.Wait()
	}()
	for {
		if s, err := client.Status(ctx); err == nil {
			why := rolesServe(s)
			if why == nil {
				_, err := fmt.Fprintf(env.Stdout, "master %d serves\n", s.Pid)
				return err
			}
			if slices.ContainsFunc(s.Roles, func(r master.RoleStatus) bool { return r.Restarts >= startTries }) {
				return fmt.Errorf("%w; master goes on trying: mend it, or end it with `toastmaster master stop`", why)
			}
		}
		select {
		case err := <-ended:
			return fmt.Errorf("master has ended: %w: %s", err, strings.TrimSpace(said.String()))
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(startPoll):
		}
	}
}
