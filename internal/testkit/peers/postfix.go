package peers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"toastmaster/internal/testkit/proc"
)

// PostfixOptions is how a Postfix is set up.
type PostfixOptions struct {
	// Dir is an empty folder for everything that Postfix writes, and which its users may
	// enter: one of TempDir, not of t.TempDir.
	Dir      string
	Hostname string
	// Accounts get a Maildir by virtual(8); their domains are hosted.
	Accounts []Account
	// CertFile and KeyFile make smtpd offer STARTTLS; "" is none.
	CertFile, KeyFile string
	// NameServer is the address, with port 53, of the server that it asks in the place of the
	// system's: it runs in a mount namespace of its own, with another resolv.conf(5).
	NameServer string
	// Postscreen puts postscreen(8) before smtpd(8), with dnsblog(8) and tlsproxy(8).
	Postscreen bool
	// Main is added to main.cf, one "name = value" a line; the last of a name counts.
	Main string
	// Master is added to master.cf: lines of services.
	Master string
}

// Postfix is a running instance.
type Postfix struct {
	dir   string
	ports *proc.Ports
	proc  *proc.Process
}

// StartPostfix starts an instance and waits until it accepts connections.
func StartPostfix(ctx context.Context, o PostfixOptions) (*Postfix, error) {
	if err := startable("postfix", o.Dir); err != nil {
		return nil, err
	}
	master, err := proc.Find("master")
	if err != nil {
		return nil, fmt.Errorf("postfix: %w", err)
	}
	ports, err := proc.Reserve()
	if err != nil {
		return nil, err
	}
	p := &Postfix{dir: o.Dir, ports: ports}
	if err := p.configure(o, filepath.Dir(master)); err != nil {
		ports.Close()
		return nil, err
	}
	// -d keeps it in the foreground, in the process group that we made.
	args := []string{"-d", "-c", p.path("etc")}
	if o.NameServer != "" {
		if master, args, err = p.isolated(o.NameServer, master, args); err != nil {
			ports.Close()
			return nil, err
		}
	}
	p.proc, err = proc.Start(proc.Spec{
		Path: master, Args: args, Dir: p.path("queue"), Log: p.path("master.out"),
		Env: []string{"MAIL_CONFIG=" + p.path("etc")},
	})
	if err == nil {
		err = proc.WaitPort(ctx, p.SMTP(), p.proc)
	}
	if err != nil {
		err = fmt.Errorf("postfix: %w\n%s", err, p.LogTail(4000))
		p.Stop()
		return nil, err
	}
	return p, nil
}

// isolated is a command in a mount namespace with a resolv.conf(5) of its own.
func (p *Postfix) isolated(server, path string, args []string) (string, []string, error) {
	unshare, err := proc.Find("unshare")
	if err != nil {
		return "", nil, fmt.Errorf("postfix: %w", err)
	}
	host, _, _ := strings.Cut(server, ":")
	conf := p.path("resolv.conf")
	if err := os.WriteFile(conf, []byte("nameserver "+host+"\noptions timeout:1 attempts:1\n"), 0o644); err != nil {
		return "", nil, err
	}
	script := `mount --bind "$1" /etc/resolv.conf && shift && exec "$@"`
	return unshare, append([]string{"--mount", "sh", "-c", script, "sh", conf, path}, args...), nil
}

func (p *Postfix) path(name string) string { return filepath.Join(p.dir, name) }

// SMTP is the address of smtpd(8).
func (p *Postfix) SMTP() string { return p.ports.Addr(25) }

// Port25 is the port alone.
func (p *Postfix) Port25() int { return p.ports.Base + 25 }

// Maildir is where virtual(8) puts the mail of an address.
func (p *Postfix) Maildir(address string) string {
	a := Account{Address: address}
	return filepath.Join(p.path("mail"), a.Domain(), a.Local())
}

// LogTail is the last n octets of the mail log.
func (p *Postfix) LogTail(n int) string { return proc.Tail(p.path("mail.log"), n) }

// Dir is the folder of the instance, with its queue in "queue".
func (p *Postfix) Dir() string { return p.dir }

// Pid is the process id of master(8).
func (p *Postfix) Pid() int { return p.proc.Pid() }

// Submit hands a message to this instance as sendmail(1) would, for any
// recipient that it can route.
func (p *Postfix) Submit(ctx context.Context, from string, to []string, message string) error {
	sendmail, err := proc.Find("sendmail")
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, sendmail, append([]string{"-C", p.path("etc"), "-i", "-f", from, "--"}, to...)...)
	cmd.Stdin = strings.NewReader(message)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("sendmail: %w: %s", err, out)
	}
	return nil
}

// Run runs one of Postfix's programs on this instance.
func (p *Postfix) Run(ctx context.Context, stdin, program string, args ...string) (code int, stdout, stderr string, err error) {
	path, err := proc.Find(program)
	if err != nil {
		return 0, "", "", err
	}
	cmd := exec.CommandContext(ctx, path, append([]string{"-c", p.path("etc")}, args...)...)
	var out, errs strings.Builder
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		return 0, "", "", err
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String(), nil
}

// Stop ends the instance.
func (p *Postfix) Stop() {
	if p.proc != nil {
		_ = p.proc.Stop(5 * time.Second) // master(8) ends by the signal, which is no news
	}
	p.ports.Close()
}

