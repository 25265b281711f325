// Package mbox reads and writes files of many messages, one behind the other.
//
// # What it does
//
// A [Reader] finds the messages of a file, with what the file says of each: date,
// flags, keywords. [Message.WriteTo] writes one as it was before somebody put it
// into the file. A [Writer] writes messages that this Reader gives back octet by
// octet, and that mutt, Dovecot and Python read.
//
// # The format
//
// There is no one format. A message begins with a line "From SENDER DATE" and ends
// with a blank line before the next of them. Lines of the text that look like one
// are told apart in one of these ways ([Format]):
//
//	mboxrd    every line of ">"s and "From " has one ">" more: nothing is lost
//	mboxo     only "From " gets one, so ">From " means two things
//	mboxcl    as mboxo, and Content-Length says where the message ends
//	mboxcl2   Content-Length alone; the lines are as they were
//
// [Auto], the format of a file that says nothing, takes each message as it looks:
// one with a Content-Length behind which another message, or the end, is, is of
// mboxcl2, which mutt and Dovecot write; any other is mboxrd. A Content-Length
// that does not fit is not believed. A line "From " counts when a date is in it, as
// with mutt and Dovecot, whether a blank line is before it or not.
//
// The Writer writes mboxrd. Behind the From line it puts fields: Status, X-Status and
// X-Keywords as mutt and Dovecot know them, and X-Toastmaster-Export ([Export]) with
// what they cannot say; the first has X-IMAPbase, for Dovecot. [IsBeginning] and
// [Message.AsWritten] tell what it wrote from what others did. In a message that has the latter as the last of the fields at
// its very beginning, these are not the message's, and all others are: also a
// Status that somebody sent. Of other messages the fields of mailboxes are taken out, as
// Dovecot does: Status, X-Status, X-Keywords, X-UID, X-IMAP, X-IMAPbase, Content-Length
// with the Lines that mutt puts behind it, and Thunderbird's X-Mozilla-Status, X-Mozilla-Status2 and X-Mozilla-Keys.
//
// A file whose From lines end with CR LF has CR LF for all line ends of that
// message: [Message.CRLF] says so, the owner turns them.
//
// # Memory
//
// It is the same for every file: neither a message nor a line is held. Fields
// beyond the first megabyte of a header are not looked at.
//
// # What it does not do
//
// It locks nothing: who reads a file that somebody delivers to reads it as long as
// it was when it was opened. It decodes no message.
//
// # Results
//
// Octets before the first From line are told ([Message.Skipped]), not dropped in
// silence. Nothing that is in a file is an error, but for a file in which no message is
// ([ErrNotMbox]).
//
// # Standards
//
// RFC 4155; the mbox pages of qmail (cr.yp.to) for the names of the formats.
package mbox
