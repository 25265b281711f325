package configs

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"toastmaster/internal/addr"
)

// Transport is a table [[transport]]: a way for mail to leave the queue. A number that
// is 0, and a text that is empty, is what [qmgr] and [smtp] say.
type Transport struct {
	// Name is how the resolver calls it; no two have the same.
	Name string
	// Agent is what delivers, one of Agents.
	Agent string
	// Domains are those whose mail it takes, "*" all that no other takes; none of
	// them is hosted here.
	Domains []string
	// Nexthop is where smtp and lmtp send that mail, "" for each domain itself; for error,
	// retry and discard it is the reason.
	Nexthop string

	ProcessLimit          int
	InitialDestination    int
	DestinationLimit      int
	DestinationRecipients int
	DestinationCohorts    int
	PositiveFeedback      string
	NegativeFeedback      string
	DestinationRateDelay  time.Duration
	TransportRateDelay    time.Duration

	HeloName     string
	BindAddress  string
	BindAddress6 string
	TLSLevel     TLSLevel
	PasswordFile string
	SendXForward bool
	TLSWrapper   bool
	StatusFilter []string

	Command
}

func (t *Transport) params() []Param {
	rows := []Param{
		String("transport.name", &t.Name, "", "letters, digits, - and _", checkTransportName,
			"The name of the transport, which must be given. "+inWords(standingAgents())+" are there without a table; one with such a name changes its limits."),
		Choice("transport.agent", &t.Agent, "smtp", Agents(),
			"What delivers. A transport that is called as an agent has that agent.").Also("master.cf"),
		List("transport.domains", &t.Domains, nil, `domains, ".example.org" for all below one, "*" for the rest`, checkTransportDomain,
			"The domains whose mail this transport takes, for the agents "+inWords(routedAgents())+". The most exact counts. A domain that is hosted here is delivered here whatever stands in this list.").Also("transport_maps"),
		String("transport.nexthop", &t.Nexthop, "", `"host", "host:port", "[host]", "[host]:port", "unix:/socket", a reason, or empty`, nil,
			"Where smtp hands the mail for these domains to, as smtp.relayhost. For lmtp it is \"unix:/socket\", \"inet:host:port\", or a host as for smtp, whose MX is not looked up. Empty is each domain itself: smtp.relayhost is for mail that no table names. For error, retry and discard it is the reason, which may begin with a status: \"5.1.2 This company is closed\".").Also("transport_maps"),
		Int("transport.process_limit", &t.ProcessLimit, 0, 0, 10_000,
			"How many deliveries may run at once. Zero is qmgr.transport_concurrency, for "+inWords(localAgents())+" qmgr.virtual_concurrency.").Also("default_process_limit", "maxproc"),
		Int("transport.initial_destination_concurrency", &t.InitialDestination, 0, 0, 10_000,
			"How many deliveries to one destination run at once at first. Zero is qmgr.initial_destination_concurrency."),
		Int("transport.destination_concurrency_limit", &t.DestinationLimit, 0, 0, 10_000,
			"How many deliveries to one destination may run at once. Zero is qmgr.destination_concurrency_limit.").Also("transport_destination_concurrency_limit"),
		Int("transport.destination_recipient_limit", &t.DestinationRecipients, 0, 0, 1000,
			"How many recipients of one message one delivery may have. Zero is qmgr.destination_recipient_limit.").Also("transport_destination_recipient_limit"),
		Int("transport.destination_failed_cohort_limit", &t.DestinationCohorts, 0, 0, 100,
			"qmgr.destination_failed_cohort_limit for this transport. Zero is that.").Also("transport_destination_concurrency_failed_cohort_limit"),
		feedback("transport.destination_concurrency_positive_feedback", &t.PositiveFeedback, "",
			"qmgr.destination_concurrency_positive_feedback for this transport. Empty is that.").Also("transport_destination_concurrency_positive_feedback"),
		feedback("transport.destination_concurrency_negative_feedback", &t.NegativeFeedback, "",
			"qmgr.destination_concurrency_negative_feedback for this transport. Empty is that.").Also("transport_destination_concurrency_negative_feedback"),
		Duration("transport.destination_rate_delay", &t.DestinationRateDelay, 0, 0, day,
			"How long each destination of this transport is left alone after a delivery. Zero is qmgr.destination_rate_delay, for "+inWords(localAgents())+" no time.").Also("transport_destination_rate_delay"),
		Duration("transport.transport_rate_delay", &t.TransportRateDelay, 0, 0, day,
			"The time between the beginnings of two deliveries of this transport. Zero is qmgr.transport_rate_delay, for "+inWords(localAgents())+" no time.").Also("transport_transport_rate_delay"),
		String("transport.helo_name", &t.HeloName, "", "a host name, or empty", checkOptionalHostname, "smtp.helo_name for this transport.").of("smtp", "lmtp"),
		String("transport.bind_address", &t.BindAddress, "", "an IPv4 address, or empty", checkOptionalIPv4, "smtp.bind_address for this transport.").of("smtp", "lmtp"),
		String("transport.bind_address6", &t.BindAddress6, "", "an IPv6 address, or empty", checkOptionalIPv6, "smtp.bind_address6 for this transport.").of("smtp", "lmtp"),
		enum("transport.tls_level", &t.TLSLevel, TLSUnset, optionalTLSLevels(), "smtp.tls_level for this transport. Empty is that.").of("smtp", "lmtp"),
		String("transport.password_file", &t.PasswordFile, "", "a file, or empty", nil, "smtp.password_file for this transport.").of("smtp", "lmtp"),
		Bool("transport.send_xforward_command", &t.SendXForward, false, "smtp.send_xforward_command for this transport, besides that.").of("smtp", "lmtp"),
		Tables("transport.delivery_status_filter", &t.StatusFilter, nil,
			"qmgr.default_delivery_status_filter for this transport. Empty is that.").Also("smtp_delivery_status_filter", "lmtp_delivery_status_filter", "local_delivery_status_filter", "pipe_delivery_status_filter", "virtual_delivery_status_filter"),
	}
	rows = append(rows, Bool("transport.tls_wrappermode", &t.TLSWrapper, false, "smtp.tls_wrappermode for this transport, besides that.").of("smtp", "lmtp"))
	rows = append(rows, t.Command.params()...)
	for i := range rows {
		rows[i].table = true
	}
	return rows
}

