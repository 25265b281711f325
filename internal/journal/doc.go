// Package journal is a preallocated, segmented, append-only log that makes
// many writers durable with one sync.
//
// # What it does
//
// [Journal.Append] returns when its record is on disk. One goroutine, the
// committer, takes everything that waits, writes it with one pwritev(2), calls
// fdatasync(2) once and releases all waiters; meanwhile the next ones gather.
// One writer alone pays one sync for each record, a hundred writers share it.
// [Journal.AppendLazy] waits for nothing: its record travels with the next
// commit, or goes out by itself after Options.LazyInterval.
//
// [Open] replays what is there. A record stays readable ([Journal.Load],
// [Journal.ReadAt]) while it is live: from Append, or from a replay that kept
// it, until [Journal.Unpin].
//
// # What it does not do
//
// It does not know what a record means, has no index, and never moves a record.
// Segments are used again strictly in order, so one live record keeps all that
// came after it: the owner moves what stays long (mta/queue's move_segments).
//
// # Promises
//
//   - A record whose Append returned nil is found by every later Open until it
//     was unpinned and a checkpoint followed.
//   - An Append that fails promises nothing: the record may be found if the disk
//     failed between write and sync. It is never half there.
//   - Records are replayed in the order in which they were written. A lazy
//     record that was appended after another record was unpinned is never
//     lost before that record: no mark is forgotten while what it marks can
//     still be found.
//   - Segments are used again only after Options.Checkpoint, begun after their
//     last Unpin, returned nil.
//   - A sync that fails is never repeated and believed, because the kernel may
//     have dropped the data it could not write: those who waited get the
//     error, the segment is not written again, lazy records are written anew in
//     the next segment.
//   - Damage (a checksum, an unreadable block, a lost header) is logged, copied
//     to Options.Corrupt as far as it can be read, and reported; what is whole
//     is replayed, Open goes on.
//
// # Parameters
//
// All are fields of [Options] with defaults; the owner's section of configs has
// the names (queue.segment_size and so on). SegmentSize bounds a record
// ([Journal.MaxRecord]); MaxSegments bounds the disk; MaxWaiting bounds the
// octets of waiting appends and, apart from them, of lazy records; FullWait
// bounds the wait for a segment when all are in use.
//
// # Results
//
// A full disk, and a log in which every segment is in use, is dsn 4.3.1, any
// other failure of the disk, or one that is too slow for FullWait, 4.3.0; all
// pass when their cause does. The last sixteenth of a segment (at most 256 KiB)
// is kept for lazy records when no further segment is ready, so that mail can
// still be marked as done on a full disk. [ErrTooLarge] and [ErrClosed] are the
// caller's.
//
// # Files
//
// Dir holds "lock" (flock(2), held while open), segment-NNNNNN and, for a
// segment without a readable header, segment-NNNNNN.damaged. All numbers are
// little-endian. A segment is
//
//	block 0        4096 octets: header
//	               records, each at a multiple of 8
//	last block     4096 octets: copy of the header, and the trailer
//
//	header    0  8  "TMJRNL1\n"
//	          8  8  sequence number, unique, increasing
//	         16  8  nonce, random for each use of the file
//	         24  8  tail: sequence number of the oldest segment in use
//	         32  8  size of the file
//	         40  4  CRC32C of octets 0 to 39
//
//	record    0  4  CRC32C of octets 4 to 23, begun with the segment's seed
//	          4  4  CRC32C of the payload
//	          8  4  length of the payload, not zero
//	         12  4  offset of the first record of the same write
//	         16  4  offset of this record
//	         20  4  zero
//	         24     payload, then zeros up to a multiple of 8
//
//	trailer 2048  8  offset up to which the records were synced
//	        2056  4  CRC32C of that, begun with the segment's seed
//
// The seed is the CRC32C of sequence number and nonce. So neither a record of
// an earlier use of the file nor a copy of a segment inside a payload is ever
// taken for a record.
//
// New files are filled with written zeros, not with fallocate(2): the first
// write into blocks that are merely allocated changes metadata, and each
// fdatasync would commit the file system's own journal. Files that are used
// again cost nothing but a header, which is synced before the first record.
// Open leaves at most four free segments. A checkpoint that frees segments has
// the spare one's header written anew, with the new tail; so many short lives
// of the process do not add up.
//
// # Recovery
//
// The segment with the highest sequence number says in its tail which segments
// are in use; older ones are free, and so are the last as far as nothing was
// written into them. Each is read, made durable and scanned. A sync is not enough
// for that: the process before may have had one that failed, after which the
// kernel still shows what it no more writes; so what the trailer does not prove is
// written once more, in place, and synced. Open fails if that fails twice: what it
// acts upon must not vanish. Free segments are removed only then, since the last
// one's header is what makes them free; and one that cannot be made ready for a
// new use stays the first of the free ones until its removal is durable, since its
// records may come back, and must then find the marks behind it. Where
// something is no record the scan goes on at the next multiple of 8 that is
// one. The gap is damage if the trailer, or a later record's write that began
// behind it, says that it had been synced; else it is the torn end of a last
// write. A segment gets its trailer when it is left, at Close, or after a crash
// from the Open that looked at it. Nothing is cut off: writing goes on in
// another segment. A file that is shorter than its header says is damage, has
// what records are in it, and is not used again.
//
// No segment is used again before the owner has called [Journal.Recovered].
//
// # Goroutines
//
// The committer, the preparer (keeps one segment ready) and the checkpointer;
// [Journal.Close] waits for them.
package journal
