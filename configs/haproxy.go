package configs

import (
	"fmt"
	"slices"
	"time"
)

// UpstreamProxy are the parameters of a daemon of Postfix whose clients come through a proxy.
type UpstreamProxy struct {
	Protocol string
	Timeout  time.Duration
}

// haproxyProtocol is the one protocol that there is, as Postfix calls it.
const haproxyProtocol = "haproxy"

// On says that a proxy speaks first.
func (p UpstreamProxy) On() bool { return p.Protocol != "" }

func (p *UpstreamProxy) params(section, ports string) []Param {
	return []Param{
		String(section+".upstream_proxy_protocol", &p.Protocol, "", `"haproxy" or empty`, func(s string) error {
			if s != "" && s != haproxyProtocol {
				return fmt.Errorf("%q is no such protocol", s)
			}
			return nil
		}, "With haproxy, the clients of "+ports+" come through a proxy, which says by the PROXY protocol, version 1 or 2, who they are; before TLS. It must be in main.haproxy_trusted_networks (Postfix "+section+"_upstream_proxy_protocol)."),
		Duration(section+".upstream_proxy_timeout", &p.Timeout, 5*time.Second, time.Second, time.Minute,
			"How long the header of the proxy may take (Postfix "+section+"_upstream_proxy_timeout)."),
	}
}

// haproxyParam is the list of those listeners of a section where a proxy speaks first.
func haproxyParam(section string, field *[]string, of string) Param {
	return List(section+".haproxy", field, []string{}, "addresses of "+of, checkListen,
		"Those addresses of "+of+" whose clients come through a proxy in main.haproxy_trusted_networks, which says by the PROXY protocol, version 1 or 2, who they are (Dovecot: haproxy = yes of an inet_listener).")
}

// haproxyMistakes are those that one parameter alone does not show.
func (c *Config) haproxyMistakes(mistake func(param, format string, args ...any)) {
	nobody := len(c.Main.HaproxyNetworks) == 0
	if p := everybody(c.Main.HaproxyNetworks); p != "" {
		mistake("main.haproxy_trusted_networks", "%s is everybody: any client could say that it is a trusted one", p)
	}
	const alone = "the ports where a proxy speaks first would serve nobody: name the proxy in main.haproxy_trusted_networks"
	if nobody && c.SMTPD.UpstreamProxy.On() {
		mistake("smtpd.upstream_proxy_protocol", alone)
	}
	for _, l := range c.SMTPDListeners {
		if nobody && l.Params.UpstreamProxy.On() && !c.SMTPD.UpstreamProxy.On() {
			mistake(l.Section()+".upstream_proxy_protocol", alone)
		}
	}
	if nobody && c.Postscreen.UpstreamProxy.On() {
		mistake("postscreen.upstream_proxy_protocol", alone)
	}
	for _, s := range []struct {
		section         string
		proxied, listen []string
	}{
		{"imapd", c.IMAPD.Haproxy, slices.Concat(c.IMAPD.Listen, c.IMAPD.ListenTLS)},
		{"pop3d", c.POP3D.Haproxy, slices.Concat(c.POP3D.Listen, c.POP3D.ListenTLS)},
		{"lmtpd", c.LMTPD.Haproxy, c.LMTPD.Listen},
	} {
		if nobody && len(s.proxied) > 0 {
			mistake(s.section+".haproxy", alone)
		}
		for _, address := range s.proxied {
			if !slices.Contains(s.listen, address) {
				mistake(s.section+".haproxy", "%q is no address that %s listens on", address, s.section)
			}
		}
	}
}
