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

// argued makes a restriction that has an argument, for a stage. A bad argument is an error.
type argued func(s Stage, e *Env, arg string) (Check, error)

// arguedRow is a restriction that has an argument.
type arguedRow struct {
	name   string
	stages stages
	make   argued
}

// arguedRows lists every restriction that has an argument. A new one is a file and a row here.
func arguedRows() []arguedRow {
	all, greeted := all(), greeted()
	sender, recipient := at(Mail, Rcpt, Data, EndOfData), at(Rcpt, Data, EndOfData)
	return []arguedRow{
		{"reject_rbl_client", all, rejectListed(clientSubject)},
		{"reject_rhsbl_client", all, rejectListed(clientNameSubject)},
		{"reject_rhsbl_reverse_client", all, rejectListed(reverseSubject)},
		{"reject_rhsbl_helo", greeted, rejectListed(heloSubject)},
		{"reject_rhsbl_sender", sender, rejectListed(senderSubject)},
		{"reject_rhsbl_recipient", at(Rcpt), rejectListed(recipientSubject)},
		{"permit_dnswl_client", all, permitListed(clientSubject)},
		{"permit_rhswl_client", all, permitListed(clientNameSubject)},
		{"sleep", all, sleepFor},
		{"check_policy_service", all, checkPolicyService},
		{"check_ccert_access", all, checkCertAccess},
		{"check_client_access", all, checkAccess(Connect, clientKeys)},
		{"check_client_a_access", all, checkForeign(Connect, serverKeys(clientDomain, nil, true))},
		{"check_client_mx_access", all, checkForeign(Connect, serverKeys(clientDomain, exchangersOf, true))},
		{"check_client_ns_access", all, checkForeign(Connect, serverKeys(clientDomain, nameServersOf, false))},
		{"check_reverse_client_hostname_access", all, checkForeign(reverseClient, reverseKeys)},
		{"check_reverse_client_hostname_a_access", all, checkForeign(reverseClient, serverKeys(reverseDomain, nil, true))},
		{"check_reverse_client_hostname_mx_access", all, checkForeign(reverseClient, serverKeys(reverseDomain, exchangersOf, true))},
		{"check_reverse_client_hostname_ns_access", all, checkForeign(reverseClient, serverKeys(reverseDomain, nameServersOf, false))},
		{"check_helo_access", greeted, checkAccess(Helo, heloKeys)},
		{"check_helo_a_access", greeted, checkForeign(Helo, serverKeys(heloDomain, nil, true))},
		{"check_helo_mx_access", greeted, checkForeign(Helo, serverKeys(heloDomain, exchangersOf, true))},
		{"check_helo_ns_access", greeted, checkForeign(Helo, serverKeys(heloDomain, nameServersOf, false))},
		{"check_sasl_access", at(Mail, Rcpt, Data, EndOfData, Etrn), checkAccess(saslLogin, loginKeys)},
		{"check_sender_access", sender, checkAccess(Mail, senderKeys)},
		{"check_sender_a_access", sender, checkForeign(Mail, serverKeys(senderDomain, nil, true))},
		{"check_sender_mx_access", sender, checkForeign(Mail, serverKeys(senderDomain, exchangersOf, true))},
		{"check_sender_ns_access", sender, checkForeign(Mail, serverKeys(senderDomain, nameServersOf, false))},
		{"check_recipient_access", recipient, checkAccess(Rcpt, recipientKeys)},
		{"check_recipient_a_access", recipient, checkForeign(Rcpt, serverKeys(recipientDomain, nil, true))},
		{"check_recipient_mx_access", recipient, checkForeign(Rcpt, serverKeys(recipientDomain, exchangersOf, true))},
		{"check_recipient_ns_access", recipient, checkForeign(Rcpt, serverKeys(recipientDomain, nameServersOf, false))},
		{"check_etrn_access", at(Etrn), checkAccess(Etrn, etrnKeys)},
	}
}

func all() stages { return at(Connect, Helo, Mail, Rcpt, Data, EndOfData, Etrn) }

func greeted() stages { return at(Helo, Mail, Rcpt, Data, EndOfData, Etrn) }

// rows lists every restriction. A new one is a file and a row here.
func rows() []row {
	all := all()
	// Nobody logs in before.
	loggedIn := at(Mail, Rcpt, Data, EndOfData, Etrn)
	return []row{
		{"permit", all, permitAll},
		{"reject", all, rejectAll},
		{"defer", all, deferAll},
		{"permit_mynetworks", all, permitMynetworks},
		{"permit_sasl_authenticated", loggedIn, permitAuthenticated},
		{"permit_tls_clientcerts", all, permitClientCerts},
		{"permit_tls_all_clientcerts", all, permitAllClientCerts},
		{"reject_unauthenticated", loggedIn, rejectUnauthenticated},
		{"reject_sender_login_mismatch", at(Mail, Rcpt), senderLogin(true, true, false)},
		{"reject_authenticated_sender_login_mismatch", at(Mail, Rcpt), senderLogin(true, false, false)},
		{"reject_unauthenticated_sender_login_mismatch", at(Mail, Rcpt), senderLogin(false, true, false)},
		{"reject_known_sender_login_mismatch", at(Mail, Rcpt), senderLogin(true, true, true)},
		{"reject_invalid_helo_hostname", greeted(), ofHelo(invalidHelo)},
		{"reject_non_fqdn_helo_hostname", greeted(), ofHelo(nonFQDNHelo)},
		{"reject_non_fqdn_sender", at(Mail, Rcpt, Data, EndOfData), rejectNonFQDNSender},
		{"reject_non_fqdn_recipient", at(Rcpt), rejectNonFQDNRecipient},
		{"permit_inet_interfaces", all, permitInetInterfaces},
		{"reject_unknown_client_hostname", all, rejectUnknownClient},
		{"reject_unknown_reverse_client_hostname", all, rejectUnknownReverseClient},
		{"reject_unknown_helo_hostname", greeted(), ofHelo(unknownHelo)},
		{"reject_unknown_sender_domain", at(Mail, Rcpt, Data, EndOfData), rejectUnknownSenderDomain},
		{"reject_unlisted_sender", at(Mail, Rcpt, Data, EndOfData), rejectUnlistedSender},
		{"reject_unverified_sender", at(Mail, Rcpt, Data, EndOfData), rejectUnverifiedSender},
		{"reject_unverified_recipient", at(Rcpt), rejectUnverifiedRecipient},
		{"reject_unknown_recipient_domain", at(Rcpt), rejectUnknownRecipientDomain},
		{"reject_multi_recipient_bounce", at(Rcpt, Data, EndOfData), rejectMultiRecipientBounce},
		{"reject_plaintext_session", all, rejectPlaintextSession},
		{"reject_unauth_pipelining", all, rejectUnauthPipelining},
		{"defer_if_permit", all, deferIfPermit},
		{"defer_if_reject", all, deferIfReject},
		{"permit_auth_destination", at(Rcpt), permitAuthDestination},
		{"permit_mx_backup", at(Rcpt), permitMXBackup},
		{"reject_unauth_destination", at(Rcpt), unauthDestination(dsn.Policy, func(e *Env) int { return e.Codes.RelayDomains })},
		{"defer_unauth_destination", at(Rcpt), unauthDestination(dsn.PolicyLater, func(*Env) int { return 454 })},
		{"reject_unlisted_recipient", at(Rcpt), rejectUnlistedRecipient},
		{"reject_relocated_recipient", at(Rcpt), rejectRelocatedRecipient},
		{"reject_over_quota", at(Rcpt), rejectOverQuota},
	}
}
