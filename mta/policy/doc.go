// Package policy has the restrictions of smtpd: whether a client, a sender, a
// recipient or a message is taken.
//
// # What it does
//
// A restriction is a row of the table in table.go, under Postfix's name where
// Postfix has it. [Compile] makes a [List] of the names in a parameter, for a
// [Stage]; [List.Decide] asks them in their order, and the first that has an answer
// decides. [CompileLists] makes all lists of a kind of port, and refuses those
// that would make it an open relay.
//
// An item of a list is a name, with an argument where the restriction takes one
// ("reject_rbl_client list.example.org=127.0.0.[2..11]"). An argument may be a list of its own:
// warn_if_reject and a [[restriction_class]] hold others (conditions.go). An unknown name or a bad
// argument is a [Mistake] with its item.
//
// With smtpd.delay_reject the lists of client, HELO and sender are asked at RCPT, in this order, and
// a restriction then knows all that is known there.
//
// A reply names the client, the HELO name, the sender or the recipient as the client
// gave it, as Postfix does. docs/internals/extending.md adds a restriction.
//
// A restriction sees a [Transaction], what is known of the session, and asks the
// [Env]. The directory is asked once for each recipient, by the first
// restriction that wants to know; the others read the same answer
// (destination.go). That is also where smtpd.postmaster stands in for the
// addresses that must exist (RFC 5321 section 4.5.1).
//
// # Restrictions
//
// docs/restrictions.md has them for operators, with their replies. Postfix has no
// counterpart of
//
//	reject_unauthenticated      530 5.7.0 before log-in
//	reject_relocated_recipient  551 5.1.6, which Postfix has in reject_unlisted_recipient
//	reject_over_quota           552 5.2.2 by the announced size, or 452 4.2.2
//
// # Results
//
// [Permit] and [Dunno] let pass; [Reject] and [Defer] carry the reply. The other actions
// refuse nothing: they are noted (Transaction.Noted), and smtpd does them to the message,
// as Postfix:
//
//	HOLD             the queue keeps it until an operator releases it
//	FILTER tr:hop    every recipient goes to that transport and nexthop
//	DISCARD          the same, to the transport discard, whatever else is wanted but HOLD; no other
//	                 restriction is asked about it, in this list or another
//	REDIRECT addr    it goes to that address in the place of its recipients, without FILTER and BCC
//	BCC addr         it goes to that address, too, who gets no report
//	PREPEND field    it stands above all others
//	WARN, INFO text  a line in the log
//
// An action without sense (REDIRECT to no address) is 451 4.3.5.
//
// # Access tables
//
// check_*_access look up walks of keys (directory/tables/keys) in a table, which is opened when the
// list is compiled. [ParseResult] reads what they find, for policy services, too: an action of access(5), or
// restrictions that are asked about what was looked up (access.go). 451 4.3.5 is the answer of a table that has none, of a
// text without sense, and of OK where the client chooses what is looked up.
//
// [ParseContent] reads an action of header_checks(5), and [Orders] are what is to be done to a
// message, for smtpd and cleanup.
//
// defer_if_permit and defer_if_reject are noted, too, and change the outcome of the list that comes after.
// A name server that does not answer refuses nobody for good: reject_unknown_* defer, at once or unless
// something else refuses (smtpd.*_tempfail_action). A DNS list that does not answer lets pass, with a line in the log; one that
// permits (permit_dnswl_client) defers who would be refused.
//
// # What it does not do
//
// It has no state and counts nothing: rates of clients and limits of users are
// smtpd's own and cannot be left out. It logs what could not be asked (a quota, a DNS list), and
// what warn_if_reject would have refused.
//
// # The walk of a recipient
//
// From the command to its reply:
//
//	smtpserver  run -> rcpt -> addr.ParsePath
//	smtpd       Rcpt -> mayRcpt, underLimits -> refused
//	policy      List.Decide -> a Check -> destination
//	directory   the decision about the address
//	smtpserver  ok, or rejected and replyError
//
// # Policy services
//
// check_policy_service asks a program (internal/policyclient) and obeys as it obeys a table. What it
// is told is what Postfix tells; a service that does not answer is smtpd.policy_service_default_action.
//
// # Parameters
//
// smtpd.*_restrictions and smtpd.mua_*_restrictions, smtpd.delay_reject and mua_delay_reject,
// smtpd.*_reject_code, *_tempfail_action, default_rbl_reply, smtpd.postmaster, smtpd.check_sender_login,
// smtpd.policy_service_*, smtpd.null_access_lookup_key, [[restriction_class]].
package policy
