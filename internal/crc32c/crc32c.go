// Package crc32c is the checksum of what this program writes on disk: CRC-32
// with the polynomial of Castagnoli (RFC 3720 section 12.1), for which processors
// have an instruction. The journal, the queue's files, the mail index and the
// spool have it; which octets it covers is told where the format is.
//
// It finds what a disk or a crash did to a record. It is no defence against
// somebody who may write the file.
package crc32c

import "hash/crc32"

// Sum is the checksum of b.
func Sum(b []byte) uint32 { return Update(0, b) }

// Update goes on with sum over b: Update(Sum(a), b) is the Sum of a and b.
func Update(sum uint32, b []byte) uint32 {
	// MakeTable gives the table of the standard library, it makes none.
	return crc32.Update(sum, crc32.MakeTable(crc32.Castagnoli), b)
}