// Transports are all of them: those that are there without a table, and those of tables.
func (c *Config) Transports() []Transport {
	var all []Transport
	for _, name := range standingAgents() {
		if c.transport(name) == nil {
			all = append(all, Transport{Name: name, Agent: name})
		}
	}
	for _, t := range c.Tables {
		all = append(all, *t)
	}
	return all
}

func (c *Config) transport(name string) *Transport {
	for _, t := range c.Tables {
		if t.Name == name {
			return t
		}
	}
	return nil
}

// SMTPOf is the section [smtp] as a transport has it.
func (c *Config) SMTPOf(t Transport) SMTP {
	s := c.SMTP
	if len(t.Domains) > 0 {
		s.Relayhost = t.Nexthop
	}
	for _, o := range []struct {
		of *string
		by string
	}{{&s.HeloName, t.HeloName}, {&s.BindAddress, t.BindAddress}, {&s.BindAddress6, t.BindAddress6}, {&s.PasswordFile, t.PasswordFile}} {
		if o.by != "" {
			*o.of = o.by
		}
	}
	s.SendXForward = s.SendXForward || t.SendXForward
	s.TLSWrapper = s.TLSWrapper || t.TLSWrapper
	if t.TLSLevel != TLSUnset {
		s.TLSLevel = t.TLSLevel
	}
	if t.Agent == "lmtp" {
		s.Port, s.OutgoingChecks = s.LMTPPort, s.LMTP
	}
	return s
}

// transportMistakes are those that one parameter alone does not show.
func (c *Config) transportMistakes(mistake func(param, format string, args ...any)) {
	taken := map[string]string{}
	for _, t := range c.Tables {
		at := "transport." + t.Name
		standing := slices.Contains(standingAgents(), t.Name)
		if slices.Contains(Agents(), t.Name) && t.Name != t.Agent {
			mistake(at+".agent", "the transport %s has the agent %[1]s: mail that is delivered here, relayed or refused goes by it; give yours another name", t.Name)
		}
		switch routed := routedAgents(); {
		case len(t.Domains) > 0 && !slices.Contains(routed, t.Agent):
			mistake(at+".domains", "the agent %s takes no mail of domains that are not hosted here (%s do)", t.Agent, inWords(routed))
		case len(t.Domains) == 0 && !standing && !c.Rewrite.byTables(t.Name) && !c.filtersBy(t.Name) && !c.Local.handedTo(t.Name):
			mistake(at+".domains", "no mail would go to %s: name domains", t.Name)
		}
		if t.Nexthop != "" && len(t.Domains) == 0 {
			mistake(at+".nexthop", "is for mail of domains, and this transport names none")
		} else if err := checkNexthopOf(t.Agent, t.Nexthop); err != nil {
			mistake(at+".nexthop", "%w", err)
		}
		ownMistakes(c.bound, at, t.Agent, mistake)
		if t.Agent == "local" && slices.Contains(t.Domains, "*") {
			mistake(at+".domains", "the agent local delivers to users of this host: name its domains")
		}
		if strings.ContainsAny(t.Flags, "DO") && t.DestinationRecipients != 1 {
			mistake(at+".flags", "D and O are about one recipient: set destination_recipient_limit = 1")
		}
		for _, d := range t.Domains {
			if other := taken[strings.ToLower(d)]; other != "" {
				mistake(at+".domains", "%q is a domain of %s already", d, other)
			}
			taken[strings.ToLower(d)] = t.Name
		}
	}
}

// ownMistakes are those in the parameters that are for some agents alone.
func ownMistakes(bound []Param, at, agent string, mistake func(param, format string, args ...any)) {
	for _, p := range bound {
		switch its := slices.Contains(p.agents, agent); {
		case len(p.agents) == 0 || !strings.HasPrefix(p.Name, at+"."):
		case !its && !p.IsDefault():
			mistake(p.Name, "is for the agent %s, and this one has %s", inWords(p.agents), agent)
		case its && p.needed && p.IsDefault():
			mistake(p.Name, "is not there, and the agent %s needs it", agent)
		}
	}
}

func checkTransportName(s string) error {
	if s == "" || len(s) > 64 || strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != "" {
		return fmt.Errorf("%q is no name of a transport", s)
	}
	return nil
}

func checkTransportDomain(s string) error {
	if s == "*" {
		return nil
	}
	_, err := addr.ParseDomain(strings.TrimPrefix(s, "."))
	return err
}

func checkOptionalIPv4(s string) error { return checkOptionalFamily(s, netip.Addr.Is4) }

func checkOptionalIPv6(s string) error { return checkOptionalFamily(s, netip.Addr.Is6) }

func checkOptionalFamily(s string, is func(netip.Addr) bool) error {
	if s == "" {
		return nil
	}
	ip, err := netip.ParseAddr(s)
	if err == nil && !is(ip) {
		err = fmt.Errorf("%s is of the other family", s)
	}
	return err
}
