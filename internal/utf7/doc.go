// Package utf7 is modified UTF-7 (RFC 3501 section 5.1.3): how the names of
// mailboxes cross the wire in IMAP, and lie on the disk in a Maildir++. Inside they
// are UTF-8.
//
// # What it does
//
// [Append] and [Encode] write the one valid form of a name. [Decode] reads that
// form alone, for names on the disk; [DecodeLoose] reads what clients send.
// [AppendShift] decodes one shift, for patterns in which the rest means something
// else.
//
// # What it does not do
//
// It folds no INBOX and knows no separator, no limit and no name that is not
// allowed (mailstore, mailstore/maildir).
package utf7
