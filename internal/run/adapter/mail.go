package adapter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/emersion/go-imap/v2"

	"toastmaster/admin/api"
	"toastmaster/admin/model"
	"toastmaster/directory"
	"toastmaster/internal/envelope"
	"toastmaster/internal/spool"
	"toastmaster/mailstore"
)

// Mail is the mail of the mailboxes as the admin API knows it.
type Mail struct {
	mail *mailstore.Store
	// importing has the homes that something is imported into, so that two imports of
	// the same mail store it once; a channel is closed at the end.
	mu        sync.Mutex
	importing map[string]chan struct{}
}

var _ api.Mail = (*Mail)(nil)

// NewMail makes it.
func NewMail(mail *mailstore.Store) *Mail {
	return &Mail{mail: mail, importing: map[string]chan struct{}{}}
}

// mailError is an error of the store that the caller can do something about.
func mailError(folder string, err error) error {
	kind, text := model.Internal, ""
	switch {
	case err == nil:
		return nil
	case errors.As(err, new(*model.Error)):
		return err // the request's own
	case errors.Is(err, mailstore.ErrNotFound):
		kind, text = model.NotFound, "no such folder"
	case errors.Is(err, mailstore.ErrGone):
		kind, text = model.NotFound, "the folder was deleted or made anew meanwhile"
	case errors.Is(err, mailstore.ErrInvalidName):
		kind, text = model.Invalid, "no folder can have this name"
	case errors.Is(err, mailstore.ErrFolderName):
		kind, text = model.OverLimit, "the name is longer or deeper than store.max_folder_name and store.max_folder_depth allow"
	case errors.Is(err, mailstore.ErrTooManyFolders):
		kind, text = model.OverLimit, "the mailbox has store.max_folders folders"
	case errors.Is(err, mailstore.ErrTooManySubscriptions):
		kind, text = model.OverLimit, "the mailbox has store.max_subscriptions subscriptions"
	case errors.Is(err, mailstore.ErrBusy):
		kind, text = model.Unavailable, "another program has the folder locked"
	case errors.Is(err, mailstore.ErrFull), errors.Is(err, mailstore.ErrLittleRoom):
		kind, text = model.Unavailable, "the disk of the mail store is full"
	default:
		return StorePresence(err)
	}
	if folder != "" {
		text = "folder " + folder + ": " + text
	}
	return &model.Error{Kind: kind, Text: text, Cause: err}
}

func (a *Mail) Folders(ctx context.Context, m directory.Mailbox) (out []model.MailFolder, err error) {
	u, err := a.mail.User(ctx, mailstore.AccountOf(m))
	if err != nil {
		return nil, mailError("", err)
	}
	defer func() { err = errors.Join(err, u.Close()) }()
	folders, err := u.List(ctx)
	if err != nil {
		return nil, mailError("", err)
	}
	for _, f := range folders {
		one := model.MailFolder{Name: f.Name, Subscribed: f.Subscribed, Keywords: []string{}}
		if !f.NoSelect {
			err = mailFolder(ctx, u, &one)
		}
		if errors.Is(err, mailstore.ErrNotFound) {
			continue // deleted meanwhile
		}
		if err != nil {
			return nil, mailError(f.Name, err)
		}
		out = append(out, one)
	}
	return out, nil
}

// mailFolder is what a folder has. A default folder that is not made yet stays so.
func mailFolder(ctx context.Context, u *mailstore.User, f *model.MailFolder) error {
	st, err := u.Status(ctx, f.Name)
	if err != nil || st.UIDValidity == 0 {
		return err
	}
	f.Messages, f.Size, f.UIDValidity, f.UIDNext = int64(st.Messages), st.Size, st.UIDValidity, st.UIDNext
	v, err := u.Open(ctx, f.Name, true)
	if err != nil {
		return err
	}
	for _, flag := range v.Info().Flags {
		if !strings.HasPrefix(string(flag), "\\") {
			f.Keywords = append(f.Keywords, string(flag))
		}
	}
	return v.Close()
}

