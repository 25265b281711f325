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
// # The active window
//
// Next hands out no more than [Window] takes. Domains that send have turns, and of
// each the destinations of its mail; one of either, and what one sends to the other, have
// parts of the window (window.go). New mail and deferred mail that is due have turns, too. What is
// due and has no room is put off: its file is due in maximal_backoff_time, and as long as it
// is known in memory (half of due_limit) it comes in as soon as there is room.
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
//   - What an operator asks for is done, at whatever moment he asks: about an active
//     message, or one that is just being moved, when that ends. A hold or a deletion
//     that fails for want of the disk, of a message that is in memory, is tried again
//     every run_delay; this process does not deliver the message meanwhile, the next
//     one does. About a message that is its file only a call that fails has changed
//     nothing.
//   - What a call was answered nil for is not forgotten by a crash, wherever the message was: a
//     deletion, a hold and its end, that it is due at once, and that it is made to expire. The file of
//     an active message that is held lies in hold/ from then on; one in the journal gets it. A call that
//     comes while the disk is at work on the message waits for that. After an error it may be
//     either.
//   - IDs are unique whatever the clock does, as long as the file epoch is whole.
//     In place of a damaged one the seconds since 1970 are counted on, and one
//     that is missing begins at 1: then IDs are as unique as the clock is right.
//
// # States
//
// A message in memory has a stage, lies in the journal or in its file in deferred/ or
// hold/, and may be wanted for something: what an operator asked for and nobody has
// done yet (the last word counts, a deletion is final). It is in memory when memory
// knows more of it than its file does, or when the journal has it; else it is "file
// only". It is moving while it is copied out of the journal, or into hold/ or back, and its
// attempt goes on.
//
//	queued     new, in the journal, waits for Next
//	waiting    until its time, because the disk did not do what it should
//	resting    its file is all there is of it, and it is not in memory
//	looking    a call looks for its file
//	reading    taken by Next, and read
//	active     handed out
//	deferring  its file in deferred/ is written, brought up to date, or moved there
//	holding    the same for hold/
//	removing   being deleted
//	condemned  damaged, on its way to corrupt/
//	leaving    nobody is pending; its files go after the next checkpoint
//	gone
//
// # Transitions
//
// Events from outside are take (by Next), done, due, later and spoiled (how an
// attempt ends: nobody is pending, it is due at once, or later, or what was read of it
// is damaged), the calls of an operator, and shorten. Work on the disk (read, defer,
// hold, reset, copy out, remove, set aside, leave) ends with ok, failed, damaged or
// vanished; cleared is the removal of the last file. A transition has one work at
// most, and who made the transition does it, so one goroutine at a time works on a
// message. The other effects are done in memory, with the transition: list new and
// list due make it come up in Next, rest forgets all but when it is due. A pair that
// is not here does nothing. The table is made from the function next by a test.
//
//	event                   stage                                          when                                        becomes: effects
//	take                    queued                                         nothing wanted                              reading: read
//	take                    queued                                         hold wanted                                 holding: hold
//	take                    queued                                         delete wanted                               removing: remove
//	take                    waiting                                        nothing/now wanted                          reading, nothing wanted: read
//	take                    waiting                                        hold wanted                                 holding: hold
//	take                    waiting                                        delete wanted                               removing: remove
//	take                    resting                                                                                    reading: read
//	done                    active                                                                                     leaving, nothing wanted: leave
//	due                     active                                         nothing/now wanted, journal                 queued, nothing wanted: list new
//	due                     active                                         nothing/now wanted, deferred/hold           deferring, nothing wanted: due now, defer
//	due                     active                                         hold wanted                                 holding: hold
//	due                     active                                         delete wanted                               removing: remove
//	later                   active                                         nothing wanted                              deferring: defer
//	later                   active                                         now wanted, journal                         queued, nothing wanted: list new
//	later                   active                                         now wanted, deferred/hold                   deferring, nothing wanted: due now, defer
//	later                   active                                         hold wanted                                 holding: hold
//	later                   active                                         delete wanted                               removing: remove
//	spoiled                 active                                         nothing/now wanted                          deferring, nothing wanted: defer
//	spoiled                 active                                         hold wanted                                 holding: hold
//	spoiled                 active                                         delete wanted                               removing: remove
//	Hold                    queued                                         nothing/hold wanted, not moving             holding, hold wanted: hold
//	Hold                    queued                                         nothing/hold wanted, moving                 stays, hold wanted: due now, say later
//	Hold                    queued                                         delete wanted                               say none
//	Hold                    waiting                                        nothing/now/hold wanted, not moving         holding, hold wanted: hold
//	Hold                    waiting                                        nothing/now/hold wanted, moving             stays, hold wanted: due now, say later
//	Hold                    waiting                                        delete wanted                               say none
//	Hold                    resting                                        deferred                                    holding: hold
//	Hold                    resting                                        hold                                        rest, say unchanged
//	Hold, Release, Requeue, Expire  looking, removing, condemned                                                               say busy
//	Hold                    reading, deferring, holding                    nothing/now/hold wanted                     stays, hold wanted: say later
//	Hold                    reading, deferring, holding                    delete wanted                               say none
//	Hold                    active                                         not moving, nothing/now wanted              stays, hold wanted, moving to hold: copy to hold
//	Hold                    active                                         not moving, hold wanted, journal/deferred   stays, moving to hold: copy to hold
//	Hold                    active                                         not moving, hold wanted, hold               say unchanged
//	Hold                    active                                         not moving, delete wanted                   say none
//	Hold                    active                                         moving/moving to hold, nothing/now/hold wanted  stays, hold wanted: say later
//	Hold                    active                                         moving/moving to hold, delete wanted        say none
//	Hold, Release, Requeue, Expire, Delete  leaving                                                                                    say none
//	Release                 queued                                         nothing wanted                              say unchanged
//	Release                 queued                                         hold wanted, not moving                     deferring, nothing wanted: note flush, defer
//	Release                 queued                                         hold wanted, moving                         stays, nothing wanted: say later
//	Release                 queued                                         delete wanted                               say none
//	Release                 waiting                                        nothing/now wanted, not moving, journal/deferred  say unchanged
//	Release                 waiting                                        nothing/now wanted, not moving, hold        deferring, now wanted: note flush, defer
//	Release                 waiting                                        nothing/now wanted, moving                  say unchanged
//	Release                 waiting                                        hold wanted, not moving, journal/deferred   deferring, nothing wanted: note flush, defer
//	Release                 waiting                                        hold wanted, not moving, hold               deferring, now wanted: note flush, defer
//	Release                 waiting                                        hold wanted, moving                         stays, nothing wanted: say later
//	Release                 waiting                                        delete wanted                               say none
//	Release                 resting                                        deferred                                    rest, say unchanged
//	Release                 resting                                        hold                                        deferring: note flush, defer
//	Release                 reading                                        nothing/now wanted                          say unchanged
//	Release                 reading                                        hold wanted                                 stays, nothing wanted: say later
//	Release                 reading                                        delete wanted                               say none
//	Release                 active                                         nothing/now wanted, journal/deferred        say unchanged
//	Release                 active                                         nothing/now wanted, hold, not moving        stays, nothing wanted, moving: copy out
//	Release                 active                                         nothing/now wanted, hold, moving/moving to hold  stays, nothing wanted: say later
//	Release                 active                                         hold wanted, not moving                     stays, nothing wanted, moving: copy out
//	Release                 active                                         hold wanted, moving/moving to hold          stays, nothing wanted: say later
//	Release                 active                                         delete wanted                               say none
//	Release                 deferring                                      nothing/now wanted                          say unchanged
//	Release                 deferring                                      hold wanted                                 stays, now wanted: note flush, say later
//	Release                 deferring                                      delete wanted                               say none
//	Release                 holding                                        nothing/hold wanted                         stays, now wanted: note flush, say later
//	Release                 holding                                        now wanted                                  say unchanged
//	Release                 holding                                        delete wanted                               say none
//	Requeue                 queued                                         nothing wanted                              note flush
//	Requeue                 queued                                         hold wanted, not moving                     deferring, nothing wanted: note flush, defer
//	Requeue                 queued                                         hold wanted, moving                         stays, nothing wanted: note flush, say later
//	Requeue                 queued                                         delete wanted                               say none
//	Requeue                 waiting                                        nothing/now wanted, not moving, journal/deferred  stays, nothing wanted: note flush, list due
//	Requeue                 waiting                                        nothing/now wanted, not moving, hold        deferring, now wanted: note flush, defer
//	Requeue                 waiting                                        nothing/now wanted, moving                  stays, nothing wanted: note flush
//	Requeue                 waiting                                        hold wanted, not moving, journal/deferred   deferring, nothing wanted: note flush, defer
//	Requeue                 waiting                                        hold wanted, not moving, hold               deferring, now wanted: note flush, defer
//	Requeue                 waiting                                        hold wanted, moving                         stays, nothing wanted: note flush, say later
//	Requeue                 waiting                                        delete wanted                               say none
//	Requeue                 resting                                                                                    deferring: note flush, reset
//	Requeue                 reading, deferring                             nothing/now wanted                          stays, now wanted: note flush
//	Requeue                 reading, deferring                             hold wanted                                 stays, now wanted: note flush, say later
//	Requeue                 reading, deferring                             delete wanted                               say none
//	Requeue                 active                                         nothing/now wanted, journal/deferred        stays, now wanted: note flush
//	Requeue                 active                                         nothing/now wanted, hold, not moving        stays, now wanted, moving: note flush, copy out
//	Requeue                 active                                         nothing/now wanted, hold, moving/moving to hold  stays, now wanted: note flush, say later
//	Requeue                 active                                         hold wanted, not moving                     stays, now wanted, moving: note flush, copy out
//	Requeue                 active                                         hold wanted, moving/moving to hold          stays, now wanted: note flush, say later
//	Requeue                 active                                         delete wanted                               say none
//	Requeue                 holding                                        nothing/hold wanted                         stays, now wanted: note flush, say later
//	Requeue                 holding                                        now wanted                                  note flush
//	Requeue                 holding                                        delete wanted                               say none
//	Expire                  queued                                         nothing/hold wanted, not moving             note expire
//	Expire                  queued                                         nothing/hold wanted, moving                 say busy
//	Expire                  queued                                         delete wanted                               say none
//	Expire                  waiting                                        nothing/now/hold wanted, not moving         note expire
//	Expire                  waiting                                        nothing/now/hold wanted, moving             say busy
//	Expire                  waiting                                        delete wanted                               say none
//	Expire                  resting                                        deferred                                    deferring: note expire, defer
//	Expire                  resting                                        hold                                        holding: note expire, hold
//	Expire                  reading, deferring, holding                    nothing/now/hold wanted                     say busy
//	Expire                  reading, deferring, holding                    delete wanted                               say none
//	Expire                  active                                         nothing/now/hold wanted                     note expire
//	Expire                  active                                         delete wanted                               say none
//	Delete                  queued, waiting                                not moving                                  removing, delete wanted: remove
//	Delete                  queued, waiting                                moving                                      stays, delete wanted: due now
//	Delete                  resting                                                                                    removing: remove
//	Delete                  looking, condemned                                                                         say busy
//	Delete                  reading, active, deferring, holding, removing                                              stays, delete wanted
//	shorten                 queued                                         nothing wanted                              stays, moving: copy out
//	shorten                 queued                                         hold wanted                                 holding: hold
//	shorten                 queued                                         delete wanted                               removing: remove
//	shorten                 waiting                                        nothing/now wanted                          stays, moving: copy out
//	shorten                 waiting                                        hold wanted                                 holding: hold
//	shorten                 waiting                                        delete wanted                               removing: remove
//	shorten                 active                                         nothing/now/delete wanted                   stays, moving: copy out
//	shorten                 active                                         hold wanted                                 stays, moving to hold: copy to hold
//	ok                      queued                                         nothing wanted                              resting in deferred/, moved: due now, rest
//	ok                      queued                                         hold wanted                                 holding in deferred/, moved: hold
//	ok                      queued                                         delete wanted                               removing in deferred/, moved: remove
//	ok                      waiting                                        nothing/now wanted                          resting in deferred/, nothing wanted, moved: due now, rest
//	ok                      waiting                                        hold wanted                                 holding in deferred/, moved: hold
//	ok                      waiting                                        delete wanted                               removing in deferred/, moved: remove
//	ok                      reading                                        nothing/now wanted, file only               active, loaded
//	ok                      reading                                        nothing/now wanted, in memory               active
//	ok                      reading                                        hold wanted                                 holding: hold
//	ok                      reading                                        delete wanted                               removing: remove
//	ok                      active                                         moving                                      stays in deferred/, moved, loaded
//	ok                      active                                         moving to hold                              stays in hold/, moved, loaded
//	ok                      deferring                                      nothing wanted                              resting in deferred/: rest
//	ok                      deferring                                      now wanted                                  stays in deferred/, nothing wanted: due now, defer
//	ok                      deferring                                      hold wanted                                 holding in deferred/: hold
//	ok                      deferring                                      delete wanted                               removing in deferred/: remove
//	ok                      holding                                        nothing/hold wanted                         resting in hold/, nothing wanted: rest
//	ok                      holding                                        now wanted                                  deferring in hold/: defer
//	ok                      holding                                        delete wanted                               removing in hold/: remove
//	ok                      removing                                                                                   leaving, delete wanted: leave
//	ok                      condemned                                                                                  gone: forget, say none
//	failed                  queued                                                                                     stays, moved: list new
//	failed                  waiting                                                                                    stays, moved: list due
//	failed                  looking                                                                                    gone: forget
//	failed                  reading                                        nothing/now wanted, file only, deferred     resting, nothing wanted: due in run_delay, rest
//	failed                  reading                                        nothing/now wanted, file only, hold         waiting, nothing wanted: due in run_delay, list due
//	failed                  reading                                        nothing/now wanted, in memory               waiting, nothing wanted: due in run_delay, list due
//	failed                  reading                                        hold wanted                                 holding: hold
//	failed                  reading                                        delete wanted                               removing: remove
//	failed, damaged         active                                                                                     stays, moved
//	failed                  deferring                                      nothing wanted, file only                   resting: rest
//	failed                  deferring                                      nothing wanted, in memory                   waiting: list due
//	failed                  deferring                                      now wanted, file only, deferred             resting, nothing wanted: due now, rest
//	failed                  deferring                                      now wanted, file only, hold                 waiting: due in run_delay, list due
//	failed                  deferring                                      now wanted, in memory                       waiting, nothing wanted: due now, list due
//	failed                  deferring                                      hold wanted                                 holding: hold
//	failed                  deferring                                      delete wanted                               removing: remove
//	failed                  holding                                        nothing wanted                              resting: rest
//	failed                  holding                                        now wanted, file only, deferred             resting, nothing wanted: due now, rest
//	failed                  holding                                        now wanted, file only, hold                 waiting: due in run_delay, list due
//	failed                  holding                                        now wanted, in memory                       waiting, nothing wanted: due now, list due
//	failed                  holding                                        hold wanted                                 waiting: due in run_delay, list due
//	failed                  holding                                        delete wanted                               removing: remove
//	failed                  removing                                       nothing wanted                              resting: rest
//	failed                  removing                                       delete wanted                               waiting: due in run_delay, list due
//	failed                  condemned                                      nothing/now wanted, file only               resting, nothing wanted: due in run_delay, rest
//	failed                  condemned                                      nothing/now wanted, in memory               waiting: due in run_delay, list due
//	failed                  condemned                                      hold/delete wanted                          waiting: due in run_delay, list due
//	failed                  leaving                                                                                    waiting: due in run_delay, list due
//	damaged                 queued, waiting                                                                            condemned, moved: set aside
//	damaged                 reading, deferring, holding                                                                condemned: set aside
//	vanished                looking, reading                                                                           gone: forget
//	cleared                 leaving                                                                                    gone: forget
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
//	32     envelope, content, then its progress, again at each change
//
//	progress  0  4  "TST1"
//	          4  4  length
//	          8  4  CRC32C of its offset in the file (8 octets) and the octets behind
//	         12     version and fields
//
// The last whole progress counts; an update appends one and syncs. Fields inside
// are varints, and texts as varint length and octets, in the order of codec.go
// (envelope) and format.go (progress: version, attempts, warned, process, in version 2
// whether it was made to expire, and for each recipient 'd' done, 'p' not tried, or 'f' with the last error).
//
// A journal record starts with its kind: 1 message, 2 mark of a recipient, 3
// farewell (the message has left: 1 to a file, 2 deleted), 4 checkpoint, 5 what an
// operator asked for of a message in memory (1 to expire, 2 its deletion). A message is
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
// # Locks
//
// In this order: whoever holds one takes only those below it.
//
//	ledger.removing  one removal of departed files at a time; held over the disk
//	message.mu       of each message: recipients, octets, and where they are; held
//	                 while its file is read or written
//	files.mu         which folders are made; held while one is made
//	ledger.mu        what goes after the next checkpoint; never over the disk
//	budget.mu        seats in the journal, and who waits for one; nothing is waited for under it
//	index.mu         what is in memory, its order and its states; nothing is waited
//	                 for under it, and no other lock taken
//
// internal/lockorder asserts that; the store's locks, which a checkpoint takes, come behind.
// The journal has locks of its own, which are taken under each of these but the last.
// Who works on a message has no lock: its stage says so.
//
// # Objects
//
//	Queue     its calls, and the way of a message through the table (run, work)
//	index     what is in memory, its order, transitions
//	disk      where messages lie; the work of a transition; recovery (a start)
//	ledger    records, marks, checkpoints, what goes after them
//	files     deferred/, hold/, content/
//	budget    what messages in the journal may take: seats and octets
//	listing   answers what is there
//	salvage   corrupt/
//
// # Goroutines
//
// [Queue.Run] scans deferred/, removes finished files after checkpoints, and
// moves messages out of the oldest journal segment; its owner waits for it.
// The journal's own end in [Queue.Close].
package queue
