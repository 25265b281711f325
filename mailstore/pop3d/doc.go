// Package pop3d is the POP3 server (RFC 1939) over a mailbox's INBOX.
//
// # What it does
//
// [New] makes a service.Handler. A session shows the messages that were in
// INBOX at log-in, in UID order, with stable numbers; what arrives or goes
// later is seen by the next session. RETR and TOP stream with bounded memory.
// DELE takes effect at QUIT and only there; the reply to QUIT tells whether it
// did. A verb is one file and one row in verbs.go.
//
// # What it does not do
//
// The maildrop is not locked (Dovecot's pop3_lock_session=no, its default): two
// sessions of one user may run at once, and a message that the other one has
// deleted is "-ERR" for RETR and no error for QUIT. APOP and LAST are not
// there: the first needs passwords in clear on the server, RFC 1939 has
// dropped the second.
//
// # Parameters
//
// Section [pop3d] of the configuration (configs.POP3D).
//
// # Unique ids
//
// UIDL is what Dovecot saved in dovecot-uidlist (fields P: pop3_save_uidl, or
// a host that moved there before), twice the same too, as there. For all other
// messages it is made by pop3d.uidl_format of UID and UIDVALIDITY, or is the name of the
// file (%f) or its GUID (%g, the name where dovecot-uidlist has no field G). Its default is
// Dovecot's, so that a Maildir taken over from Dovecot is not downloaded again.
//
// # Flags
//
// As in Dovecot, RETR marks a message as \Seen and TOP does not. The marks are
// written at the end of the session, with or without QUIT.
// pop3d.no_flag_updates turns this off.
//
// # Sizes
//
// STAT, LIST and RETR say the exact size on the wire: CR LF line ends, without
// stuffed dots. A message whose last line has no end gets one (the protocol
// cannot do otherwise), which is not counted, as in Dovecot.
//
// # Errors
//
// Replies carry the response codes of RFC 2449 and RFC 3206: [AUTH], [SYS/TEMP],
// [SYS/PERM], [IN-USE]. A message that cannot be read to its end after RETR
// said +OK ends the connection, because a truncated message must not look
// complete.
//
// # RFCs
//
// 1939 (POP3), 2449 (CAPA, RESP-CODES, PIPELINING, EXPIRE, IMPLEMENTATION),
// 2595 (STLS), 3206 (AUTH-RESP-CODE, SYS), 5034 (AUTH), 8314 (implicit TLS).
package pop3d
