package plan

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/emersion/go-imap/v2"

	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/spool"
	"toastmaster/mailstore"
	"toastmaster/mailstore/maildir"
)

// delivery is one message while its plan is carried out.
type delivery struct {
	x   *Executor
	m   *Message
	out *Outcome
	// mail is the owner's, opened by the first action that needs it.
	mail *mailstore.Session
	// redeemed says that a copy has taken the room that the queue reserved.
	redeemed bool
}

// carryOut does first what can be repeated without harm, and last what is seen by
// others.
func (d *delivery) carryOut(ctx context.Context, w *work) *dsn.Error {
	for i := range w.copies {
		if err := d.store(ctx, &w.copies[i]); err != nil {
			if failed := d.failed(ctx, "copy", mailstore.DSN(err)); failed != nil {
				return failed
			}
		}
	}
	if len(w.redirects) > 0 {
		if err := d.redirect(ctx, w.redirects); err != nil {
			if failed := d.failed(ctx, "redirection", dsn.From(err)); failed != nil {
				return failed
			}
		}
	}
	if w.answer != nil {
		if err := d.answer(ctx, w.answer); err != nil {
			d.warn("an answer could not be sent and is left out", "cause", err)
		}
	}
	return nil
}

// failed decides what the failure of one action means. What is temporary is so for all
// of the message: it comes again, and what is done is recognised by its ID, or, where
// there is none, is taken back. What is permanent, a quota, is so for all while nothing
// was done; else the message has arrived, and a report would be wrong.
func (d *delivery) failed(ctx context.Context, what string, err *dsn.Error) *dsn.Error {
	switch {
	case !err.Temporary() && len(d.out.Stored) > 0:
		d.warn("a "+what+" beside others is left out", "cause", err)
		return nil
	case d.m.ID == "":
		d.takeBack(ctx)
	}
	return err
}

// takeBack removes the copies that were made.
func (d *delivery) takeBack(ctx context.Context) {
	ctx = context.WithoutCancel(ctx)
	for i := range d.out.Stored {
		s := &d.out.Stored[i]
		if err := d.takeOneBack(ctx, s); err != nil {
			d.warn("a copy of a delivery that failed was left", "folder", s.Folder, "cause", err)
		}
	}
}

func (d *delivery) takeOneBack(ctx context.Context, s *Stored) error {
	if s.UID == 0 {
		return nil
	}
	uids := []imap.UID{imap.UID(s.UID)}
	if s.Folder != maildir.Inbox {
		return s.box.TakeBack(ctx, uids)
	}
	u, err := d.x.o.Store.User(ctx, d.m.Account)
	if err != nil {
		return err
	}
	return errors.Join(u.TakeBack(ctx, maildir.Inbox, uids), u.Close())
}

// warn logs what goes wrong without an error for whoever hands in the message.
func (d *delivery) warn(text string, more ...any) {
	d.x.o.Log.Warn(text, append([]any{"service", "plan", "id", d.m.ID, "mailbox", d.m.Account.Address.String()}, more...)...)
}

// store makes one copy.
func (d *delivery) store(ctx context.Context, c *copyTo) error {
	if c.mailbox == "" {
		return d.inbox(ctx, c)
	}
	box, err := d.find(ctx, c)
	if err == nil && d.has(box.Name()) {
		return nil // by another name of it
	}
	if err == nil {
		copied := d.delivery(c, d.m.id("fileinto", box.Name()))
		own := box.Owner().Home == d.m.Account.Home
		if own && !d.redeemed {
			copied.Reserved = d.m.ID
		}
		if err = box.Deliver(ctx, copied); err == nil {
			d.redeemed = d.redeemed || own
			d.out.Stored = append(d.out.Stored, Stored{Folder: box.Name(), UID: copied.UID, box: box})
		}
	}
	if !isNoMailbox(err) {
		return err
	}
	d.warn("a mailbox of a plan cannot be had, the message goes to INBOX", "folder", c.mailbox, "cause", err)
	return d.inbox(ctx, c)
}

// has says that a mailbox has its copy: two for one are one.
func (d *delivery) has(folder string) bool {
	return slices.ContainsFunc(d.out.Stored, func(s Stored) bool { return s.Folder == folder })
}

