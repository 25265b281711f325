// Package backup keeps backups of an instance in a folder: whole ones side by
// side, each a tree of plain files with a list of checksums.
//
// # What it does
//
// [Open] opens the folder, [Repository.Begin] begins a backup. A backup consists
// of sections (the configuration, the database, the queue, one for each
// account); the owner fills one after the other with files, and [Writer.Finish]
// makes the whole appear under its name. What an earlier backup has unchanged is
// a hard link to it and costs no room; so each backup is whole by itself, and
// any of them can be removed with rm -rf. [Backup.Verify] compares every file
// with its checksum, [Backup.Extract] copies a section out and compares, too.
//
// # What it does not do
//
// It does not know what the files are and when they are consistent: that is
// internal/run/backup and mailstore/snapshot. It encrypts nothing. It never removes a
// backup that is whole.
//
// # Promises
//
//   - A name that [List] gives is a whole backup, on disk before it
//     had the name. One that was interrupted has a name that begins with
//     ".unfinished-"; the next one takes from it what is known to be on disk, and
//     removes it.
//   - A file in a backup is never written again: the next one links to it.
//   - One process at a time writes into a folder ([ErrInUse]).
//
// # Files
//
//	DIR/.toastmaster-backups     marks the folder as one of ours; the lock
//	DIR/2026-11-26T180000Z/      one backup, its name is when it began (UTC)
//	    manifest                 of the whole: facts, and the checksum of each section's
//	    manifests/SECTION/.manifest   of a section
//	    SECTION/...              the files
//	DIR/.unfinished-NAME/        one that runs or was interrupted
//	    synced                   its sections that are known to be on disk
//
// A manifest is lines of fields between tabs. The first says what it is and its
// version, the last is "end", the number of lines before it, and the SHA-256 of
// all octets before it. Between them are
//
//	fact  NAME  VALUE
//	sect  SHA-256 of its manifest  files  octets  NAME
//	dir   MODE  UID  GID  PATH
//	file  SHA-256  SIZE  MODE  UID  GID  MTIME (nanoseconds)  PATH
//	link  TARGET  PATH
//
// with texts as Go writes them in quotes. Paths are below the section's folder.
package backup