func (a *Mail) MakeFolder(ctx context.Context, m directory.Mailbox, f model.NewMailFolder) (err error) {
	u, err := a.mail.User(ctx, mailstore.AccountOf(m))
	if err != nil {
		return mailError("", err)
	}
	defer func() { err = errors.Join(err, u.Close()) }()
	// A default folder that is not made yet is made, like any other.
	_, err = u.Status(ctx, f.Name)
	switch {
	case err == nil:
		err = u.MakeDefault(ctx, f.Name)
	case errors.Is(err, mailstore.ErrNotFound):
		if err = u.Create(ctx, f.Name, ""); errors.Is(err, mailstore.ErrExists) {
			err = nil
		}
	}
	if err == nil && f.Subscribe {
		err = u.Subscribe(ctx, f.Name, true)
	}
	return mailError(f.Name, err)
}

// with calls f with a view of a folder, which leaves recent what is.
func (a *Mail) with(ctx context.Context, m directory.Mailbox, folder string, f func(*mailstore.View) error) (err error) {
	u, err := a.mail.User(ctx, mailstore.AccountOf(m))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, u.Close()) }()
	v, err := u.Open(ctx, folder, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, v.Close()) }()
	return f(v)
}

func (a *Mail) Messages(ctx context.Context, m directory.Mailbox, folder string, after uint32, limit int) (page model.MailPage, err error) {
	err = a.with(ctx, m, folder, func(v *mailstore.View) error {
		page.UIDValidity = v.Info().UIDValidity
		seq := v.SeqAtLeast(imap.UID(after) + 1)
		if after == ^uint32(0) {
			return nil
		}
		for ; int64(seq) <= int64(v.Len()) && len(page.Items) < limit; seq++ {
			message := v.Message(seq)
			one := model.MailMessage{UID: uint32(message.UID), Name: v.BaseName(seq), Flags: []string{}, Date: message.Date, Size: message.Size}
			for _, f := range message.Flags {
				one.Flags = append(one.Flags, string(f))
			}
			page.Items = append(page.Items, one)
		}
		if n := len(page.Items); n > 0 && int64(seq) <= int64(v.Len()) {
			page.Next = page.Items[n-1].UID
		}
		return nil
	})
	return page, mailError(folder, err)
}

func (a *Mail) Export(ctx context.Context, m directory.Mailbox, s model.MailSelection, f func(api.MailMessage) error) error {
	var failed error
	err := a.with(ctx, m, s.Folder, func(v *mailstore.View) error {
		if v.Info().UIDValidity != s.UIDValidity {
			return mailstore.ErrGone
		}
		for _, uid := range s.UIDs {
			if failed = ctx.Err(); failed != nil {
				return nil
			}
			seq := v.Seq(imap.UID(uid))
			if seq == 0 {
				continue
			}
			c, err := v.Read(ctx, seq)
			switch {
			case errors.Is(err, mailstore.ErrExpunged):
				continue
			case errors.Is(err, mailstore.ErrUnreadable):
				failed = f(api.MailMessage{UID: uid, Error: "its file cannot be read, see the log of the server"})
			case err != nil:
				return err
			default:
				failed = f(api.MailMessage{UID: uid, Size: c.Size(), Content: envelope.Reader(c)})
				failed = errors.Join(failed, c.Close())
			}
			if failed != nil {
				return nil
			}
		}
		return nil
	})
	if err != nil {
		return mailError(s.Folder, err)
	}
	return failed
}

func (a *Mail) Imported(ctx context.Context, m directory.Mailbox, folder string) ([]string, error) {
	ids, err := a.mail.Delivered(ctx, mailstore.AccountOf(m), folder)
	return ids, mailError(folder, err)
}

