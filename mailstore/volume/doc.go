// Package volume is the ground that a store stands on: its part of a file system,
// and what everything above needs of it.
//
// # What it does
//
// A [Volume] has the file system, the clock, the log and the parameters of a
// store. It gives files unique names, replaces small files, makes what is missing
// of a Maildir, says once what is passed over, and gives room on a full disk.
// [Checkpoints] say what is durable: [Volume.Checkpoint] syncs the file system, and a
// sync that failed is final.
//
// The errors of the store are here, a closed set, because every room returns
// them; package mailstore exports them.
//
// It is where the processes on a store meet: each holds a slot of .toastmaster/processes
// while it lives ([Volume.Own], [Volume.Lives], [Volume.Others]), and the locks of
// accounts among processes are octets of that file ([AccountLock]): locks of the open file
// description (fcntl(2)), which the kernel gives back however a process ends. On NFS they
// work as far as its lock manager does.
//
// The ranks of all locks of the store are here, too (locks.go): the table is in
// the doc.go of package mailstore, and internal/lockorder asserts it.
//
// # What it does not do
//
// It knows no account, no mailbox and no message.
//
// # Parameters
//
// Of section [store]: separator, spool_memory, reserve, close_timeout, lock_timeout.
//
// # Results
//
// The errors in errors.go; [DSN] turns them into a delivery status: over quota 5.2.2,
// a full disk 4.3.1, everything else 4.3.0. [Err] puts an error of the file system into
// the set.
//
// # Files
//
// Below the root: .toastmaster/reserve.tmp, which is cut shorter on a full disk,
// .toastmaster/spool, .toastmaster/processes (processes.go has its format), and
// .toastmaster/instance, which it reads.
package volume
