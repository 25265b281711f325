package configs

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"toastmaster/internal/dnslist"
)

// PostscreenCache is the file (Config.MTAPath) that says which clients have passed.
const PostscreenCache = "postscreen_cache"

// Postscreen is the section [postscreen].
type Postscreen struct {
	UpstreamProxy  UpstreamProxy
	Enable         bool
	AccessList     []string
	DenylistAction ScreenAction
	// AllowlistInterfaces are own addresses and networks, "!" before one that is none, and
	// "static:all"; see ParseInterface.
	AllowlistInterfaces []string

	GreetWait       time.Duration
	StressGreetWait time.Duration
	GreetBanner     string
	GreetAction     ScreenAction
	GreetTTL        time.Duration

	DNSBLSites              []string
	DNSBLThreshold          int
	DNSBLAllowlistThreshold int
	DNSBLAction             ScreenAction
	DNSBLMinTTL             time.Duration
	DNSBLMaxTTL             time.Duration
	DNSBLTimeout            time.Duration
	DNSBLReplyMap           []string

	Pipelining, NonSMTP, BareNewline ScreenTest

	ForbiddenCommands []string
	CommandCountLimit int
	CommandTimeLimit  time.Duration
	StressTimeLimit   time.Duration
	PreQueueLimit     int
	CacheLimit        int
	CacheRetention    time.Duration
}

// ScreenTest is a test that postscreen makes after the greeting.
type ScreenTest struct {
	Enable bool
	Action ScreenAction
	TTL    time.Duration
}

// ScreenAction is what is done with a client that fails a test of postscreen.
type ScreenAction uint8

// The actions, the mildest first.
const (
	ScreenIgnore ScreenAction = iota
	ScreenEnforce
	ScreenDrop
)

func screenActions() []word[ScreenAction] {
	return []word[ScreenAction]{{"ignore", ScreenIgnore}, {"enforce", ScreenEnforce}, {"drop", ScreenDrop}}
}

