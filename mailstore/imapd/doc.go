// Package imapd is the IMAP server: IMAP4rev1 over mailstore.
//
// # What it does
//
// [Server] is a service.Handler; it serves one connection in one goroutine,
// and a second one only while the client is in IDLE. Lines, literals and waits are
// internal/wire's; the codec is our own: the library's server drops octets of
// refused literals into the command stream and writes once per line. Its types
// are our vocabulary.
//
// A verb is one file and one row of table.go. The row says in which states it
// may be used, whether sequence numbers are in flight, in which case no EXPUNGE is
// told at its end, which rights it needs of the selected mailbox and of those that it
// names, and which capabilities it brings: CAPABILITY is made of the rows. A search key is a row of searchkeys.go, an option
// of SEARCH one of searchargs.go, of LIST one of list.go, a STATUS item one of
// status.go, a FETCH item one of fetchargs.go. ENABLE keeps what a row says can be
// enabled.
//
// What may match is decided by mailstore/search, texts are read by
// internal/mime/text.
//
// A session is a connection with its states; its parts are args, which reads a
// command, mailbox, the selected one as the session sees it, fetcher, which sends
// messages of it, and lister, which tells mailboxes. A verb is a function over
// them.
//
// # Verbs
//
//	CAPABILITY (RFC 3501)
//	NOOP (RFC 3501)
//	LOGOUT (RFC 3501)
//	STARTTLS (RFC 3501)
//	AUTHENTICATE mechanism [initial] (RFC 3501, 4959)
//	LOGIN user password (RFC 3501)
//	ID (field value ...) | NIL (RFC 2971)
//	ENABLE capability ... (RFC 5161)
//	IDLE (RFC 2177)
//	NAMESPACE (RFC 2342)
//	SELECT mailbox (RFC 3501)
//	EXAMINE mailbox (RFC 3501)
//	UNSELECT (RFC 3691)
//	CHECK (RFC 3501)
//	CLOSE (RFC 3501)
//	EXPUNGE (RFC 3501)
//	UID EXPUNGE set (RFC 4315)
//	MOVE set mailbox (RFC 6851)
//	UID MOVE set mailbox (RFC 6851)
//	COPY set mailbox (RFC 3501)
//	UID COPY set mailbox (RFC 3501)
//	LIST [(options)] reference pattern | (patterns) [RETURN (options)] (RFC 3501, 3348, 5258, 5819, 6154)
//	LSUB reference pattern (RFC 3501)
//	CREATE mailbox [(USE (use))] (RFC 3501, 6154)
//	DELETE mailbox (RFC 3501)
//	RENAME mailbox mailbox (RFC 3501)
//	SUBSCRIBE mailbox (RFC 3501)
//	UNSUBSCRIBE mailbox (RFC 3501)
//	STATUS mailbox (items) (RFC 3501, 8438)
//	APPEND mailbox [(flags)] [date] literal (RFC 3501, 4315)
//	SEARCH [RETURN (options)] [CHARSET charset] keys (RFC 3501, 4731, 5032, 5182)
//	UID SEARCH the same
//	FETCH set items (RFC 3501)
//	UID FETCH set items (RFC 3501)
//	STORE set [+|-]FLAGS[.SILENT] flags (RFC 3501)
//	UID STORE set [+|-]FLAGS[.SILENT] flags (RFC 3501)
//
// # Messages
//
// FLAGS, ENVELOPE and BODYSTRUCTURE come from the store's index as ready
// octets. BODY[...] is found by offsets (internal/mime) and streamed from the
// file, LF becoming CR LF and NUL, which a literal cannot hold, 0x80; memory
// does not depend on the size of a message. APPEND streams into the store's
// spool. Answers are gathered and written when the server waits for the client,
// or when 30 KiB are together.
//
// # Bounds
//
// What a command may cost has a bound: its octets (imapd.max_line, max_literal),
// its keys, patterns and items, the tests and reads of a SEARCH. Every loop over
// messages, folders, keys or octets of files calls conn.step, which looks from
// time to time whether the client is still there and the session's context
// holds. A LIST pattern is an automaton whose steps are linear in the name.
//
// # What it does not do
//
// It verifies no password (mailstore/login, directory/password) and keeps no
// mail. CONDSTORE, QRESYNC, SORT, THREAD, COMPRESS, METADATA, ACL and QUOTA are
// not there yet, nor is UTF8=ACCEPT.
//
// # Parameters
//
// The section [imapd], see configs.IMAPD.
//
// # Results
//
// A command that cannot be understood is BAD and counts: after
// imapd.max_bad_commands of them, 5 before log-in, the session ends with BYE.
// After log-in a good command begins the count anew; ten times as many in all
// end the session, too. A command that cannot be done is NO with a code of RFC
// 5530; reply.go has the table from the store's errors to codes. An error that
// is none of the store's set is logged and is NO [SERVERBUG], which clients take
// as temporary. SEARCH and STORE that passed over a message which another
// session expunged are OK [EXPUNGEISSUED].
//
// SEARCH compares text as i;unicode-casemap does (RFC 5051): case, composition
// and width are the same.
//
// A literal over a limit is NO [TOOBIG] (RFC 4469) and, when it comes without
// synchronisation, read and dropped, as is the rest of a line over
// imapd.max_line. More than imapd.max_discard of either, before log-in more
// than imapd.max_literal, is BAD [TOOBIG] and BYE. Before log-in, octets that
// begin no line of text, like those of TLS, are answered with BYE at once.
//
// A session whose mailbox is renamed, by itself or another one, keeps it; when
// it is deleted the session ends with BYE, in IDLE at once. So it does when the
// mailbox has got another UIDVALIDITY: no number of the session means the same.
//
// What a session may not do with a mailbox of others is NO [NOPERM]; one that it may
// not know of is not there. A mailbox in which it may change nothing is [READ-ONLY],
// PERMANENTFLAGS are those that it may change, and STORE changes those of a list that
// it may (RFC 4314 section 4). There are such mailboxes once the store has namespaces
// (mailstore.Namespace).
//
// # Safety
//
// On a connection that is not secure (see mailstore/login) LOGINDISABLED is
// told, and LOGIN is refused before its password is read. What was read ahead
// of STARTTLS is dropped.
//
// # Memory
//
// A connection that waits holds a buffer of 4 KiB, a stack or two, and the
// store's view; with TLS also what crypto/tls holds.
//
// # Standards
//
// RFC 3501; 2177 (IDLE), 2342 (NAMESPACE), 2971 (ID), 3348 (CHILDREN), 3691
// (UNSELECT), 4315 (UIDPLUS), 4731 (ESEARCH), 4959 (SASL-IR), 5032 (WITHIN),
// 5161 (ENABLE), 5182 (SEARCHRES), 5258 (LIST-EXTENDED), 5530 (response codes),
// 5819 (LIST-STATUS), 6154 (SPECIAL-USE), 6851 (MOVE), 7888 (LITERAL+), 8438
// (STATUS=SIZE).
package imapd
