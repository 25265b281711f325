// Package peers runs real mail software of other people beside ours: Postfix
// and Dovecot, each from a configuration made in a folder of its own, on free
// ports of 127.0.0.1.
//
// # What it does
//
// [StartPostfix] runs Postfix's master(8) as Debian configures it (the
// differences stand in main.cf, made by postfixMain), with virtual(8) as the
// delivery agent for hosted domains. [StartDovecot] runs Dovecot 2.3 with
// IMAP, POP3 and LMTP over Maildir. [Need] says whether a program is there.
//
// # What it does not do
//
// It never touches the system's own instances: no file below /etc or
// /var/spool, no default port, no program that it did not start. Both peers
// want root, as they give up privileges themselves; without it the start is an
// error.
//
// # Files
//
// Everything lies below the folder that the caller names. Keep its name short:
// Dovecot's sockets have names of at most 107 octets. [TempDir] makes one.
package peers