func (c *Postscreen) params() []Param {
	rows := append(c.UpstreamProxy.params("postscreen", "smtpd.listen, with postscreen.enable,"), []Param{
		Bool("postscreen.enable", &c.Enable, false,
			"Clients of smtpd.listen are tested before smtpd speaks with them (Postfix postscreen(8) in the place of smtpd in master.cf). With the actions as they are by default nobody is refused: the log says who would be. Not for a port where users log in (smtpd.auth_on_listen)."),
		accessList("postscreen.access_list", &c.AccessList, []string{"permit_mynetworks"},
			"Who is not tested, or tested and found wanting, because of its address alone: permit_mynetworks (main.trusted_networks), permit, reject, or a lookup table whose texts are permit, reject or dunno (Postfix postscreen_access_list). The first that says permit or reject counts.").Also("postscreen_access_list", "postscreen_whitelist_networks"),
		enum("postscreen.denylist_action", &c.DenylistAction, ScreenIgnore, screenActions(),
			"What is done with a client that the access list rejects: ignore tests it all the same, enforce lets it say whom it wants to write to, for the log, and refuses that with 550, drop ends the connection with 521.").Also("postscreen_blacklist_action"),
		List("postscreen.allowlist_interfaces", &c.AllowlistInterfaces, []string{"static:all"}, `own addresses or networks, "!" before one that is none, "static:all"`, checkInterface,
			"On which of our own addresses a client can pass; the first that fits counts. On the others, as that of a backup MX, it hears 450 until it has passed on one of these.").Also("postscreen_whitelist_interfaces"),
		Duration("postscreen.greet_wait", &c.GreetWait, 6*time.Second, time.Second, time.Minute,
			"How long a new client waits for the greeting. What it sends before is the talk of a machine that does not listen. What lists say is asked for in the same time."),
		Duration("postscreen.stress_greet_wait", &c.StressGreetWait, 2*time.Second, time.Second, time.Minute,
			"The same under stress: with nine tenths of pre_queue_limit taken, or hardly any connections left (smtpd.stress_threshold).").Also("postscreen_greet_wait"),
		String("postscreen.greet_banner", &c.GreetBanner, "$myhostname ESMTP", "a text, in which $myhostname is main.hostname, or empty for none", checkBanner,
			"The text of the first line of the greeting, 220-, which is sent before greet_wait: a program that takes it for the whole greeting talks too early."),
		enum("postscreen.greet_action", &c.GreetAction, ScreenIgnore, screenActions(), "What is done with a client that talks before the greeting."),
		Duration("postscreen.greet_ttl", &c.GreetTTL, day, time.Minute, 90*day, "How long a client that did not is not tested again."),
		List("postscreen.dnsbl_sites", &c.DNSBLSites, nil, `"list", "list=127.0.0.[2;4..11]*3", with a weight from -1000 to 1000 behind *`, checkDNSBLSite,
			"DNS lists that are asked about a new client (Postfix postscreen_dnsbl_sites). The weights of those that have it are added; a negative one is for a list of good clients. Use reputable lists, and read what they allow."),
		Int("postscreen.dnsbl_threshold", &c.DNSBLThreshold, 1, 1, 100_000, "With this sum or more a client fails."),
		Int("postscreen.dnsbl_allowlist_threshold", &c.DNSBLAllowlistThreshold, 0, -100_000, 0,
			"With this sum or less a client has passed all tests before the greeting, and needs not wait. 0 is for nobody.").Also("postscreen_dnsbl_whitelist_threshold"),
		enum("postscreen.dnsbl_action", &c.DNSBLAction, ScreenIgnore, screenActions(), "What is done with a client that DNS lists are against."),
		Duration("postscreen.dnsbl_min_ttl", &c.DNSBLMinTTL, time.Minute, time.Second, 90*day,
			"The shortest time for which a client that no list is against is not looked up again."),
		Duration("postscreen.dnsbl_max_ttl", &c.DNSBLMaxTTL, time.Hour, time.Second, 90*day,
			"The longest; in between the answers' own TTL counts.").Also("postscreen_dnsbl_ttl"),
		Duration("postscreen.dnsbl_timeout", &c.DNSBLTimeout, 10*time.Second, time.Second, time.Minute,
			"How long lists may take to answer. What has not answered at the end of greet_wait does not count, and the client is looked up again after dnsbl_min_ttl; the answer is waited for as long as its session lasts, so that it is known by then."),
		Tables("postscreen.dnsbl_reply_map", &c.DNSBLReplyMap, nil,
			"By what name a list is called in replies and in the log, by its domain: for one whose domain has a password in it. Where this cannot be looked up no name is said."),
	}...)
	for _, one := range []struct {
		name, what string
		test       *ScreenTest
		action     ScreenAction
	}{
		{"pipelining", "sends commands without waiting for the reply to the one before, though that is not offered", &c.Pipelining, ScreenEnforce},
		{"non_smtp_command", "sends what is no SMTP: CONNECT, GET, POST, or the header of a message", &c.NonSMTP, ScreenDrop},
		{"bare_newline", "ends a line with LF alone", &c.BareNewline, ScreenIgnore},
	} {
		rows = append(rows,
			Bool("postscreen."+one.name+"_enable", &one.test.Enable, false,
				"Whether a new client is also tested after the greeting: it fails when it "+one.what+". Who passes is told to come again (450 4.3.2), because a conversation that has begun cannot be handed over."),
			enum("postscreen."+one.name+"_action", &one.test.Action, one.action, screenActions(), "What is done with a client that fails."),
			Duration("postscreen."+one.name+"_ttl", &one.test.TTL, 30*day, time.Minute, 90*day, "How long a client that passed is not tested again."))
	}
	return append(rows,
		List("postscreen.forbidden_commands", &c.ForbiddenCommands, []string{"CONNECT", "GET", "POST"}, "commands", checkCommand,
			"What is no SMTP for postscreen.non_smtp_command_enable, besides what looks like the header of a message."),
		Int("postscreen.pre_queue_limit", &c.PreQueueLimit, 1000, 0, 1_000_000,
			"How many clients may be tested at once; one more hears 421 and comes again. Those who have passed need no place here, so that a flood of new clients leaves them the rest of smtpd.max_connections. With nine tenths of it taken, until three tenths are free, there is stress for those who are tested. 0 is no limit."),
		Int("postscreen.command_count_limit", &c.CommandCountLimit, 20, 1, 1000, "How many commands a client may send to postscreen itself."),
		Duration("postscreen.command_time_limit", &c.CommandTimeLimit, 5*time.Minute, time.Second, time.Hour, "How long it may take for one."),
		Duration("postscreen.stress_command_time_limit", &c.StressTimeLimit, 10*time.Second, time.Second, time.Hour,
			"The same under stress.").Also("postscreen_command_time_limit"),
		Int("postscreen.cache_limit", &c.CacheLimit, 100_000, 100, 10_000_000,
			"How many clients are remembered, some 150 octets each, in postscreen_cache in main.data_dir (Postfix postscreen_cache_map). With more, those whose time is over first are forgotten."),
		Duration("postscreen.cache_retention_time", &c.CacheRetention, 7*day, 0, 90*day,
			"How long a client is remembered when its tests have to be made again: the log calls it an old one."))
}

