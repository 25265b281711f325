// Package keys says by which keys an address, a client or a domain is looked up in a
// table, and in which order.
//
// # What it does
//
// A [Walk] is the keys of one question. [Walk.Lookup] asks a table for one after the
// other and takes the first answer; a list of tables (tables.Maps) is asked as a whole
// for each key, as Postfix does. There is a walk for each manual page:
//
//	Address    canonical(5), virtual(5), generic(5), relocated(5), *_bcc_maps
//	           user+ext@domain user@domain user+ext user @domain
//	           (user+ext and user only in a domain of this machine)
//	Access     access(5), of a mail address
//	           user+ext@domain user@domain domain .parent user+ext@ user@
//	Client     access(5), of a host
//	           name .parent 192.0.2.1 192.0.2 192.0 192, or 2001:db8::1 2001:db8 2001
//	Transport  transport(5)
//	           user+ext@domain user@domain domain .parent *
//	Domain     lists of domains, smtp_tls_policy_maps
//	           domain .parent
//
// Where Options.ParentMatches says so (parent_domain_matches_subdomains), a parent is
// asked for without its dot. The null sender is "<>".
//
// The first key is the whole one. Tables that want whole keys, of patterns and of
// servers, are asked for no other (tables.WantsWhole); of a client they are asked for
// name and address.
//
// # What it does not do
//
// It does not fold keys: that is the table's. It does not read what it finds.
package keys
