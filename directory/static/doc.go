// Package static is a directory held in memory: hosted data as Go values
// (Postfix's static and inline maps, applied to the whole hosted data). It
// serves tests and very small hosts.
//
// # What it does
//
// [NewTable] checks and folds the [Data] once and is a directory.Backend; its
// lookups only read maps, never fail and never wait. [New] is the directory
// over it. [Broken] is a back end that cannot answer, for tests of the other two
// answers.
//
// # Results
//
// Found or NotFound. A Data that contradicts itself (a domain or an address
// given twice, an address of two kinds, an address in a domain that is not
// hosted, an alias domain of an alias domain) is an error of New.
package static
