package listeners

import (
	"net"
	"net/netip"
	"strconv"
	"strings"

	"toastmaster/configs"
	"toastmaster/internal/clock"
	"toastmaster/internal/hostaddr"
)

// Host is this host as its configuration describes it: the addresses that
// others know it by, and where it takes mail. What was inherited counts where it is
// bound, which may be elsewhere than the configuration says.
func Host(c *configs.Config, in *Inherited, clk clock.Clock) *hostaddr.Host {
	o := hostaddr.Options{Interfaces: net.InterfaceAddrs, Clock: clk}
	for _, s := range c.SMTP.OwnAddresses {
		if ip, err := netip.ParseAddr(s); err == nil {
			o.Proxy = append(o.Proxy, ip)
		}
	}
	lists := [][]string{c.SMTPD.Listen, c.SMTPD.SubmissionListen, c.SMTPD.SubmissionsListen}
	for _, l := range c.SMTPDListeners {
		lists = append(lists, l.Listen, l.ListenTLS)
	}
	for _, list := range lists {
		for _, address := range list {
			if bound := in.bound(address); bound != nil {
				address = bound.String()
				if _, ok := bound.(*net.TCPAddr); !ok {
					continue
				}
			}
			if l, ok := smtpListener(address); ok {
				o.Listeners = append(o.Listeners, l)
			}
		}
	}
	return hostaddr.New(o)
}

// smtpListener is a listener of the configuration; false for a unix socket. One
// that has a name counts for every address of the host: a name may have several.
func smtpListener(address string) (hostaddr.Listener, bool) {
	if strings.HasPrefix(address, "unix:") {
		return hostaddr.Listener{}, false
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return hostaddr.Listener{}, false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	ip, _ := netip.ParseAddr(host)
	return hostaddr.Listener{Addr: ip, Port: uint16(n)}, err == nil
}
