// Package authz says who may do what in the administration.
//
// # Roles
//
//	superadmin    everything
//	reseller      the domains of its scope: their limits, and all that is in them
//	domain-admin  what is in the domains of its scope, not their limits
//	mailbox-user  its own mailbox: read it, change its password
//
// The table is data ([Principal.May]) and has a row for each. Tokens are made
// for superadmin only at present; the others wait for the panel's log-in.
//
// # What it does not do
//
// It does not know how a caller proved who it is (admin/api), and nothing of
// the mail protocols.
package authz
