// Package mailstore is the one API over the message store: deliver into it,
// open it. Everything above (LMTP, IMAP, POP3, the virtual agent, the admin
// API) talks to this package; below it are mailstore/maildir and
// mailstore/index.
package mailstore
