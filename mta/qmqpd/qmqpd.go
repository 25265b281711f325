package qmqpd

import (
	"context"
	"net"
	"net/netip"

	"toastmaster/configs"
	"toastmaster/internal/clock"
	"toastmaster/internal/envelope"
	"toastmaster/internal/msglog"
	"toastmaster/internal/spool"
)

// serviceName is the daemon's in the log.
const serviceName = "qmqpd"

// Options are what a Daemon works with. All are needed but those that may be nil.
type Options struct {
	Params   configs.QMQPD
	Hostname string // main.hostname
	// MaxMessage is smtpd.message_size_limit.
	MaxMessage int64
	// ClientName is the verified name of a client; nil knows none.
	ClientName func(ctx context.Context, a netip.Addr) string
	// Room says whether a message of a size, 0 for any, may come in; nil lets in all.
	Room   func(size int64) error
	Submit envelope.Submitter
	Spool  *spool.Dir
	Log    *msglog.Log
	Clock  clock.Clock
}

// Daemon serves all clients. Safe for concurrent use.
type Daemon struct {
	o       Options
	clients []netip.Prefix
}

// New makes a Daemon.
func New(o Options) *Daemon { return &Daemon{o: o, clients: configs.Prefixes(o.Params.Clients)} }

// ServeConn takes one message from a client.
func (d *Daemon) ServeConn(ctx context.Context, c net.Conn) { newSession(d, c).serve(ctx) }
