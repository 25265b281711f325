// Package discard is the delivery agent that throws mail away and says that it
// was sent (Postfix discard(8)). A route to it is an administrator's choice.
// It is also the smallest agent, to copy from.
//
// It reads no parameters and touches no files.
package discard
