package configs

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
)

// SMTPDFilters are the parameters of [smtpd] about filters that speak SMTP, and about what mail has
// been through already.
type SMTPDFilters struct {
	// ContentFilter is "transport:nexthop", or "" for none.
	ContentFilter string
	Override      []ReceiveOverride
	ProxyFilter   string
	ProxyEHLO     string
	ProxyTimeout  time.Duration
	ProxyOptions  []string
}

// ReceiveOverride is an item of smtpd.receive_override_options.
type ReceiveOverride uint8

// The options.
const (
	NoUnknownRecipientChecks ReceiveOverride = iota
	NoAddressMappings
	NoHeaderBodyChecks
	NoMilters
)

func receiveOverrides() []word[ReceiveOverride] {
	return []word[ReceiveOverride]{
		{"no_unknown_recipient_checks", NoUnknownRecipientChecks}, {"no_address_mappings", NoAddressMappings},
		{"no_header_body_checks", NoHeaderBodyChecks}, {"no_milters", NoMilters},
	}
}

// String is the word.
func (o ReceiveOverride) String() string { return textOf(receiveOverrides(), o) }

// Overrides says that an option is there.
func (c *SMTPDFilters) Overrides(o ReceiveOverride) bool { return slices.Contains(c.Override, o) }

// SpeedAdjust is an item of smtpd.proxy_options.
const SpeedAdjust = "speed_adjust"

// SpeedAdjust says that a filter is connected to when the message is there.
func (c *SMTPDFilters) SpeedAdjust() bool { return slices.Contains(c.ProxyOptions, SpeedAdjust) }

const filterAllowed = `"transport:nexthop", or empty for none, see docs/filters.md`

func (c *SMTPDFilters) params() []Param {
	return []Param{
		String("smtpd.content_filter", &c.ContentFilter, "", filterAllowed, checkContentFilter,
			"The transport, and where, by which all mail that comes by SMTP goes once it is in the queue: a content filter, which hands it back at a port of its own ([[listener]]) where this is empty. What does not come by SMTP goes by cleanup.non_smtpd_content_filter. FILTER in a table takes its place.").Also("content_filter"),
		enums("smtpd.receive_override_options", &c.Override, receiveOverrides(),
			"What is not done to mail there, because it was done before a filter, or is done behind it: recipients that nobody has are not refused; addresses are not mapped, aliases not expanded and no blind copies made; no table of header_checks or body_checks is asked; no mail filter (milter) is.").Also("receive_override_options"),
		String("smtpd.proxy_filter", &c.ProxyFilter, "", `"host:port", "inet:host:port", "unix:path", or empty for none`, checkProxyFilter,
			"A filter that gets each message by SMTP before it is answered, in the place of the queue, and gives the answer; it hands the message on to a port of its own ([[listener]]). See docs/filters.md.").Also("smtpd_proxy_filter"),
		String("smtpd.proxy_ehlo", &c.ProxyEHLO, "", "a host name, or empty for main.hostname", checkOptionalHostname,
			"What EHLO says to that filter.").Also("smtpd_proxy_ehlo"),
		Duration("smtpd.proxy_timeout", &c.ProxyTimeout, 100*time.Second, time.Second, time.Hour,
			"How long connecting to that filter, sending to it and each answer of it may take.").Also("smtpd_proxy_timeout"),
		List("smtpd.proxy_options", &c.ProxyOptions, []string{}, SpeedAdjust, func(s string) error {
			if s != SpeedAdjust {
				return fmt.Errorf("%q is no such option", s)
			}
			return nil
		}, "With speed_adjust that filter is connected to when the whole message is there, and not at its first recipient: fewer connections at once, and no recipient that it refuses alone.").Also("smtpd_proxy_options"),
	}
}

