// Package master supervises the roles of an instance, a process each (Postfix master(8)).
//
// # What it does
//
// [Master.Run] starts the processes of its roles, each with the listeners it was given for it,
// and starts one again that ends unasked. A role that ends takes no other with it: its listeners
// stay open here, and who connects waits in the kernel until the next process accepts.
//
//	           fd 3..   listeners, the last one for other roles ("control")
//	master --> process  LISTEN_FDS, LISTEN_FDNAMES as sd_listen_fds(3) has them
//	           last fd  a stream of lines, TOASTMASTER_MASTER_FD
//
//	process says   prepared     it has its configuration, listeners and keys; nothing else is open
//	               ready        it serves
//	               alive 24s    its goroutines get processor time; it says so again after that
//	master says    go           open the rest and serve
//	               finish 5s    stop; sessions go on for that long before they are asked to end
//	               stop         stop now, as SIGTERM
//
// The end of the stream is the end of the other side: a process without master stops in order.
//
// # Restart
//
// A process that ends before it served is started again after 0.1 s, twice as long each time, up to
// master.service_throttle_time; one that served and ended within 10 s the same, up to 5 s. One line in the log
// says why it ended and when the next one comes. A mistake of usage (exit code 2) at the very first start
// ends master.
//
// # Deadlines
//
// Who waits for a process has a deadline. One that is started has master.start_timeout until it is prepared, and the same from "go" until it is
// ready; one that was told to finish has its linger time and what a stop may take. Then it is ended as by the watchdog. A
// replacement that is given up leaves the old process as it is when that still serves, and an upgrade ends in any case.
//
// # Watchdog
//
// A process that has said "alive" and then nothing for master.daemon_timeout gets SIGQUIT, by which it prints its
// goroutines, 10 s later SIGKILL, and is started again. That says that it runs, not that what it does is right.
//
// # Upgrade
//
// The new program checks the configuration first (Options.Check); what it refuses changes nothing. Then
// master becomes the new program in its place (execve(2)): pid, listeners and the processes of the roles stay. It then
// replaces one role after the other:
//
//	overlap (store)   new: go, ready      old: finish, ends
//	others            new: prepared       old: finish, ends       new: go, ready
//
// An overlapping role always has somebody who accepts. For the others a new client waits while
// the old process ends its sessions, linger_time and its drain at most: one process at a time has the queue and
// what services keep on disk.
//
// # What it does not do
//
// It knows no service, reads no mail and opens no part of the instance. Limits of connections are the services'.
//
// # Files
//
// master.sock in main.data_dir: HTTP, for root and the user of master.
package master
