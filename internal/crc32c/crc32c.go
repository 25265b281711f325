package crc32c

import "hash/crc32"

// Sum is the checksum of b.
func Sum(b []byte) uint32 { return Update(0, b) }

// Update goes on with sum over b: Update(Sum(a), b) is the Sum of a and b.
func Update(sum uint32, b []byte) uint32 {
	// MakeTable gives the table of the standard library, it makes none.
	return crc32.Update(sum, crc32.MakeTable(crc32.Castagnoli), b)
}
