// Package golden keeps one file for each version of a format that lies on
// disk, as the program of its day wrote it, so that no change of the code
// makes old data unreadable unseen.
//
// A golden file is never written again. A change of what is written to disk
// needs a new version of the format and a new golden file beside the old ones,
// which the reader goes on reading:
//
//	go test ./mta/queue -run Golden -update
//
// writes those that are missing and no others.
package golden
