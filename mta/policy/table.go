package policy

import "toastmaster/internal/dsn"

// row is a restriction.
type row struct {
	name string
	// stages are those in which what it asks for is known.
	stages stages
	// make makes it for a stage. It keeps e and asks it nothing yet.
	make func(s Stage, e *Env) Check
}

// stages is a set of stages.
type stages uint8

func at(list ...Stage) stages {
	var set stages
	for _, s := range list {
		set |= 1 << s
	}
	return set
}

func (set stages) has(s Stage) bool { return set&(1<<s) != 0 }

// rows lists every restriction. A new one is a file and a row here.
func rows() []row {
	all := at(Connect, Helo, Mail, Rcpt, Data, EndOfData, Etrn)
	// Nobody logs in before.
	loggedIn := at(Mail, Rcpt, Data, EndOfData, Etrn)
	greeted := at(Helo, Mail, Rcpt, Data, EndOfData, Etrn)
	return []row{
		{"permit", all, permitAll},
		{"reject", all, rejectAll},
		{"defer", all, deferAll},
		{"permit_mynetworks", all, permitMynetworks},
		{"permit_sasl_authenticated", loggedIn, permitAuthenticated},
		{"reject_unauthenticated", loggedIn, rejectUnauthenticated},
		{"reject_sender_login_mismatch", at(Mail, Rcpt), senderLogin(true, true, false)},
		{"reject_authenticated_sender_login_mismatch", at(Mail, Rcpt), senderLogin(true, false, false)},
		{"reject_unauthenticated_sender_login_mismatch", at(Mail, Rcpt), senderLogin(false, true, false)},
		{"reject_known_sender_login_mismatch", at(Mail, Rcpt), senderLogin(true, true, true)},
		{"reject_invalid_helo_hostname", greeted, rejectInvalidHelo},
		{"reject_non_fqdn_helo_hostname", greeted, rejectNonFQDNHelo},
		{"reject_non_fqdn_sender", at(Mail, Rcpt, Data, EndOfData), rejectNonFQDNSender},
		{"reject_non_fqdn_recipient", at(Rcpt), rejectNonFQDNRecipient},
		{"permit_auth_destination", at(Rcpt), permitAuthDestination},
		{"reject_unauth_destination", at(Rcpt), unauthDestination(dsn.Policy, 554)},
		{"defer_unauth_destination", at(Rcpt), unauthDestination(dsn.PolicyLater, 454)},
		{"reject_unlisted_recipient", at(Rcpt), rejectUnlistedRecipient},
		{"reject_relocated_recipient", at(Rcpt), rejectRelocatedRecipient},
		{"reject_over_quota", at(Rcpt), rejectOverQuota},
	}
}
