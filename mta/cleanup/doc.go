// Package cleanup is the one way into the queue: it completes a message that
// was received, expands its recipients and hands it to mta/queue. smtpd and
// bounce call it through envelope.Submitter.
//
// # What it does
//
// [Cleanup.Submit] lets a message pass its stages and calls the queue. When it
// returns nil the message is on disk; when it returns an error nothing was kept.
//
// # Content checks
//
// Mail that comes in (Submission.Incoming) is looked up in the tables of header_checks,
// mime_header_checks, nested_header_checks and body_checks before all stages, first what
// smtpd puts on top of it, Received and the fields of PREPEND. What a table wants changed makes
// another content, which the stages see; without a change it is the same one, without a
// copy. What is to be done to the whole message goes to the envelope (policy.Orders). Where parts
// are says internal/mime; docs/content-checks.md has the actions and what Postfix does.
//
// What cleanup.message_reject_characters and message_strip_characters name is refused, or taken out, before that.
//
// # Stages
//
// A stage is a row of begin in stages.go and a file. All of them see the header in
// one pass (internal/header), and what one removes those behind it do not see; then
// each does its work, in the same order, and may refuse the message:
//
//	author    refuses what shows a user's message as somebody else's
//	claims    removes Authentication-Results in our name
//	drops     removes the fields of cleanup.drop_headers
//	rewriting maps the addresses of the envelope, and those of the header
//	facts     notes which of Date, From, Message-ID are there
//	hops      counts Received, refuses a message that goes in circles
//	stamp     the fields of PREPEND, and Received
//	complete  adds what mail of our users lacks
//	assemble  decides what becomes the prefix and what stays where it lies
//	filters   shows the message to mail filters, and does what they want
//	actions   recipients that a restriction or a table wants: a redirection, blind copies
//	aliases   expands the recipients
//	label     finds out of some mail whether it is SMTPUTF8, and of all whether it is 8BITMIME
//	loops     refuses recipients that are in a Delivered-To
//	room      takes room in mailboxes with a quota
//
// The message that comes out:
//
//   - The fields that a restriction wants (PREPEND) are on top, in their order.
//   - Received follows (RFC 5321 section 4.4), with the protocol name of
//     RFC 3848, what TLS was used, and the recipient if there is only one.
//   - Mail from our own users (Submission.Complete) gets the Date, Message-ID
//     and From that it lacks (RFC 6409 section 8); one that is resent the Resent- fields in their place.
//   - In mail from outside (Submission.Outside) an Authentication-Results that
//     says to be ours, or whose identifier cannot be read, is removed (RFC 8601
//     section 5), also behind a line that is no field.
//   - The fields of cleanup.drop_headers are removed. The body is never read
//     for that, and never copied when it lies in memory; a large message in a
//     file is copied only when it has such a field.
//   - A content whose first line is no header field gets an empty line before
//     it, so that the trace header does not swallow it.
//
// # Filters
//
// Mail filters (mta/milter) see the message as it is to be, with the fields that were added and without those that were removed, and
// recipients as the client gave them. What came by SMTP is shown to those that smtpd has told of the client
// (Submission.Filter); what came otherwise to those of cleanup.non_smtpd_milters, reports and mail that mailboxes send only where
// cleanup.internal_mail_filter_classes names them. Fields that they add or change are looked up in milter.header_checks. A message
// without a recipient left is discarded. docs/milters.md has the rest.
//
// # Authors
//
// A user (Submission.Author) writes as the own address, with an extension, in an
// alias domain too, and as an alias that leads to the user's mailbox (mta/policy
// has the rule, which holds for the envelope, too). What the header shows as author are From,
// Sender, Resent-From and Resent-Sender, and addresses inside of display names and comments.
//
//	another address of ours          550 5.7.1
//	an address of another host       a line "foreign author" in the log;
//	                                 550 5.7.1 without smtpd.foreign_header_from
//	From or Sender twice, or one
//	that cannot be read              550 5.6.0
//
// A header is read as the most forgiving mail program would: a bare CR ends a
// line, a line that is no field does not end the header, and control characters in
// a name do not count.
//
// # Addresses
//
// Sender and recipients pass sender_canonical_maps or recipient_canonical_maps, canonical_maps and the
// masquerade (mta/addrmap). In the header of a client that is local (Submission.Rewrite) the addresses of
// From, To and their like are completed and pass the same; the fields in which one changes are
// written anew (internal/addrfield), all others stay, octet by octet. Who writes as whom is decided
// by what the user wrote.
//
// # Aliases
//
// This is the only place that expands them, those of virtual_alias_maps and of the directory, with
// directory.Expand, and maps nothing else. An alias that names itself ends there: the mailbox of the same
// address keeps a copy. Addresses of alias domains become those of the real
// domain; each final address stands once. What is not found in a hosted
// domain, or has moved, stays a recipient: smtpd has refused those it saw, and
// an alias that points to one is reported by qmgr for that recipient alone.
// The recipient that the client gave, ORCPT and NOTIFY go along with every
// address that an alias stands for (RFC 3461 section 5.2.7). With several of
// them NOTIFY=SUCCESS does not: the recipient that the client gave stays in the
// envelope, after all others and with Recipient.Expanded, for the one report
// that says so.
//
// # Room
//
// Mail that smtpd hands in (Submission.CheckRoom) takes room in the mailboxes with
// a quota that it is for, until it is delivered, so that many messages at once do
// not all count on the same room. Without room for anybody it is refused; beside
// others, a recipient without room goes to the queue with Recipient.Refused.
//
// # What it does not do
//
// It decodes nothing: tables see what is sent.
//
// # Parameters
//
// The section [cleanup], the lookup tables that it names, and main.hostname.
//
// # Results
//
//	5.4.6  more Received fields than cleanup.hop_count_limit
//	4.3.5  more recipients than allowed; a directory that is misconfigured; a table that
//	       says what cannot be done
//	4.3.0  the directory, the queue or a table cannot answer
//	5.7.1  a table of a content check refuses it, with its text, or another status
//	4.3.1  the disk is full
//	5.2.2  no recipient's mailbox has room; 4.2.2 with qmgr.over_quota_temporary
//
// Some recipients cannot be delivered whatever happens: 5.4.6 for aliases that
// make a loop and for an address in a Delivered-To of the message, 5.3.5 for
// aliases beyond the limits. They concern nobody else: such a recipient goes to
// the queue with Recipient.Refused and qmgr reports it. When no other is left
// the message is refused instead, unless the sender is null: then qmgr drops it
// with a line in the log.
//
// # Standards
//
// RFC 5321, 5322, 3848, 6409, 3461, 8601.
package cleanup
