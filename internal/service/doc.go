// Package service is what every service of the system is: a name, listeners,
// limits and Run. It is the skeleton that Postfix keeps in its master library:
// a protocol brings a [Handler] and nothing else.
//
// # What it does
//
// [Server] accepts connections, bounds them per server and per client, keeps some
// places for trusted clients, bounds the rate of a client's connections
// ([ConnectRate]), tells sessions when there are hardly any places left
// ([OnStress]), bounds the file descriptors of all services ([Files]), makes
// the TLS handshake of an implicit-TLS port, gives each connection one
// goroutine, fences its panics, and drains. [Fenced] is that fence, for whoever
// works on one message or session in a goroutine of its own. [Group] starts
// several services in order of dependency and stops them in reverse. [Listen]
// opens an address, [Inherit] takes over those that the service manager has opened
// (sd_listen_fds(3)). [Notifier] speaks sd_notify(3).
//
// # Behind a proxy
//
// A listener with [Proxy] waits for a header of the PROXY protocol (internal/haproxy) from a proxy in its networks, before
// TLS; who sends none in time is dropped, with a line in the log. All limits are those of the client that is told, and the
// handler has a connection with its address. While it waits the connection counts as a trusted client's.
//
// # What it does not do
//
// It knows no protocol. It has no timer per connection: deadlines are those of
// the socket, set by the handler. A service has its configuration when it is made and
// keeps it: what a running program reads again (certificates, tables, the log's file) it reads
// itself, behind what the service holds.
//
// # Draining
//
// When Run's context ends the listeners close, and what sessions gave to
// [OnDrain] is called. A session that waits for a command says goodbye; others
// finish their command. After Limits.DrainTimeout the handlers' context is
// cancelled and what is left is closed.
//
// # Results
//
// Run returns nil after an orderly drain and an error when a session could not
// be made to end. A failing accept is logged and tried again with a backoff of
// 5 ms to 1 s; it never ends the service.
//
// # Files
//
// A unix socket is made under a temporary name, gets its mode, and is renamed
// into place; one that nobody listens on is replaced. It is removed at Close.
// An inherited one is left where it is.
package service
