// Package wire is the one reader and writer of line protocols: SMTP, LMTP,
// IMAP and POP3, server and client alike. Rules about line ends live here and nowhere
// else.
//
// # Reading
//
// [Reader.ReadLine] reads one command or reply line of bounded length. A line
// that is too long is read to its end and reported as [ErrTooLong]; the next
// call reads the next line, and [Reader.Overlong] has its two ends. When more of
// it was read than [Reader.MaxSkipped] it is [ErrEndless], and the connection
// should be closed. [Reader.Content] reads a message in SMTP's DATA
// framing (RFC 5321 section 4.5.2): the end is CR LF . CR LF and nothing else,
// so "LF . LF", "LF . CR LF" and "CR . CR" are content. [Reader.Chunks] reads
// a message in BDAT framing (RFC 3030), [Reader.Literal] one of IMAP, as it
// is; [LFWriter] turns its line ends. The first two give the content either as it was
// on the wire or with CR LF turned into LF; CR CR LF stays three octets, so
// that [ContentWriter] gives back exactly what came in. Memory does not grow
// with the message or with a line of it.
//
// # Bare CR and bare LF
//
// An LF without CR before it, or a CR without LF behind it, is what SMTP
// smuggling is made of. [Policy] says what happens to them: [Reject] reads the
// message to its real end and reports [ErrBareLF] or [ErrBareCR], [Normalize]
// takes a bare LF as a line end and a bare CR as a space (Postfix
// smtpd_forbid_bare_newline, cleanup_replace_stray_cr_lf), [Allow] keeps both.
// Under every policy only CR LF starts a line for the purpose of dots.
//
// # Writing
//
// [Writer] gathers replies and writes them with one call. [ContentWriter]
// turns LF into CR LF and stuffs dots; made by [NewRelayWriter], for other systems,
// it lets no bare CR out; made by [NewLiteralWriter] it stuffs nothing, can write a
// piece only, and says where another one can go on. [Sizer] measures what it would
// write. [Writer.Room] lends the memory in which a response is put together. [Conn] ties a Reader and a Writer to a
// connection: it flushes before it waits for the peer, so a pipelined group of
// commands costs one write.
//
// # Waiting
//
// [Link] is the connection below: it arms a deadline for every read and write, and
// lets other goroutines end a wait without closing the connection, so that the
// goroutine that serves it can still say why. [Link.Poke] makes a wait ask
// whether it should go on; [Link.Cut] ends reads with [ErrCut] and leaves
// writes one second. [Link.Linger] lets the last words arrive at a peer that
// still sends: 2 seconds and 16 MiB at most.
//
// Conn gives a request its time as a whole, as Postfix does with
// smtpd_per_request_deadline: the waits for the octets of a line add up, so that
// nobody holds a place with an octet now and then. Content earns more time by
// what comes ([Conn.MinRate]), never beyond [Conn.ReadTimeout]. IMAP's timeout is
// for the next octets ([Conn.EachRead]), with another one for the start of a command
// ([Conn.IdleTimeout]). [Conn.Limit] bounds the time before log-in, whatever is sent
// in it. [Conn.ReadIdle] is a wait that news end ([Conn.Wake]). [Conn.Stress]
// shortens the wait that goes on. None of this has a timer: it is arithmetic on
// the deadline that each read has anyway. [Conn.Early] says whether the peer
// has sent something before its time.
//
// # Results
//
// Errors of this package are [ErrTooLong], [ErrEndless], [ErrBareLF],
// [ErrBareCR], [ErrNotText], [ErrInterrupted], [ErrWoken] and [ErrCut]; [Refusal] maps
// those after which a session goes on to replies (500 5.5.2, 550 5.5.2).
// Everything else comes from the connection; an end in the middle of a line or
// of content is io.ErrUnexpectedEOF.
//
// # Memory
//
// A reader that waits for a command holds 4 KiB. While content flows it
// borrows a block of 32 KiB from its [Pool]; a writer borrows one only while
// something is gathered.
package wire
