package configs

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Master is the section [master]: the supervisor of the roles.
type Master struct {
	ThrottleTime    time.Duration
	DaemonTimeout   time.Duration
	StartTimeout    time.Duration
	Linger          time.Duration
	StoreLinger     time.Duration
	Fence           bool
	FenceRequired   bool
	WritableFolders []string
	RoleUsers       []string
}

// The roles of master, as master.role_users calls them.
const (
	RoleMTA   = "mta"
	RoleStore = "store"
	RoleAdmin = "admin"
)

// RolePrivileged is the role that stays root, where the others have users of their own: what runs as other users is in it.
const RolePrivileged = "privileged"

// Privileged says that there is that role: something runs as other users, and the role mta cannot become them.
func (c *Config) Privileged() bool {
	return len(c.Master.RoleUsers) > 0 && (len(c.Spawns) > 0 || slices.ContainsFunc(c.Transports(), func(t Transport) bool { return RunsAsUsers(t.Agent) }))
}

// RunsAsUsers says that an agent delivers with the rights of users of this host.
func RunsAsUsers(agent string) bool { return agent == "local" || agent == "pipe" }

// checkRoleUser accepts "role=user".
func checkRoleUser(s string) error {
	role, user, _ := strings.Cut(s, "=")
	switch role {
	case RoleMTA, RoleStore, RoleAdmin:
	default:
		return fmt.Errorf("%q is no role", role)
	}
	if user == "" {
		return fmt.Errorf("the role %s has no user", role)
	}
	return checkUser(user)
}

// MTADir is the folder below DataDir of what the role mta keeps beside the queue, where it has a user of its own.
const MTADir = "mta"

// MTAPath resolves the name of a file that the role mta keeps: in main.data_dir, and with master.role_users in a
// folder of its own there, because data_dir is nobody's to write in then.
func (c *Config) MTAPath(name string) string {
	if len(c.Master.RoleUsers) > 0 {
		name = filepath.Join(MTADir, name)
	}
	return c.Path(name)
}

// MasterSocket is where master answers, below main.data_dir.
const MasterSocket = "master.sock"

// MasterPID is the lock of a master, below main.data_dir, with the number of its process in it.
const MasterPID = "master.pid"

func (c *Master) params() []Param {
	return []Param{
		Duration("master.service_throttle_time", &c.ThrottleTime, time.Minute, time.Second, time.Hour,
			"How long master waits at most before it starts a role again that ends before it serves (Postfix service_throttle_time). The first time it waits 0.1 s, and each time twice as long; a role that served and ended waits 5 s at most, and one that served for 10 s begins anew.").Also("service_throttle_time"),
		Duration("master.daemon_timeout", &c.DaemonTimeout, 2*time.Minute, time.Second, 24*time.Hour,
			"How long a role may say nothing to master before it is ended and started again: a process that is stopped, or that gets no processor time (Postfix daemon_timeout, which is 18000s because there it includes the work on a request). Its goroutines are printed before.").Also("daemon_timeout"),
		Duration("master.start_timeout", &c.StartTimeout, 10*time.Minute, 0, 24*time.Hour,
			"How long a role may take until it is prepared, and from then until it serves, before it is given up, its goroutines are printed, and it is started again. At an upgrade the old process serves on when it still does. Raise it where a start takes longer, with a queue of many millions on a slow disk; 0 is without a bound."),
		Duration("master.linger_time", &c.Linger, 5*time.Second, 0, 5*time.Minute,
			"How long the sessions of smtpd, of submission and of the administration go on undisturbed when `master upgrade` puts a new process in place of theirs; then they are told 421 after their present command, as at any stop. New connections wait in the kernel until the old process has ended, because one process at a time has the queue; none is refused. It should be less than clients wait for a greeting (RFC 5321: 5 minutes)."),
		Duration("master.store_linger_time", &c.StoreLinger, time.Minute, 0, 24*time.Hour,
			"The same for sessions of IMAP, POP3 and LMTP, to whom nobody waits: the new process serves beside the old one. Then sessions in IDLE hear BYE."),
		Bool("master.fence", &c.Fence, true,
			"Fences in each role that master starts: it gets no new privileges (no_new_privs), writes only below main.data_dir, store.path, the folder of log.file and that for temporary files (the role store not in the queue), and the roles store and admin run no program (Landlock); no role, nor a program that it runs, may make the system calls that look into other processes or change the machine, and the role store makes no connection to other hosts (seccomp). What the kernel does not have is a warning in the log."),
		Bool("master.fence_required", &c.FenceRequired, false,
			"Whether a role ends that does not get all of its fence, in place of the warning: on a kernel without Landlock or seccomp, or on a processor other than amd64 and arm64, master does not serve."),
		List("master.role_users", &c.RoleUsers, nil, `"mta=user", "store=user" and "admin=user"`, checkRoleUser,
			"The users of the three roles, each another one and none of them main.user; a group may follow, as in main.user. Then the queue is the mta's alone, the mail is the store's, and database and mail are for the group of main.user, which every role gets. `toastmaster master set-permissions` gives all files to whom they belong, while nothing runs; master does not start before. It takes a master that root starts. What runs as users of this host (the agents local and pipe, and each [[spawn]]) is then in a fourth role, privileged, which stays root with the capabilities CAP_SETUID, CAP_SETGID and CAP_KILL. Empty: all roles are main.user."),
		List("master.writable_folders", &c.WritableFolders, nil, "folders", nil,
			"Where the role mta, or the role privileged where there is one, may write beside its own folders: what the agent local and the programs of the agents pipe and local write, such as /home or /var/mail. Those programs are behind its fence."),
	}
}
