package api

import (
	"context"

	"toastmaster/admin/authz"
	"toastmaster/admin/model"
	"toastmaster/admin/store"
	"toastmaster/directory"
)

// ListAddressesInput is what every listing of addresses takes.
type ListAddressesInput struct {
	Paging
	Domain   string `query:"domain" doc:"Only of this domain"`
	Contains string `query:"contains" doc:"A part of the address"`
}

// filter is what the caller asks for, within what he may see.
func (in *ListAddressesInput) filter(by caller) model.Filter {
	return model.Filter{Domain: fold(in.Domain), Contains: fold(in.Contains), Scope: by.scope()}
}

// target is the domain, or all that the caller may see.
func (in *ListAddressesInput) target() (authz.Target, error) {
	return authz.Target{Object: authz.Address, Domain: fold(in.Domain)}, nil
}

// AddressInput is the path of an operation on one address.
type AddressInput struct {
	Address string `path:"address" maxLength:"400"`
}

// folded is the address as it is stored.
func (in *AddressInput) folded() (string, error) {
	address, _, err := onAddress(in.Address)
	if err != nil {
		return "", model.Fail(model.NotFound, "no such address")
	}
	return address, nil
}

// target is the address.
func (in *AddressInput) target() (authz.Target, error) {
	_, target, err := onAddress(in.Address)
	if err != nil {
		return authz.Target{}, model.Fail(model.NotFound, "no such address")
	}
	return target, nil
}

type listMailboxesInput struct {
	ListAddressesInput
	Enabled switchParam `query:"enabled" enum:"true,false"`
}

func (h *handlers) listMailboxes(ctx context.Context, by caller, in *listMailboxesInput) (*body[model.Page[model.Mailbox]], error) {
	f := in.filter(by)
	f.Enabled = in.Enabled.value()
	page, err := h.o.Store.Mailboxes(ctx, f, in.After, h.limit(in.Paging))
	return &body[model.Page[model.Mailbox]]{page}, err
}

// onNewMailbox is the address, or the host where a home is chosen: mail may lie there
// that is another's.
func onNewMailbox(in *body[model.NewMailbox]) (authz.Target, error) {
	return onHome(in.Body.Home, func() (authz.Target, error) {
		_, target, err := onAddress(in.Body.Address)
		return target, err
	})
}

func onHome(chosen *string, otherwise func() (authz.Target, error)) (authz.Target, error) {
	if chosen != nil {
		return authz.Target{Object: authz.System}, nil
	}
	return otherwise()
}

func (h *handlers) addMailbox(ctx context.Context, by caller, in *body[model.NewMailbox]) (*body[model.Mailbox], error) {
	// Before the mailbox is there, so that what is found is nobody's new mail.
	old, err := h.oldMail(ctx, in.Body.Address, in.Body.Home)
	if err != nil {
		return nil, err
	}
	if old.Home != "" && !in.Body.KeepMail {
		// One that is there is refused for that.
		if _, err := h.o.Store.Mailbox(ctx, old.Address.String()); model.KindOf(err) == model.NotFound {
			return nil, h.hasOldMail(ctx, old)
		}
	}
	m, err := h.o.Store.AddMailbox(ctx, by.name, in.Body)
	if err == nil && old.Home != "" {
		m.Warning = "mail of an earlier mailbox is at " + old.Home + ", it is shown again"
	}
	return &body[model.Mailbox]{m}, err
}

// hasOldMail refuses to show mail of an earlier mailbox to a new owner unless
// that is asked for. Mail in the home of somebody who is there is his: that is said
// first, because keep_mail would not help.
func (h *handlers) hasOldMail(ctx context.Context, old directory.Mailbox) error {
	if err := h.o.Store.FreeHome(ctx, old.Home); err != nil {
		return err
	}
	return model.Fail(model.InUse, "mail of an earlier mailbox is at "+old.Home+
		": add it with keep_mail (--keep-mail) to show that again, or purge it first (mailbox remove --purge)")
}

// keepsOldMail checks a mailbox of a bulk addition that does not exist yet.
func (h *handlers) keepsOldMail(ctx context.Context, in *model.NewMailbox) error {
	if in.KeepMail {
		return nil
	}
	old, err := h.oldMail(ctx, in.Address, in.Home)
	if err == nil && old.Home != "" {
		err = h.hasOldMail(ctx, old)
	}
	return err
}

