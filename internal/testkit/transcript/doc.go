// Package transcript runs dialogues of line protocols that are written as text
// files, one file per dialogue, against a server.
//
// # Format
//
//	# a comment; empty lines are ignored
//	S: 220 mx.test *        a line of the server; * stands for any text
//	C: EHLO client.test     a line of the client; CR LF is added
//	S: ...                  any number of lines, up to the next S line
//	C> text\r\n             octets of the client, nothing is added
//	TLS                     the client starts TLS
//	S: <end>                the server closes the connection
//	C2: text, S2: text      the same of a second connection; 3 to 9 as well
//
// Client lines without an S line between them are sent with one write, as a
// pipelining client does. In client lines \r \n \t \0 \\ and \xHH are octets,
// \{text*n} repeats text n times, and ${name} is replaced from
// [Options.Vars], in server lines too. A connection with a number is opened by its
// first line.
//
// # What the dialogues have
//
// [Says] finds in the source of a package what it may say to a client, and
// [Spoken.Check] fails for what no dialogue has.
package transcript
