// Package queue is the durable mail queue: what was answered 250 is in it until
// every recipient is delivered, reported or deleted.
//
// # What it does
//
// [Queue.Add] writes a message as one record of internal/journal (envelope,
// trace header, content) and returns when it is synced, together with whatever
// else was waiting. [Queue.Next] hands messages out, [Item.Done] crosses
// recipients off, [Item.Close] ends the attempt. Mail that is delivered at its
// first attempt never has a file of its own. What is not becomes one
// self-contained file in deferred/, or in hold/.
//
// # What it does not do
//
// It decides neither routes nor times nor when to give up (mta/qmgr), makes no
// reports (mta/bounce), and does not expand addresses (mta/cleanup). Open makes
// no queue in production: [Create] does, and one that is missing, or lacks a
// folder with mail in it, is [ErrAbsent]. [Queue.Room] refuses mail while the
// folder is not in its place.
//
// # Promises
//
//   - After Add returned nil, no crash or power loss loses the message: each
//     recipient that is not done is handed out again.
//   - After Add returned an error the message may still come (a duplicate when
//     the sender repeats it), unless the mark that withdraws it got through.
//   - A recipient done with [EffectFinal] is never handed out again by a process
//     that could read the mark. Marks go out within queue.lazy_interval.
//   - A recipient done with [EffectStore] is handed out again, with
//     [Item.Replay] set, unless a checkpoint that began after the mark ended
//     well before the crash. Whatever lies in the journal, was last written by
//     another process, or was tried before has Replay set.
//   - A file in deferred/ or hold/ is durable, with its name, before the
//     journal lets go of the message. Where both exist, the file counts.
//   - A damaged file or record (checksum, format) and a record whose content is
//     damaged go to corrupt/ with one log line for each file, at the start and
//     while running; the start, and the other messages, go on. Where records were
//     lost a content file that no other record names goes there too. What fails
//     for any other reason stays and is tried again. One exception: what the disk
//     does not give back (EIO, EUCLEAN, EBADMSG) goes to corrupt/ when its record
//     lies in the oldest segment, at most one segment is left of max_segments,
//     and three tries in a row failed.
//   - Nobody gets a content that is not what was accepted: what lies in a file
//     is compared with its checksum when an attempt first opens it
//     ([Item.Content]) and before it is copied to another file. A content file
//     that is missing, has another size (all that the start looks at) or other
//     octets is damaged. A message that is active when that is found leaves when
//     its attempt ends.
//   - A deletion of an active message, or of one in the journal, that fails for
//     want of the disk is tried again every run_delay; this process does not
//     deliver the message meanwhile, the next one does.
//   - IDs are unique whatever the clock does, as long as the file epoch is whole.
//     In place of a damaged one the seconds since 1970 are counted on, and one
//     that is missing begins at 1: then IDs are as unique as the clock is right.
//
// # Parameters
//
// The section [queue] of configs (type configs.Queue): memory_limit,
// content_memory, segment_size, max_segments, move_segments, max_waiting,
// min_free, incoming_limit, add_wait, run_delay, due_limit, checkpoint_interval,
// lazy_interval.
//
// # Results
//
// [Queue.Room], which whoever takes mail from outside asks first: 4.3.1 below
// min_free. Add: 4.3.1 for a full disk or a full journal, 4.3.0 for too much mail
// (incoming_limit) and any other failure, 4.3.2 after Close. The administrative
// calls give [ErrNoMessage] for an ID that is not in the queue, and Hold and
// Release [ErrUnchanged] for a message that is on hold already, or is not. [Open] gives
// [ErrInUse] when another process has the queue, and [ErrForeign] for a folder
// that has something of others in it.
//
// # Memory
//
// A message in the journal costs a few hundred octets, plus envelope and
// content as long as content_memory allows; beyond it they are read back when
// they are needed. Not counted are the envelope and the states of the
// recipients of an active message (qmgr.active_limit bounds those), of a
// deferred one whose file cannot be brought up to date, and what an open
// Content of a message beyond content_memory holds. The deferred queue is not
// in memory, but for the times of at most due_limit messages that are due
// before the next scan of the directories (run_delay).
//
// # Files
//
//	lock                flock(2), held while open
//	instance            id of the instance (Options.Instance)
//	epoch               number of starts (8 octets, CRC32C), the last part of IDs
//	journal/            see internal/journal
//	content/ID          content of a message in the journal above memory_limit;
//	                    its size and CRC32C are in the record
//	deferred/X/ID       X is the tenth digit of the ID
//	hold/X/ID
//	corrupt/            damaged files; records as ID.record or record-SEGMENT-OFFSET,
//	                    contents as ID.content, ranges of the journal as segment-NUMBER-OFFSET
//	(unnamed)           contents being received, and files being written
//
// A queue ID is six digits of seconds and four of microseconds, base 52 without
// vowels, "z", and the epoch in base 51.
//
// A message file in deferred/ or hold/ (numbers little-endian; its modification
// time is the next attempt):
//
//	 0  8  "TMQUEUE1"
//	 8  4  length of the envelope
//	12  4  CRC32C of the envelope
//	16  8  length of the content
//	24  4  CRC32C of the content
//	28  4  CRC32C of octets 0 to 27
//	32     envelope, content, then one state after the other
//
//	state     0  4  "TST1"
//	          4  4  length
//	          8  4  CRC32C of the state's offset in the file (8 octets) and the state
//	         12     state
//
// The last whole state counts; an update appends one and syncs. Fields inside
// are varints, and texts as varint length and octets, in the order of codec.go
// (envelope) and file.go (state: version, attempts, warned, process, and for
// each recipient 'd' done, 'p' not tried, or 'f' with the last error).
//
// A journal record starts with its kind: 1 message, 2 mark of a recipient, 3
// message gone (1 moved to a file, 2 deleted), 4 checkpoint. A message is
// envelope, way of the content (0 in the record, 2 in content/ID; 1, of older
// versions, the same without a checksum), sizes of trace header and content, for
// way 2 the CRC32C of the content (all varints), trace header, and for way 0 the
// content.
//
// # Checkpoints
//
// A mark carries the random number of its process and the number that the next
// checkpoint will have. A checkpoint takes its number, has the store synced,
// and then writes a record. At recovery an EffectStore mark counts if a
// checkpoint record of the same process has at least its number. A file knows
// only one kind of done: before it is written, a checkpoint settles the other.
//
// # Counts
//
// [Queue.Counts] does not list the queue: the files of deferred/ and hold/ are
// counted once in Open and then as they come and go. A file that another program
// adds or removes is not noticed until the next start.
//
// # Goroutines
//
// [Queue.Run] scans deferred/, removes finished files after checkpoints, and
// moves messages out of the oldest journal segment; its owner waits for it.
// The journal's own end in [Queue.Close].
package queue
