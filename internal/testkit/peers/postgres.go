package peers

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	_ "github.com/lib/pq" // the driver "postgres"

	"toastmaster/internal/testkit/proc"
)

// PostgresProgram and PostgresPackage are for Need.
const (
	PostgresProgram = "/usr/lib/postgresql/15/bin/postgres"
	PostgresPackage = "postgresql-15"
)

// postgresStart bounds how long a server may take to answer, recovery after a kill
// included.
const postgresStart = time.Minute

// PostgresOptions is how a PostgreSQL is set up.
type PostgresOptions struct {
	// Dir is an empty folder for everything that it writes.
	Dir string
	// Durable syncs each commit, as a server of a host does; without it a test is
	// faster and a kill may lose the whole database.
	Durable bool
}

// Postgres is a PostgreSQL server of a test, on a port of 127.0.0.1 that stays the same
// when it is stopped and started. Who connects shows a password (SCRAM-SHA-256).
type Postgres struct {
	dir     string
	durable bool
	as      *syscall.Credential
	ports   *proc.Ports
	proc    *proc.Process
	made    atomic.Int64
}

// StartPostgres makes a cluster and starts its server. PostgreSQL refuses to be
// root's: then it is the user's that Debian makes for it.
func StartPostgres(ctx context.Context, o PostgresOptions) (*Postgres, error) {
	p := &Postgres{dir: o.Dir, durable: o.Durable}
	if os.Geteuid() == 0 {
		who, err := idsOf("postgres")
		if err != nil {
			return nil, err
		}
		p.as = &syscall.Credential{Uid: uint32(who.uid), Gid: uint32(who.gid)}
		if err := os.Chown(p.dir, who.uid, who.gid); err != nil {
			return nil, err
		}
	}
	word := filepath.Join(p.dir, "superuser")
	if err := os.WriteFile(word, []byte("superuser\n"), 0o644); err != nil {
		return nil, err
	}
	initdb := exec.CommandContext(ctx, p.program("initdb"), "-D", p.data(), "-A", "scram-sha-256", "-U", "postgres", "--pwfile="+word,
		"--no-sync", "-E", "UTF8", "--locale=C.UTF-8")
	initdb.Dir, initdb.SysProcAttr = p.dir, &syscall.SysProcAttr{Credential: p.as}
	if out, err := initdb.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w\n%s", err, out)
	}
	var err error
	if p.ports, err = proc.Reserve(); err != nil {
		return nil, err
	}
	if err := p.Start(ctx); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

func (p *Postgres) program(name string) string {
	return filepath.Join(filepath.Dir(PostgresProgram), name)
}

func (p *Postgres) data() string { return filepath.Join(p.dir, "data") }

// Address is where the server listens, also while it is stopped.
func (p *Postgres) Address() string { return p.ports.Addr(80) }

// URL is a database of the server as a user sees it, who shows a password; the superuser
// "postgres" has the password "superuser".
func (p *Postgres) URL(user, password, database string) string {
	u := url.URL{Scheme: "postgres", User: url.UserPassword(user, password), Host: p.Address(), Path: "/" + database, RawQuery: "sslmode=disable"}
	return u.String()
}

// Admin is a database as the superuser sees it.
func (p *Postgres) Admin(database string) string { return p.URL("postgres", "superuser", database) }

// Database makes an empty database and tells its name.
func (p *Postgres) Database(ctx context.Context) (name string, err error) {
	name = fmt.Sprintf("test_%d", p.made.Add(1))
	return name, p.Exec(ctx, "postgres", "CREATE DATABASE "+name)
}

// Exec runs statements as the superuser.
func (p *Postgres) Exec(ctx context.Context, database, statements string) error {
	on, err := sql.Open("postgres", p.Admin(database))
	if err != nil {
		return err
	}
	_, err = on.ExecContext(ctx, statements)
	return errors.Join(err, on.Close())
}

// Start starts the server again and waits until it answers.
func (p *Postgres) Start(ctx context.Context) (err error) {
	port := p.Address()[len("127.0.0.1:"):]
	args := []string{"-D", p.data(), "-k", "", "-p", port, "-c", "listen_addresses=127.0.0.1", "-c", "max_connections=300"}
	if !p.durable {
		args = append(args, "-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off")
	}
	p.proc, err = proc.Start(proc.Spec{Path: PostgresProgram, Args: args, Dir: p.dir, Log: filepath.Join(p.dir, "postgres.log"), As: p.as})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, postgresStart)
	defer cancel()
	if err := proc.WaitPort(ctx, p.Address(), p.proc); err != nil {
		return err
	}
	// It accepts connections before it answers: it says that it is starting up.
	for {
		err := p.Exec(ctx, "postgres", "SELECT 1")
		if err == nil || ctx.Err() != nil || !p.proc.Running() {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Stop ends the server: it breaks off what is under way, and keeps what was committed.
func (p *Postgres) Stop() {
	if p.proc == nil || !p.proc.Running() {
		return
	}
	_ = p.proc.Signal(syscall.SIGINT) // "fast"
	<-p.proc.Done()
}

// Kill ends all processes of the server at once.
func (p *Postgres) Kill() {
	if p.proc == nil {
		return
	}
	// First who starts others.
	_ = p.signal(syscall.SIGSTOP)
	_ = p.signal(syscall.SIGKILL)
	p.proc.Kill()
}

// Freeze halts all processes of the server, which accepts connections then and says
// nothing; with on false they go on.
func (p *Postgres) Freeze(on bool) error {
	if on {
		return p.signal(syscall.SIGSTOP)
	}
	return p.signal(syscall.SIGCONT)
}

// signal reaches the server and its processes, each of which is a session of its own.
func (p *Postgres) signal(s syscall.Signal) error {
	pid := p.proc.Pid()
	if !p.proc.Running() {
		return os.ErrProcessDone
	}
	if err := syscall.Kill(pid, s); err != nil {
		return err
	}
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	for _, field := range strings.Fields(string(children)) {
		child, convErr := strconv.Atoi(field)
		if convErr == nil {
			_ = syscall.Kill(child, s)
		}
	}
	return err
}

// LogTail is the last n octets of the log.
func (p *Postgres) LogTail(n int) string { return p.proc.LogTail(n) }

// Close ends the server for good. The folder stays its maker's.
func (p *Postgres) Close() {
	p.Kill()
	p.ports.Close()
}
