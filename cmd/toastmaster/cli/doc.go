// Package cli is the command line: `toastmaster VERB ...`.
//
// # What it does
//
// [Run] runs one command and returns its exit code. A command that has to do with hosted
// data, the queue or the sessions asks the admin API of the instance (adminclient.go), by
// the unix socket of the configuration or with --api; serve, init, demo, config, backup
// and restore work in this process, with internal/run.
//
// Where a command stands:
//
//	root.go            the tree of commands, and what a mistake in a line looks like
//	environment.go     what a command gets from outside; exit codes
//	adminclient.go     the client of the API; tables, JSON, counts
//	adminvalues.go     values of flags: sizes, switches, passwords
//	meter.go           how far long work is
//	fromfile.go        many things from a file
//	transfercmd.go     mail of a mailbox out and in: the work is internal/run/transfer
//	queueprogram.go    the programs of Postfix that work on the queue: postqueue,
//	                   postsuper, postcat, qshape
//	<object>.go        the verbs of one object: domain, mailbox, alias, queue, token ...
//
// # Results
//
//	0   done
//	1   refused or failed; the reason is one line on standard error
//	2   wrong usage, a mistake in the configuration, or a part of the instance
//	    that is missing or another instance's; nothing was started or made
//
// # What it does not do
//
// It knows no store, queue or database. It holds no password longer than a request.
//
// # Files
//
// The configuration: -c, TOASTMASTER_CONFIG, /etc/toastmaster/toastmaster.toml. man/ has
// the pages of the other programs that the binary acts as; those of the commands are made
// from the commands.
package cli
