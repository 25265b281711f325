// Package header reads the header of a message as it lies in the queue and the
// store: lines that end with LF.
//
// # What it does
//
// [Scanner] gives a header's lines in order, each with what it is: the first line
// of a field, one that continues it, something else, or the end. It reads a
// message in memory without a copy, one in a file through a window: a longer
// line comes in pieces. [Pusher] gives the same lines to who gets the message bit by
// bit. [Cut] and [Split] take a line apart.
//
// Only an empty line ends a header, and the end of the message. What is no field
// does not: there readers differ, so who looks for what some reader might see
// reads on. A line that begins with white space continues the one above it,
// whatever that is; the first line of a message continues nothing.
//
// # What it does not do
//
// It unfolds and decodes nothing (internal/mime does), changes nothing, and has
// no opinion on names.
//
// # Standards
//
// RFC 5322 section 2.2, with the obsolete space before the colon of section 4.5.
package header
