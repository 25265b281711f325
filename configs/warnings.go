package configs

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
)

// ErrNoPostmaster is what is wrong with an empty smtpd.postmaster.
var ErrNoPostmaster = errors.New("not set: mail for <postmaster> is refused unless postmaster@ main.hostname is a mailbox or an alias (RFC 5321 section 4.5.1)")

// Warnings lists what a file may say but hardly means. What the files it names
// are like is not looked at.
func (c *Config) Warnings() []*Error {
	var out []*Error
	warn := func(param, format string, args ...any) {
		out = append(out, c.Mistake(param, fmt.Errorf(format, args...)))
	}
	if c.SMTPD.Postmaster == "" && len(c.SMTPD.Listen) > 0 {
		warn("smtpd.postmaster", "%w", ErrNoPostmaster)
	}
	if c.Postscreen.Enable && c.SMTPD.AuthOnListen {
		warn("postscreen.enable", "users log in on smtpd.listen (smtpd.auth_on_listen) and are tested there: their mail programs wait for the greeting, and after a test after it they are not let in at all; give them smtpd.submission_listen")
	}
	for _, p := range wide(c.Main.TrustedNetworks) {
		warn("main.trusted_networks", "%s is a large part of the Internet, and each client in it may relay mail to anywhere", p)
	}
	for _, l := range c.SMTPDListeners {
		param := l.Section() + ".trusted_networks"
		if c.isDefault(param) {
			continue // said of main.trusted_networks
		}
		for _, p := range wide(l.TrustedNetworks) {
			warn(param, "%s is a large part of the Internet, and each client in it may relay mail to anywhere", p)
		}
	}
	for _, p := range wide(c.LMTPD.TrustedNetworks) {
		warn("lmtpd.trusted_networks", "%s is a large part of the Internet, and each client in it can write into every mailbox", p)
	}
	for _, p := range wide(c.Proxymap.TrustedNetworks) {
		warn("proxymap.trusted_networks", "%s is a large part of the Internet, and each client in it can try out which addresses there are", p)
	}
	type networks struct {
		param string
		list  []string
	}
	all := []networks{
		{"main.trusted_networks", c.Main.TrustedNetworks}, {"lmtpd.trusted_networks", c.LMTPD.TrustedNetworks}, {"proxymap.trusted_networks", c.Proxymap.TrustedNetworks},
		{"smtp.private_networks", c.SMTP.PrivateNetworks}, {"smtpd.client_event_limit_exceptions", c.SMTPD.EventExceptions},
	}
	for _, l := range c.SMTPDListeners {
		for param, list := range map[string][]string{l.Section() + ".trusted_networks": l.TrustedNetworks, l.Section() + ".client_event_limit_exceptions": l.Params.EventExceptions} {
			if !c.isDefault(param) {
				all = append(all, networks{param, list})
			}
		}
	}
	for _, l := range all {
		for i, p := range Prefixes(l.list) {
			if p != p.Masked() {
				out = append(out, c.MistakeIn(l.param, i, fmt.Errorf("%s has bits of one host in it, and counts as the whole network %s: write that, or %s/%d for the host alone", p, p.Masked(), p.Addr(), p.Addr().BitLen())))
			}
		}
	}
	for _, address := range c.LMTPD.Listen {
		switch {
		case strings.HasPrefix(address, "unix:") && c.LMTPD.SocketMode()&0o002 != 0:
			warn("lmtpd.unix_listener_mode", "%s lets every user of this machine write into every mailbox by %q: 0660 and lmtpd.unix_listener_group are for one group", c.LMTPD.UnixMode, address)
		case !beyondLoopback(address):
		case onlyLoopback(c.LMTPD.TrustedNetworks):
			warn("lmtpd.listen", "%q is reached from other machines, and lmtpd.trusted_networks serves none of them", address)
		default:
			warn("lmtpd.listen", "%q is open to other machines without a log-in: each client in lmtpd.trusted_networks (%s) can write into every mailbox", address, strings.Join(c.LMTPD.TrustedNetworks, ", "))
		}
	}
	for _, address := range c.Proxymap.Listen {
		switch {
		case strings.HasPrefix(address, "unix:") && c.Proxymap.SocketMode()&0o002 != 0:
			warn("proxymap.unix_listener_mode", "%s lets every user of this machine try out which addresses there are by %q: 0660 and proxymap.unix_listener_group are for one group", c.Proxymap.UnixMode, address)
		case beyondLoopback(address) && onlyLoopback(c.Proxymap.TrustedNetworks):
			warn("proxymap.listen", "%q is reached from other machines, and proxymap.trusted_networks serves none of them", address)
		}
	}
	c.classWarnings(warn)
	return out
}

// isDefault says that a parameter of a table has its default, or what it takes from a section.
func (c *Config) isDefault(param string) bool {
	for _, p := range c.bound {
		if p.Name == param {
			return p.IsDefault()
		}
	}
	return true
}

// Bits of a network that is hardly anybody's own.
const (
	wideIPv4 = 8
	wideIPv6 = 16
)

// everybody is a network of all clients of a family.
func everybody(list []string) string {
	for _, p := range Prefixes(list) {
		if p.Bits() == 0 {
			return p.String()
		}
	}
	return ""
}

// wide are the networks that are too large to be trusted. 10.0.0.0/8 and
// 127.0.0.0/8 are somebody's own.
func wide(list []string) (out []netip.Prefix) {
	for _, p := range Prefixes(list) {
		a := p.Addr().Unmap()
		switch {
		case a.Is4() && (p.Bits() < wideIPv4 || p.Bits() == wideIPv4 && !a.IsPrivate() && !a.IsLoopback()):
		case a.Is6() && p.Bits() < wideIPv6 && !a.IsPrivate():
		default:
			continue
		}
		out = append(out, p)
	}
	return out
}

func onlyLoopback(list []string) bool {
	for _, p := range Prefixes(list) {
		if !p.Addr().IsLoopback() || p.Addr().Is4() && p.Bits() < 8 || p.Addr().Is6() && p.Bits() < 128 {
			return false
		}
	}
	return true
}

// beyondLoopback says that other machines may reach a listener. A name may mean
// any address.
func beyondLoopback(address string) bool {
	if strings.HasPrefix(address, "unix:") {
		return false
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil || host == "localhost" {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return err != nil || !ip.Unmap().IsLoopback()
}
