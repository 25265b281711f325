// Package sendmail is the program when it is called as sendmail, mailq or newaliases.
//
// # What it does
//
// [Run] has the command line of Postfix's sendmail(1): it reads a message and hands it in, speaks SMTP on standard input in
// the place of a server (-bs), asks what would become of recipients (-bv), or lists or flushes the queue (-bp, -q). [Mailq] is -bp, [Newaliases]
// is -bi, which looks at the tables of aliases(5) for mistakes.
//
// A message goes the first way that there is: by the socket of pickup.directory, into its folder while nobody answers
// (internal/maildrop), by SMTP to this host.
//
// # Results
//
// The exit codes of sysexits.h that callers rely on: [ExOK], [ExUsage], [ExDataErr], [ExNoUser],
// [ExUnavailable], [ExTempFail], [ExNoPerm], [ExConfig]. An error is one line, as Postfix writes it.
//
// # What it does not do
//
// It decides about nobody: the service knows who calls from the kernel. It completes no header;
// mta/cleanup does so. Lines of a message end with LF or CR LF, whichever the program writes.
//
// # Files
//
// The configuration, if the caller may read it, for the place of the service; without, the folder public
// beside it, /var/spool/toastmaster, and 127.0.0.1:25. TOASTMASTER_SMTP, "host:port", is asked instead of all.
package sendmail
