// Package faultfs has the failing disks that tests of durable code run on. It
// is for tests only.
//
// # Disk
//
// A [Disk] is a file system in memory that knows the difference between what
// was written and what was synced:
//
//   - a file's bytes and size are durable after File.Sync or File.Datasync;
//   - a name in a directory is durable after FS.SyncDir of that directory; of a
//     rename between two directories the sync of either makes both halves durable;
//   - File.SyncFS makes everything durable.
//
// [Disk.Crash] gives the disk as it is after a power loss in which all else is
// gone; [Disk.CrashRandom] one in which any part of the rest, by sectors of 512
// octets and single directory entries, may have reached the disk; only a rename
// is atomic, and a directory has the time of its last name. That is
// stricter than ext4, on purpose: code that survives it survives any file
// system that keeps POSIX's word. [Disk.Clone] is the disk after a killed
// process: nothing is lost. [Disk.Limit] makes it run full.
//
// A sync that fails loses: what it should have written is called clean, can
// still be read, and is written by no later sync, until it is written anew.
// That is what Linux does after a failed writeback (fsync(2), "EIO"). Clone
// keeps that state, because a new process finds the same pages; Crash shows what
// it was worth.
//
// # Faults
//
// [Faults] stands before any vfs.FS and makes operations fail: the n-th
// of a kind, the n-th of all, or all from the n-th on. [Faults.Count]
// tells how many there were, so a test can fail each in turn:
//
//	for n := 1; ; n++ {
//		f := faultfs.Wrap(faultfs.NewDisk())
//		f.FailNth(faultfs.Any, n, faultfs.EIO)
//		run(f)
//		if f.Count(faultfs.Any) < n {
//			break // every operation has failed once
//		}
//	}
//
// Failing everything from the n-th operation on and then calling Disk.Crash is
// a power loss at point n.
package faultfs