// begin waits until nothing else is imported into a home: an import that was
// interrupted a moment ago, and is run again, would meet what is left of itself.
func (a *Mail) begin(ctx context.Context, home string) (end func(), err error) {
	for {
		a.mu.Lock()
		other := a.importing[home]
		if other == nil {
			done := make(chan struct{})
			a.importing[home] = done
			a.mu.Unlock()
			return func() {
				a.mu.Lock()
				delete(a.importing, home)
				a.mu.Unlock()
				close(done)
			}, nil
		}
		a.mu.Unlock()
		select {
		case <-other:
		case <-ctx.Done():
			return nil, model.Fail(model.Unavailable, "something else is imported into this mailbox now")
		}
	}
}

func (a *Mail) Import(ctx context.Context, m directory.Mailbox, folder string, overQuota bool, next func() (api.MailMessage, error)) (out model.MailImported, err error) {
	end, err := a.begin(ctx, m.Home)
	if err != nil {
		return out, err
	}
	defer end()
	ids, err := a.mail.Delivered(ctx, mailstore.AccountOf(m), folder)
	if err != nil {
		return out, mailError(folder, err)
	}
	i := importing{mail: a.mail, account: mailstore.AccountOf(m), folder: folder, had: make(map[string]bool, len(ids)), overQuota: overQuota}
	for _, id := range ids {
		i.had[id] = true
	}
	// Without a folder each message would be refused by itself.
	if err := a.with(ctx, m, folder, func(*mailstore.View) error { return nil }); err != nil {
		return out, mailError(folder, err)
	}
	for out.Stopped == "" {
		message, err := next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return out, err
		}
		result, err := i.one(ctx, message)
		switch {
		case errors.Is(err, mailstore.ErrOverQuota):
			out.Stopped = model.StoppedByQuota
		case errors.Is(err, mailstore.ErrFull), errors.Is(err, mailstore.ErrLittleRoom), spool.IsFull(err):
			out.Stopped = model.StoppedByRoom
		case err != nil:
			return out, mailError(folder, err)
		default:
			out.Results = append(out.Results, result)
		}
	}
	if err := a.mail.Checkpoint(ctx); err != nil {
		return out, mailError("", err)
	}
	return out, nil
}

// importing is what one request stores.
type importing struct {
	mail      *mailstore.Store
	account   mailstore.Account
	folder    string
	had       map[string]bool
	overQuota bool
}

// one stores a message, unless the folder has had it.
func (i *importing) one(ctx context.Context, m api.MailMessage) (result model.MailResult, err error) {
	result = model.MailResult{ID: m.ID}
	switch {
	case m.Error != "":
		result.Error = m.Error
		return result, nil
	case m.ID == "":
		result.Error = "it has no ID"
		return result, nil
	case !mailstore.ValidID(m.ID):
		result.Error = "its ID is not 1 to 64 letters and digits"
		return result, nil
	case m.Size == 0:
		result.Error = "it is empty"
		return result, nil
	case i.had[m.ID]:
		result.There = true
		return result, nil
	}
	if err := i.mail.Room(m.Size); err != nil {
		if errors.Is(err, mailstore.ErrAbsent) {
			return result, err
		}
		return result, fmt.Errorf("%w: %w", mailstore.ErrLittleRoom, err)
	}
	content := i.mail.Spool().New()
	defer func() { err = errors.Join(err, content.Close()) }()
	if _, err := io.Copy(content, m.Content); err != nil {
		return result, err
	}
	d := &mailstore.Delivery{ID: m.ID, Folder: i.folder, Date: m.Date, Content: content, Own: true, OverQuota: i.overQuota}
	for _, f := range m.Flags {
		d.Flags = append(d.Flags, imap.Flag(f))
	}
	if err := i.mail.Deliver(ctx, i.account, d); err != nil {
		return result, err
	}
	i.had[m.ID] = true
	result.UID, result.There = d.UID, d.UID == 0
	return result, nil
}
