// Package contentcheck walks over a message as the tables of header_checks(5) see it: field by field through the
// headers of all parts, and line by line through what stands between; cleanup and smtp share it.
//
// # What it does
//
// [Walk.Message] shows each field and line, with where it stands, and [Walk.Fields] those of one header. A field has
// all its lines, without the space before the colon. Which class it has, and from where the octets of a body are
// counted, is as in Postfix. What is to be changed is noted by who looks; [Patched] is the content with changes, which is not
// copied.
//
// # Parameters
//
// cleanup.header_size_limit, line_length_limit and body_checks_size_limit, through [Limits].
//
// # Results
//
// An error is a *dsn.Error 4.3.0, when the content cannot be read or the context ends, or the one of who looks.
//
// # What it does not do
//
// It asks no table, and decodes nothing.
package contentcheck
