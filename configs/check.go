package configs

import (
	"errors"
	"net"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"

	"toastmaster/internal/addr"
)

func checkHostname(s string) error {
	_, err := addr.ParseDomain(s)
	return err
}

// checkInstance accepts what crypto/rand.Text makes (internal/identity).
func checkInstance(s string) error {
	if s != "" && (len(s) != 26 || strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") != "") {
		return errors.New("no instance id")
	}
	return nil
}

// checkUser accepts "user" and "user:group"; whether they exist is the machine's.
func checkUser(s string) error {
	name, group, hasGroup := strings.Cut(s, ":")
	if s != "" && (name == "" || hasGroup && group == "" || strings.ContainsAny(s, " \t\n/")) {
		return errors.New("no user")
	}
	return nil
}

// checkMode accepts the bits of owner, group and others.
func checkMode(s string) error {
	if mode, err := strconv.ParseUint(s, 8, 32); err != nil || mode > 0o777 {
		return errors.New("no mode")
	}
	return nil
}

// checkGroup accepts what may be a group; whether it exists is the machine's.
func checkGroup(s string) error {
	if strings.ContainsAny(s, " \t\n/:") {
		return errors.New("no group")
	}
	return nil
}

func checkPrefix(s string) error {
	_, err := netip.ParsePrefix(s)
	return err
}

// Prefixes turns a list that checkPrefix accepted into prefixes.
func Prefixes(list []string) []netip.Prefix {
	out := make([]netip.Prefix, 0, len(list))
	for _, s := range list {
		if p, err := netip.ParsePrefix(s); err == nil {
			out = append(out, p)
		}
	}
	return out
}

const listenAllowed = `"host:port" or "unix:path"`

// checkListen accepts a TCP address or a unix socket.
func checkListen(s string) error {
	if path, ok := strings.CutPrefix(s, "unix:"); ok {
		if path == "" {
			return errors.New("empty socket path")
		}
		return nil
	}
	_, port, err := net.SplitHostPort(s)
	if err != nil {
		return err
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return errors.New("bad port " + strconv.Quote(port))
	}
	return nil
}

// QueueDir is the queue's folder below DataDir.
const QueueDir = "queue"

// Absolute is a path that says something outside of the server's folder, too.
func Absolute(path string) string {
	if a, err := filepath.Abs(path); err == nil {
		return a
	}
	return path
}

// Path resolves a file name of the configuration against DataDir.
func (c *Config) Path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(c.Dir(), name)
}

// Dir is DataDir, resolved against the folder of the configuration file.
func (c *Config) Dir() string {
	if filepath.IsAbs(c.Main.DataDir) || c.File == "" {
		return c.Main.DataDir
	}
	return filepath.Join(filepath.Dir(c.File), c.Main.DataDir)
}
