// Package trace writes the header fields that a system adds to mail on its way
// (RFC 5321 section 4.4): [Received] where it comes in, [Final] where it
// arrives. Whatever a peer has said is made harmless: it makes no line of its
// own and no comment.
//
// It also reads what earlier systems have left: [Delivered] remembers to whom the message was delivered before.
//
// It decides nothing: who asks says what is known and what may be told.
//
// Lines end with LF. Nothing is longer than what is given plus 300 octets.
package trace
