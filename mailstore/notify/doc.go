// Package notify is how the processes on one store wake each other.
//
// # What it does
//
// Each process has a datagram socket in the folder .toastmaster of the store. Who changed
// a mailbox sends its place to the sockets of the others ([Poker.Poke]), and whoever has it
// in memory looks at it at once ([Poker.Run]).
//
//	process 0                            process 1
//	commit, unlock -- Poke ----------->  poke-1 -> what is poked, each place once -> look
//	      |                                         ^
//	      +--> log of the index (the truth) --------+ reads it under its lock
//
// # What it does not do
//
// A poke is a hint and says only where to look. It is not repeated, not confirmed and not
// waited for; one that is lost, because a queue is full or a process has just begun, costs
// the time until the next look (store.sync_interval). A store on a file system that several
// machines share has no pokes between them. Where sockets cannot be made the log says so
// once.
//
// # Who may poke
//
// Who may write into .toastmaster, which is the user of the store. A poke from somebody else
// would make a process look at a mailbox that it has open, no more.
//
// # Bounds
//
// The kernel bounds the queue of a socket (net.unix.max_dgram_qlen). Of what was poked and
// is not looked at yet each place is kept once, [maxWaiting] at most.
//
// # Files
//
// .toastmaster/poke-<slot>, by the slot of the process (volume.Process). One that a process
// left that was killed is replaced by the next one in that slot.
//
// # Parameters
//
// None.
package notify
