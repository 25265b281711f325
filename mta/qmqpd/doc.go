// Package qmqpd receives mail by QMQP (Postfix qmqpd(8)), one message a connection, from the hosts of
// qmqpd.authorized_clients.
//
// # What it does
//
// A client sends one netstring that has in it the message, the sender and each recipient, a netstring each. When
// the message is in the queue, durable, the answer is "K" and a text; "Z" says to come again, "D" that it is for nothing. One
// answer is for all recipients, so none is looked up: what cannot be delivered comes back as a report. An answer
// that is no K waits for qmqpd.error_delay. Lines of the message end with LF. Separator lines of an mbox file at its
// beginning become fields X-Mailbox-Line.
//
// # What it does not do
//
// It knows no TLS and no log-in: who is served is a matter of networks. A sender of the form "list-@host-@[]" (VERP) is
// refused, as an address that is none.
//
// # Results
//
//	Kok: queued as ID
//	D  a client that is not served; no netstring; a message larger than smtpd.message_size_limit; an
//	   envelope longer than 8 MiB; an address that is none; no recipients; what mta/cleanup refuses for good
//	Z  the disk is full; what mta/cleanup cannot say now
//
// A client that ends the connection, or is silent, before the last octet has handed in nothing.
//
// # Parameters
//
// The section [qmqpd]; smtpd.message_size_limit, main.hostname.
package qmqpd
