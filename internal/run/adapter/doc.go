// Package adapter is the mail system as admin/api knows it: admin imports no daemon.
//
// # What it does
//
// [Queue] is the mail queue, [Mail] the store (mailboxes, export, import), [Sessions] who is logged in, [Logins] the last log-ins, which
// the database keeps, [Status] the state of services and parts.
//
// # Results
//
// A part that is not in its place, as after its volume was unmounted, is *model.Error of kind
// Unavailable, which says what to do. What is in the memory of a queue that is not there says
// nothing true, so each call asks first.
package adapter