// configure writes the configuration and makes the queue, as post-install(1)
// would for the system's instance.
func (p *Postfix) configure(o PostfixOptions, daemons string) error {
	owner, err := idsOf("postfix")
	if err != nil {
		return err
	}
	postdrop, err := groupID("postdrop")
	if err != nil {
		return err
	}
	nobody, err := idsOf("nobody")
	if err != nil {
		return err
	}
	root := ids{}
	type folder struct {
		name  string
		owner ids
		mode  os.FileMode
	}
	folders := []folder{
		{"etc", root, 0o755}, {"queue", root, 0o755}, {"queue/pid", root, 0o755}, {"data", owner, 0o700}, {"mail", nobody, 0o755},
		{"queue/public", ids{owner.uid, postdrop}, 0o2710}, {"queue/maildrop", ids{owner.uid, postdrop}, 0o1730},
	}
	for _, name := range []string{"active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private", "saved", "trace"} {
		folders = append(folders, folder{"queue/" + name, owner, 0o700})
	}
	for _, a := range o.Accounts {
		folders = append(folders, folder{filepath.Join("mail", a.Domain()), nobody, 0o755})
	}
	for _, f := range folders {
		if err := makeDir(p.path(f.name), f.owner, f.mode); err != nil {
			return err
		}
	}
	domains, boxes := p.maps(o.Accounts)
	for name, text := range map[string]string{
		"etc/main.cf": p.postfixMain(o, daemons, domains, nobody), "etc/master.cf": postfixMaster(p.SMTP(), o.Postscreen) + o.Master, "etc/boxes": boxes,
	} {
		if err := os.WriteFile(p.path(name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func (p *Postfix) maps(accounts []Account) (domains []string, boxes string) {
	var b strings.Builder
	for _, a := range accounts {
		if !slices.Contains(domains, a.Domain()) {
			domains = append(domains, a.Domain())
		}
		fmt.Fprintf(&b, "%s %s/%s/\n", a.Address, a.Domain(), a.Local())
	}
	return domains, b.String()
}

// postfixMain is main.cf as Debian installs it, but for: everything in own
// folders, virtual mailbox domains, the certificate, a log file instead of
// syslog, no alias database (no local(8) mail), IPv4 loopback only.
func (p *Postfix) postfixMain(o PostfixOptions, daemons string, domains []string, nobody ids) string {
	tls := "smtpd_tls_security_level = none\n"
	if o.CertFile != "" {
		tls = fmt.Sprintf("smtpd_tls_security_level = may\nsmtpd_tls_cert_file = %s\nsmtpd_tls_key_file = %s\n", o.CertFile, o.KeyFile)
	}
	return lastOfEach(fmt.Sprintf(`compatibility_level = 3.6
smtpd_banner = $myhostname ESMTP $mail_name (Debian/GNU)
biff = no
append_dot_mydomain = no
readme_directory = no
smtpd_relay_restrictions = permit_mynetworks permit_sasl_authenticated defer_unauth_destination
mynetworks = 127.0.0.0/8
mailbox_size_limit = 0
recipient_delimiter = +
smtp_tls_security_level = may
smtp_tls_session_cache_database = btree:${data_directory}/smtp_scache
%s
myhostname = %s
mydestination =
alias_maps =
alias_database =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
queue_directory = %s
data_directory = %s
daemon_directory = %s
maillog_file = %s
maillog_file_prefixes = %s
virtual_mailbox_domains = %s
virtual_mailbox_maps = texthash:%s
virtual_mailbox_base = %s
virtual_mailbox_limit = 0
virtual_uid_maps = static:%d
virtual_gid_maps = static:%d
%s
`, tls, o.Hostname, p.path("queue"), p.path("data"), daemons, p.path("mail.log"), p.dir,
		strings.Join(domains, " "), p.path("etc/boxes"), p.path("mail"), nobody.uid, nobody.gid, o.Main))
}

// lastOfEach keeps the last line of each name. Postfix would do the same, but each of its
// processes warns of the others, and when the socket of postlogd(8) is full of warnings
// postlogd waits for itself, and everybody for it.
func lastOfEach(main string) string {
	var lines []string
	at := map[string]int{}
	for line := range strings.Lines(main) {
		name, _, ok := strings.Cut(line, "=")
		if name = strings.TrimSpace(name); !ok {
			lines = append(lines, line)
			continue
		}
		if before, twice := at[name]; twice {
			lines[before] = ""
		}
		at[name] = len(lines)
		lines = append(lines, line)
	}
	return strings.Join(lines, "")
}

// postfixMaster is Debian's master.cf with smtpd(8) on our port and nothing in
// a chroot jail, which would want copies of system files in the queue.
func postfixMaster(smtp string, postscreen bool) string {
	first := smtp + " inet n - n - - smtpd\n"
	if postscreen {
		first = smtp + " inet n - n - 1 postscreen\nsmtpd pass - - n - - smtpd\ndnsblog unix - - n - 0 dnsblog\ntlsproxy unix - - n - 0 tlsproxy\n"
	}
	return first + `pickup    unix  n - n 60 1 pickup
cleanup   unix  n - n - 0 cleanup
qmgr      unix  n - n 300 1 qmgr
tlsmgr    unix  - - n 1000? 1 tlsmgr
rewrite   unix  - - n - - trivial-rewrite
bounce    unix  - - n - 0 bounce
defer     unix  - - n - 0 bounce
trace     unix  - - n - 0 bounce
verify    unix  - - n - 1 verify
flush     unix  n - n 1000? 0 flush
proxymap  unix  - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp      unix  - - n - - smtp
relay     unix  - - n - - smtp
showq     unix  n - n - - showq
error     unix  - - n - - error
retry     unix  - - n - - error
discard   unix  - - n - - discard
virtual   unix  - n n - - virtual
lmtp      unix  - - n - - lmtp
anvil     unix  - - n - 1 anvil
scache    unix  - - n - 1 scache
postlog   unix-dgram n - n - 1 postlogd
`
}
