package configs

import "errors"

// Restrictions are the lists of names that say who is taken, of one kind of port.
// What the names mean is mta/policy's.
type Restrictions struct {
	Client    []string
	Helo      []string
	Sender    []string
	Relay     []string
	Recipient []string
	Data      []string
	EndOfData []string
	Etrn      []string
	// Delay leaves the lists of client, HELO and sender to RCPT.
	Delay bool
}

const restrictionsAllowed = "names of restrictions, see docs/restrictions.md"

// checkRestriction accepts a name; whether there is such a restriction is
// mta/policy's to say.
func checkRestriction(s string) error {
	if s == "" {
		return errors.New("empty name")
	}
	return nil
}

// postfixNames are what Postfix has beside a list: the restrictions that stand in
// it here, and parameters that say the same.
var postfixNames = map[string][]string{
	"client": {
		"check_ccert_access", "permit_tls_clientcerts", "permit_tls_all_clientcerts", "check_client_access", "check_client_a_access", "check_client_mx_access", "check_client_ns_access", "check_sasl_access",
		"check_reverse_client_hostname_access", "check_reverse_client_hostname_a_access", "check_reverse_client_hostname_mx_access", "check_reverse_client_hostname_ns_access",
		"permit_inet_interfaces", "permit_mynetworks", "permit_dnswl_client", "permit_rhswl_client",
		"reject_rbl_client", "reject_rhsbl_client", "reject_rhsbl_reverse_client", "reject_unknown_client_hostname", "reject_unknown_reverse_client_hostname",
		"reject_plaintext_session", "check_policy_service", "defer_if_permit", "defer_if_reject", "warn_if_reject", "reject", "permit", "defer", "sleep",
	},
	"helo": {
		"reject_invalid_helo_hostname", "reject_non_fqdn_helo_hostname", "reject_unknown_helo_hostname", "reject_rhsbl_helo",
		"check_helo_access", "check_helo_a_access", "check_helo_mx_access", "check_helo_ns_access",
	},
	"relay": {
		"reject_unauth_destination", "defer_unauth_destination", "permit_sasl_authenticated", "permit_auth_destination", "permit_mx_backup",
		"smtpd_relay_before_recipient_restrictions",
	},
	"recipient": {
		"reject_unlisted_recipient", "reject_non_fqdn_recipient", "reject_unknown_recipient_domain", "reject_unverified_recipient", "reject_rhsbl_recipient",
		"reject_relocated_recipient", "reject_over_quota", "reject_multi_recipient_bounce", "smtpd_reject_unlisted_recipient",
		"check_recipient_access", "check_recipient_a_access", "check_recipient_mx_access", "check_recipient_ns_access",
	},
	"sender": {
		"reject_authenticated_sender_login_mismatch", "reject_unauthenticated_sender_login_mismatch", "reject_known_sender_login_mismatch", "reject_non_fqdn_sender",
		"reject_unauthenticated", "reject_unlisted_sender", "reject_unknown_sender_domain", "reject_unverified_sender", "reject_rhsbl_sender",
		"check_sender_access", "check_sender_a_access", "check_sender_mx_access", "check_sender_ns_access",
	},
	"data": {"reject_unauth_pipelining"},
	"etrn": {"check_etrn_access"},
}

// params are the rows of smtpd.listen (prefix "smtpd.") or of the ports for users
// ("smtpd.mua_"). port says in the texts which they are.
func (c *Restrictions) params(prefix, port string, delay bool, sender, relay []string) []Param {
	row := func(name string, field *[]string, def []string, text string) Param {
		p := List(prefix+name+"_restrictions", field, def, restrictionsAllowed, checkRestriction, text+" "+port)
		if prefix == "smtpd.mua_" {
			return p.Also("mua_" + name + "_restrictions")
		}
		return p.Also("smtpd_" + name + "_restrictions").Also(postfixNames[name]...)
	}
	none, etrn := []string{}, []string{}
	if prefix == "smtpd.mua_" {
		etrn = []string{"reject_unauthenticated"}
	}
	wait := Bool(prefix+"delay_reject", &c.Delay, delay,
		"The lists of client, HELO and sender are asked at RCPT, so that the log has the recipient of who is refused, and each may have any restriction. Off asks them at their own steps: who is refused before the greeting costs less. "+port)
	if prefix == "smtpd." {
		wait = wait.Also("smtpd_delay_reject")
	}
	return []Param{
		wait,
		row("client", &c.Client, none, "Asked before the greeting, where a refusal takes its place and ends the connection; with delay_reject at RCPT."),
		row("helo", &c.Helo, none, "Asked at HELO and EHLO, or at RCPT."),
		row("sender", &c.Sender, sender, "Asked at MAIL, or at RCPT."),
		row("relay", &c.Relay, relay, "Asked at RCPT, before the next list: who may send to where. One of the two must have reject_unauth_destination, defer_unauth_destination, reject or defer, not behind permit: else the host would be an open relay, and does not start."),
		row("recipient", &c.Recipient, []string{"reject_unlisted_recipient", "reject_relocated_recipient", "reject_over_quota"}, "Asked at RCPT, when the list before has let it pass."),
		row("data", &c.Data, none, "Asked at DATA and the first BDAT, before the message is sent."),
		row("end_of_data", &c.EndOfData, none, "Asked when the message is there."),
		row("etrn", &c.Etrn, etrn, "Asked at ETRN, behind those of client and HELO with delay_reject: who may have the mail of which domain of flush.fast_flush_domains tried now."),
	}
}
