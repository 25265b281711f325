package check

import (
	"fmt"

	"toastmaster/configs"

	"golang.org/x/sys/unix"
)

// How many file descriptors a connection takes, itself included: SMTP and LMTP
// have the file of a large message besides, IMAP and POP3 the index and the
// cache of the mailbox, and one message; who asks tables has none.
const (
	FilesMail    = 2
	FilesMailbox = 4
	FilesLookup  = 1
)

// Descriptors are the file descriptors of this process and what asks for them.
type Descriptors struct {
	Limit    int64 // RLIMIT_NOFILE
	reserved int64 // main.reserved_files
	// wanted are those of the connections that somebody allowed by hand. The
	// defaults are no wish: they are the most that a large host may want, and what
	// is there is handed out whatever they are.
	wanted int64
}

// DescriptorsFor reads the limit of the process. The Go runtime has raised it
// to the hard one at the start (package os).
func DescriptorsFor(c *configs.Config) Descriptors {
	d := Descriptors{Limit: 1 << 40, reserved: int64(c.Main.ReservedFiles)}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err == nil && limit.Cur < 1<<40 {
		d.Limit = int64(limit.Cur)
	}
	def := configs.Default()
	byHand := func(connections, def, files int, listeners ...[]string) {
		for _, l := range listeners {
			if connections != def && len(l) > 0 {
				d.wanted += int64(connections * files)
			}
		}
	}
	byHand(c.SMTPD.MaxConnections, def.SMTPD.MaxConnections, FilesMail, c.SMTPD.Listen, c.SMTPD.SubmissionListen, c.SMTPD.SubmissionsListen)
	for _, l := range c.SMTPDListeners {
		byHand(l.Params.MaxConnections, def.SMTPD.MaxConnections, FilesMail, append(l.Listen[:len(l.Listen):len(l.Listen)], l.ListenTLS...))
	}
	byHand(c.LMTPD.MaxConnections, def.LMTPD.MaxConnections, FilesMail, c.LMTPD.Listen)
	byHand(c.IMAPD.MaxConnections, def.IMAPD.MaxConnections, FilesMailbox, append(c.IMAPD.Listen[:len(c.IMAPD.Listen):len(c.IMAPD.Listen)], c.IMAPD.ListenTLS...))
	byHand(c.POP3D.MaxConnections, def.POP3D.MaxConnections, FilesMailbox, append(c.POP3D.Listen[:len(c.POP3D.Listen):len(c.POP3D.Listen)], c.POP3D.ListenTLS...))
	byHand(c.Proxymap.MaxConnections, def.Proxymap.MaxConnections, FilesLookup, c.Proxymap.Listen)
	for _, s := range c.Spawns {
		d.wanted += int64(s.ProcessLimit * FilesLookup)
	}
	byHand(c.Pickup.MaxConnections, def.Pickup.MaxConnections, FilesMail, c.Pickup.Socket())
	byHand(c.QMQPD.MaxConnections, def.QMQPD.MaxConnections, FilesMail, c.QMQPD.Listen)
	return d
}

// Connections is how many descriptors connections may take, of all services
// together: all but the reserve.
func (d Descriptors) Connections() int64 { return max(d.Limit-d.reserved, 0) }

// Refusal says that the reserve does not fit: nobody could be served, or the queue
// and the store would meet a full table of files with mail in their hands.
func (d Descriptors) Refusal() error {
	if d.Connections() >= FilesMailbox {
		return nil
	}
	return fmt.Errorf("this process may open %d files, and %d are kept for the queue, the store and the administration: raise the limit"+
		" (LimitNOFILE= in systemd, ulimit -n in a shell) to at least %d, or lower main.reserved_files", d.Limit, d.reserved, 2*d.reserved)
}

// Warning says what is wrong with the limit, "" when nothing is.
func (d Descriptors) Warning() string {
	switch have := d.Connections(); {
	case have < d.reserved:
		return fmt.Sprintf("this process may open %d files, and %d of them are kept (main.reserved_files): connections get the other %d, of which each takes"+
			" %d to %d; raise the limit (LimitNOFILE= in systemd, ulimit -n in a shell)", d.Limit, d.reserved, have, FilesMail, FilesMailbox)
	case have < d.wanted:
		return fmt.Sprintf("this process may open %d files, %d of them for connections, and those that max_connections of the services allows may need %d:"+
			" raise the limit (LimitNOFILE= in systemd, ulimit -n in a shell) or lower max_connections; connections beyond it are turned away",
			d.Limit, have, d.wanted)
	}
	return ""
}
