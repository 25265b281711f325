package literal

import (
	"context"

	"toastmaster/directory"
)

// Backend is a directory.Backend in front of another. Safe for concurrent use.
type Backend struct {
	under    directory.Backend
	hostname string
	ours     func(domain string) bool
}

var _ directory.Walker = (*Backend)(nil)

// Options are what a Backend is made of.
type Options struct {
	// Under is the back end behind it.
	Under    directory.Backend
	Hostname string // main.hostname
	// Ours says that a literal is an address of this host: (*hostaddr.Host).HasLiteral.
	Ours func(domain string) bool
}

// New makes a Backend in front of o.Under.
func New(o Options) *Backend {
	return &Backend{under: o.Under, hostname: o.Hostname, ours: o.Ours}
}

// Entry implements directory.Backend.
func (b *Backend) Entry(ctx context.Context, key directory.Key) (directory.Entry, error) {
	if key.Kind != directory.OfDomain || !b.ours(key.Domain) {
		return b.under.Entry(ctx, key)
	}
	e, err := b.under.Entry(ctx, directory.DomainKey(b.hostname))
	if err == nil {
		e.Domain = standsFor(key.Domain, e.Domain)
	}
	return e, err
}

// Walk implements directory.Walker.
func (b *Backend) Walk(ctx context.Context, w directory.Walk) (directory.Walked, error) {
	name := w.Domain
	literal := b.ours(name)
	if literal {
		w.Domain = b.hostname
	}
	walked, err := directory.Ask(ctx, b.under, w)
	if err == nil && literal {
		walked.Domain = standsFor(name, walked.Domain)
	}
	return walked, err
}

// standsFor is a literal as an alias domain of what the hostname is.
func standsFor(name string, host directory.Domain) directory.Domain {
	return directory.Domain{Name: name, AliasOf: host.Real(), Enabled: host.Enabled}
}
