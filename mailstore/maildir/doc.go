// Package maildir knows the names and small files of a Maildir++ tree as
// Dovecot, Courier and mutt know them.
//
// # What it does
//
// It turns mailbox names into folder names and back (modified UTF-7, RFC 3501
// section 5.1.3), makes and parses message file names, and reads and writes
// dovecot-uidlist (version 3), dovecot-keywords, subscriptions (Dovecot's
// version 2 and the old one-name-per-line form) and maildirsize (Maildir++).
//
// # What it does not do
//
// It opens no file and holds no lock: every function works on bytes and
// strings. Who writes which file, when, is the business of package mailstore.
//
// # Message file names
//
//	<seconds>.<unique>.<host>,S=<stored size>,W=<wire size>[:2,<flags>]
//
// The base name is everything before ":2,". It never changes while the
// message lives; the flags are letters in ASCII order: D(raft), F(lagged),
// P(assed), R(eplied), S(een), T(rashed), and a to z for the keywords of
// dovecot-keywords. Files in new/ have no flags, as a rule; Dovecot may give
// them some, so they are read there too.
//
// Other programs spell names otherwise: no ":2,", letters unordered, twice or
// unknown, more fields behind a second comma. Such a name is read and kept as
// it is ([Usual]); when the flags change ([Respell]), unknown letters and
// fields stay, as with Dovecot. What follows a colon but not ":2," has no
// flags and is replaced then. Every known letter counts, wherever it stands and
// however often. Dovecot (2.3.19 to 2.4.4) may lose a keyword of a name that has
// another keyword's letter twice: it depends on which keyword it met first in the
// mailbox, and is not imitated. Dovecot passes over a name with a carriage return
// in it; here it is a message.
//
// # Folders without a usable name
//
// A folder whose name is no valid modified UTF-7, has an empty level, or spells
// INBOX otherwise is shown with U+FFFD before two hex digits for each octet
// that cannot be shown (".&bad" is "\uFFFD26bad"; an empty level is U+FFFD
// alone). The mapping is one to one and back; nothing new gets such a name.
//
// # Results
//
// Readers of files survive any input: a damaged line is skipped and counted,
// only an unknown version is an error.
package maildir
