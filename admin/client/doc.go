// Package client is the Go client of the admin API (admin/api). The command
// line uses it.
//
// # What it does
//
// [NewUnix] talks to an instance on this machine over its unix socket, where
// the caller's user id is the right; [New] talks to a server elsewhere
// over HTTPS with a token. Each method is one request, except [Each], which
// reads a listing page after page.
//
// # Results
//
// Errors are *model.Error with the kind and the fields that the server named. A
// server that does not answer is Unavailable with the cause.
package client
