// Package proxymap lets other programs ask the lookup tables of this process (Postfix
// proxymap(8)), by the socketmap protocol of sendmail and Postfix (socketmap_table(5)).
//
// # What it does
//
// [Daemon] is a service.Handler. A request is a netstring, the name of a table, a blank and
// the key; so is its answer:
//
//	OK text        what the table has under the key
//	NOTFOUND       nothing
//	TEMP reason    the table cannot say: its server, the directory or a file of it fails, what it
//	               says is empty, or longer than 100,000 octets with the word before it
//	TIMEOUT reason it did not say so within proxymap.timeout
//	PERM reason    there is no such table for clients, or the request has no blank
//
// Only what proxymap.read_maps names can be asked. Tables are those of the process's one
// tables.Set: a text file is read once for all who ask, here and there. So a real Postfix finds domains,
// mailboxes and aliases in the directory (directory:domains and so on).
//
// # What it does not do
//
// It lists no table, changes none (Postfix proxywrite) and makes no walk over parts of a key: a client asks
// for each key that it means. It speaks no protocol of Postfix's own, so `proxy:` of another
// Postfix does not reach it; `socketmap:` does. It has no log-in.
//
// # Results
//
// A reason is a constant: what failed is in the log, one line for each request that failed. An octet that
// is no netstring, one that is longer than proxymap.request_limit, and a wait beyond proxymap.timeout or max_idle
// end the connection without an answer, because it is not known where the next request begins. A
// client that is turned away (trusted_networks, max_connections) hears nothing: it tries again. All requests are
// counted in the metric toastmaster_lookups_total, by table and result.
//
// A table that is misconfigured is TEMP, not PERM: sendmail would return mail for PERM.
//
// # Memory and goroutines
//
// A connection is one goroutine, which has one request at a time: proxymap.max_connections bounds how much is asked at
// once. A request takes memory as its octets come, up to proxymap.request_limit.
//
// # Parameters
//
// The section [proxymap]; [tables] bounds the tables themselves.
package proxymap
