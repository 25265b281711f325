// Package sendmail is the program when it is called as sendmail, mailq or newaliases.
//
// # What it does
//
// [Run] takes the options that sendmail(1) of Postfix documents, reads a message and hands
// it to the SMTP service of this host, joins standard input with that service (-bs), or
// lists or flushes the queue (-bp, -q). [Mailq] is `toastmaster queue list`, [Newaliases]
// says that there is nothing to do.
//
// # Results
//
// The exit codes of sysexits.h that callers rely on: [ExOK], [ExUsage], [ExNoUser],
// [ExUnavailable], [ExTempFail], [ExNoPerm], [ExConfig].
//
// # What it does not do
//
// It keeps no mail: when the service does not answer the caller does (EX_TEMPFAIL). It
// completes no header; mta/cleanup does so for every client of a trusted network.
//
// # Files
//
// The configuration, if the caller may read it, for the address of the service; without,
// 127.0.0.1:25. TOASTMASTER_SMTP, "host:port", is asked instead of either.
package sendmail
