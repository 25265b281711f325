// Package dsn gives every outcome of the mail system one type: an enhanced
// status code (RFC 3463) with a text for the peer and a cause for the log.
//
// # What it does
//
// A [Status] is the x.y.z of RFC 3463 as one comparable number. An [Error]
// carries a Status, a text that may be shown to a stranger and, apart from it,
// the cause that only the log may see. Whether an error is permanent or
// temporary is computed from the status and never stored beside it.
//
// [From] turns any error into an *Error. An error that is none of ours becomes
// 4.3.0: what we do not understand waits, it never bounces.
//
// # What it does not do
//
// It knows no protocol. The SMTP reply code is derived by [Error.Reply] when
// nobody chose one; IMAP and POP3 have their own tables.
//
// # Standards
//
// RFC 3463 (enhanced status codes), RFC 5248 (registry), RFC 5321 section 4.2.
package dsn
