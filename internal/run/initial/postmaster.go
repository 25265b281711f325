package initial

import (
	"context"
	"errors"

	"toastmaster/admin/model"
	"toastmaster/configs"
	"toastmaster/internal/clock"
	"toastmaster/internal/identity"
	"toastmaster/internal/msglog"
	"toastmaster/internal/run/parts"
)

// makePostmaster hosts the host's own name with a mailbox that nobody can log
// in to yet. What exists is left alone.
func makePostmaster(ctx context.Context, c *configs.Config, id identity.ID) (err error) {
	h, err := parts.OpenHosted(ctx, c, parts.Startup{ID: id})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	admin, err := h.Store(c, nil, msglog.Discard(), clock.System{})
	if err != nil {
		return err
	}
	const actor = "init"
	_, err = admin.AddDomain(ctx, actor, model.NewDomain{Name: c.Main.Hostname})
	if err != nil && !exists(err) {
		return err
	}
	nobody := ""
	box := model.NewMailbox{Address: c.SMTPD.Postmaster, MailboxChange: model.MailboxChange{PasswordHash: &nobody}}
	_, err = admin.AddMailbox(ctx, actor, box)
	if err != nil && !exists(err) {
		return err
	}
	// What cron and the system write to root is for the same person.
	root := model.NewAlias{Address: "root@" + c.Main.Hostname, AliasChange: model.AliasChange{Targets: []string{c.SMTPD.Postmaster}}}
	_, err = admin.AddAlias(ctx, actor, root)
	if exists(err) {
		return nil
	}
	return err
}

// exists says that what was to be added is there.
func exists(err error) bool { return model.KindOf(err) == model.Exists }