// isNoMailbox says that there is no mailbox to put anything into, and no other try
// would change that.
func isNoMailbox(err error) bool {
	for _, e := range []error{mailstore.ErrNotFound, mailstore.ErrInvalidName, mailstore.ErrNoPermission, mailstore.ErrTooManyFolders, mailstore.ErrFolderName} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// inbox makes the copy in INBOX, under the ID of the delivery itself.
func (d *delivery) inbox(ctx context.Context, c *copyTo) error {
	if d.has(maildir.Inbox) {
		return nil
	}
	copied := d.delivery(c, d.m.ID)
	if err := d.x.o.Store.Deliver(ctx, d.m.Account, copied); err != nil {
		return err
	}
	d.redeemed = true
	d.out.Stored = append(d.out.Stored, Stored{Folder: maildir.Inbox, UID: copied.UID})
	return nil
}

func (d *delivery) delivery(c *copyTo, id string) *mailstore.Delivery {
	return &mailstore.Delivery{
		ID: id, Replay: d.m.Replay, Flags: c.flags, Date: d.m.Date, Prefix: d.m.Prefix, Content: d.m.Content, Durable: d.out.Durable,
	}
}

// find finds the mailbox of a copy, and makes it if it may.
func (d *delivery) find(ctx context.Context, c *copyTo) (mailstore.Mailbox, error) {
	if d.mail == nil {
		mail, err := d.x.o.Store.Session(ctx, mailstore.Principal{Account: d.m.Account})
		if err != nil {
			return mailstore.Mailbox{}, err
		}
		d.mail = mail
	}
	box, err := d.mail.Resolve(ctx, c.mailbox, mailstore.RightInsert)
	if err != nil || !c.create {
		return box, err
	}
	if _, err := d.mail.Resolve(ctx, c.mailbox, mailstore.RightCreate); err != nil {
		return box, nil // it may be there
	}
	if err := box.Create(ctx, ""); err != nil && !errors.Is(err, mailstore.ErrExists) {
		return box, err
	}
	return box, nil
}

func (d *delivery) close() {
	if d.mail == nil {
		return
	}
	if err := d.mail.Close(); err != nil {
		d.x.o.Log.Warn("closing the mailbox failed", "service", "plan", "cause", err)
	}
}

// redirect sends the message on to all addresses at once, so that they get it or none
// does.
func (d *delivery) redirect(ctx context.Context, to []addr.Address) error {
	// Without the Return-Path, which is the final delivery's; the Delivered-To stays,
	// by which a loop is found.
	l := letter{source: envelope.SourceRedirect, from: d.m.From, to: to, content: d.m.Content, body: d.m.Body}
	first := bytes.IndexByte(d.m.Prefix, '\n') + 1
	if l.prefix = d.m.Prefix[first:]; first == 0 {
		var err error
		if l.skip, err = returnPath(d.m.Content); err != nil {
			return err
		}
	}
	if err := d.send(ctx, &l); err != nil {
		return err
	}
	d.out.Redirected = to
	return nil
}

// returnPath is how long the Return-Path is that a content begins with.
func returnPath(c envelope.Content) (int64, error) {
	block := make([]byte, min(c.Size(), 4096)) // longer than any that we write
	if _, err := c.ReadAt(block, 0); err != nil && err != io.EOF {
		return 0, err
	}
	if !bytes.HasPrefix(block, []byte("Return-Path:")) {
		return 0, nil
	}
	return int64(bytes.IndexByte(block, '\n') + 1), nil
}

// answer sends an answer to the sender.
func (d *delivery) answer(ctx context.Context, text envelope.Content) error {
	// What it is made of is not looked at; 8BITMIME is true of everything.
	return d.send(ctx, &letter{source: envelope.SourceVacation, to: []addr.Address{d.m.From}, content: text, body: envelope.Body8BitMIME})
}

// letter is a message that is sent.
type letter struct {
	source  envelope.Source
	from    addr.Address
	to      []addr.Address
	prefix  []byte
	content envelope.Content
	skip    int64 // so much of content is left out
	body    envelope.Body
}

// send hands a message to the Submitter. Its ENVID is the ID of the action: what was
// handed over shortly before the process died is handed over again, and can be told by
// that.
func (d *delivery) send(ctx context.Context, l *letter) error {
	buf, err := l.copy(d.x.o.Spool)
	if err != nil {
		return err
	}
	env := &envelope.Envelope{Sender: l.from, UTF8: d.m.UTF8, Body: l.body, Origin: envelope.Origin{Source: l.source}}
	keys := make([]string, len(l.to))
	for i, a := range l.to {
		r := envelope.Recipient{Address: a, Original: a}
		if l.from.IsNull() {
			r.Notify = envelope.NotifyNever
		}
		env.Recipients, keys[i] = append(env.Recipients, r), a.Key()
	}
	slices.Sort(keys)
	to := strings.Join(keys, " ")
	env.EnvID = d.m.id(l.source.String(), to)
	id, err := d.x.o.Submit.Submit(ctx, &envelope.Submission{Envelope: env, Content: buf})
	if err != nil {
		return err
	}
	d.x.o.Log.Info("mail of the store is queued", "service", "plan", "id", d.m.ID, "mailbox", d.m.Account.Address.String(),
		"action", l.source.String(), "to", to, "queued", string(id), "envid", env.EnvID)
	return nil
}

// copy makes a content of its own: that of the message ends with its delivery.
func (l *letter) copy(dir *spool.Dir) (*spool.Buffer, error) {
	buf := dir.New()
	_, err := buf.Write(l.prefix)
	if err == nil {
		_, err = io.Copy(buf, io.NewSectionReader(l.content, l.skip, l.content.Size()-l.skip))
	}
	if err != nil {
		return nil, errors.Join(err, buf.Close())
	}
	return buf, nil
}
