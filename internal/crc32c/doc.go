// Package crc32c is the checksum of what this program writes on disk: CRC-32
// with the polynomial of Castagnoli (RFC 3720 section 12.1), for which processors
// have an instruction. The journal, the queue's files, the mail index and the
// spool have it; which octets it covers is told where the format is.
//
// It finds what a disk or a crash did to a record. It is no defence against
// somebody who may write the file.
package crc32c
