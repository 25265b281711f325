// Package control is how the roles of one instance speak with each other when each is a
// process: HTTP with JSON on a unix socket of each role, <data_dir>/role-<role>.sock.
//
// # What it does
//
// [Server] is the service of a role: it answers what the administration and master ask
// about this process. [Client] asks one role; [Client.Queue] is the queue of the mta role as
// admin/api knows it, [Roles] asks several at once.
//
//	admin --> mta     queue, decisions about an address
//	admin --> each    services, sessions, metrics, reload, changed
//	master --> each   reload
//	store --> mta     submit: mail that a delivery sends
//	each --> each     changed
//
// A change of the directory is told to every role before whoever made it is answered.
// A role that does not answer within [CallTimeout] is an error of what it was asked; of a
// change it hears later, after directory.cache_ttl, as any process on the store.
//
// # What it does not do
//
// It asks nobody for a password: the socket is the role's user's, and who
// asks must be that user or root (SO_PEERCRED), or one whom Options.May lets: with users of their own (master.role_users) the
// role admin may ask everything but submit, store submit, and each tell of a change. Who may do what for whom is decided by
// admin/api before it asks.
//
// # Results
//
// An error is a model.Error with its kind; its cause is text. No answer is model.Unavailable.
package control
