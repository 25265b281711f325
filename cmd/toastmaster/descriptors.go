package main

import (
	"fmt"

	"golang.org/x/sys/unix"

	"toastmaster/configs"
)

// How many file descriptors a connection takes, itself included: SMTP and LMTP
// have the file of a large message besides, IMAP and POP3 the index and the
// cache of the mailbox, and one message.
const (
	filesMail    = 2
	filesMailbox = 4
)

// descriptors are the file descriptors of this process and what asks for them.
type descriptors struct {
	limit    int64 // RLIMIT_NOFILE
	reserved int64 // main.reserved_files
	wanted   int64 // by all connections that the configuration allows
}

// descriptorsFor reads the limit of the process. The Go runtime has raised it
// to the hard one at the start (package os).
func descriptorsFor(c *configs.Config) descriptors {
	d := descriptors{limit: 1 << 40, reserved: int64(c.Main.ReservedFiles)}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err == nil && limit.Cur < 1<<40 {
		d.limit = int64(limit.Cur)
	}
	smtp := 0
	for _, listeners := range [][]string{c.SMTPD.Listen, c.SMTPD.SubmissionListen, c.SMTPD.SubmissionsListen} {
		if len(listeners) > 0 {
			smtp += c.SMTPD.MaxConnections
		}
	}
	d.wanted = int64(filesMail*(smtp+c.LMTPD.MaxConnections) + filesMailbox*(c.IMAPD.MaxConnections+c.POP3D.MaxConnections))
	return d
}

// connections is how many descriptors connections may take: all but the
// reserve, and never less than half, or a host with a low limit would serve
// nobody.
func (d descriptors) connections() int64 { return max(d.limit-d.reserved, d.limit/2) }

// warning says what is wrong with the limit, "" when nothing is.
func (d descriptors) warning() string {
	switch have := d.connections(); {
	case d.limit < 2*d.reserved:
		return fmt.Sprintf("this process may open %d files, and main.reserved_files alone is %d: raise the limit (LimitNOFILE= in systemd, ulimit -n in a shell)"+
			" or lower main.reserved_files; connections get %d of them", d.limit, d.reserved, have)
	case have < d.wanted:
		return fmt.Sprintf("this process may open %d files, %d of them for connections, and the configured connections may need %d: raise the limit"+
			" (LimitNOFILE= in systemd, ulimit -n in a shell) or lower max_connections of the services; connections beyond it are turned away",
			d.limit, have, d.wanted)
	}
	return ""
}
