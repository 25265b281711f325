// Package netstring is D. J. Bernstein's framing of texts: "5:hello,". The socketmap
// protocol (socketmap_table(5)) has its questions and answers in it, and QMQP its messages.
//
// # What it does
//
// [Read] reads one, of at most as many octets as the caller takes; [ReadLength] reads its beginning for a
// caller that does not want the text in memory; [Append] writes one.
//
// # What it does not do
//
// It has no deadline and no buffer of its own: both are the caller's. Nothing is skipped after
// an error, because it is not known where the next text begins: the connection is over.
//
// # Results
//
//	io.EOF                nothing is there, between two texts
//	io.ErrUnexpectedEOF   it ended inside of one
//	*[TooLong]            it says to be longer than is taken; its text was not read
//	[ErrSyntax]           anything else; a length with a leading zero is one, too
package netstring
