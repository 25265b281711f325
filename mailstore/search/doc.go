// Package search decides which messages match. SEARCH uses it; SORT, THREAD,
// filters at delivery and a full-text index can: there is no protocol in it.
//
// # What it does
//
// A [Key] is a node of what is looked for; [And] and [Or] put what is cheap first.
// [New] makes a [Program] of it, and [Program.Match] asks a [Source] for what the
// keys need, which is nothing but [Info] for most: a [Column], the record of a message, its
// content, in the order of what they cost. Texts are compared as
// internal/mime/text folds them. Keys that look into the same texts read them once.
//
// What SORT and THREAD compare is here too: [SortKeys], made once when a message is
// scanned (RFC 5256: base subject, sent date).
//
// # What it does not do
//
// It reads no syntax, knows no mailbox and runs over none: the caller goes through
// the messages, those of [Program.Candidates] at most. A message that is gone or
// cannot be read is an error of the Source, which comes back as it is.
//
// # Bounds
//
// [Limits] are those of a program, for all of its messages together: tests
// ([ErrTests]), and octets read ([ErrWork]). Step is told the work as it is done, so
// that somebody can end it. Memory is bounded by 1 MiB of one header and 1 MiB of
// folded texts.
package search
