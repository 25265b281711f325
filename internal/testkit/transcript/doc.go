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
//
// Client lines without an S line between them are sent with one write, as a
// pipelining client does. In client lines \r \n \t \0 \\ and \xHH are octets,
// \{text*n} repeats text n times, and ${name} is replaced from
// [Options.Vars], in server lines too.
package transcript
