// Package parts are the three places where the data of an instance lies: the mail store, the
// queue and the database.
//
// # What it does
//
// They belong together and carry one id. [Look] looks at them before a start and makes
// nothing: each is there, whole, and of one instance. [MakeMissing] and [Make] make what is missing, and take over what was
// named; nothing else makes any. What has no id yet, because it is older than ids, gets the
// start's when it is opened ([Startup.Adopt]).
//
// The kinds of directory are a table (directories.go), a row each: [OpenHosted] is the database
// that the administration writes, [Answers] what mail asks, which may be something else.
//
// # What it does not do
//
// It opens neither store nor queue; package run does, with what they are given.
//
// # Results
//
// A part that is missing, not whole or another instance's is a usage error: no restart mends it.
// An error that may pass (the database is locked) is none.
package parts
