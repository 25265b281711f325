// Package tabletest is the contract suite of directory.Backend. Every back end
// runs it from a test of its own:
//
//	tabletest.Run(t, tabletest.Subject{Healthy: ..., Failing: ...})
//
// # What it checks
//
// The four answers and that they are not mixed; the order whole address,
// without extension, catch-all; alias domains; relocated addresses; disabled
// domains and mailboxes; folding; several targets in their order; log-in names; and
// the decisions about random data, which are those of a table in memory.
// It is imported by tests only.
package tabletest
