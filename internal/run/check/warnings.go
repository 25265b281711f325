package check

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"toastmaster/configs"
	"toastmaster/directory"
	"toastmaster/internal/addr"
	"toastmaster/internal/run/parts"
	"toastmaster/internal/run/rights"

	"golang.org/x/sys/unix"
)

// Warnings is what serves, but not as somebody may think: for config check.
func Warnings(ctx context.Context, c *configs.Config, plan parts.Startup) ([]string, error) {
	out := []string{}
	for _, w := range FileWarnings(c, time.Now()) {
		out = append(out, w.Error())
	}
	if plan.Adopted() != "" {
		out = append(out, c.Mistake("main.instance", fmt.Errorf("the next start gives what has none an instance id: %s", plan.Adopted())).Error())
		return out, nil // the database may have an older schema
	}
	answers, closeIt, err := parts.Answers(c)
	if err != nil {
		return nil, err
	}
	d := directory.New(answers, c.Main.RecipientDelimiter)
	if c.SMTPD.Postmaster != "" {
		if err := NoPostmaster(ctx, c, d); err != nil {
			out = append(out, c.Mistake("smtpd.postmaster", err).Error())
		}
	}
	for _, w := range hostedRoutes(ctx, c, d) {
		out = append(out, w.Error())
	}
	return out, closeIt()
}

// hostedRoutes are the domains of transports that are hosted here: their mail is delivered
// here, whatever a table says. A directory that cannot answer now says nothing.
func hostedRoutes(ctx context.Context, c *configs.Config, d *directory.Directory) (out []*configs.Error) {
	for _, t := range c.Tables {
		for i, domain := range t.Domains {
			name, err := addr.ParseDomain(domain)
			if err != nil {
				continue // "*", or all below one
			}
			decided := d.Decide(ctx, addr.Address{Local: "postmaster", Domain: name}, directory.Question{Expanded: true})
			if decided.Verdict == directory.Foreign || decided.Verdict == directory.Undecided {
				continue
			}
			out = append(out, c.MistakeIn("transport."+t.Name+".domains", i,
				fmt.Errorf("%q is hosted here, so its mail is delivered here and this transport never gets it: `toastmaster domain remove %[1]s`, or take it out of this list", domain)))
		}
	}
	return out
}

// FileWarnings are about the configuration and the files that it names.
func FileWarnings(c *configs.Config, now time.Time) []*configs.Error {
	out := c.Warnings()
	warn := func(param string, err error) {
		if err != nil {
			out = append(out, c.Mistake(param, err))
		}
	}
	warn("", openTo(c.File, 0o007, "the configuration"))
	named := false
	for _, entry := range c.TLS.Certificates {
		cert, key := configs.CertificateFiles(entry)
		warn("tls.certificates", openTo(c.Path(key), 0o037, "the key"))
		if key != cert {
			warn("tls.certificates", openTo(c.Path(cert), 0o002, "the certificate"))
		}
		for _, path := range []string{cert, key} {
			warn("tls.certificates", unreadable(c, c.Path(path)))
		}
		leaf, err := leafOf(c.Path(cert))
		if err != nil {
			continue // checkCertificates has said so
		}
		warn("tls.certificates", outOfTime(c.Path(cert), leaf, now))
		named = named || leaf.VerifyHostname(c.Main.Hostname) == nil
	}
	if !named && len(c.TLS.Certificates) > 0 {
		warn("tls.certificates", fmt.Errorf("no certificate is for main.hostname, %s: clients and mail hosts that check will not connect", c.Main.Hostname))
	}
	warn("directory.path", openTo(c.Path(c.Directory.Path), 0o007, "the database, which has the password hashes,"))
	warn("store.path", openTo(c.Path(c.Store.Path), 0o007, "the mail store"))
	warn("main.data_dir", openTo(c.Path(configs.QueueDir), 0o007, "the queue"))
	for _, address := range c.Listeners() {
		warn(c.ListenParam(address), notHere(address))
	}
	for _, param := range []string{"lmtpd.listen", "proxymap.listen"} {
		u := c.UnixListeners()[param]
		for _, address := range u.Addresses {
			warn(param, notReached(c, u, address))
		}
	}
	return out
}

// notReached says that a socket which is for a group of its own lies in a folder that
// this group may not enter.
func notReached(c *configs.Config, u configs.UnixListener, address string) error {
	path, isUnix := strings.CutPrefix(address, "unix:")
	gid, err := rights.SocketGroup(c, u.GroupParam, u.Group)
	if !isUnix || err != nil || gid < 0 {
		return nil
	}
	dir := filepath.Dir(c.Path(path))
	info, err := os.Stat(dir)
	if err != nil {
		return nil // checkNames or the start says so
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if mode := info.Mode().Perm(); !ok || mode&0o001 != 0 || mode&0o010 != 0 && int(st.Gid) == gid {
		return nil
	}
	return fmt.Errorf("%q is for the group %q, which may not enter %s (mode %04o): let the socket lie in a folder of its own, such as /run/toastmaster", address, u.Group, dir, info.Mode().Perm())
}

// openTo says that a file has one of the bits of mode that it should not have.
func openTo(path string, bits fs.FileMode, what string) error {
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm()&bits == 0 {
		return nil
	}
	can := "read"
	if info.Mode().Perm()&bits&0o022 != 0 {
		can = "changed"
	}
	return fmt.Errorf("%s may be %s by others: %s has mode %04o; `chmod %04o %s` mends it", what, can, path, info.Mode().Perm(), info.Mode().Perm()&^bits, path)
}

// unreadable says that root's server reads a file of a certificate once, at its start, and
// never again as the user that it becomes: a renewed one, and every reload, would need root.
func unreadable(c *configs.Config, path string) error {
	who, err := rights.RunAs(c)
	if err != nil || who == nil || os.Geteuid() != 0 {
		return nil // others say so, or nobody becomes another
	}
	if err := who.May(path, unix.R_OK); err == nil || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return fmt.Errorf("%s, whom serve becomes, may not read %s: the start reads it as root, but a renewed one is not read and `toastmaster reload` fails; give it a group that %[1]s is in, and mode 0640 (docs/tls.md)", who.Name, path)
}

// leafOf is the first certificate of a file.
func leafOf(file string) (*x509.Certificate, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			return nil, fmt.Errorf("%s has no certificate", file)
		}
		if block.Type == "CERTIFICATE" {
			return x509.ParseCertificate(block.Bytes)
		}
	}
}

// renewBefore is when a certificate of months should have been renewed; one of
// days is renewed in the last third of its life.
const renewBefore = 14 * 24 * time.Hour

func outOfTime(file string, leaf *x509.Certificate, now time.Time) error {
	const day = "2006-01-02"
	switch {
	case now.After(leaf.NotAfter):
		return fmt.Errorf("the certificate %s expired on %s: no client will take it", file, leaf.NotAfter.Format(day))
	case now.Before(leaf.NotBefore):
		return fmt.Errorf("the certificate %s is not valid before %s", file, leaf.NotBefore.Format(day))
	case leaf.NotAfter.Sub(now) < min(renewBefore, leaf.NotAfter.Sub(leaf.NotBefore)/3):
		return fmt.Errorf("the certificate %s ends on %s: whatever renews it should have done so by now", file, leaf.NotAfter.Format(day))
	}
	return nil
}

// notHere says that a listener's address is none of this machine. It may become
// one, so it is no mistake.
func notHere(address string) error {
	if strings.HasPrefix(address, "unix:") {
		return nil
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil || host == "" {
		return nil
	}
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return fmt.Errorf("%q cannot be listened on: %w", address, err)
	}
	return l.Close()
}
