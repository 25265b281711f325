// Package addrfield takes the header fields apart that hold addresses (To, From and
// their like), and puts them together with other addresses in them.
//
// # What it does
//
// [Parse] reads the text behind the colon into tokens, of which those that make up an
// address belong to it. [List.Rewrite] gives each address to a function, as a text with
// quotes where they are needed, and takes what stands in its place. [List.Field] writes
// the whole field as Postfix does: a space between words, as many addresses on a line as fit
// into 70 columns, and a tab before each further line.
//
// People and programs write what is no list of RFC 5322. Nothing is thrown away: what is
// not understood stands where it stood, and a comma that is missing is put in. Of
//
//	To: John Doe, "Doe, J." <j@example.org> (home), team: a@b, c;
//
// the addresses are John, Doe, j@example.org, a@b and c.
//
// [Form.Standard] completes an address, trivial-rewrite(8)'s first task.
//
// # What it does not do
//
// It decodes nothing, and looks nothing up. A field in which nothing changes should be left
// as it was: a field that was read and written has its white space from here.
//
// # Standards
//
// RFC 5322 section 3.4, with the obsolete forms of section 4.4.
package addrfield
