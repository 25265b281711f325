// Package logins knows the log-ins that are in use, and ends those that would
// not succeed any more.
//
// # What it does
//
// A session of a protocol makes a [Login] before it authenticates
// ([Watch.Begin]), says who it was good for ([Login.Confirm]), asks
// [Login.Check] before every command, and calls [Login.End]. One [Watch] serves
// all sessions of all protocols.
//
// A log-in is not good any more when the mailbox is removed or disabled, alone
// or with its domain, when it is made anew, or when its password changes
// (directory.Mailbox.Credential). A stronger hash of the same password changes
// nothing. The Watch hears of changes made by this process at once
// ([Watch.Changed]) and finds others after WatchOptions.Interval.
//
// No command begins with an old log-in after Changed returned, because Check
// asks the directory again. The function given to Begin ends the wait of a
// session that is quiet; that takes 200 ms, or four times as long as a round
// through all mailboxes that are logged in.
//
// [Watch.Sessions] lists the sessions, [Watch.Kick] ends some as if their log-in
// were not good any more; they may log in again. The last log-in of each mailbox by
// each service is given to WatchOptions.Keep, at most every Interval and at the end.
//
// # What it does not do
//
// It verifies no password and logs nobody in: that is directory/password. It
// knows no connection; the session ends itself.
//
// # Results
//
// [Login.Check] returns nil, [ErrRevoked] (5.2.1), which is final, or while the
// directory cannot answer after a change its temporary error (4.7.0), which
// refuses the command only.
package logins
