// Package text reads the text of messages for those who look into it: SEARCH,
// SORT and THREAD, filters, a full-text index.
//
// # What it does
//
// [NewReader] undoes base64 and quoted-printable and turns a charset into UTF-8;
// [DecodeWords] does it for the encoded words of a header field (RFC 2047), which
// [Unfold] has made one line. [Fold] brings text into a form in which case,
// composition and width do not matter, about i;unicode-casemap (RFC 5051).
// [Pieces] reads a text of any length with bounded memory, never cutting what may
// be one character. [ToUTF8] reads what a client has sent in a charset that
// [KnownCharset] knows.
//
// # What it does not do
//
// It finds no parts in a message (internal/mime) and matches nothing
// (mailstore/search). It refuses nothing: mail is not clean, and half of a text is
// better than none. Only ToUTF8 is strict, because a client can be told.
//
// # RFCs
//
// 2045 (encodings), 2047 (encoded words), 5051 (i;unicode-casemap).
package text
