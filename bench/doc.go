// Command bench measures Toastmaster side by side with Debian's Postfix and
// Dovecot: both sides in one run, on one machine, in turn, and the median of
// several rounds.
//
// # Usage
//
//	go run ./bench [-run REGEXP] [-rounds N] [-quick] [-solo | -peers | -against PROGRAM] [-dir DIR] [-o FILE] [-list]
//
// It builds the program, starts every server from a folder of its own on free
// ports, prints what it does on standard error and a Markdown table with
// ratios and a description of the machine on standard output and to FILE.
// Interrupted, it stops every server, removes its folders and prints what was
// measured so far.
//
// With -against another build of Toastmaster takes the place of the peers: only two
// programs in turn on one machine show whether a change of the program moved a figure.
// The progress on standard error tells, for SMTP, LMTP and POP3, what a message cost
// our server: processor time, context switches, calls that read and write. These hold on
// a busy machine, where the rates do not.
//
// # What is equal
//
// The load generator, its connections, the mailboxes and the messages, and how
// many there are, with one exception: by SMTP and LMTP Toastmaster gets 10,000
// and the peer 4,000. A run is to last for seconds on the faster side and not
// for minutes on the slower one, and what is compared is the rate. But for SMTP,
// where it is smtp-source, the load generator is one thread.
//
// Both sides answer 250, or OK to an APPEND, when the message is durable: Postfix
// by fsync of its queue file, Dovecot by its default mail_fsync = optimized. The
// answer is not believed: after each run of SMTP, LMTP and APPEND the files in
// the Maildirs are counted, and a run with one too few or too many fails. For
// SMTP the time ends when all lie there, else with the last answer.
//
// Their configuration is Debian's default; internal/testkit/peers shows the
// differences. Before each measurement the disk's queue is emptied by sync(2).
//
// The stage gate has no peer. Its figures are how long mail takes with the usual restriction lists (two DNS lists, a list of sender
// domains, a table, a name server in this process that answers at once), and with a filter, in turn on one server with
// what is without: 111 is 0.9 of the rate, 167 is 0.6. One filter answers at the end of a message alone, as rspamd agrees to, the other
// each word. Both live in the load generator's process, whose processors the server shares.
//
// # What is needed
//
// Root (both peers give up privileges themselves), and the Debian packages
// postfix, dovecot-imapd, dovecot-pop3d, dovecot-lmtpd. smtp-source is part of
// postfix. A peer that is missing is left out of the table by name.
package main
