package configs

import "time"

// Master is the section [master]: the supervisor of the roles.
type Master struct {
	ThrottleTime    time.Duration
	Linger          time.Duration
	StoreLinger     time.Duration
	Fence           bool
	WritableFolders []string
}

// MasterSocket is where master answers, below main.data_dir.
const MasterSocket = "master.sock"

func (c *Master) params() []Param {
	return []Param{
		Duration("master.service_throttle_time", &c.ThrottleTime, time.Minute, time.Second, time.Hour,
			"How long master waits at most before it starts a role again that ends before it serves (Postfix service_throttle_time). The first time it waits 0.1 s, and each time twice as long; a role that served and ended waits 5 s at most, and one that served for 10 s begins anew.").Also("service_throttle_time"),
		Duration("master.linger_time", &c.Linger, 5*time.Second, 0, 5*time.Minute,
			"How long the sessions of smtpd, of submission and of the administration go on undisturbed when `master upgrade` puts a new process in place of theirs; then they are told 421 after their present command, as at any stop. New connections wait in the kernel until the old process has ended, because one process at a time has the queue; none is refused. It should be less than clients wait for a greeting (RFC 5321: 5 minutes)."),
		Duration("master.store_linger_time", &c.StoreLinger, time.Minute, 0, 24*time.Hour,
			"The same for sessions of IMAP, POP3 and LMTP, to whom nobody waits: the new process serves beside the old one. Then sessions in IDLE hear BYE."),
		Bool("master.fence", &c.Fence, true,
			"Fences in each role that master starts: it gets no new privileges (no_new_privs), writes only below main.data_dir, store.path, the folder of log.file and that for temporary files (the role store not in the queue), and the roles store and admin run no program (Landlock). What the kernel does not have is a warning in the log."),
		List("master.writable_folders", &c.WritableFolders, nil, "folders", nil,
			"Where the role mta may write beside its own folders: what the programs of the agents pipe and local write, such as /home or /var/mail. Those programs are behind its fence."),
	}
}
