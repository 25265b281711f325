// Package rights is about the user that a process serves as.
//
// # What it does
//
// [RunAs] is the user of main.user that root becomes ([User.Become], for good), [OwnerOf] the one that
// an instance belongs to where that parameter says nothing. [AsOwner] works as the owner for a
// while, [BecomeOwner] from now on. [NotRootsOwn] refuses root where another user's service could not read
// what root makes, [WithOwner] says what mends a file that this user may not use.
// [User.Give] makes a file of root's the user's. [RolesOf] are the users of the roles of a master, [RunAsRole] the one
// that a role becomes; [Permissions] knows to whom all files belong then ([Permissions.Check], [Permissions.Set]), and
// [QueueFS] and [StoreFS] make new ones so.
// [SocketGroup] is the group of the sockets that are for others, of LMTP and proxymap.
//
// # What it does not do
//
// It opens nothing: ports and keys, which need root, are listeners' and run's.
//
// # Parameters
//
// main.user, master.role_users, lmtpd.unix_listener_group, proxymap.unix_listener_group.
//
// # Files
//
// /etc/passwd and /etc/group, by the system's calls; a number needs no entry.
package rights
