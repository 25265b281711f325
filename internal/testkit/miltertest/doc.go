// Package miltertest is a mail filter that a test directs: it writes down what it is sent, and answers as a script says, sense or
// nonsense.
//
// It speaks the packets of internal/milter and has no client: mta/milter, Debian's Postfix, whoever connects.
package miltertest
