// Package spawn runs a command for each connection: Postfix's spawn(8), which is what inetd was.
//
// # What it does
//
// [Daemon] is a service.Handler. The command's standard input, output and error are the connection, TCP or unix. It runs
// as spawn.user, without a shell, with PATH and the variables of main.export_environment, in the folder /, in a process
// group of its own. The connection ends with the command. A policy service of SMTPD_POLICY_README is such a command
// (docs/restrictions.md).
//
// # Limits
//
// spawn.process_limit commands run at once; one more connection is closed at once. At spawn.time_limit the command is
// killed, with all that it has started. A stop waits for spawn.drain_timeout, then the commands are killed. A client that goes away is
// the end of the command's input: whether it ends then is its own affair, within the time limit.
//
// # Results
//
// A connection has a line in the log when it comes and one when it goes, with the exit status or the signal; a command that
// ends otherwise than with 0 is a warning, as in Postfix. The client is told nothing but what the
// command says.
//
// # Parameters
//
// The tables [[spawn]]; main.export_environment.
//
// # What it does not do
//
// It reads nothing of what is said, and speaks no TLS. It refuses root; Postfix refuses the mail system's own user, too: here a server that
// has given up root runs commands as that user, and can as no other.
package spawn
