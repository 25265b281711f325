package configs

import (
	"errors"
	"slices"
	"strings"
	"time"
)

// SMTPD is the section [smtpd].
type SMTPD struct {
	Listen             []string
	SubmissionListen   []string
	SubmissionsListen  []string
	AuthOnListen       bool
	CheckSenderLogin   bool
	CheckHeaderFrom    bool
	ForeignHeaderFrom  bool
	UserMessageLimit   int
	UserRecipientLimit int
	Postmaster         string
	MessageSizeLimit   int64
	RecipientLimit     int
	ErrorLimit         int
	JunkLimit          int
	BareNewline        BareNewline
	StrictUTF8         bool
	LocalHeaderClients []string
	Timeout            time.Duration
	ResolveTimeout     time.Duration
	DrainTimeout       time.Duration
	MaxConnections     int
	MaxClient          int
	Milters            []string
	MilterMaps         []string
	SMTPDLimits
	SMTPDPolicy
	SMTPDFilters
	SMTPDWords
	SMTPDTLS
	UpstreamProxy UpstreamProxy
	// Restrictions are those of Listen, MUARestrictions those of the ports for
	// users.
	Restrictions    Restrictions
	MUARestrictions Restrictions
	// DiscardKeywords are not announced.
	DiscardKeywords []string
}

