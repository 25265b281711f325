package check

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"toastmaster/admin/client"
	"toastmaster/configs"
	"toastmaster/internal/run/listeners"
	"toastmaster/internal/service"

	"golang.org/x/sys/unix"
)

// BusyPorts are the addresses on which the next start could not listen because another
// program does. Those of the instance that runs are its own: it lets them go before the
// next start. As nginx -t, it says nothing of what only a start can know: a port below
// 1024 may be allowed to the service and not to who asks.
func BusyPorts(ctx context.Context, c *configs.Config, in *listeners.Inherited) []*configs.Error {
	var out []*configs.Error
	var own []netip.AddrPort
	asked := false
	for _, address := range c.Listeners() {
		if err := service.Try(address); in.Has(address) || !errors.Is(err, unix.EADDRINUSE) {
			continue
		}
		if !asked {
			asked, own = true, ownPorts(ctx, c)
		}
		if isOwn(own, address) {
			continue
		}
		_, port, _ := net.SplitHostPort(address)
		held, known := holds(1, port)
		if held {
			continue // a socket unit, which hands it over
		}
		text := fmt.Sprintf("another program listens on %q, and the next start would fail: end it (`ss -ltnp sport = :%s` names it), or choose another address", address, port)
		if !known {
			text += "; a socket unit of systemd for this service is none (root can tell)"
		}
		out = append(out, c.Mistake(c.ListenParam(address), errors.New(text)))
	}
	return out
}

// holds says that a process has a listening TCP socket on a port; known is false when
// whoever asks may not know. Process 1 holds those of the socket units of systemd.
func holds(pid int, port string) (held, known bool) {
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return false, false
	}
	inodes := map[string]bool{}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, err := os.ReadFile(table)
		if err != nil {
			continue // no such family
		}
		for line := range strings.Lines(string(text)) {
			// sl local_address rem_address st ... inode; 0A is LISTEN.
			f := strings.Fields(line)
			if len(f) > 9 && f[3] == "0A" && strings.HasSuffix(f[1], fmt.Sprintf(":%04X", n)) {
				inodes["socket:["+f[9]+"]"] = true
			}
		}
	}
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	fds, err := os.ReadDir(dir)
	if err != nil {
		return false, false
	}
	for _, fd := range fds {
		if to, err := os.Readlink(filepath.Join(dir, fd.Name())); err == nil && inodes[to] {
			return true, true
		}
	}
	return false, true
}

// ownPorts are the addresses that the running instance listens on; none without one, or
// when it does not answer whoever asks.
func ownPorts(ctx context.Context, c *configs.Config) []netip.AddrPort {
	api := client.NewUnix(c.Path(c.Admin.Socket))
	defer api.Close()
	status, err := api.Status(ctx)
	if err != nil {
		return nil
	}
	var out []netip.AddrPort
	for _, s := range status.Services {
		for _, l := range s.Listeners {
			if a, err := netip.ParseAddrPort(strings.TrimSuffix(l, " (tls)")); err == nil {
				out = append(out, a)
			}
		}
	}
	return out
}

// isOwn says that an address is one of the instance's, or one that it would take: what
// listens on one address keeps the wildcard from being bound, and the other way round.
func isOwn(own []netip.AddrPort, address string) bool {
	a, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return false
	}
	asked := netip.AddrPortFrom(a.AddrPort().Addr().Unmap(), a.AddrPort().Port())
	for _, o := range own {
		if o.Port() != asked.Port() {
			continue
		}
		if !asked.Addr().IsValid() || asked.Addr().IsUnspecified() || o.Addr().IsUnspecified() || asked.Addr() == o.Addr().Unmap() {
			return true
		}
	}
	return false
}
