package plan

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"toastmaster/configs"
	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/msglog"
	"toastmaster/internal/spool"
	"toastmaster/mailstore"
)

// Message is one message for one recipient, before a mailbox is chosen for it.
type Message struct {
	Account mailstore.Account
	// From is the sender of the envelope, To the recipient as it is delivered to, with
	// its extension.
	From, To addr.Address
	// ID names the delivery, as mailstore.Delivery.ID does: "" for one that nobody
	// repeats. Replay says that it may have been tried before.
	ID     string
	Replay bool
	// Durable: see mailstore.Delivery. What is sent is durable in any case.
	Durable bool
	// Date, Prefix and Content are those of mailstore.Delivery. The first line of both
	// together is the Return-Path.
	Date    time.Time
	Prefix  []byte
	Content envelope.Content
	// Body and UTF8 are the envelope's.
	Body envelope.Body
	UTF8 bool
}

// Planner decides what is done with a message. It looks and changes nothing: it may be
// asked again for the same message. Safe for concurrent use.
type Planner func(ctx context.Context, m *Message) ([]Action, error)

// ToInbox is the plan for everybody today.
func ToInbox(context.Context, *Message) ([]Action, error) { return toInbox, nil }

// toInbox is not changed by anybody.
var toInbox = []Action{Keep{}}

// Options are what an Executor is made of.
type Options struct {
	Store  *mailstore.Store
	Plan   Planner
	Params configs.Store
	// Submit takes the mail that the store sends, and Spool is where that is put
	// together: the queue's.
	Submit envelope.Submitter
	Spool  *spool.Dir
	Log    *msglog.Log
}

// Executor has a plan made for a message and carries it out. Safe for concurrent use.
type Executor struct{ o Options }

// New makes an Executor.
func New(o Options) *Executor { return &Executor{o: o} }

// Stored is a copy in a mailbox.
type Stored struct {
	// Folder is the mailbox as the owner of the message calls it.
	Folder string
	// UID is 0 for one that was delivered before.
	UID uint32
	// box is the mailbox, zero for INBOX.
	box mailstore.Mailbox
}

// Outcome is what became of a message.
type Outcome struct {
	Stored     []Stored
	Redirected []addr.Address
	// Durable says that all of it is on disk.
	Durable bool
	one     [1]Stored
}

// Text says it in a line, for the log.
func (o *Outcome) Text() string {
	switch {
	case len(o.Stored) > 0:
		return "delivered to maildir"
	case len(o.Redirected) > 0:
		return fmt.Sprintf("redirected to %d addresses", len(o.Redirected))
	}
	return "discarded"
}

// Deliver asks for the plan of a message and carries it out. See the package for what
// holds when that fails in the middle.
func (x *Executor) Deliver(ctx context.Context, m *Message) (*Outcome, *dsn.Error) {
	actions, err := x.o.Plan(ctx, m)
	if err != nil {
		return nil, dsn.From(err)
	}
	d := delivery{x: x, m: m, out: &Outcome{}}
	failed := d.deliver(ctx, actions)
	d.close()
	// What does not come again needs no room: it was redeemed, or is given back.
	if m.ID != "" && !d.redeemed && (failed == nil || !failed.Temporary()) {
		x.o.Store.Unreserve(m.Account, m.ID)
	}
	if failed != nil {
		return nil, failed
	}
	return d.out, nil
}

// deliver carries out actions.
func (d *delivery) deliver(ctx context.Context, actions []Action) *dsn.Error {
	x, m := d.x, d.m
	w := work{m: m}
	w.copies = w.one[:0]
	for _, a := range actions {
		a.add(&w)
	}
	if err := x.check(&w, len(actions)); err != nil {
		return err
	}
	// What is sent is seen at once; the sooner the queue need not ask again, the
	// smaller the chance that it is sent twice.
	d.out.Durable = m.Durable || len(w.redirects) > 0 || w.answer != nil
	d.out.Stored = d.out.one[:0]
	return d.carryOut(ctx, &w)
}

var (
	errTooMany   = errors.New("the plan has more actions than store.max_actions, or more redirections than store.max_redirects")
	errWithOther = errors.New("the plan rejects the message and does something else with it")
)

// check refuses a plan that cannot be carried out, and completes one that does nothing.
// The message waits until somebody has mended the planner: what it meant is not known.
func (x *Executor) check(w *work, actions int) *dsn.Error {
	sends := len(w.redirects) > 0 || w.answer != nil
	switch {
	case actions > x.o.Params.MaxActions || len(w.redirects) > x.o.Params.MaxRedirects:
		return dsn.Wrap(dsn.Misconfigured, "Delivery rules cannot be carried out", errTooMany)
	case w.rejected != nil && (len(w.copies) > 0 || sends):
		return dsn.Wrap(dsn.Misconfigured, "Delivery rules cannot be carried out", errWithOther)
	case w.rejected != nil:
		return w.rejected
	}
	if len(w.copies) == 0 && len(w.redirects) == 0 && !w.discarded {
		Keep{}.add(w)
	}
	return nil
}

// id names an action: by what it does and not by its place in the plan, which may be
// another one when the delivery is repeated.
func (m *Message) id(action, object string) string {
	if m.ID == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(action + "\x00" + object + "\x00" + m.ID))
	return m.ID[:min(len(m.ID), 24)] + hex.EncodeToString(sum[:16])
}
