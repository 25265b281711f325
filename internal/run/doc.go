// Package run is an instance of the mail system while it lives: it puts the parts together,
// makes the services of one process, and runs them.
//
// # What it does
//
// [Serve] checks the configuration, gives up root, opens the parts of the instance,
// makes the services and runs them until its context ends. SIGHUP, and the API, reload.
//
//	start   listeners.Inherit -> check.All -> openEarly -> openInstance -> assemble -> Group.Run
//	                                          (early.go:   (instance.go:   (services.go: a row for
//	                                          ports, keys  one table of    each service, with its
//	                                          of root)     steps)          stage)
//	reload  watch (serve.go) -> reload (reload.go: reads and checks) -> renew (renew.go: newPipeline, then install)
//	stop    Group.Run drains the stages, last first -> Close closes what was opened, last first
//
// An [Instance] is two things: what is opened once (opened.go: the log, the certificates, the database, the store, the queue, what is
// remembered), and the pipeline (pipeline.go: the mail's way as one configuration has it, from smtpd to the agents). A reload makes
// another pipeline beside the present one and puts it in its place; a session, a message or a delivery that has begun goes on with the one it
// began with. Who lives longer than a pipeline (qmgr, verify, pickup, lmtpd, the API) asks for that of now (present.go).
//
// Two tables say what there is; a new one of its kind is a row: the services
// (services.go) and the delivery agents (transports.go).
//
// [Master] runs each role as a process, which is [ServeRole]: the same with fewer rows (roles.go).
//
// [OpenMail] opens the mail for who works on it while nobody serves it; [ReadQueue] and
// [ChangeQueue] do so with the queue alone, the first without a change on the disk.
//
// # Its rooms
//
//	usage      errors that are the asker's mistake
//	rights     the user that serves, root given up
//	listeners  inherited, opened by root, opened now; what loop detection knows of them
//	parts      store, queue, database: one id; the table of databases
//	check      what stands between a configuration and a start, warnings, busy ports
//	initial    a new instance
//	adapter    queue, sessions, status as admin/api knows them
//	metrics    what is measured of an instance
//	control    how roles that are processes ask each other
//	fence      what a role may not do any more
//	backup     copies an instance and brings it back
//	transfer   moves the mail of a mailbox out and in, as a client of the API
//
// Each imports only rooms above it; run imports them, and backup imports run; transfer imports none.
//
// # Who imports it
//
// They may import everything, as a command does, because they put the parts together; only
// cmd imports them.
//
// # What it does not do
//
// It knows no command line, and prints nothing but that it is ready. It decides nothing
// about a message, a password or a session.
//
// # Results
//
// An error that usage.Err matches is a mistake in the configuration or in what it names:
// exit code 2, and no restart mends it. Every other error may pass.
//
// # Files
//
// The configuration and what it names; <data_dir>/queue; <data_dir>/restoring, while a
// restore has not ended (check.RestoreMarker).
package run
