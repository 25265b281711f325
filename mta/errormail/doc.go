// Package errormail is the delivery agent that delivers nothing: every recipient
// gets a reason. It is Postfix's error(8), which is the agent of two transports.
//
// # What it does
//
// [Bounces] is the agent "error": the mail goes back. [Defers] is "retry": it waits,
// and goes back when its time in the queue is over.
//
// The reason is the error of the route, when it has one: the resolver sends here what
// has moved, is disabled, or does not exist any more. Else it is the nexthop, which an
// administrator (transport.nexthop) or a filter wrote: a text that may begin with a
// status, "5.1.2 This company is closed".
//
// # Parameters
//
// None. A table [[transport]] may give it domains, and the reason.
//
// # Results
//
//	5.0.0  "error", and the nexthop has no status, or one that is not permanent
//	4.0.0  "retry", and the nexthop has no status, or one that is not temporary
//	other  the status of the route's error, or of the nexthop
//
// A reason without a text is "Address is undeliverable".
//
// # What it does not do
//
// It says nothing about the destination: the next message for it is not held back.
// It touches no files.
package errormail
