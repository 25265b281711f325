package run

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"golang.org/x/sys/unix"

	"toastmaster/admin/client"
	"toastmaster/configs"
	"toastmaster/internal/service"
)

// BusyPorts are the addresses on which the next start could not listen because another
// program does. Those of the instance that runs are its own: it lets them go before the
// next start. As nginx -t, it says nothing of what only a start can know: a port below
// 1024 may be allowed to the service and not to who asks.
func BusyPorts(ctx context.Context, c *configs.Config) []*configs.Error {
	var out []*configs.Error
	var own []netip.AddrPort
	asked := false
	for _, address := range c.Listeners() {
		if err := service.Try(address); !errors.Is(err, unix.EADDRINUSE) {
			continue
		}
		if !asked {
			asked, own = true, ownPorts(ctx, c)
		}
		if isOwn(own, address) {
			continue
		}
		_, port, _ := net.SplitHostPort(address)
		out = append(out, c.Mistake(c.ListenParam(address), fmt.Errorf("another program listens on %q, and the next start would fail: end it (`ss -ltnp sport = :%s` names it), or choose another address", address, port)))
	}
	return out
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
