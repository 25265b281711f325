package literal

import (
	"context"

	"toastmaster/directory"
	"toastmaster/internal/addr"
)

// Directory is a directory.Directory in front of another.
type Directory struct {
	directory.Directory
	hostname string
	ours     func(domain string) bool
}

var _ directory.Directory = (*Directory)(nil)

// New makes a Directory in front of d. ours is (*hostaddr.Host).HasLiteral.
func New(d directory.Directory, hostname string, ours func(domain string) bool) *Directory {
	return &Directory{Directory: d, hostname: hostname, ours: ours}
}

// Domain implements directory.Directory.
func (d *Directory) Domain(ctx context.Context, name string) (directory.Domain, error) {
	if !d.ours(name) {
		return d.Directory.Domain(ctx, name)
	}
	found, err := d.Directory.Domain(ctx, d.hostname)
	if err != nil {
		return found, err
	}
	if found.AliasOf == "" {
		found.AliasOf = found.Name
	}
	found.Name = name
	return found, nil
}

// Recipient implements directory.Directory.
func (d *Directory) Recipient(ctx context.Context, a addr.Address) (directory.Recipient, error) {
	if d.ours(a.Domain) {
		a = a.WithDomain(d.hostname)
	}
	return d.Directory.Recipient(ctx, a)
}
