package proxymap

import (
	"context"
	"fmt"
	"net"

	"toastmaster/configs"
	"toastmaster/directory/tables"
	"toastmaster/internal/clock"
	"toastmaster/internal/msglog"
)

// serviceName is the daemon's in the log and the metrics.
const serviceName = "proxymap"

// Options are what a Daemon works with. All are needed.
type Options struct {
	Params configs.Proxymap
	// Tables opens what Params.ReadMaps names. The caller closes it after the Daemon's last session.
	Tables *tables.Set
	Log    *msglog.Log
	Clock  clock.Clock
}

// Daemon answers the requests of all clients. Safe for concurrent use.
type Daemon struct {
	o Options
	// served are the tables that may be asked, by the name that a client says.
	served map[string]tables.Maps
}

// New opens the tables. An error says which parameter, and which item of it, is wrong.
func New(o Options) (*Daemon, error) {
	d := &Daemon{o: o, served: map[string]tables.Maps{}}
	for _, item := range o.Params.ReadMaps {
		name, table, err := configs.ParseReadMap(item)
		if err != nil {
			return nil, fmt.Errorf("proxymap.read_maps: %w", err)
		}
		t, err := o.Tables.Open(context.Background(), table)
		if err != nil {
			return nil, fmt.Errorf("proxymap.read_maps: %w", err)
		}
		// Maps of one: it knows that an empty text is a mistake.
		d.served[name] = tables.Maps{t}
	}
	return d, nil
}

// ServeConn serves a client until it ends the connection, breaks the protocol, is silent
// for too long, or the service stops.
func (d *Daemon) ServeConn(ctx context.Context, c net.Conn) { newSession(d, c).serve(ctx) }
