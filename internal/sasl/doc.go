// Package sasl has the server side of the authentication mechanisms, for SMTP,
// IMAP, POP3 and ManageSieve alike (RFC 4422).
//
// # What it does
//
// [New] makes a mechanism with the interface of go-sasl; [Exchange] runs it
// over any protocol that carries base64 lines (RFC 4954, 5034, 9051 section
// 6.2.2). Who may log in is decided by the [Verify] function of the caller.
// A mechanism is one file and one row in table.go.
//
// # Mechanisms
//
//	PLAIN  RFC 4616
//	LOGIN  draft-murchison-sasl-login: asks for a name, then for a password
//
// Both show the password to the server, so a protocol offers them only on a
// secure connection. That is the caller's to decide (see directory/gate).
//
// # Results
//
// The error of an exchange is Verify's own, or [ErrCancelled], [ErrSyntax] or
// [ErrTooLong], or what the connection said. An encoded line has at most
// [MaxLine] octets, a decoded name or password at most 1,024.
package sasl
