package service

import (
	"net/netip"

	"toastmaster/internal/anvil"
	"toastmaster/internal/dsn"
	"toastmaster/internal/msglog"
)

// ConnectRate is a Server.Admit that lets a client connect to the service of that
// name as often as rate says in the counter's unit of time; 0 is no limit.
func ConnectRate(name string, counter *anvil.Counter, rate int) func(client netip.Addr) *dsn.Error {
	key := anvil.Name(name)
	return func(client netip.Addr) *dsn.Error {
		if counter.Take(anvil.Connect, key.From(counter.Client(client)), 1, rate) {
			return nil
		}
		return dsn.Wrap(dsn.TooManyConnections, "too many connections of this client in a short time", &msglog.Exceeded{
			What: "Connection rate limit", Count: rate + 1, Service: name,
		})
	}
}
