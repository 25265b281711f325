// Package smtpreply reads replies of SMTP and LMTP servers, and of mail filters that want to be quoted.
//
// # What it does
//
// [Read] takes one reply from a connection: lines "250-text" up to one without a hyphen. [Assembler] does the same with
// lines that somebody else reads, [Whole] with a reply that is there in one piece.
//
// Of lines with different codes the last one counts, as in Postfix, as long as they have one class. The status of the reply
// (RFC 2034, RFC 3463) is the last one that stands in a line and has the class of the code; blanks may stand before it.
// Without one it is that of the class, x.0.0, and [Reply.Enhanced] is false. A line may end in LF alone, and in more than one
// CR. Its text is made printable: a control, a NUL, and what is no UTF-8 becomes a question mark. Of a line that is longer than
// wire.DefaultMaxLine the beginning counts: its text is nobody's affair, its code is.
//
// # What is no reply
//
// [ErrMalformed]: a line that does not begin with three digits from 200 to 599, followed by a blank, a hyphen or nothing;
// lines of two classes. Postfix passes over a line that is none, and takes the next one that is for the answer: see
// docs/internals/decisions/0056-replies-out-of-step.md. [ErrTooLong]: more octets than [Limits] allow. A connection is of no
// use after either: where the next reply begins is not known.
//
// # What it does not do
//
// It knows no command and no time: who asks sets the deadline, once for the whole reply, and says what a code means where it
// stands, 421 included. It keeps nothing between two replies.
package smtpreply
