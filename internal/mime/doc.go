// Package mime scans a stored message once and answers, from then on, every
// question about its structure without opening it again.
//
// # What it does
//
// [Scan] and [Scanner.ScanBytes] read a message with LF line ends (see
// envelope.Content) and return a [Message]: its size as stored and on the
// wire, the tree of its parts with their offsets, and IMAP's ENVELOPE and
// BODYSTRUCTURE as ready-made wire octets. A [Scanner] does it for one message
// after the other in the same memory. [Message.AppendBinary] and
// [Message.Parse] are the form in which the index keeps it. [Message.Section]
// finds what BODY[1.2.HEADER] and its like name, as a range of the stored file.
//
// Any input is a message. Scanning fails only when the reader does. A line
// without a colon in a header is skipped and the header goes on. A boundary
// line ends a header, too. A Content-Type that cannot be understood is
// text/plain (RFC 2045 section 5.2), and so is, with all of its body, a multipart
// in which no part begins: it has no boundary, or another one. Parameters are
// found where a semicolon is missing, and those continued by RFC 2231 are joined.
//
// # Limits
//
// [Limits] bounds what a hostile message can cost. Beyond MaxDepth a multipart
// or message/rfc822 is one opaque application/octet-stream; beyond MaxParts
// further boundaries belong to the content of the last part; header text
// beyond MaxText is as if it were not there; fields beyond MaxFields are not kept, and
// known not to be. Memory is a window of 64 KiB
// (none for a message in memory) and what is kept of the headers. A line has no limit.
//
// # What it does not do
//
// It does not decode: encoded words (RFC 2047) and the percent-encoding of RFC
// 2231 stay as they are, as IMAP wants them. It does not decide whether a message is
// good; that is policy.
//
// # Wire form
//
// An LF without a CR before it is CR LF on the wire; everything else is itself.
// Sizes with Wire in their name count that form, offsets count stored octets.
//
// # Standards
//
// RFC 5322, RFC 2045, RFC 2046, RFC 3501 section 7.4.2 (ENVELOPE, BODY and
// BODYSTRUCTURE). Where those leave room, the answer is Dovecot's 2.3, so that a
// client's cache survives a move.
package mime
