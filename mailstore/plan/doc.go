// Package plan decides what is done with a message for a mailbox, and does it.
//
// # What it does
//
// lmtpd and mta/virtual hand each message for each recipient to an [Executor]. It asks a
// [Planner] for the actions, before any mailbox is chosen, and carries them out: copies
// into mailboxes ([Keep], [FileInto], with [Flags]), the message sent on ([Redirect]), an
// answer ([Vacation]), or a refusal ([Reject]). Today there is one planner, [ToInbox]: the
// message goes into INBOX, whatever the extension of its address.
//
//	Message --Planner--> []Action --check--> copies --> redirections --> answer
//	                                 |         |             |              |
//	                              Reject   mailstore     envelope.Submitter (the queue)
//
// A planner is a function; Sieve will be one. It looks and changes nothing, so that it can
// be asked again.
//
// A mailbox is a name of the owner's session (mailstore.Session), so that rights and
// namespaces hold for mail that is filed as for its owner. One that cannot be had is
// INBOX, with a log line. A plan that does nothing with a message keeps it; to drop it
// takes [Discard]. Two copies for one mailbox are one, as are two redirections to one
// address; a redirection to the recipient is a copy.
//
// Mail that the store sends goes through the envelope.Submitter that it was given: the
// queue, by mta/cleanup, with alias expansion and the check for loops as all mail. A
// redirection has the sender and the content of the message with its Delivered-To, by
// which the loop is found, and without its Return-Path.
//
// # What it does not do
//
// It reads no script and knows no syntax. It does not remember whom it has answered: that
// is the planner's. It expands no alias.
//
// # What is promised
//
// Each action has an ID of its own, made of that of the delivery and of what the action
// does: of the mailbox, of the addresses. The copy in INBOX has the delivery's. It does
// not depend on the place of the action in the plan, which may be another one when the
// delivery is repeated.
//
//   - A copy is made once, whatever ends the process and however often the delivery is
//     repeated (Message.Replay): a file has the name of its ID. Nor does a repetition bring
//     back what its owner has moved or removed since.
//   - A redirection is in the queue when it was answered so, and all addresses of a plan
//     are in one submission: all get it or none does. It is last of what can fail, so no
//     attempt that failed has sent one. When the process ends after the submission and
//     before the queue has the mark that the delivery is done, it is sent once more, with
//     the same ENVID (RFC 3461), which is the action's ID, and the same Message-ID. That
//     mark does not wait for a checkpoint: what sends something is made durable at once
//     (Outcome.Durable). Without an ID (LMTP) nothing is repeated by us.
//   - An answer is sent after all else, under the same rule, and one that cannot be sent
//     is left out, with a log line: it is not worth a second copy of anything.
//
// When an action fails for now, a full disk or a lock, the message as a whole is
// temporary. It comes again, the copies that were made are recognised, and those that
// were not are made. Without an ID they are taken back before the failure is told, so
// that the client's next try makes no second ones; only the end of the process between
// leaves them.
//
// When an action fails for good, such as a copy that is over quota or a redirection that
// cleanup refuses, before a copy was made, the message is refused. After that it is left out with a log line: the
// message has arrived, and a report would say that it has not.
//
// # Bounds
//
// store.max_actions, store.max_redirects. A plan beyond them, or one that rejects a
// message and does something else with it, is carried out in no part: the message waits.
//
// # Parameters
//
// These two, of the section [store].
//
// # Results
//
//	550 5.7.1  rejected, with the planner's text
//	451 4.3.5  the plan cannot be carried out
//	451 4.3.0  the planner failed, or what the store says (mailstore.DSN)
//
// # Standards
//
// RFC 5228 (actions, implicit keep), 5232 (flags), 5429 (reject), 5230 (vacation).
package plan
