// Package hostuser knows the users and groups of this host, and what this process may be for them.
//
// # What it does
//
// [Find] and [FindID] look a user up, [Parse] reads "user" or "user:group" as all parameters have it that name one: main.user,
// master.role_users, local.default_privs, user of spawn and of pipe. [Group], [GroupName] and [User.Groups] are about groups.
// [User.NotRoot] and [User.Permitted] say who may be become: nothing of other people's runs as root, and only root becomes another.
//
// # What it does not do
//
// It asks no name service (NSS): /etc/passwd and /etc/group are what there is, read anew each time. Lines that begin with "+" or "-" are none.
// A login name of 500 is taken before the user with that number.
//
// # Results
//
// [ErrNoUser] for who is not there; any other error says that the files have no answer now. [ErrRoot], [ErrNotPermitted].
//
// # Files
//
// /etc/passwd, /etc/group.
package hostuser