func checkContentFilter(s string) error {
	if s == "" {
		return nil
	}
	if transport, _, ok := strings.Cut(s, ":"); !ok || transport == "" || strings.ContainsAny(s, " \t\r\n") {
		return errors.New(`no "transport:nexthop"`)
	}
	return nil
}

// checkProxyFilter accepts what ParseProxyFilter reads.
func checkProxyFilter(s string) error {
	if s == "" {
		return nil
	}
	_, _, err := ParseProxyFilter(s)
	return err
}

// ParseProxyFilter reads an endpoint as Postfix writes it; without a host it is this one. A path is as it was written.
func ParseProxyFilter(s string) (network, address string, err error) {
	if path, ok := strings.CutPrefix(s, "unix:"); ok {
		if path == "" {
			return "", "", errors.New("empty path of a socket")
		}
		return "unix", path, nil
	}
	s = strings.TrimPrefix(s, "inet:")
	host, port, err := net.SplitHostPort(s)
	if err != nil && !strings.ContainsAny(s, ":[]") {
		host, port, err = "", s, nil // a port alone
	}
	if err != nil {
		return "", "", noHostPort(s, err)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", "", fmt.Errorf("bad port %q, it is a number from 1 to 65535", port)
	}
	if host == "" {
		host = "localhost"
	}
	return "tcp", net.JoinHostPort(host, port), nil
}

// contentFilters are all that the configuration names, by their parameter.
func (c *Config) contentFilters() map[string]string {
	all := map[string]string{"smtpd.content_filter": c.SMTPD.ContentFilter, "cleanup.non_smtpd_content_filter": c.Cleanup.ContentFilter}
	for _, l := range c.SMTPDListeners {
		all[l.Section()+".content_filter"] = l.Params.ContentFilter
	}
	return all
}

// ContentFilters are the routes of all content filters: "transport:nexthop".
func (c *Config) ContentFilters() []string {
	var all []string
	for _, f := range c.contentFilters() {
		if f != "" && !slices.Contains(all, f) {
			all = append(all, f)
		}
	}
	slices.Sort(all)
	return all
}

// filterMistakes finds a content filter whose transport there is not, or whose nexthop that transport cannot have.
func (c *Config) filterMistakes(mistake func(param, format string, args ...any)) {
	agents := map[string]string{}
	for _, t := range c.Transports() {
		agents[t.Name] = t.Agent
	}
	for param, f := range c.contentFilters() {
		if f == "" || c.isDefault(param) {
			continue
		}
		transport, nexthop, _ := strings.Cut(f, ":")
		agent, ok := agents[transport]
		if !ok {
			mistake(param, "there is no transport %q: a table [[transport]] with that name makes it", transport)
		} else if err := checkNexthopOf(agent, nexthop); err != nil {
			mistake(param, "%w", err)
		}
	}
}

// filtersBy says that a content filter may go by a transport: one that the configuration names, or FILTER in a table.
func (c *Config) filtersBy(transport string) bool {
	for _, f := range c.ContentFilters() {
		if name, _, _ := strings.Cut(f, ":"); name == transport {
			return true
		}
	}
	p := &c.Cleanup
	if len(p.HeaderChecks)+len(p.BodyChecks)+len(p.MIMETables())+len(p.NestedTables()) > 0 {
		return true
	}
	lists := []*Restrictions{&c.SMTPD.Restrictions, &c.SMTPD.MUARestrictions}
	for _, l := range c.SMTPDListeners {
		lists = append(lists, &l.Params.Restrictions, &l.Params.MUARestrictions)
	}
	mayFilter := func(item string) bool { return strings.Contains(item, "check_") }
	for _, r := range lists {
		if slices.ContainsFunc(slices.Concat(r.Client, r.Helo, r.Sender, r.Relay, r.Recipient, r.Data, r.EndOfData), mayFilter) {
			return true
		}
	}
	return slices.ContainsFunc(c.Classes, func(class *RestrictionClass) bool { return slices.ContainsFunc(class.Restrictions, mayFilter) })
}
