// Package password verifies and makes password hashes and decides log-ins.
//
// # Hashes
//
// A stored hash is "{SCHEME}data" as Dovecot writes it; [Verify] reads
//
//	ARGON2ID ARGON2I                        $argon2id$v=19$m=..,t=..,p=..$salt$key
//	SHA512-CRYPT SHA256-CRYPT MD5-CRYPT     $6$ $5$ $1$
//	BLF-CRYPT                               $2a$ $2b$ $2y$
//	CRYPT                                   any of those by its prefix
//	PBKDF2                                  $1$salt$rounds$hex (Dovecot's own)
//	SSHA SSHA256 SSHA512 SMD5               base64(digest + salt)
//	SHA SHA1 SHA256 SHA512 LDAP-MD5         base64(digest)
//	PLAIN-MD5                               hex(digest)
//	PLAIN CLEARTEXT CLEAR                   the password itself
//
// A suffix .HEX, .B64 or .BASE64 on the scheme names the encoding of the data.
// Without a scheme it is CRYPT, Dovecot's default. The 13 letters of DES crypt
// are not supported. A hash whose parameters would take more than 256 MiB or
// minutes of processor time is refused as malformed.
//
// [Hasher] makes argon2id. It has two strengths: full, and one for passwords
// that arrive by the thousand (docs/internals/decisions/0006-bulk-passwords.md); a log-in
// replaces the weaker by the full one.
//
// # Log-in
//
// [Authenticator.Authenticate] decides an attempt: it asks the directory,
// remembers successes by a keyed hash, slows down guessing, bounds the
// verifications that run at once, and writes one msglog.Login event. Who may try at all is
// decided before, by directory/gate.
//
// # Guessing
//
// The log-ins of one client (IPv4 address, IPv6 /64) are looked at one after
// another, each after a delay that grows with the failures of the client, so
// that many connections guess no faster than one. The failures of a network (/24,
// /48) and at an account are summed: above a count its log-ins, or those of
// strangers to the account, wait in line likewise. A client that has logged in to
// an account lately, or whose network has, is no stranger to it: it waits for
// nothing but failures at this account from its own place. So an attack delays
// nobody who comes from where he came before. A log-in takes back only what its
// client failed at this account. Waiting is bounded in number and time; beyond
// that an attempt is refused unseen, and those lines are gathered.
// [Authenticator.Refused] is the same for tokens, which cannot be guessed, but
// tried. docs/internals/decisions/0021-guessing.md says why so.
//
// A failed log-in is answered after auth.failure_answer or a multiple of it, and
// computes one hash of full strength, whatever is stored and whether anything is.
// Only an account whose stored hash cannot be read answers differently.
//
// What is remembered lies in memory. After a start the places of an account are
// those of its last log-ins ([Options.LastLogins]: one by each service), which
// its first log-in asks for; the failures are forgotten.
//
// # Parameters
//
// Section [auth]; main.trusted_networks and unix sockets are exempt from counts
// and delays, not from the time of the answer.
//
// # Results
//
// 5.7.8 for an unknown or disabled login, a wrong password and an
// authorization identity that is not the login. 4.7.0 when the directory does
// not answer, when too many are waiting or one waits too long, when the context ends, and when the
// stored hash cannot be read (an operator must act; the log says so).
//
// # Standards
//
// RFC 9106 (argon2), RFC 2307 and its descendants in OpenLDAP ({SSHA}),
// RFC 4616 (authorization identity), Dovecot's manual page "Password schemes".
package password
