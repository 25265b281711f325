package api

import (
	"context"
	"slices"

	"toastmaster/admin/model"
	"toastmaster/admin/store"
)

// Sessions is what the API does with sessions that are logged in.
type Sessions interface {
	// List lists those of a mailbox, "" for all.
	List(mailbox string) []model.Session
	// Last are log-ins of a mailbox that the store does not have yet.
	Last(mailbox string) []model.LastLogin
	// Kick ends those that k selects and counts them.
	Kick(k model.Kick) int
}

type listSessionsInput struct {
	Mailbox string `query:"mailbox" doc:"Only of this mailbox" maxLength:"400"`
}

func (h *handlers) listSessions(ctx context.Context, _ caller, in *listSessionsInput) (*body[model.SessionList], error) {
	items := h.o.Sessions.List(fold(in.Mailbox))
	if items == nil {
		if err := h.known(ctx, in.Mailbox); err != nil {
			return nil, err
		}
		items = []model.Session{}
	}
	return &body[model.SessionList]{model.SessionList{Items: items}}, nil
}

func (h *handlers) kick(ctx context.Context, by caller, in *body[model.Kick]) (*body[model.Kicked], error) {
	k := in.Body
	if k.Mailbox = fold(k.Mailbox); k == (model.Kick{}) {
		return nil, model.Fail(model.Invalid, "a mailbox or the id of a session is needed")
	}
	n := h.o.Sessions.Kick(k)
	if n == 0 {
		if k.ID != "" {
			return nil, model.Fail(model.NotFound, "no such session: it may have ended")
		}
		if err := h.known(ctx, k.Mailbox); err != nil {
			return nil, err
		}
	}
	h.o.Log.InfoContext(ctx, "sessions ended", "actor", by.name, "mailbox", k.Mailbox, "session", k.ID, "sessions", n)
	return &body[model.Kicked]{model.Kicked{Ended: n}}, nil
}

// known says that a mailbox without sessions is one at all; "" is all of them. It is
// asked after its sessions: those of a mailbox that was removed end a moment later.
func (h *handlers) known(ctx context.Context, mailbox string) error {
	if mailbox == "" {
		return nil
	}
	address, _, err := onAddress(mailbox)
	if err == nil {
		_, err = h.o.Store.Mailbox(ctx, address)
	}
	return err
}

func (h *handlers) mailboxStatus(ctx context.Context, _ caller, in *AddressInput) (*body[model.MailboxStatus], error) {
	address, err := in.folded()
	if err != nil {
		return nil, err
	}
	m, err := h.o.Store.Mailbox(ctx, address)
	if err != nil {
		return nil, err
	}
	out := model.MailboxStatus{Mailbox: m, Logins: []model.LastLogin{}, Sessions: []model.Session{}}
	box, err := store.Directory(m)
	if err != nil {
		return nil, err
	}
	if h.o.Usage != nil {
		if out.UsedBytes, out.UsedMessages, err = h.o.Usage(ctx, box); err != nil {
			return nil, storeFailure(model.Unavailable, "the mail store cannot say what the mailbox holds", err)
		}
	}
	// Before the store is asked: a log-in goes from here to there.
	if h.o.Sessions != nil {
		out.Logins = h.o.Sessions.Last(m.Address)
		out.Sessions = append(out.Sessions, h.o.Sessions.List(m.Address)...)
	}
	kept, err := h.o.Store.LastLogins(ctx, m.Address)
	if err != nil {
		return nil, err
	}
	for _, l := range kept {
		if !slices.ContainsFunc(out.Logins, func(o model.LastLogin) bool { return o.Service == l.Service }) {
			out.Logins = append(out.Logins, l)
		}
	}
	slices.SortFunc(out.Logins, func(a, b model.LastLogin) int { return b.At.Compare(a.At) })
	if out.Logins == nil {
		out.Logins = []model.LastLogin{}
	}
	return &body[model.MailboxStatus]{out}, nil
}
