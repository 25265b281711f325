package configs

import (
	"errors"
	"fmt"
	"slices"
	"strings"
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
	RejectTempfail         string
	UnknownAddressTempfail string
	UnknownHeloTempfail    string
	DefaultRBLReply        string
	NullAccessKey          string
}

func (c *SMTPDPolicy) params() []Param {
	code := func(name string, field *int, def int, text string) Param {
		return Int("smtpd."+name, field, def, 400, 599, text).Also(name)
	}
	tempfail := []string{"defer", "defer_if_permit"}
	override := func(name string, field *string, text string) Param {
		return String("smtpd."+name, field, "", strings.Join(tempfail, ", ")+", or empty", func(s string) error {
			if s != "" && !slices.Contains(tempfail, s) {
				return fmt.Errorf("%q is no action", s)
			}
			return nil
		}, text+" Empty is smtpd.reject_tempfail_action.").Also(name)
	}
	return []Param{
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
		Choice("smtpd.reject_tempfail_action", &c.RejectTempfail, "defer_if_permit", tempfail,
			"What a restriction does that cannot find out: defer at once, or go on, and defer what nothing else refuses.").Also("reject_tempfail_action"),
		override("unknown_address_tempfail_action", &c.UnknownAddressTempfail, "The same for reject_unknown_sender_domain and reject_unknown_recipient_domain."),
		override("unknown_helo_hostname_tempfail_action", &c.UnknownHeloTempfail, "The same for reject_unknown_helo_hostname."),
		String("smtpd.null_access_lookup_key", &c.NullAccessKey, "<>", "a key", checkNotEmpty,
			"What check_sender_access looks up for the null sender of reports.").Also("smtpd_null_access_lookup_key"),
		String("smtpd.default_rbl_reply", &c.DefaultRBLReply, "$rbl_code Service unavailable; $rbl_class [$rbl_what] blocked using $rbl_domain${rbl_reason?; $rbl_reason}", "a reply, see docs/restrictions.md", nil,
			"The reply to who is in a DNS list. $rbl_reason is what the list has as text (TXT).").Also("default_rbl_reply"),
	}
}

func checkNotEmpty(s string) error {
	if s == "" {
		return errors.New("it is empty")
	}
	return nil
}
