// Package tabletest is the contract suite of directory.Backend. Every back end
// runs it from a test of its own:
//
//	tabletest.Run(t, tabletest.Subject{Healthy: ..., Failing: ...})
//
// # What it checks
//
// The four answers and that they are not mixed; the order whole address,
// without extension, catch-all; alias domains; relocated addresses; disabled
// domains and mailboxes; folding; several targets in their order; log-in names.
// It is imported by tests only.
package tabletest
