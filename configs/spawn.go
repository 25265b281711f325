package configs

import (
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"
)

// Spawn is a table [[spawn]]: a service that runs a command for each connection (spawn(8)).
type Spawn struct {
	Name            string
	Listen          []string
	UnixMode        string
	UnixGroup       string
	TrustedNetworks []string
	User            string
	Argv            []string
	TimeLimit       time.Duration
	ProcessLimit    int
	DrainTimeout    time.Duration
}

func (s *Spawn) params() []Param {
	rows := []Param{
		String("spawn.name", &s.Name, "", "letters, digits, - and _", checkTransportName, "The name of the service in the log, which must be given.").Also("master.cf"),
		List("spawn.listen", &s.Listen, nil, listenAllowed, checkListen,
			"The addresses of the service, which must be given. Each connection has a command of its own, whose standard input, output and error it is."),
		String("spawn.unix_listener_mode", &s.UnixMode, "0660", "an octal mode of a file, such as 0660", checkMode,
			"Who may connect to the unix sockets of the service: owner, group, others."),
		String("spawn.unix_listener_group", &s.UnixGroup, "", "the name or number of a group, or nothing", checkGroup,
			"The group of the unix sockets of the service. Empty is the server's own group."),
		List("spawn.trusted_networks", &s.TrustedNetworks, []string{"127.0.0.0/8", "::1/128"}, "networks in CIDR form", checkPrefix,
			"Clients that are served; others are turned away. Unix sockets are always served."),
		String("spawn.user", &s.User, "", "user, user:group, or their numbers", nil,
			"Who runs the command, which must be given; not root. A server that is not root's runs commands as itself alone."),
		List("spawn.argv", &s.Argv, nil, "a program, and its arguments", checkArgument0, "The command, without a shell, which must be given."),
		Duration("spawn.time_limit", &s.TimeLimit, 1000*time.Second, time.Second, 24*time.Hour,
			"How long a command may take, with all that it starts; then they are killed, and the connection ends. A policy service needs as long as an SMTP session: \"1h\".").Also("transport_time_limit", "command_time_limit"),
		Int("spawn.process_limit", &s.ProcessLimit, 100, 1, 10_000, "How many commands run at once. More connections are closed at once.").Also("maxproc", "default_process_limit"),
		Duration("spawn.drain_timeout", &s.DrainTimeout, 10*time.Second, 0, time.Hour, "How long a stop waits for commands to end by themselves; then they are killed."),
	}
	for i := range rows {
		rows[i].table = true
	}
	return rows
}

// checkArgument0 accepts what a program may be given.
func checkArgument0(s string) error {
	if strings.ContainsRune(s, 0) {
		return fmt.Errorf("%q is no argument", s)
	}
	return nil
}

// SocketMode is spawn.unix_listener_mode.
func (s *Spawn) SocketMode() fs.FileMode {
	mode, _ := strconv.ParseUint(s.UnixMode, 8, 32) // checkMode has read it
	return fs.FileMode(mode)
}

// param is the whole name of one of its parameters.
func (s *Spawn) param(key string) string { return "spawn." + s.Name + "." + key }

// spawnMistakes are those that one parameter alone does not show.
func (c *Config) spawnMistakes(mistake func(param, format string, args ...any)) {
	for _, s := range c.Spawns {
		switch {
		case len(s.Listen) == 0:
			mistake(s.param("listen"), "is not there: nobody could connect")
		case s.User == "":
			mistake(s.param("user"), "is not there")
		case len(s.Argv) == 0 || s.Argv[0] == "":
			mistake(s.param("argv"), "is not there")
		}
		if p := everybody(s.TrustedNetworks); p != "" {
			mistake(s.param("trusted_networks"), "%s is everybody: anybody on the Internet could run the command", p)
		}
	}
}
