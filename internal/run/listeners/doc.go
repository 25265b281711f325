// Package listeners opens what the services of a process listen on.
//
// # What it does
//
// A [Set] gives the listener of an address of the configuration: inherited from the service
// manager (sd_listen_fds(3), [Inherit]), else opened by root before it was given up
// ([Set.OpenPorts]), else opened now.
//
//	service manager --> Inherited --+
//	root --> Set.OpenPorts ---------+--> Set.Listen(address) --> the service
//	Set.Listen itself --------------+
//
// The addresses are those of the configuration in any case. An inherited listener is matched by the
// address that it is bound to, or by its name, which is that of the parameter; one that no
// parameter wants is an error.
//
// [Host] is what loop detection knows: where this host takes mail by SMTP. A
// listener that was matched by its name counts where it is bound.
//
// # What it does not do
//
// It accepts no connection. It is not safe for concurrent use.
package listeners
