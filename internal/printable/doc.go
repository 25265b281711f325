// Package printable makes text that came from outside fit for a line of a log,
// a reply, a report or a terminal.
//
// # What it does
//
// Each rune that is not to be seen becomes a question mark, as in Postfix:
// controls (line ends, escape sequences, C1), runes without a glyph (those that
// turn the direction of the text, or join, or have no width), and octets that are
// no UTF-8. What stays is what strconv.IsPrint prints.
//
// # What it does not do
//
// It shortens nothing and quotes nothing. The fields of a Received line have
// rules of their own (package trace), and so has what is compared (mta/cleanup).
package printable
