// Package packed reads message files that are compressed, as Dovecot's zlib
// plugin and scripts that go with it leave them in a Maildir.
//
// # What it does
//
// [Detect] knows a form by the first octets of a file, as Dovecot does; it
// needs no name and no flag. [Form.Reader] unpacks:
//
//	gzip   any number of members (RFC 1952)
//	bzip2
//	zstd   any number of frames (RFC 8878), windows up to 128 MiB
//	lz4    Dovecot's own frame: a magic of 15 octets, the largest length of a
//	       chunk unpacked (4 octets), then chunks: length packed (4 octets), an LZ4 block.
//	       Numbers are big-endian
//
//	xz     any number of streams, dictionaries up to 64 MiB (xz -9), as Dovecot reads
//	       it, which wrote it until 2.3.13; the checks are compared. Other filters than
//	       LZMA2, which only options of xz make, are detected and not read (ErrForm)
//
// # What it does not do
//
// It packs nothing, opens no file, and sets no limit to what comes out: a small
// file may be a large message, so whoever reads counts. What a reader holds
// itself is bounded: a chunk of 1 MiB, a window of 128 MiB, which only levels
// of zstd above 19 use, a dictionary of 64 MiB.
package packed
