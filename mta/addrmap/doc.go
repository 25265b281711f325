// Package addrmap maps mail addresses by lookup tables, as canonical(5) and generic(5) have
// it; cleanup and smtp share it.
//
// # What it does
//
// [Maps.Map] looks an address up by the keys of the manual pages (directory/tables/keys), and
// what it becomes again, until nothing is found or it becomes itself. A text that begins with "@"
// changes the domain alone. The extension that a key does not have goes along where
// propagate_unmatched_extensions says so. Of a text with several addresses the first counts.
// [Maps.Targets] is one step of virtual(5), with all addresses of the text.
//
// # Results
//
// Each error is a *dsn.Error: 4.3.0 when a table cannot answer, 4.3.5 when what it says is no
// address, or when it leads from one to the next without an end.
//
// # What it does not do
//
// It changes no address that cannot be read (internal/addr), and the null sender.
package addrmap
