package configs

import (
	"fmt"
	"io/fs"
	"slices"
)

// segmentMessages is how many of the largest messages a journal segment must
// hold.
const segmentMessages = 4

// disagreements are the mistakes of parameters that are allowed each by itself.
func (c *Config) disagreements() []error {
	var mistakes []error
	mistake := func(param, format string, args ...any) {
		mistakes = append(mistakes, c.Mistake(param, fmt.Errorf(format, args...)))
	}
	// A repeated delivery is known by the name that it had.
	if longest := max(c.Qmgr.QueueLifetime, c.Qmgr.BounceQueueLifetime); c.Store.ExpungeMemory <= longest {
		mistake("store.expunge_memory", "%s is not longer than the lifetime of a message in the queue, %s",
			formatDuration(c.Store.ExpungeMemory), formatDuration(longest))
	}
	// Each message starts in a segment that has room for it, so the rest of
	// the last one is lost.
	if c.Queue.SegmentSize < segmentMessages*c.Queue.MemoryLimit {
		mistake("queue.segment_size", "%s is less than %d times queue.memory_limit, %s",
			formatSize(c.Queue.SegmentSize), segmentMessages, formatSize(c.Queue.MemoryLimit))
	}
	if c.Qmgr.MinimalBackoffTime > c.Qmgr.MaximalBackoffTime {
		mistake("qmgr.minimal_backoff_time", "%s is longer than qmgr.maximal_backoff_time, %s",
			formatDuration(c.Qmgr.MinimalBackoffTime), formatDuration(c.Qmgr.MaximalBackoffTime))
	}
	if p := everybody(c.Main.TrustedNetworks); p != "" {
		mistake("main.trusted_networks", "%s is everybody: anybody on the Internet could send mail to anywhere through this host (an open relay)", p)
	}
	if p := everybody(c.LMTPD.TrustedNetworks); p != "" {
		mistake("lmtpd.trusted_networks", "%s is everybody: anybody on the Internet could write into every mailbox", p)
	}
	if p := everybody(c.Proxymap.TrustedNetworks); p != "" {
		mistake("proxymap.trusted_networks", "%s is everybody: anybody on the Internet could try out which addresses there are", p)
	}
	if p := everybody(c.QMQPD.Clients); p != "" {
		mistake("qmqpd.authorized_clients", "%s is everybody: anybody on the Internet could send mail to anywhere through this host (an open relay)", p)
	}
	served := map[string]bool{}
	for i, item := range c.Proxymap.ReadMaps {
		name, _, _ := ParseReadMap(item)
		if served[name] {
			mistakes = append(mistakes, c.MistakeIn("proxymap.read_maps", i, fmt.Errorf("%q is the name of another table already", name)))
		}
		served[name] = true
	}
	used := map[string]string{}
	for _, l := range c.listeners() {
		for _, address := range slices.Compact(slices.Clone(l.addresses)) {
			if other := used[address]; other != "" {
				mistake(l.param, "%q is an address of %s already", address, other)
			}
			used[address] = l.param
		}
	}
	c.haproxyMistakes(mistake)
	c.wrapperMistakes(mistake)
	c.transportMistakes(mistake)
	c.listenerMistakes(mistake)
	c.classMistakes(mistake)
	c.filterMistakes(mistake)
	c.localMistakes(mistake)
	c.spawnMistakes(mistake)
	return mistakes
}

// Listeners are all addresses that are listened on but admin.socket.
func (c *Config) Listeners() []string {
	var all []string
	for _, l := range c.listeners() {
		all = append(all, l.addresses...)
	}
	return all
}

// ListenParam is the parameter that has a listener's address, "" for none.
func (c *Config) ListenParam(address string) string {
	for _, l := range c.listeners() {
		if slices.Contains(l.addresses, address) {
			return l.param
		}
	}
	return ""
}

// UnixListener is how the unix sockets of a parameter are made that are for other programs.
type UnixListener struct {
	Mode fs.FileMode
	// Group is a name or number, "" for the service's own; GroupParam has it.
	Group, GroupParam string
	// Addresses are all addresses of the parameter.
	Addresses []string
}

// UnixListeners are those parameters, by name.
func (c *Config) UnixListeners() map[string]UnixListener {
	all := map[string]UnixListener{
		"lmtpd.listen":    {c.LMTPD.SocketMode(), c.LMTPD.UnixGroup, "lmtpd.unix_listener_group", c.LMTPD.Listen},
		"proxymap.listen": {c.Proxymap.SocketMode(), c.Proxymap.UnixGroup, "proxymap.unix_listener_group", c.Proxymap.Listen},
		// For everybody: who connects is known by the kernel.
		"pickup.directory": {0o666, "", "", c.Pickup.Socket()},
	}
	for _, s := range c.Spawns {
		all[s.param("listen")] = UnixListener{s.SocketMode(), s.UnixGroup, s.param("unix_listener_group"), s.Listen}
	}
	return all
}

type listener struct {
	param     string
	addresses []string
}

func (c *Config) listeners() []listener {
	all := []listener{
		{"smtpd.listen", c.SMTPD.Listen}, {"smtpd.submission_listen", c.SMTPD.SubmissionListen},
		{"smtpd.submissions_listen", c.SMTPD.SubmissionsListen}, {"lmtpd.listen", c.LMTPD.Listen},
		{"imapd.listen", c.IMAPD.Listen}, {"imapd.listen_tls", c.IMAPD.ListenTLS},
		{"pop3d.listen", c.POP3D.Listen}, {"pop3d.listen_tls", c.POP3D.ListenTLS},
		{"admin.listen", c.Admin.Listen}, {"admin.listen_tls", c.Admin.ListenTLS},
		{"proxymap.listen", c.Proxymap.Listen}, {"pickup.directory", c.Pickup.Socket()}, {"qmqpd.listen", c.QMQPD.Listen},
	}
	for _, l := range c.SMTPDListeners {
		all = append(all, listener{l.Section() + ".listen", l.Listen}, listener{l.Section() + ".listen_tls", l.ListenTLS})
	}
	for _, s := range c.Spawns {
		all = append(all, listener{s.param("listen"), s.Listen})
	}
	return all
}
