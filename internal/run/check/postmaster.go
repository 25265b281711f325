package check

import (
	"context"
	"fmt"

	"toastmaster/configs"
	"toastmaster/directory"
	"toastmaster/internal/addr"
)

// NoPostmaster says why mail for postmaster is refused, if it is. A directory
// that cannot answer now is no reason.
func NoPostmaster(ctx context.Context, c *configs.Config, d *directory.Directory) error {
	hostname := c.Main.Hostname
	a := addr.Address{Local: "postmaster", Domain: hostname}
	if p, err := addr.Parse(c.SMTPD.Postmaster); err == nil && !p.IsNull() {
		if a = p; a.Domain == "" {
			a = a.WithDomain(hostname)
		}
	}
	decided := d.Decide(ctx, a, directory.Question{Expanded: true})
	switch {
	case decided.Verdict == directory.Foreign && a.Domain == hostname:
	case decided.Verdict == directory.Unknown && decided.Found.Kind == 0:
	default:
		return nil
	}
	if c.SMTPD.Postmaster == "" {
		return configs.ErrNoPostmaster
	}
	return fmt.Errorf("nobody has the address %s, so mail for postmaster is refused: add a mailbox or an alias", a)
}
