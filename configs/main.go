package configs

import (
	"fmt"
	"strings"
	"time"
)

// Main is the section [main]: what every service shares.
type Main struct {
	HaproxyNetworks    []string
	HaproxyTimeout     time.Duration
	Hostname           string
	DataDir            string
	Instance           string
	User               string
	TrustedNetworks    []string
	RecipientDelimiter string
	ReservedFiles      int
	ParentMatches      []string
	ExportEnvironment  []string
	SoftBounce         bool
}

// What Main.ParentMatches calls the tables of check_*_access, flush.fast_flush_domains and rewrite.relay_domains.
const (
	ParentSMTPDAccess = "smtpd_access_maps"
	ParentFastFlush   = "fast_flush_domains"
	ParentRelay       = "relay_domains"
)

func checkParentMatches(s string) error {
	if s != ParentSMTPDAccess && s != ParentFastFlush && s != ParentRelay {
		return fmt.Errorf("there are no tables %q", s)
	}
	return nil
}

func (c *Main) params() []Param {
	return []Param{
		String("main.hostname", &c.Hostname, "localhost", "a host name", checkHostname,
			"The name of this host in greetings, Received fields and reports. Should be the name its address resolves to.").Also("myhostname", "mydomain", "myorigin", "smtpd_banner", "smtp_helo_name", "login_greeting"),
		String("main.data_dir", &c.DataDir, "/var/lib/toastmaster", "a folder", nil,
			"The folder for queue, mail, database and sockets. Relative names of other parameters start here; a relative data_dir starts at the folder of the configuration file.").Also("queue_directory", "data_directory", "base_dir", "state_dir"),
		String("main.instance", &c.Instance, "", "an id as `init` writes it, or empty for any", checkInstance,
			"The id of the instance that this configuration is for. Database, mail store and queue carry it, too; a start that finds another one, or a part missing, ends with status 2, so that a wrong volume, or one that is not mounted, is no empty mail system. Empty takes the id that the parts agree on."),
		String("main.user", &c.User, "", `"user", "user:group" or their numbers, or empty`, checkUser,
			"Who the server runs as when root starts it (Postfix mail_owner, Dovecot default_internal_user). It opens its ports and reads its keys, and then gives up root for good, before it opens anything else: data_dir with all that is in it, log.file and smtp.password_file must be this user's. So must a key be that is to be read again without a restart. Empty stays root, with a warning. Started by this user it changes nothing; by another one it is refused.").Also("mail_owner", "default_internal_user", "default_login_user", "mail_uid", "mail_gid", "virtual_uid_maps", "virtual_gid_maps", "first_valid_uid"),
		List("main.trusted_networks", &c.TrustedNetworks, []string{"127.0.0.0/8", "::1/128"}, "networks in CIDR form", checkPrefix,
			"Clients that may relay without log-in on smtpd.listen, are exempt from the limits per client, from auth.failure_delay and from smtpd.bare_newline, and may read /metrics without a token (Postfix mynetworks). Loopback is trusted because it stands in the default: with an empty list it is a client like any other, except that it may still log in without TLS. Unix sockets are always trusted.").Also("mynetworks", "login_trusted_networks", "mynetworks_style", "permit_mynetworks", "smtpd_tls_auth_only", "disable_plaintext_auth", "auth_allow_cleartext"),
		List("main.haproxy_trusted_networks", &c.HaproxyNetworks, []string{}, "networks in CIDR form", checkPrefix,
			"The proxies that may say by the PROXY protocol who their client is, on the ports where it is spoken: smtpd.upstream_proxy_protocol, postscreen.upstream_proxy_protocol, imapd.haproxy, pop3d.haproxy, lmtpd.haproxy. Nobody else is served there. Whoever is named here may be any client, a trusted one, too (Dovecot haproxy_trusted_networks)."),
		Duration("main.haproxy_timeout", &c.HaproxyTimeout, 3*time.Second, time.Second, time.Minute,
			"How long the header of a proxy may take on the ports of imapd.haproxy, pop3d.haproxy and lmtpd.haproxy (Dovecot haproxy_timeout)."),
		Int("main.reserved_files", &c.ReservedFiles, 1000, 100, 1_000_000,
			"How many of the process's file descriptors (LimitNOFILE, ulimit -n) are kept for the queue, the store, deliveries and the administration; connections of all services together take only what is beyond them. A start with fewer than twice as many warns; one without any for connections is refused."),
		String("main.recipient_delimiter", &c.RecipientDelimiter, "+", "characters", nil,
			"Characters that separate a user name from its extension: mail for user+news goes to user. Empty turns extensions off.").Also("recipient_delimiter"),
		List("main.parent_domain_matches_subdomains", &c.ParentMatches, []string{ParentFastFlush, ParentRelay, ParentSMTPDAccess}, "names of Postfix: "+ParentFastFlush+", "+ParentRelay+", "+ParentSMTPDAccess, checkParentMatches,
			"In which lookup tables a domain stands for its subdomains, too. In the others \".example.org\" does, with a dot in front. smtpd_access_maps are those of the restrictions check_*_access, fast_flush_domains is flush.fast_flush_domains, relay_domains rewrite.relay_domains.").Also("parent_domain_matches_subdomains"),
		Bool("main.soft_bounce", &c.SoftBounce, false,
			"Nothing is refused or returned for good: smtpd says 4xx where it would say 5xx, and mail that would go back to its sender stays in the queue, until it is too old. A net while a configuration is new.").Also("soft_bounce"),
		List("main.export_environment", &c.ExportEnvironment, []string{"TZ", "TOASTMASTER_CONFIG", "LANG"}, "names of variables, or name=value", checkVariable,
			"The variables of the server's environment that commands of the agents pipe and local, and of [[spawn]], have, too; \"name=value\" sets one. PATH is /usr/bin:/bin, and the message has variables of its own for local.").Also("export_environment"),
	}
}

func checkVariable(s string) error {
	if name, _, _ := strings.Cut(s, "="); name == "" || strings.ContainsAny(s, "\x00\n") {
		return fmt.Errorf("%q is no variable", s)
	}
	return nil
}
