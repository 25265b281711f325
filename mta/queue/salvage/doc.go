// Package salvage keeps what a queue cannot use any more: its folder corrupt/.
//
// # What it does
//
// [Folder.File] takes the file of a message that is damaged, [Folder.Record] the
// octets of a record of the journal, as far as they can be read ([Raw]), and
// [Folder.Content] the content of a message whose record is lost or kept with it. Each
// writes one line to the log and reports whether it lies there now: until it does the
// queue must not let go of it. [Folder.IDs], [Folder.Parts] and [Folder.Delete] are
// for operators; what no ID can be told of is counted by [Folder.Remains].
// [Unreadable] tells a disk that does not give something back from other trouble.
//
// # What it does not do
//
// It does not judge whether a message is damaged, and mends nothing (mta/queue).
// Nothing leaves the folder but by Delete.
//
// # Files
//
//	ID                      a message file
//	ID.record, ID.content   record and content of a message of the journal
//	record-SEGMENT-OFFSET   a record of which not even the ID is known
//	segment-NUMBER-OFFSET   a range of the journal (internal/journal)
//
// # Results
//
// An error is the disk's, without a status.
package salvage
