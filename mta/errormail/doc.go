// Package errormail is the delivery agent that delivers nothing: every
// recipient gets the error that the route carries. The resolver uses it for
// addresses that exist no more, that moved, or that cannot be looked up now.
// It is Postfix's error(8) and retry(8) in one: which of both follows from the
// status of the error.
//
// A route without an error is a mistake of the resolver; its mail waits with
// 4.3.5. It reads no parameters and touches no files.
package errormail
