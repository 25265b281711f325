// Package run is an instance of the mail system while it lives: its parts, the
// services of one process, and what a configuration must be like for it.
//
// # What it does
//
// [Serve] checks the configuration, gives up root, opens the parts of the instance,
// makes the services and runs them until its context ends. SIGHUP, and the API, reload.
//
//	Inherit -> Check -> giveUpRoot -> openInstance -> assemble -> Group.Run -> close
//	                         |              |             |
//	                   ports and keys   transports    serviceTable (services.go): one row
//	                   of root          directories   each, with its stage
//
// Three tables say what there is; a new one of its kind is a row: the services
// (services.go), the delivery agents (transports.go), the sources of the directory
// (directories.go).
//
// The parts of an instance are the mail store, the queue and the database (parts.go).
// They belong together and carry one id. [PlanStart] looks at them and makes nothing;
// [Initialise] makes a new instance with its configuration, [MakeParts] what is missing
// of one; nothing else makes any.
//
// [Check] is what stands between a configuration and a start, [Warnings] what serves,
// but not as somebody may think, [BusyPorts] what has the ports of the next start:
// `toastmaster config check` asks all three, Serve the first and the second.
//
// [Open] and [OpenMail] open the parts for who works on them while nobody serves them.
//
// # Listeners
//
// A listener is inherited from the service manager (sd_listen_fds(3), [Inherit]), or
// opened: by root before it is given up, else by its service. The addresses are those of
// the configuration in any case; an inherited one is matched by its address, or by its
// name, which is that of the parameter.
//
// # Rights
//
// Started by root with main.user set, it opens ports and keys, becomes that user for
// good, and then opens everything else (rights.go).
//
// # Who imports it
//
// It may import everything, as a command does, because it puts the parts together; only
// cmd imports it, and its own package backup.
//
// # What it does not do
//
// It knows no command line, and prints nothing but that it is ready. It decides nothing
// about a message, a password or a session.
//
// # Results
//
// An error that [ErrUsage] matches is a mistake in the configuration or in what it names:
// exit code 2, and no restart mends it. Every other error may pass.
//
// # Files
//
// The configuration and what it names; <data_dir>/queue; <data_dir>/restoring, while a
// restore has not ended ([RestoreMarker]).
package run
