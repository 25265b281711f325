package configs

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"toastmaster/internal/addr"
)

// SMTPWays are the parameters of [smtp] that say where a connection goes, and where it comes from.
type SMTPWays struct {
	AddressPreference Network
	Balance           bool
	BindEnforce       bool
	IgnoreMXError     bool
	DeferWithoutMX    bool
}

func (c *SMTPWays) params() []Param {
	return []Param{
		enum("smtp.address_preference", &c.AddressPreference, AnyNetwork, networks(),
			"Which addresses of the exchangers of one preference are tried first. any takes both families in turn, IPv6 first, those of each in random order (Postfix smtp_address_preference)."),
		Bool("smtp.balance_inet_protocols", &c.Balance, true,
			"Of a destination with more addresses than smtp.address_limit of both families, neither family has fewer than half of the limit, if it has as many (Postfix smtp_balance_inet_protocols)."),
		Bool("smtp.bind_address_enforce", &c.BindEnforce, false,
			"A connection that cannot come from smtp.bind_address is not made, and the mail waits. When it is off, the system chooses the address, and the log has a warning (Postfix smtp_bind_address_enforce)."),
		Bool("smtp.ignore_mx_lookup_error", &c.IgnoreMXError, false,
			"When no name server can say which mail exchangers a domain has, its mail goes to the address of the domain. When it is off, the mail waits (Postfix ignore_mx_lookup_error)."),
		Bool("smtp.defer_if_no_mx_address_found", &c.DeferWithoutMX, false,
			"Mail for a domain with mail exchangers of which none has an address waits. When it is off, it goes back, unless a name server did not answer (Postfix smtp_defer_if_no_mx_address_found)."),
	}
}

// SMTPDialogue are the parameters of [smtp] about what is said to a peer, and understood of it.
type SMTPDialogue struct {
	ReplyFilter []string
	DiscardMaps []string
	LineLimit   int
	MinDataRate int64
	AssumeFinal bool
	TLSWrapper  bool
	TLSName     string
	SenderLogin bool
	Mechanisms  []string
	SoftLogin   bool
	LoginMemory time.Duration
}

func (c *SMTPDialogue) params() []Param {
	return []Param{
		Tables("smtp.reply_filter", &c.ReplyFilter, nil,
			"Each line that a peer says is looked up, and a text that is found takes its place: a way around a peer that answers wrongly (Postfix smtp_reply_filter)."),
		Tables("smtp.discard_ehlo_keyword_address_maps", &c.DiscardMaps, nil,
			"Extensions that are not used with single peers: the key is their IP address, the text what smtp.discard_ehlo_keywords would be, and takes its place (Postfix smtp_discard_ehlo_keyword_address_maps).").Also("lmtp_discard_lhlo_keyword_address_maps"),
		Int("smtp.line_length_limit", &c.LineLimit, 998, 0, 1<<20,
			"A line of a message that is longer, without its end, leaves in several, of which all but the first begin with a space. SMTP allows 998, and hosts refuse more; signatures (DKIM) do not survive it. 0 sends lines of any length (Postfix smtp_line_length_limit)."),
		Size("smtp.min_data_rate", &c.MinDataRate, 500, 0, 1<<30,
			"Octets of a message that buy a peer which takes them one second more, up to smtp.data_xfer_timeout. One that takes it more slowly is given up. 0 gives each piece smtp.data_xfer_timeout (Postfix smtp_min_data_rate).").Also("smtp_per_request_deadline"),
		Bool("smtp.lmtp_assume_final", &c.AssumeFinal, false,
			"A success at an LMTP server that does not announce DSN is a delivery, and is reported as one to who asked for that. When it is off, the mail was relayed (Postfix lmtp_assume_final)."),
		Bool("smtp.tls_wrappermode", &c.TLSWrapper, false,
			"TLS begins with the connection, and not by STARTTLS, as on port 465. It needs smtp.tls_level encrypt or more (Postfix smtp_tls_wrappermode)."),
		String("smtp.tls_servername", &c.TLSName, "hostname", "hostname, nexthop, or a name", checkServerName,
			"The name that is sent to the server when TLS begins (SNI), so that it knows which certificate to show: the name of the host, the nexthop, or another one (Postfix smtp_tls_servername)."),
		Bool("smtp.sender_dependent_authentication", &c.SenderLogin, false,
			"Who mail is from says who logs in: smtp.password_file is asked for the sender's address first, then for \"@domain\", then for the nexthop. Only where a table or parameter sends the mail: not at the hosts of recipients, as Postfix does. Connections are not shared among log-ins (Postfix smtp_sender_dependent_authentication)."),
		List("smtp.sasl_mechanism_filter", &c.Mechanisms, nil, "plain, login, or either behind !", checkMechanism,
			"The mechanisms of AUTH that are used, of those that a server offers; the first that matches counts. Empty is any (Postfix smtp_sasl_mechanism_filter)."),
		Bool("smtp.sasl_auth_soft_bounce", &c.SoftLogin, true,
			"Mail waits when a server refuses our password, for good or for now. When it is off, it goes back when the server says 5xx (Postfix smtp_sasl_auth_soft_bounce)."),
		Duration("smtp.sasl_auth_cache_time", &c.LoginMemory, 0, 0, 365*day,
			"How long a user and password that a server has refused for good are not tried there again: many servers lock out who tries often. It is forgotten at a restart. 0 is never (Postfix smtp_sasl_auth_cache_time)."),
	}
}

func checkServerName(s string) error {
	if s == "hostname" || s == "nexthop" {
		return nil
	}
	_, err := addr.ParseDomain(s)
	return err
}

func checkMechanism(s string) error {
	if !slices.Contains([]string{"plain", "login"}, strings.ToLower(strings.TrimPrefix(s, "!"))) {
		return fmt.Errorf("%q is none of plain, login, !plain and !login", s)
	}
	return nil
}

// wrapperMistakes are of TLS that begins with the connection, where a connection need not have TLS.
func (c *Config) wrapperMistakes(mistake func(param, format string, args ...any)) {
	const text = "needs a tls_level of encrypt or more: the connection begins with TLS"
	if c.SMTP.TLSWrapper && c.SMTP.TLSLevel < TLSEncrypt {
		mistake("smtp.tls_wrappermode", text)
	}
	for _, t := range c.Tables {
		if t.TLSWrapper && c.SMTPOf(*t).TLSLevel < TLSEncrypt {
			mistake("transport."+t.Name+".tls_wrappermode", text)
		}
	}
}
