// Package discard is the delivery agent that throws mail away and says that it was
// sent (Postfix discard(8)). A route to it is an administrator's choice, or a filter's.
// It is also the smallest agent, to copy from.
//
// # What it does
//
// The nexthop is the reason, for the log; it may begin with a status of class 2. For
// mail of domains (transport.domains) without a reason it is the domain.
//
// # Results
//
//	2.0.0  when the reason has no status, or one of another class
//	2.y.z  the status of the reason
//
// # What it does not do
//
// It makes no success report, also when the sender asks for one: that would say that
// the mail was delivered. It reads no parameters and touches no files.
package discard
