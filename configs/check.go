package configs

import (
	"cmp"
	"errors"
	"fmt"
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

// checkPrefix accepts a network in CIDR form. Postfix takes an address alone, too, and
// brackets around one of IPv6.
func checkPrefix(s string) error {
	if _, err := netip.ParsePrefix(s); err == nil {
		return nil
	}
	address, bits, isNetwork := strings.Cut(s, "/")
	ip, err := netip.ParseAddr(strings.Trim(address, "[]"))
	switch n, wrong := strconv.ParseUint(bits, 10, 64); {
	case err != nil || ip.Zone() != "":
		return fmt.Errorf("%q is no network: one is written 192.0.2.0/24 or 2001:db8::/32, and one address 192.0.2.1/32", s)
	case !isNetwork:
		return fmt.Errorf("%q is an address: as a network it is %s/%d", s, ip, ip.BitLen())
	case wrong != nil:
		return fmt.Errorf("%q: behind the / stands how many bits of the address count, 0 to %d", s, ip.BitLen())
	case n > uint64(ip.BitLen()):
		return fmt.Errorf("%q: an address of this kind has %d bits, no more can count", s, ip.BitLen())
	}
	return fmt.Errorf("%q: write %s/%s", s, ip, cmp.Or(strings.TrimLeft(bits, "0"), "0"))
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
	if s == "" {
		return errors.New("is empty: a list without addresses is []")
	}
	_, port, err := net.SplitHostPort(s)
	if err != nil {
		return noHostPort(s, err)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("bad port %q, it is a number from 1 to 65535", port)
	}
	return nil
}

// noHostPort says how a port or an address that stands alone is written.
func noHostPort(s string, err error) error {
	if _, bad := strconv.ParseUint(s, 10, 16); bad == nil {
		return fmt.Errorf("%q is a port alone: on all addresses it is \":%[1]s\"", s)
	}
	if ip, bad := netip.ParseAddr(s); bad == nil {
		return fmt.Errorf("%q has no port: with one it is %q", s, net.JoinHostPort(ip.String(), "25"))
	}
	var wrong *net.AddrError
	if errors.As(err, &wrong) {
		return fmt.Errorf("%q: %s", s, wrong.Err)
	}
	return err
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
