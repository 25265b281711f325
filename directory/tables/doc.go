// Package tables is lookup tables: access lists, transports, policies, rewritings, each
// named "type:argument" as Postfix names them.
//
// # What it does
//
// A [Set] opens each table once for the whole process, however many parameters name it.
// A [Table] answers a key with a text, or with one of three errors (directory.Outcome):
// not found, unavailable (ask again), misconfigured (an operator must act). [Maps] is a
// list of tables, of which the first that answers wins. Package keys says by which keys
// an address or a client is looked up.
//
//	texthash:file           "key text" lines; hash, btree, lmdb, cdb, dbm and sdbm read
//	                        the same text file, and need no postmap
//	aliases:file            "name: value, value" lines: aliases(5)
//	cidr:file               "network text" lines, if, endif, !: cidr_table(5)
//	regexp:file pcre:file   "/pattern/flags text" lines: regexp_table(5), pcre_table(5)
//	cidr:{ {line}, {line} } the same without a file; regexp and pcre, too
//	inline:{ k=v, {k = v} } keys and texts in the name
//	static:text             the text, whatever is asked; static:{text with spaces}
//	socketmap:inet:host:port:name, socketmap:unix:path:name
//	                        a server of socketmap_table(5)
//	tcp:host:port           a server of tcp_table(5)
//	unionmap:{t1, t2}       what all have, with commas between
//	pipemap:{t1, t2}        t2 is asked for what t1 has
//	randmap:{a, b}          one of them
//	environ:x fail:x        variables of the process; no answer
//	proxy:type:argument     the table itself: all are shared
//	directory:name          domains, mailboxes, aliases, recipients, senders or relocated
//	                        of the directory
//
// Keys of texthash, inline and environ are folded (Unicode's full case folding) in the
// table and when they are asked for, unless Options.KeepCase says otherwise.
//
// # Files
//
// A line that begins with white space continues the one before. Empty lines, and lines
// whose first character is "#", are no part of any. A mistake in a file is a [*Mistake]
// with file and line, and the table is not opened: to leave out a rule, as Postfix does,
// could let in what it should refuse. What cannot change an answer is a warning in the
// log: a duplicate key (the first counts), text behind endif.
//
// Each file is looked at when it is asked, at most once in a second, and is read again
// when its time, size or inode has changed. A new version with a mistake leaves the one
// before in use, and is logged once. Replace a file by a rename: one that is written in
// place may be read half.
//
// # Patterns
//
// pcre takes Perl's patterns. Those that Go's engine has, too, take a time that grows
// with the length of text and pattern; others (lookaround, references to groups, atomic
// groups) go to an engine that tries, with Params.MatchTimeout and a bound on its memory;
// what it cannot do within them is a temporary failure. regexp takes POSIX patterns as
// GNU's regcomp(3), the longest of the leftmost matches; it has no references to groups.
// Both read UTF-8: a dot is a character, not an octet.
//
// # Servers
//
// Connections to a server are shared by all tables on it, and kept for Params.MaxIdle. A
// connection that the server has ended meanwhile is made anew once. Everything else that
// goes wrong is unavailable; a socketmap server that says PERM is misconfigured.
//
// # Parameters
//
// Section [tables] of the configuration: sizes, entries, times, connections. Lists of
// tables are parameters of their daemons (configs.Tables).
package tables
