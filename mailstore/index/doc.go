// Package index keeps what a mailbox must know about its messages without
// opening them: UIDs, names, flags, sizes, dates, mod-sequences, where the
// cached record lies, and what was expunged.
//
// # What it does
//
// [State] is a mailbox in memory. It changes only by records, which [Batch]
// encodes and [State.Replay] applies; so what a restart reads is what the
// running process has. [Log] appends batches to the log file, under the lock
// that all processes on the mailbox share, and finds what others appended.
// [Rare] is what few messages have besides: a name that other programs spelt, a
// compressed file, keywords without a letter. [State.AppendSnapshot] and [ParseSnapshot] write and read the whole state;
// [Cache] holds the records of messages that package mime writes.
// [State.Counters] are kept with each change, so that nobody counts.
//
// # What it does not do
//
// It never looks into the Maildir: package mailstore compares the two and
// writes the records that make them agree. It does not sync, except where a
// function says so.
//
// # Files
//
// All three lie in the mailbox's folder. Numbers are little-endian; "varint"
// is encoding/binary's; CRC is CRC-32C (Castagnoli).
//
// toastmaster.index.log:
//
//	offset size
//	0      8    magic "TMIXLOG" 0x01
//	8      4    UIDVALIDITY
//	12     8    position of the first record (see below)
//	20     4    CRC of octets 0 to 19
//	24     ...  records
//
// A position counts the octets of all records ever logged for this mailbox,
// headers included: it goes on when the log is replaced by a shorter one. It
// ties snapshot and log together and makes a record valid in one place only,
// so that remains of older records are never taken for new ones.
//
// A record:
//
//	0  4  CRC of the record's position (8 octets), octets 4 to 7, and payload
//	4  3  length of the payload
//	7  1  type, see the rec constants in record.go
//	8  .. payload: varints, and strings as length (uvarint) and octets
//
// toastmaster.index:
//
//	0   8   magic "TMIXSNP" 0x01, or 0x02 with a section of rare things
//	8   4   CRC of everything from octet 12 on
//	12  4   UIDVALIDITY
//	16  8   position of the log up to which the snapshot tells all
//	24  ... body of varints, see snapshot.go
//
// toastmaster.cache:
//
//	0   8   magic "TMCACHE" 0x01
//	8   ... entries: CRC of UID (4 octets) and data, 4; UID, 4; data
//
// Offset and length of an entry (with its 8 octets of header) are in the
// index. It is the first part of a record; the second, which fewer ask for, is an
// entry right before it, and the first knows its length. Both have a version in
// their data: who does not know it scans the message. The cache may be deleted at
// any time.
//
// # Torn and damaged files
//
// The log ends at the first record whose CRC is wrong. Whoever holds the lock
// cuts the rest off. A damaged snapshot, or one older than the beginning of
// the log, is reported as [ErrDamaged]; mailstore then rebuilds from the
// Maildir, dovecot-uidlist and what the log still tells.
//
// # UIDs are never used twice
//
// A record Reserve, durable before a client sees a UID, says up to which UID
// and mod-sequence numbers may have been handed out. A log that does not end
// with a record Close was not closed in order: its tail may be lost, and
// [State.Recover] goes on above the reservation. A record Close ends the
// reservations, because what is written behind it may be lost without a trace.
//
// A record Era, before the first of a process, names the era of the store
// ([Options.Era]): the time in which at least one process had it open. A log whose last
// era is that of the reader has lost nothing, whoever was killed, and numbers go on
// without a gap.
package index
