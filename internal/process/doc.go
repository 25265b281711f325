// Package process runs programs of other people: as a user, with limits. It is what
// Postfix's pipe_command() and spawn_command() are for pipe(8), local(8) and spawn(8).
//
// # What it does
//
// [Run] starts a command, writes it the message, and says how it ended. The command has a
// process group and an environment of its own, no descriptor but its three, and the
// user's numbers and group: no other group, as with Postfix.
// [Serve] runs one on a connection, for spawn(8): it talks to the peer, and to nobody here.
// [CommandLine] decides whether a line of an alias or of .forward needs a shell.
// [As] works on files as a user. Who the users are knows internal/hostuser.
//
// # Who may become whom
//
// Nothing runs as root, nor in root's group: that is hostuser.ErrRoot. A process of root becomes
// everybody else. One of another user is that user for good: it runs commands
// as itself, and everything else is hostuser.ErrNotPermitted, which says so.
//
// # Limits
//
// A command has Command.TimeLimit; then it and its whole process group are killed, and so
// they are when ctx ends. When the command itself has ended, what it started has the rest of the
// time while it keeps the output open, as with Postfix; after that what is left in the group is
// killed, too: nothing that a message has started outlives its delivery, unless it has made a
// group of its own (setsid(1)).
// The first [MaxOutput] octets of the output are kept. What is beyond is read and dropped, and
// beyond [maxDrained] the output is closed, so that a command that writes without an
// end is ended by SIGPIPE.
//
// # Working as a user
//
// [As] gives one thread of this process the user's effective numbers and groups (setresuid(2)), runs
// a function on it, and ends the thread. The thread has no capability then, and the kernel asks the user's rights, as it
// would ask a process of his: links, folders, disk quotas, blocks that are reserved for root. Other threads keep their rights; the user
// can neither signal nor trace the thread, whose real and saved numbers stay root's. Nothing gives root back to a
// thread: it ends, so there is no way back that may fail. The first thread of the process, which cannot end, is never used.
//
// # Results
//
// [Result.Error] is the outcome as a status: that of sysexits.h, or the one that
// the output begins with, or 4.3.0 after a signal, or 5.3.0 at the time limit, as in Postfix.
//
//	64 5.3.0   65 5.6.0   66 5.3.0   67 5.1.1   68 5.1.2   69 5.3.0   70 5.3.0   71 4.3.0
//	72 5.3.0   73 5.2.0   74 5.3.0   75 4.3.0   76 5.5.0   77 5.7.0   78 5.3.5   others 5.3.0
//
// # What it does not do
//
// It knows no messages and no addresses; what may stand in an argument is its caller's to say. It makes
// no jail (chroot(2)), sets no limits of setrlimit(2), and asks nothing about
// users but what internal/hostuser knows.
//
// # Files
//
// /bin/sh for lines that need it.
package process
