// Package initial makes a new instance: `toastmaster init`.
//
// # What it does
//
// [Make] writes a configuration ([Text]: only what differs from the defaults), a key with a
// certificate of its own, the parts, and a mailbox for postmaster. The configuration comes
// last, so that an init that failed can be repeated.
//
// # What it does not do
//
// It changes nothing that is there, and serves nothing.
//
// # Results
//
// [Check] finds a mistake in the options: a usage error. fs.ErrExist where there is a configuration.
package initial
