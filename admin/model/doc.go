// Package model is what administration talks about: Domain, Mailbox, Alias,
// Relocated, Token, the audit entry, a queued message, a service; and the one
// place that says whether such a thing is valid.
//
// # What it does
//
// The types are the JSON of the API (admin/api), the arguments of the write
// side (admin/store) and the results of the client (admin/client). For each
// kind there is the thing itself (Mailbox), what makes one (NewMailbox) and
// what changes one (MailboxChange, nil means "leave it"). Normalize folds
// addresses and checks every field.
//
// # Results
//
// Every error of administration is an [*Error] of a closed set of kinds, which
// maps to one HTTP status each; a mistake in the input names the field.
//
// # Units
//
// Sizes are octets, 0 is unlimited. Times are UTC.
package model
