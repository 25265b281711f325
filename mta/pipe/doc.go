// Package pipe is the delivery agent that hands a message to a command: Postfix's
// pipe(8).
//
// # What it does
//
// [Agent.Deliver] runs the command of its transport once for all recipients of the
// request, as the transport's user, without a shell. The message is its standard input. What
// the command says counts for all of them.
//
// An argument that has a macro about recipients stands there once for each:
//
//	sender recipient original_recipient     whole addresses, without quotes; flag q quotes them
//	user extension mailbox domain           parts of the recipient: user+extension@domain
//	nexthop queue_id size
//	client_address client_helo client_hostname client_protocol
//	sasl_username sasl_sender
//	client_port sasl_method                 empty: the queue does not keep them
//
// An argument that begins with a macro never begins with "-" because of its value, which the command
// would take for an option: such a recipient gets 5.1.3, mail of such a sender 5.1.7,
// as in Postfix with allow_min_user = no; what a client says of itself gets a "_" in its
// place.
//
// Flags are Postfix's, B D F O R X h q u . and >; D also ends loops (5.4.6).
//
// # Parameters
//
// Those of [[transport]] that are for the agent pipe: user, argv, flags, directory, eol,
// null_sender, size, time_limit; main.export_environment.
//
// # Results
//
//	2.0.0  the command has ended with 0; "relayed" in reports, "delivered" with flag X
//	5.2.3  the message is larger than size
//	5.4.6  flag D: the recipient is in a Delivered-To of the message
//	4.3.5  this process cannot become the user
//	other  see internal/process
//
// A success is durable as far as the command makes it so.
//
// # What it does not do
//
// It makes no jail (chroot=): a program that needs one is started by chroot(8), as the argv of a
// user that may. A delivery that is cut off by the end of the process is made again: the
// command may then get a message twice, as in Postfix.
package pipe