// accessList is a list of words and tables.
func accessList(name string, field *[]string, def []string, text string) Param {
	p := List(name, field, def, `permit_mynetworks, permit, reject, or lookup tables, "type:argument"`, func(s string) error {
		if s == "permit_mynetworks" || s == "permit" || s == "reject" {
			return nil
		}
		return checkTable(s)
	}, text)
	p.Tables = func() []string {
		var names []string
		for _, item := range *field {
			if strings.Contains(item, ":") {
				names = append(names, item)
			}
		}
		return names
	}
	return p
}

// DNSBLSite is an item of postscreen.dnsbl_sites.
type DNSBLSite struct {
	List   dnslist.List
	Weight int
}

// ParseDNSBLSite reads "list", "list=pattern", "list*weight", "list=pattern*weight".
func ParseDNSBLSite(s string) (DNSBLSite, error) {
	text, weight, ok := strings.Cut(s, "*")
	site := DNSBLSite{Weight: 1}
	if ok {
		n, err := strconv.Atoi(weight)
		if err != nil || n < -1000 || n > 1000 {
			return site, fmt.Errorf("%q is no weight", weight)
		}
		site.Weight = n
	}
	var err error
	site.List, err = dnslist.Parse(text)
	return site, err
}

func checkDNSBLSite(s string) error {
	_, err := ParseDNSBLSite(s)
	return err
}

// Interface is an item of postscreen.allowlist_interfaces. The zero Network is all addresses.
type Interface struct {
	Not     bool
	Network netip.Prefix
}

// Has says that an address is meant.
func (i Interface) Has(a netip.Addr) bool { return !i.Network.IsValid() || i.Network.Contains(a) }

// ParseInterface reads an address, a network or "static:all", with or without "!".
func ParseInterface(s string) (Interface, error) {
	text, not := strings.CutPrefix(s, "!")
	i := Interface{Not: not}
	if text == "static:all" {
		return i, nil
	}
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
		a = a.Unmap()
		i.Network = netip.PrefixFrom(a, a.BitLen())
		return i, nil
	}
	var err error
	if i.Network, err = netip.ParsePrefix(text); err != nil {
		return i, fmt.Errorf("%q is no address and no network", text)
	}
	return i, nil
}

func checkInterface(s string) error {
	_, err := ParseInterface(s)
	return err
}

func checkCommand(s string) error {
	if s == "" || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return errors.New("a word")
	}
	return nil
}

func checkBanner(s string) error {
	if len(s) > 400 || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
		return errors.New("one line of ASCII with at most 400 characters")
	}
	return nil
}
