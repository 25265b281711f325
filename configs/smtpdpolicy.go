package configs

import (
	"errors"
	"slices"
	"time"
)

// RejectCodes are the codes of replies that Postfix lets an operator choose.
type RejectCodes struct {
	Access               int
	AccessDefer          int
	RBL                  int
	MultiRecipientBounce int
	Plaintext            int
	Reject               int
	Defer                int
	RelayDomains         int
	UnknownAddress       int
	UnknownClient        int
	UnknownHostname      int
}

// SMTPDPolicy are the parameters of [smtpd] that say how its restrictions answer.
type SMTPDPolicy struct {
	Codes                  RejectCodes
	RejectTempfail         Tempfail
	UnknownAddressTempfail Tempfail
	UnknownHeloTempfail    Tempfail
	UnverifiedSender       Unverified
	UnverifiedRecipient    Unverified
	DefaultRBLReply        string
	RBLReplyMaps           []string
	NullAccessKey          string
	PolicyService          PolicyService
	MXBackupNetworks       []string
	DNSReplyFilter         []string
	XClientHosts           []string
	XForwardHosts          []string
}

// Unverified are the parameters of reject_unverified_sender, or reject_unverified_recipient.
type Unverified struct {
	RejectCode, DeferCode int
	Reason                string
	Tempfail              Tempfail
}

// params are its rows; who is "sender" or "recipient".
func (c *Unverified) params(who string) []Param {
	name := "unverified_" + who + "_"
	return []Param{
		Int("smtpd."+name+"reject_code", &c.RejectCode, 450, 400, 599,
			"The code of reject_unverified_"+who+" for an address that a probe found undeliverable. 550 refuses it for good.").Also(name + "reject_code"),
		Int("smtpd."+name+"defer_code", &c.DeferCode, 450, 400, 599,
			"The same for an address of which nobody knows yet, or whose probe met a temporary failure.").Also(name + "defer_code"),
		String("smtpd."+name+"reject_reason", &c.Reason, "", "a text", nil,
			"What the reply says in the place of what the probe found. Empty says that.").Also(name + "reject_reason"),
		tempfailOverride("smtpd."+name+"tempfail_action", &c.Tempfail, "What is done when nobody knows.").Also(name + "tempfail_action"),
	}
}

// PolicyService are the parameters of the restriction check_policy_service.
type PolicyService struct {
	Timeout, MaxIdle, MaxTTL, RetryDelay   time.Duration
	RequestLimit, TryLimit, MaxConnections int
	DefaultAction, Context                 string
}

func (c *PolicyService) params() []Param {
	const name, postfix = "smtpd.policy_service_", "smtpd_policy_service_"
	return []Param{
		String(name+"default_action", &c.DefaultAction, "451 4.3.5 Server configuration problem", "an action of access(5)", checkNotEmpty,
			"What is done when a policy service (check_policy_service) does not answer. DUNNO goes on without it.").Also(postfix + "default_action"),
		String(name+"policy_context", &c.Context, "", "a text", nil, "What a policy service is told as policy_context.").Also(postfix + "policy_context"),
		Duration(name+"timeout", &c.Timeout, 100*time.Second, time.Second, time.Hour,
			"How long connecting to a policy service, sending a request and receiving its reply may take, each.").Also(postfix + "timeout"),
		Duration(name+"max_idle", &c.MaxIdle, 5*time.Minute, time.Second, time.Hour,
			"How long a connection to a policy service is kept when nobody asks.").Also(postfix + "max_idle"),
		Duration(name+"max_ttl", &c.MaxTTL, 1000*time.Second, time.Second, 24*time.Hour,
			"How long a connection to a policy service is kept at all.").Also(postfix + "max_ttl"),
		Int(name+"request_limit", &c.RequestLimit, 0, 0, 1_000_000,
			"How many requests a connection to a policy service takes; 0 is no limit.").Also(postfix + "request_limit"),
		Int(name+"try_limit", &c.TryLimit, 2, 1, 100,
			"How often a request without a reply is sent, before the default action is taken.").Also(postfix + "try_limit"),
		Duration(name+"retry_delay", &c.RetryDelay, time.Second, time.Millisecond, time.Minute,
			"How long the next try waits.").Also(postfix + "retry_delay"),
		Int(name+"max_connections", &c.MaxConnections, 100, 1, 10_000,
			"Connections to one policy service at once; who needs one more waits, at most smtpd.policy_service_timeout. Postfix has one for each process of smtpd."),
	}
}

