package peers

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"toastmaster/internal/testkit/proc"
)

// DovecotOptions is how a Dovecot is set up.
type DovecotOptions struct {
	// Dir is an empty folder for everything that Dovecot writes.
	Dir      string
	Accounts []Account
	// Conf is added to dovecot.conf.
	Conf string
}

// Dovecot is a running instance.
type Dovecot struct {
	dir   string
	ports *proc.Ports
	proc  *proc.Process
}

// StartDovecot starts an instance and waits until it accepts connections.
func StartDovecot(ctx context.Context, o DovecotOptions) (*Dovecot, error) {
	if err := startable("dovecot", o.Dir); err != nil {
		return nil, err
	}
	path, err := proc.Find("dovecot")
	if err != nil {
		return nil, err
	}
	version, err := exec.CommandContext(ctx, path, "--version").Output()
	if err != nil {
		return nil, err
	}
	if !strings.HasPrefix(string(version), "2.3.") {
		return nil, fmt.Errorf("dovecot %s: the configuration made here is for 2.3", strings.TrimSpace(string(version)))
	}
	ports, err := proc.Reserve()
	if err != nil {
		return nil, err
	}
	d := &Dovecot{dir: o.Dir, ports: ports}
	if err := d.configure(o); err != nil {
		ports.Close()
		return nil, err
	}
	d.proc, err = proc.Start(proc.Spec{Path: path, Args: []string{"-F", "-c", d.path("dovecot.conf")}, Dir: d.dir, Log: d.path("dovecot.out")})
	for _, address := range []string{d.IMAP(), d.POP3(), d.LMTP()} {
		if err == nil {
			err = proc.WaitPort(ctx, address, d.proc)
		}
	}
	if err != nil {
		err = fmt.Errorf("dovecot: %w\n%s", err, d.LogTail(4000))
		d.Stop()
		return nil, err
	}
	return d, nil
}

func (d *Dovecot) path(name string) string { return filepath.Join(d.dir, name) }

// IMAP is the address of the IMAP service.
func (d *Dovecot) IMAP() string { return d.ports.Addr(143) }

// POP3 is the address of the POP3 service.
func (d *Dovecot) POP3() string { return d.ports.Addr(110) }

// LMTP is the address of the LMTP service.
func (d *Dovecot) LMTP() string { return d.ports.Addr(24) }

// Maildir is where the mail of an address lies.
func (d *Dovecot) Maildir(address string) string {
	a := Account{Address: address}
	return filepath.Join(d.path("mail"), a.Domain(), a.Local(), "Maildir")
}

// MailUser are the user and group that must own every file in a Maildir.
func (d *Dovecot) MailUser() (uid, gid int, err error) {
	n, err := idsOf("nobody")
	return n.uid, n.gid, err
}

// LogTail is the last n octets of the log.
func (d *Dovecot) LogTail(n int) string { return proc.Tail(d.path("dovecot.log"), n) }

// Pid is the process id of Dovecot's master.
func (d *Dovecot) Pid() int { return d.proc.Pid() }

// Stop ends the instance.
func (d *Dovecot) Stop() {
	if d.proc != nil {
		_ = d.proc.Stop(5 * time.Second)
	}
	d.ports.Close()
}

func (d *Dovecot) configure(o DovecotOptions) error {
	nobody, err := idsOf("nobody")
	if err != nil {
		return err
	}
	if err := makeDir(d.path("mail"), nobody, 0o755); err != nil {
		return err
	}
	var users strings.Builder
	for _, a := range o.Accounts {
		home := filepath.Join(d.path("mail"), a.Domain(), a.Local())
		if err := makeDir(filepath.Dir(home), nobody, 0o755); err != nil {
			return err
		}
		if err := makeDir(home, nobody, 0o700); err != nil {
			return err
		}
		fmt.Fprintf(&users, "%s:{PLAIN}%s:%d:%d::%s\n", a.Address, a.Password, nobody.uid, nobody.gid, home)
	}
	if err := os.WriteFile(d.path("users"), []byte(users.String()), 0o644); err != nil {
		return err
	}
	return os.WriteFile(d.path("dovecot.conf"), []byte(d.conf(o, nobody)), 0o644)
}

// conf is Dovecot's default configuration but for: own folders and ports, no
// TLS, a password file. mail_fsync keeps its default, optimized.
func (d *Dovecot) conf(o DovecotOptions, nobody ids) string {
	return fmt.Sprintf(`protocols = imap pop3 lmtp
base_dir = %[1]s/run
state_dir = %[1]s/state
log_path = %[1]s/dovecot.log
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
mail_location = maildir:~/Maildir
first_valid_uid = %[2]d
postmaster_address = postmaster@localhost
passdb {
  driver = passwd-file
  args = scheme=PLAIN username_format=%%u %[1]s/users
}
userdb {
  driver = passwd-file
  args = username_format=%%u %[1]s/users
}
namespace inbox {
  inbox = yes
}
service imap-login {
  inet_listener imap {
    port = %[3]d
  }
  inet_listener imaps {
    port = 0
  }
}
service pop3-login {
  inet_listener pop3 {
    port = %[4]d
  }
  inet_listener pop3s {
    port = 0
  }
}
service lmtp {
  inet_listener lmtp {
    address = 127.0.0.1
    port = %[5]d
  }
}
%[6]s
`, d.dir, min(nobody.uid, 500), d.ports.Base+143, d.ports.Base+110, d.ports.Base+24, o.Conf)
}
