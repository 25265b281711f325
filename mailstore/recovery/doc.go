// Package recovery is what a store must not lose between a yes and the disk: its
// journal.
//
// # What it does
//
// A [Journal] holds records of messages that were answered OK for and of
// operations that are about to happen, until a checkpoint has made the Maildir
// durable. [AccountJournal] is the order of the records of one account: who journals a
// message or does an [Operation] holds it shared, who takes a folder away holds
// it alone. [Journal.Recover] finishes at the start what the last end of the
// process, of this one or of another, left undone: it decides which records, in
// which order, and [Hands] do them.
//
// # What it does not do
//
// It knows folders by their names only: no account, no mailbox, no index. It
// opens no Maildir; package mailstore has the hands. It does not try again while
// the store is open.
//
// # The life of a record
//
//	            Stored                      Begin
//	file written, then record       record synced, then files change
//	              \                           |
//	               \                    End, or Undo and End
//	                v                         v
//	  +---------------------- live -----------------------+
//	  |  its segment is kept; the next start would do it   |
//	  +----------------------------------------------------+
//	     | checkpoint, then        | start after an        | its folder leaves:
//	     | a mark Done             | unclean end           | a record Left
//	     v                         v                       v
//	 never looked for          Recover                  not done again
//	                        |       |        |
//	                      done    cannot    damaged
//	                        |       |        |
//	                        v       v        v
//	             checkpoint and   waits    corrupt/
//	             segment free     for the next start, until its folder leaves,
//	                              or half of the journal is kept: corrupt/
//
// Between the journals of several processes there is no order. So all are done
// again as long as one of them did something, and a record in a folder that some
// journal says has left counts only if that same folder, by its UIDVALIDITY, is in
// its place.
//
// # Parameters
//
// Of section [store]: journal_segment, checkpoint_interval.
//
// # Results
//
// Errors of package volume.
//
// # Files
//
// Below .toastmaster: journal-<n>, one for each process; corrupt/journal-<n>, what
// was damaged or could not be finished. The format of a record is in record.go,
// that of segments in internal/journal.
package recovery
