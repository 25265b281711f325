// Package field reads the fields of what this program writes on disk: the
// payloads of the journals, the heads of queue files and the mail index.
//
// # What it does
//
// A field is an unsigned varint, a signed one (zigzag), both as in
// encoding/binary, an octet, eight octets little endian, or a text: its length
// as unsigned varint, then its octets. [Reader] reads them one behind the
// other. Writing needs encoding/binary and [AppendText].
//
// # Damage
//
// What lies on disk may be anything. After the first field that is not there
// [Reader.Bad] is true, nothing is left, and every field is zero: a decoder
// reads all fields and asks once. No length makes anybody allocate more than
// what is really there: a text longer than the rest is bad, and
// [Reader.Count] refuses a number of things for which there is no room. Varints
// of more than 64 bits are bad.
//
// # What it does not do
//
// It knows no format, no version and no checksum: those belong to who writes
// the record. It keeps no copy: octets that it returns are a part of the record.
package field
