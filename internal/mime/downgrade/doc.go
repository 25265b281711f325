// Package downgrade turns a message with 8-bit content into one that a 7-bit
// peer can take (RFC 6152 section 3), without a change in what is in it.
//
// # What it does
//
// [New] looks at a message and makes a [Plan], or none when no body has an octet
// beyond ASCII. [Plan.Pieces] is the converted message, in LF form, piece by piece;
// it can be asked for several times. Parts that are labelled 8bit or binary, and
// those without such a label that have 8-bit content all the same, become
// quoted-printable. A multipart or message/rfc822 that says 8bit says 7bit afterwards,
// and what is in it is converted part by part, to any depth. A part
// that is quoted-printable already, but has raw octets in it, has these encoded.
// Every other octet stays as it is, boundaries and preambles too. A message that says no
// MIME-Version gets one, because without it nothing would be decoded, and where it has
// no Content-Type either, "text/plain; charset=unknown-8bit" (RFC 1428).
//
// A line has 76 octets at most. White space at the end of a line is encoded, and so
// is the second of two hyphens that begin one: whatever the boundaries around it
// are, encoded text makes none.
//
// # What it does not do
//
// What has no encoding that could be said goes as it is, as with Postfix: fields of
// headers, and what stands before the first boundary or behind the last.
//
// Some messages cannot be converted, and [New] says an [ImpossibleError]: what is in
// multipart/signed is signed as it stands (RFC 1847 section 2.1), and a signature that
// is broken on the way is worse than a report to the one who made it; message/partial
// and message/external-body are 7-bit by definition (RFC 2046 section 5.2), a
// multipart cannot be encoded as a whole, and 8-bit octets in base64, or in an encoding that is not known, mean nothing.
// So is a message with more parts than mime.Limits allows.
//
// A DKIM signature of the body does not outlive the conversion (RFC 6376 section 5.3).
//
// # Limits
//
// Memory is that of mime.Scan, some octets for each part, and two blocks of 32 KiB. A message
// is read three times: what it is, how long it becomes, and what goes out.
package downgrade