// oldMail is the mailbox that an address would get, if mail lies there
// already; else it has no Home.
func (h *handlers) oldMail(ctx context.Context, address string, home *string) (directory.Mailbox, error) {
	a, err := model.ParseAddress(address, false)
	if err != nil || h.o.HasMail == nil {
		return directory.Mailbox{}, nil // no mailbox's address, which others refuse
	}
	m := directory.Mailbox{Address: a}
	if m.Home, err = h.o.Store.HomeOf(address, home); err != nil {
		return directory.Mailbox{}, nil // refused by others, too
	}
	there, err := h.o.HasMail(ctx, m)
	if err != nil {
		return directory.Mailbox{}, storeFailure(model.Internal, "the mail store cannot say whether there is mail of an earlier mailbox", err)
	}
	if !there {
		return directory.Mailbox{}, nil
	}
	return m, nil
}

func (h *handlers) showMailbox(ctx context.Context, _ caller, in *AddressInput) (*body[model.Mailbox], error) {
	address, err := in.folded()
	if err != nil {
		return nil, err
	}
	m, err := h.o.Store.Mailbox(ctx, address)
	return &body[model.Mailbox]{m}, err
}

type setMailboxInput struct {
	AddressInput
	Body model.MailboxChange
}

func (in *setMailboxInput) target() (authz.Target, error) {
	return onHome(in.Body.Home, in.AddressInput.target)
}

func (h *handlers) setMailbox(ctx context.Context, by caller, in *setMailboxInput) (*body[model.Mailbox], error) {
	address, err := in.folded()
	if err != nil {
		return nil, err
	}
	m, err := h.o.Store.SetMailbox(ctx, by.name, address, in.Body)
	return &body[model.Mailbox]{m}, err
}

type removeMailboxInput struct {
	AddressInput
	Purge bool `query:"purge" doc:"With all its mail; otherwise the mail stays, and is shown again when the address is added with keep_mail. Of a mailbox that was removed before, the mail"`
}

func (h *handlers) removeMailbox(ctx context.Context, by caller, in *removeMailboxInput) (*body[model.Removed], error) {
	address, err := in.folded()
	if err != nil {
		return nil, err
	}
	if err := h.o.Store.MayRemoveMailbox(ctx, address); err != nil {
		return nil, err
	}
	if in.Purge {
		m, err := h.o.Store.Mailbox(ctx, address)
		if model.KindOf(err) == model.NotFound {
			return h.purgeOldMail(ctx, address)
		}
		if err != nil {
			return nil, err
		}
		if err := h.purgeMailbox(ctx, by.name, m); err != nil {
			return nil, err
		}
	}
	removed, err := h.o.Store.RemoveMailbox(ctx, by.name, address)
	return &body[model.Removed]{removed}, err
}

// purgeOldMail removes what a mailbox left behind that was removed without its
// mail.
func (h *handlers) purgeOldMail(ctx context.Context, address string) (*body[model.Removed], error) {
	old, err := h.oldMail(ctx, address, nil)
	switch {
	case err != nil:
		return nil, err
	case old.Home == "":
		return nil, model.Fail(model.NotFound, "no such mailbox, and no mail of an earlier one")
	}
	if err := h.o.Purge(ctx, old); err != nil {
		return nil, storeFailure(model.Internal, "the mail could not be removed", err)
	}
	return &body[model.Removed]{model.Removed{Address: address, MailOnly: true}}, nil
}

// purgeMailbox removes the mail of a mailbox, which is disabled first, so that
// nothing new arrives meanwhile. The row goes last: when the mail cannot be
// removed, the mailbox is still there to try again.
func (h *handlers) purgeMailbox(ctx context.Context, actor string, m model.Mailbox) error {
	if h.o.Purge == nil {
		return model.Fail(model.Unavailable, "this server cannot remove mail")
	}
	box, err := store.Directory(m)
	if err != nil {
		return err
	}
	if h.o.HasMail != nil {
		if _, err := h.o.HasMail(ctx, box); err != nil {
			return storeFailure(model.Internal, "the mail could not be removed; nothing is changed", err)
		}
	}
	if m.Enabled {
		off := false
		if _, err := h.o.Store.SetMailbox(ctx, actor, m.Address, model.MailboxChange{Enabled: &off}); err != nil {
			return err
		}
	}
	if err := h.o.Purge(ctx, box); err != nil {
		return storeFailure(model.Internal, "the mail could not be removed; the mailbox is disabled", err)
	}
	return nil
}
