package main

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
	i := &instance{config: c, plan: startPlan{id: id}, clock: clock.System{}, log: msglog.Discard()}
	defer func() { err = errors.Join(err, i.close()) }()
	if err := i.openDirectory(ctx); err != nil {
		return err
	}
	const actor = "init"
	_, err = i.adminStore.AddDomain(ctx, actor, model.NewDomain{Name: c.Main.Hostname})
	if err != nil && !isExists(err) {
		return err
	}
	nobody := ""
	box := model.NewMailbox{Address: c.SMTPD.Postmaster, MailboxChange: model.MailboxChange{PasswordHash: &nobody}}
	_, err = i.adminStore.AddMailbox(ctx, actor, box)
	if err != nil && !isExists(err) {
		return err
	}
	// What cron and the system write to root is for the same person.
	root := model.NewAlias{Address: "root@" + c.Main.Hostname, AliasChange: model.AliasChange{Targets: []string{c.SMTPD.Postmaster}}}
	_, err = i.adminStore.AddAlias(ctx, actor, root)
	if isExists(err) {
		return nil
	}
	return err
}

// noPostmaster says why mail for postmaster is refused, if it is. A directory
// that cannot answer now is no reason.
func noPostmaster(ctx context.Context, c *configs.Config, d directory.Directory) error {
	hostname := c.Main.Hostname
	a := addr.Address{Local: "postmaster", Domain: hostname}
	if p, err := addr.Parse(c.SMTPD.Postmaster); err == nil && !p.IsNull() {
		a = qualify(p, hostname)
	}
	_, err := d.Domain(ctx, a.Domain)
	switch outcome := directory.OutcomeOf(err); {
	case outcome == directory.Found:
		_, err = d.Recipient(ctx, a)
	case outcome == directory.NotFound && a.Domain != hostname:
		return nil // of another host
	}
	switch {
	case directory.OutcomeOf(err) != directory.NotFound:
		return nil
	case c.SMTPD.Postmaster == "":
		return configs.ErrNoPostmaster
	}
	return fmt.Errorf("nobody has the address %s, so mail for postmaster is refused: add a mailbox or an alias", a)
}
