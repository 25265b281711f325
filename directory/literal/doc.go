// Package literal lets an address literal of this host stand for main.hostname:
// mail for user@[192.0.2.1] is mail for user@main.hostname where 192.0.2.1 is
// ours, as Postfix's resolve_local has it.
//
// # What it does
//
// [New] puts a back end in front of another. A domain that is a literal of this
// host is an alias domain of main.hostname, and exists as long as that is hosted.
// All other questions pass.
//
// # What it does not do
//
// It does not decide what happens to a literal of ours when main.hostname is not
// hosted: whoever asks hears "not found" and must not relay (mta/smtpd,
// mta/rewrite).
package literal
