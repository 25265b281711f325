// Package bounce makes delivery reports and puts them into the queue (Postfix
// bounce(8)).
//
// # What it does
//
// [Generator.Report] makes one message of type multipart/report: a text for
// people, a message/delivery-status for programs, and the message or its
// header. The kinds are failure, delay, success (delivered, relayed, expanded), and verified, the
// answer to `sendmail -bv`, which has no message. It is
// submitted through envelope.Submitter, the same door as all mail, with the
// null sender, Auto-Submitted: auto-replied, from MAILER-DAEMON at this host.
//
// A report goes only to somebody who wants it: never to the null sender, and
// not for recipients whose NOTIFY says otherwise (RFC 3461 section 5.2). What
// nobody wants is no error.
//
// A failure report returns the whole message up to bounce.size_limit, of a
// larger one, and with RET=HDRS, the header. Delay and success return the
// header. A header longer than the limit is cut between lines.
//
// When the message needed SMTPUTF8, or an address is not ASCII, the parts are
// those of RFC 6533 (message/global-delivery-status, message/global,
// message/global-headers) and the report is SMTPUTF8 mail itself.
//
// # What it does not do
//
// It decides nothing about a recipient; qmgr does. It keeps no state.
//
// # Parameters
//
// The section [bounce]; see configs/bounce.go. With bounce.copy_to set, that
// address gets a copy, with the header only, of the reports of bounce.notify_classes: of failures, of
// failures of mail from the null sender, which nobody else hears of, of delays. The last two may
// have an address of their own. A failure to deliver to one of these addresses is not copied. The
// copy does not hold up the sender's report, nor repeat it: when it cannot be
// queued after that, this is an error in the log and the copy is lost.
//
// bounce.template_file has the operator's texts for people, in the form of Postfix's
// bounce(5): failure_template, delay_template, success_template, verify_template, with "$name" for some
// parameters ([Values]). The text is UTF-8. What is wrong with it stops the start.
//
// # Results
//
// An error means that the report is not in the queue, or without one the copy;
// the caller keeps the recipients. The log has one msglog.Notification for each report.
//
// # Standards
//
// RFC 3461, 3462/6522 (multipart/report), 3464, 3834 (Auto-Submitted), 6533.
package bounce
