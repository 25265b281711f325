package run

import (
	"context"
	"errors"
	"fmt"

	"toastmaster/admin/model"
	"toastmaster/configs"
	"toastmaster/directory"
	"toastmaster/internal/addr"
	"toastmaster/internal/clock"
	"toastmaster/internal/identity"
	"toastmaster/internal/msglog"
)

// makePostmaster hosts the host's own name with a mailbox that nobody can log
// in to yet. What exists is left alone.
func makePostmaster(ctx context.Context, c *configs.Config, id identity.ID) (err error) {
	i := &Instance{config: c, plan: StartPlan{ID: id}, clock: clock.System{}, log: msglog.Discard()}
	defer func() { err = errors.Join(err, i.Close()) }()
	if err := i.openDirectory(ctx); err != nil {
		return err
	}
	const actor = "init"
	_, err = i.adminStore.AddDomain(ctx, actor, model.NewDomain{Name: c.Main.Hostname})
	if err != nil && !exists(err) {
		return err
	}
	nobody := ""
	box := model.NewMailbox{Address: c.SMTPD.Postmaster, MailboxChange: model.MailboxChange{PasswordHash: &nobody}}
	_, err = i.adminStore.AddMailbox(ctx, actor, box)
	if err != nil && !exists(err) {
		return err
	}
	// What cron and the system write to root is for the same person.
	root := model.NewAlias{Address: "root@" + c.Main.Hostname, AliasChange: model.AliasChange{Targets: []string{c.SMTPD.Postmaster}}}
	_, err = i.adminStore.AddAlias(ctx, actor, root)
	if exists(err) {
		return nil
	}
	return err
}

// exists says that what was to be added is there.
func exists(err error) bool { return model.KindOf(err) == model.Exists }

// noPostmaster says why mail for postmaster is refused, if it is. A directory
// that cannot answer now is no reason.
func noPostmaster(ctx context.Context, c *configs.Config, d *directory.Directory) error {
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
