// Package dnslist reads DNS lists (DNSBL, DNSWL) as Postfix writes them:
// "list.example.org", or "list.example.org=127.0.0.[2;4..11]" where only such answers
// count.
//
// # What it does
//
// [Parse] reads one, [List.Counts] says whether an answer means what is asked for, [List.Strange]
// whether it is none that a list gives, [Reversed] is
// the name of an address in a list.
//
// # What it does not do
//
// It asks no name servers; that is internal/dns's.
//
// # Standards
//
// RFC 5782.
package dnslist
