// Package addr is the mail address: parse, quote, fold, IDNA, extension.
// It is the only place in the system that splits at "@".
//
// # What it does
//
// An [Address] is a value with an unquoted local part and a domain in lower
// case ASCII (A-labels, or an address literal as written). The zero Address is
// the null sender "<>". [Parse] reads an address as users and tables write it,
// [ParsePath] the path of MAIL FROM and RCPT TO with angle brackets and a
// source route (which is dropped, RFC 5321 appendix C). [Address.String] quotes
// the local part where the syntax needs it.
//
// [Address.Fold] is the form to compare and to look up: lower case. RFC 5321
// section 2.4 lets hosts treat local parts case-sensitively; no mail system
// that hosts other people's mailboxes does.
//
// A local part may be UTF-8, but of visible characters: invisible ones (byte
// order mark, joiners, no-break space, unassigned code points) would make two
// addresses that look the same, and come from careless copying.
//
// # What it does not do
//
// Header fields (display names, groups, comments) are internal/mime's.
//
// # Limits
//
// A local part has at most 64 octets, a domain 255, a path 256 without its
// brackets (RFC 5321 section 4.5.3.1).
//
// # Standards
//
// RFC 5321 section 4.1.2 and 4.1.3, RFC 6531 (UTF-8 local parts), RFC 5890/UTS
// 46 (domains), RFC 5233 (extension, "subaddress").
package addr
