package configs

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"
)

// Proxymap is the section [proxymap].
type Proxymap struct {
	Listen          []string
	UnixMode        string
	UnixGroup       string
	TrustedNetworks []string
	// ReadMaps are the tables that are served, each as ParseReadMap reads it.
	ReadMaps       []string
	RequestLimit   int64
	Timeout        time.Duration
	MaxIdle        time.Duration
	MaxUse         int
	DrainTimeout   time.Duration
	MaxConnections int
	MaxClient      int
}

// maxProxyRequest is how long a request may be at most: what Postfix takes as an answer.
const maxProxyRequest = 100_000

func (c *Proxymap) params() []Param {
	return []Param{
		List("proxymap.listen", &c.Listen, nil, listenAllowed, checkListen,
			`Addresses at which other programs, a Postfix in front of this host above all, ask the tables of proxymap.read_maps by the socketmap protocol (Postfix socketmap_table(5)). There is no log-in: see proxymap.trusted_networks. Empty opens none.`),
		String("proxymap.unix_listener_mode", &c.UnixMode, "0660", "an octal mode of a file, such as 0660", checkMode,
			"Who may connect to the unix sockets of proxymap.listen: owner, group, others; connecting takes the right to write. The folder that the socket lies in must let them through, too."),
		String("proxymap.unix_listener_group", &c.UnixGroup, "", "the name or number of a group, or nothing", checkGroup,
			"The group of the unix sockets of proxymap.listen, such as Postfix's. The service's user must be in it. Empty is the service's own group."),
		List("proxymap.trusted_networks", &c.TrustedNetworks, []string{"127.0.0.0/8", "::1/128"}, "networks in CIDR form", checkPrefix,
			"Clients that are served: others are turned away before they can ask. Whoever is served can try out which addresses there are. Unix sockets are always served."),
		readMaps("proxymap.read_maps", &c.ReadMaps, []string{
			"directory:domains", "directory:mailboxes", "directory:aliases", "directory:recipients", "directory:senders", "directory:relocated",
		},
			`The tables that are served, and nothing else (Postfix proxy_read_maps). One of the directory is asked for by what stands behind its colon: socketmap:inet:127.0.0.1:24245:mailboxes. Each other table gets a name in front: "access=hash:/etc/postfix/access".`).Also("proxy_read_maps"),
		Size("proxymap.request_limit", &c.RequestLimit, maxProxyRequest, 512, 1<<20,
			"How long a request may be: name of the table and key. A longer one ends the connection, unread. An answer has at most 100,000 octets, because Postfix takes no more."),
		Duration("proxymap.timeout", &c.Timeout, 30*time.Second, time.Second, time.Hour,
			"How long it may take until a request has come, once it has begun, until its answer is found, and until the client has taken that. It should be less than the 100 seconds that Postfix waits."),
		Duration("proxymap.max_idle", &c.MaxIdle, 100*time.Second, time.Second, time.Hour,
			"How long a client may ask nothing before its connection is closed (Postfix max_idle). Postfix closes after 10 seconds, and connects again when it needs to."),
		Int("proxymap.max_use", &c.MaxUse, 0, 0, 1_000_000_000,
			"How many requests a connection may have (Postfix max_use); after the answer to the last it is closed, and the client connects again. Daemons of Postfix do; postmap with a list of keys may end at a socket that is closed. 0 is no limit."),
		Duration("proxymap.drain_timeout", &c.DrainTimeout, 10*time.Second, 0, time.Hour,
			"How long a stop waits for requests that are being answered."),
		Int("proxymap.max_connections", &c.MaxConnections, 1000, 1, 1_000_000,
			"Connections at once. Each process of a Postfix that asks has one: default_process_limit of each kind of daemon."),
		Int("proxymap.max_connections_per_client", &c.MaxClient, 500, 0, 1_000_000,
			"Connections at once of one client (an IPv4 address, an IPv6 /64); unix sockets are exempt. 0 is no limit."),
	}
}

// SocketMode is proxymap.unix_listener_mode.
func (c *Proxymap) SocketMode() fs.FileMode {
	mode, _ := strconv.ParseUint(c.UnixMode, 8, 32) // checkMode has read it
	return fs.FileMode(mode)
}

// readMaps is a list of tables with names.
func readMaps(name string, field *[]string, def []string, text string) Param {
	p := List(name, field, def, `"directory:name", or "name=type:argument"`, func(s string) error {
		_, _, err := ParseReadMap(s)
		return err
	}, text)
	p.Tables = func() []string {
		tables := make([]string, 0, len(*field))
		for _, item := range *field {
			_, table, _ := ParseReadMap(item) // the check has read it
			tables = append(tables, table)
		}
		return tables
	}
	return p
}

// ParseReadMap reads an item of proxymap.read_maps, "name=type:argument" or
// "directory:name": the name by which a client asks for the table, and the table.
func ParseReadMap(s string) (name, table string, err error) {
	name, table, ok := strings.Cut(s, "=")
	if before, _, _ := strings.Cut(s, ":"); !ok || len(before) < len(name) {
		if name, ok = strings.CutPrefix(s, "directory:"); !ok {
			return "", "", errors.New(`a table needs a name by which it is asked for: "name=type:argument"`)
		}
		table = s
	}
	if name == "" || len(name) > 64 || strings.ContainsFunc(name, notOfMapName) {
		return "", "", fmt.Errorf("%q is no name of a table: up to 64 letters, digits, dots, hyphens and underscores", name)
	}
	return name, table, checkTable(table)
}

// notOfMapName says that a name may not have a character: socketmap_table(5) has a blank
// behind a name, and Postfix a colon before it.
func notOfMapName(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("._-", r)
}
