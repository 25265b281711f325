// Package milter has the words of the mail filter protocol of Sendmail 8, "milter", and its packets. mta/milter is the client,
// internal/testkit/miltertest a filter.
//
// # What it does
//
// A packet is a length of four octets, a code, and data. [Reader] reads packets, [Append] makes one. What a packet may be
// are [Command] and [Reply], what both sides agree on before are [Actions] and [Steps].
//
// # What it does not do
//
// It knows no order of packets, and no connection.
//
// # Memory
//
// A Reader has room for the packet that it reads, and makes room only for octets that came: a length alone
// costs nothing. Its data is valid until the next packet is read.
//
// # Results
//
// [ErrLength] for a packet of no octet, or of more than Reader.Max.
//
// # Standards
//
// There is none; Sendmail's libmilter/docs, version 6 of the protocol, and MILTER_README of Postfix.
package milter