func (c *SMTPDPolicy) params() []Param {
	code := func(name string, field *int, def int, text string) Param {
		return Int("smtpd."+name, field, def, 400, 599, text).Also(name)
	}
	override := func(name string, field *Tempfail, text string) Param {
		return tempfailOverride("smtpd."+name, field, text).Also(name)
	}
	return slices.Concat(c.PolicyService.params(), []Param{
		code("access_map_reject_code", &c.Codes.Access, 554, "The code of REJECT in a table of check_*_access."),
		code("access_map_defer_code", &c.Codes.AccessDefer, 450, "The code of DEFER in a table of check_*_access."),
		code("defer_code", &c.Codes.Defer, 450, "The code of the restriction defer."),
		code("maps_rbl_reject_code", &c.Codes.RBL, 554, "The code of reject_rbl_client and reject_rhsbl_*, $rbl_code in smtpd.default_rbl_reply."),
		code("multi_recipient_bounce_reject_code", &c.Codes.MultiRecipientBounce, 550, "The code of reject_multi_recipient_bounce."),
		code("plaintext_reject_code", &c.Codes.Plaintext, 450, "The code of reject_plaintext_session."),
		code("reject_code", &c.Codes.Reject, 554, "The code of the restriction reject."),
		code("relay_domains_reject_code", &c.Codes.RelayDomains, 554, "The code of reject_unauth_destination."),
		code("unknown_address_reject_code", &c.Codes.UnknownAddress, 450, "The code of reject_unknown_sender_domain and reject_unknown_recipient_domain."),
		code("unknown_client_reject_code", &c.Codes.UnknownClient, 450, "The code of reject_unknown_client_hostname and reject_unknown_reverse_client_hostname. When name servers do not answer it is 450."),
		code("unknown_hostname_reject_code", &c.Codes.UnknownHostname, 450, "The code of reject_unknown_helo_hostname."),
		enum("smtpd.reject_tempfail_action", &c.RejectTempfail, TempfailIfPermit, tempfails(),
			"What a restriction does that cannot find out: defer at once, or go on, and defer what nothing else refuses.").Also("reject_tempfail_action"),
		override("unknown_address_tempfail_action", &c.UnknownAddressTempfail, "The same for reject_unknown_sender_domain and reject_unknown_recipient_domain."),
		override("unknown_helo_hostname_tempfail_action", &c.UnknownHeloTempfail, "The same for reject_unknown_helo_hostname."),
		List("smtpd.permit_mx_backup_networks", &c.MXBackupNetworks, []string{}, "networks in CIDR form", checkPrefix,
			"Where the primary mail exchanger of a domain must be for permit_mx_backup to permit it. Empty is anywhere: then anybody who points an MX record of a domain at this host has it relay for that domain.").Also("permit_mx_backup_networks"),
		Tables("smtpd.dns_reply_filter", &c.DNSReplyFilter, nil,
			"Tables that are asked for each record that restrictions get from name servers, as \"name. ttl IN type value\", and in the place of IGNORE for one that is left out: regexp and pcre tables, see docs/dns.md. Without any record left nobody is refused for good.").Also("smtpd_dns_reply_filter"),
		List("smtpd.authorized_xclient_hosts", &c.XClientHosts, []string{}, "networks in CIDR form", checkPrefix,
			"Who may say by XCLIENT for which client it speaks: address, name, HELO, log-in. What that client may, and its limits, hold then. A proxy that logs users in, or a program that tests restrictions (Postfix smtpd_authorized_xclient_hosts)."),
		List("smtpd.authorized_xforward_hosts", &c.XForwardHosts, []string{}, "networks in CIDR form", checkPrefix,
			"Who may say by XFORWARD where a message comes from, for the log: a content filter that hands mail back (Postfix smtpd_authorized_xforward_hosts)."),
		String("smtpd.null_access_lookup_key", &c.NullAccessKey, "<>", "a key", checkNotEmpty,
			"What check_sender_access looks up for the null sender of reports.").Also("smtpd_null_access_lookup_key"),
		String("smtpd.default_rbl_reply", &c.DefaultRBLReply, "$rbl_code Service unavailable; $rbl_class [$rbl_what] blocked using $rbl_domain${rbl_reason?; $rbl_reason}", "a reply, see docs/restrictions.md", nil,
			"The reply to who is in a DNS list. $rbl_reason is what the list has as text (TXT).").Also("default_rbl_reply"),
		Tables("smtpd.rbl_reply_maps", &c.RBLReplyMaps, []string{},
			"Tables that have the reply for a DNS list, by the name as it stands in the restriction, with what selects its answers; smtpd.default_rbl_reply is that of the others.").Also("rbl_reply_maps"),
	}, c.UnverifiedSender.params("sender"), c.UnverifiedRecipient.params("recipient"))
}

func checkNotEmpty(s string) error {
	if s == "" {
		return errors.New("it is empty")
	}
	return nil
}

// tempfailOverride is one of the parameters that take the place of smtpd.reject_tempfail_action.
func tempfailOverride(name string, field *Tempfail, text string) Param {
	return enum(name, field, TempfailUnset, append(tempfails(), word[Tempfail]{"", TempfailUnset}), text+" Empty is smtpd.reject_tempfail_action.")
}