func (c *SMTPD) params() []Param {
	return slices.Concat([]Param{
		List("smtpd.listen", &c.Listen, []string{":25"}, listenAllowed, checkListen,
			"Addresses for mail from other hosts (SMTP) and from trusted networks; TLS by STARTTLS. Empty opens none.").Also("inet_interfaces", "inet_protocols"),
		List("smtpd.submission_listen", &c.SubmissionListen, []string{":587"}, listenAllowed, checkListen,
			"Addresses for mail from users, who must log in; TLS by STARTTLS. Empty opens none.").Also("submission", "inet_listener"),
		List("smtpd.submissions_listen", &c.SubmissionsListen, []string{":465"}, listenAllowed, checkListen,
			"The same with TLS from the first octet. Empty opens none.").Also("smtps", "smtpd_tls_wrappermode"),
		Bool("smtpd.auth_on_listen", &c.AuthOnListen, false,
			"Users may also log in on smtpd.listen. Most who try there guess passwords.").Also("smtpd_sasl_auth_enable"),
		Bool("smtpd.check_sender_login", &c.CheckSenderLogin, true,
			"A user who logged in may only send from the own address, an alias of it, or the null sender. Off makes the restrictions *_sender_login_mismatch do nothing.").Also("reject_sender_login_mismatch", "smtpd_sender_login_maps"),
		Bool("smtpd.check_header_from", &c.CheckHeaderFrom, true,
			"The From and Sender fields (and Resent-From, Resent-Sender) of what a user who logged in sends may show no hosted address that is not the user's own or an alias that leads to it, also in a display name; there is one From, and it can be read. Else the message is refused with 550 5.7.1."),
		Bool("smtpd.foreign_header_from", &c.ForeignHeaderFrom, true,
			"These fields may have addresses of domains that are not hosted here. Each is a line in the log (foreign author). Off refuses them with 550 5.7.1."),
		Int("smtpd.user_message_limit", &c.UserMessageLimit, 1000, 0, 10_000_000,
			"How many messages a user who logged in may send in an hour; more are answered with 450 4.7.1. A stolen password sends that much until somebody looks. 0 is no limit."),
		Int("smtpd.user_recipient_limit", &c.UserRecipientLimit, 5000, 0, 100_000_000,
			"How many recipients the messages of a user may have in an hour; more are answered with 450 4.7.1. 0 is no limit."),
		String("smtpd.postmaster", &c.Postmaster, "", "an address, or empty for none", checkOptionalAddress,
			"Who gets mail for <postmaster> without a domain, and for postmaster of main.hostname or of a hosted domain that has none (RFC 5321 section 4.5.1). It may be an address anywhere. Empty makes <postmaster> postmaster@ main.hostname, which must be hosted then.").Also("postmaster_address"),
		Size("smtpd.message_size_limit", &c.MessageSizeLimit, 50<<20, 1<<10, 4<<30,
			"The largest message that is taken, in octets on the wire (Postfix message_size_limit).").Also("quota_max_mail_size"),
		Int("smtpd.recipient_limit", &c.RecipientLimit, 1000, 100, 100_000,
			"Recipients of a message; more are answered with 452 4.5.3 (Postfix smtpd_recipient_limit). RFC 5321 asks for at least 100."),
		Int("smtpd.error_limit", &c.ErrorLimit, 20, 1, 10_000,
			"Errors since the last accepted message after which the connection is closed with 421 (Postfix smtpd_hard_error_limit)."),
		Int("smtpd.junk_limit", &c.JunkLimit, 100, 1, 10_000,
			"Commands that lead nowhere, such as NOOP and RSET, since the last accepted message, after which the connection is closed with 421 (Postfix smtpd_junk_command_limit)."),
		List("smtpd.local_header_rewrite_clients", &c.LocalHeaderClients, []string{PermitInetInterfaces}, localClientsAllowed, checkLocalClient,
			"Clients in whose headers addresses are completed (rewrite.append_at_myorigin) and mapped (cleanup.canonical_maps, masquerade_domains). The headers of others stay as they are, unless cleanup.remote_header_rewrite_domain is set. Unix sockets are always local.").Also("local_header_rewrite_clients"),
		Bool("smtpd.strict_smtputf8", &c.StrictUTF8, true,
			"An address that is not ASCII is taken only from a client that says SMTPUTF8 (RFC 6531), and else refused, 553 5.6.7. Without it the address says so by itself, as in Postfix, where that is the default.").Also("strict_smtputf8"),
		enum("smtpd.bare_newline", &c.BareNewline, RejectBareNewline, bareNewlines(),
			"What happens to a message or command with an LF without CR before it, or a CR without LF behind it, from outside of trusted networks: it is refused; or a bare LF counts as line end and a bare CR as space; or both are kept (Postfix smtpd_forbid_bare_newline). Only CR LF . CR LF ends a message in any case.").Also("smtpd_forbid_bare_newline_exclusions"),
		Duration("smtpd.timeout", &c.Timeout, 5*time.Minute, time.Second, time.Hour,
			"How long the server waits for a whole command, however it comes, or for the client to take a reply; a message has more while it flows, see smtpd.min_data_rate (Postfix smtpd_timeout with smtpd_per_request_deadline)."),
		Duration("smtpd.resolve_timeout", &c.ResolveTimeout, 5*time.Second, 0, time.Minute,
			"How long finding the name of a client may take before it is called unknown. Zero asks for no names.").Also("smtpd_peername_lookup"),
		Duration("smtpd.drain_timeout", &c.DrainTimeout, 10*time.Second, 0, time.Hour,
			"How long a stop waits for commands that are being served.").Also("shutdown_clients"),
		Int("smtpd.max_connections", &c.MaxConnections, 2000, 1, 1_000_000,
			"Connections at once, on each kind of port.").Also("default_process_limit"),
		Int("smtpd.max_connections_per_client", &c.MaxClient, 50, 0, 1_000_000,
			"Connections at once of one client, an IPv4 address or an IPv6 /64 (Postfix smtpd_client_connection_count_limit). Trusted networks and smtpd.client_event_limit_exceptions are exempt. 0 is no limit."),
		List("smtpd.discard_ehlo_keywords", &c.DiscardKeywords, nil, "keywords of EHLO, such as etrn", checkKeyword,
			"What EHLO does not announce (Postfix smtpd_discard_ehlo_keywords), as for a client that cannot do what it says. The command is done all the same.").Also("smtpd_discard_ehlo_keywords", "smtpd_discard_ehlo_keyword_address_maps"),
		milterList("smtpd.milters", &c.Milters,
			"Filters (milters) that see mail as it comes by SMTP, on all ports, in this order: the client, the envelope, the message. See docs/milters.md.").Also("smtpd_milters"),
		Tables("smtpd.milter_maps", &c.MilterMaps, nil,
			"Lookup tables that have, for the address of a client, the filters that take the place of smtpd.milters, or DISABLE for none.").Also("smtpd_milter_maps"),
	}, c.SMTPDLimits.params(), c.SMTPDPolicy.params(), c.SMTPDFilters.params(), c.SMTPDWords.params(), c.SMTPDTLS.params(), c.UpstreamProxy.params("smtpd", "smtpd.listen (without postscreen), smtpd.submission_listen and smtpd.submissions_listen"), c.Restrictions.params("smtpd.", "On smtpd.listen.", true,
		[]string{"reject_authenticated_sender_login_mismatch"},
		[]string{"permit_mynetworks", "permit_sasl_authenticated", "reject_unauth_destination"}),
		c.MUARestrictions.params("smtpd.mua_", "On smtpd.submission_listen and smtpd.submissions_listen.", false,
			[]string{"reject_unauthenticated", "reject_authenticated_sender_login_mismatch"},
			[]string{"permit_sasl_authenticated", "reject_unauth_destination"}))
}

// checkKeyword accepts a keyword of EHLO (RFC 5321 section 4.1.1.1).
func checkKeyword(s string) error {
	if s == "" || strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-'
	}) {
		return errors.New("no keyword")
	}
	return nil
}
