// Package milter asks mail filters: the client's side of Sendmail's milter protocol, for mta/smtpd, which has a client, and for
// mta/cleanup, which has mail without one.
//
// # What it does
//
// [Filters] knows filters by name, a [List] is those of a parameter or of a table. A [Session] tells them of one client, in their
// order: Connect, Helo, Mail, Rcpt, Data, Unknown; each gives a [Verdict]. Filter, which mta/cleanup calls when the message is
// complete, shows it to one after the other, and carries out what each wants changed before the next one sees it.
//
// A filter that has refused the client (CONNECT, HELO) is not asked again, and its refusal stands for all commands; one that has
// accepted hears no more of client or message. RCPT is refused for one recipient alone. What a filter wants changed is done when it
// has said its last word: one that breaks off in the middle has changed nothing.
//
// # Fields
//
// Filters do not see our own Received field, and cannot change it: the number of a field that they change counts those of its
// name that they see. A field that is inserted counts from the top of the message, with ours. It is told with all its lines, which
// have LF between them, and without the space behind its colon, unless LeadingSpace was agreed on; what is longer than
// a packet of libmilter is cut.
//
// # Failures
//
// No connection, no answer within the timeout, garbage, and a wish that cannot be done are the default action of the filter
// (milter.default_action), for all that is left of the session. Nothing has happened to the message then.
//
// # Connections
//
// Each client has a connection to each filter that hears of it, made when the client connects; at most
// milter.max_connections to each filter. With milter.max_idle it is left to the next client (QUIT_NC), who makes a new one where the filter has ended it, also where it does so before its first answer. A filter that has not taken a
// connection in time is let alone for milter.retry_delay.
//
// # Memory
//
// The body is told in pieces of 64 KiB. Changes of fields and recipients are bounded by milter.change_limit; a body in the place of the
// message's goes to the spool.
//
// # What it does not do
//
// It knows no message before cleanup has made it: filters see fields that were added and not those that were removed. It does not notice that the
// client has gone while a filter is at work: the message is kept then, and the client may send it again, as when the 250 is lost.
//
// # Parameters
//
// The section [milter]; the lists are smtpd.milters, smtpd.milter_maps and cleanup.non_smtpd_milters.
//
// # Standards
//
// There is none; see internal/milter.
package milter
