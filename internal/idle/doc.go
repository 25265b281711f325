// Package idle keeps connections that nobody uses for the next who wants one.
//
// # What it does
//
// A [Pool] has connections under keys: the names of what is at their other end. [Pool.Take] gives
// the one that was put there last, which is the likeliest to be alive; [Pool.Put] keeps one for a
// time, after which it is ended. Beyond Options.Limit the one that was put first is ended.
//
// One goroutine ends them, and exists only while there are any. [Pool.Close] ends it and them.
//
// # What it does not do
//
// It makes no connections and counts none that are in use. Take does not look whether the other end is still
// there: who takes a connection asks [Quiet], and makes a new one where it is not, also where it ends while the first
// question is asked. It knows nothing of protocols: Options.End says goodbye.
//
// # Who uses it
//
// mta/smtp, mta/milter, internal/policyclient and directory/tables.
package idle
