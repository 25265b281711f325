// Package envelope is what travels beside a message: queue ID, sender,
// recipients, DSN options (RFC 3461) and where it came from; and [Content],
// the message itself, held in memory or in a file.
//
// It is plain data, with the form in which DSN options travel (RFC 3461, RFC
// 6533): [ParseNotify], [ParseORcpt], xtext. It does not look anything up, rewrite or encode itself:
// the on-disk form is mta/queue's.
package envelope
