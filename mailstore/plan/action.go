package plan

import (
	"slices"
	"strings"

	"github.com/emersion/go-imap/v2"

	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/printable"
	"toastmaster/mailstore"
	"toastmaster/mailstore/maildir"
)

// Action is one thing to be done with a message: a type of this package.
type Action interface {
	// add says to the work what the action means.
	add(w *work)
}

// Keep puts the message into INBOX.
type Keep struct {
	// Flags are those of the copy; nil are those of the Flags before.
	Flags []imap.Flag
}

// FileInto puts it into a mailbox, by the name that a session of the owner has for it.
// One that cannot be had, because it is not there or there is no right to put anything
// in, is INBOX.
type FileInto struct {
	Mailbox string
	// Create makes a mailbox that is not there.
	Create bool
	Flags  []imap.Flag // as Keep's
}

// Flags changes the flags of each Keep and FileInto behind it that has none of its own
// (RFC 5232).
type Flags struct {
	Op    mailstore.FlagOp
	Flags []imap.Flag
}

// Redirect sends the message on, with its sender as it is. To the recipient itself it
// is Keep.
type Redirect struct{ To addr.Address }

// Reject refuses it: whoever hands it in hears the text. It goes with nothing else.
type Reject struct{ Text string }

// Discard does nothing with it. Without it a message with which nothing else is done
// is kept.
type Discard struct{}

// Vacation answers the sender, if there is one. Whether an answer is due (RFC 5230
// section 4), and its text, are the planner's.
type Vacation struct {
	// Answer is the whole answer, LF line ends. It stays the planner's.
	Answer envelope.Content
}

// work is what the actions of a plan come to: each copy, address and answer once.
type work struct {
	m         *Message
	copies    []copyTo
	redirects []addr.Address
	answer    envelope.Content
	rejected  *dsn.Error
	discarded bool
	flags     []imap.Flag // of the Flags so far
	one       [1]copyTo   // of a plan with one
}

// copyTo is a copy for a mailbox, "" for INBOX.
type copyTo struct {
	mailbox string
	create  bool
	flags   []imap.Flag
}

func (k Keep) add(w *work) { w.store(copyTo{flags: k.Flags}) }

func (f FileInto) add(w *work) {
	c := copyTo{mailbox: f.Mailbox, create: f.Create, flags: f.Flags}
	if strings.EqualFold(c.mailbox, maildir.Inbox) {
		c.mailbox = ""
	}
	w.store(c)
}

// store notes a copy. Two for one mailbox are one, with the flags of both (RFC 5228
// section 2.10.3).
func (w *work) store(c copyTo) {
	if c.flags == nil {
		c.flags = w.flags
	}
	i := slices.IndexFunc(w.copies, func(o copyTo) bool { return o.mailbox == c.mailbox })
	if i < 0 {
		w.copies = append(w.copies, c)
		return
	}
	w.copies[i].create = w.copies[i].create || c.create
	w.copies[i].flags = union(w.copies[i].flags, c.flags)
}

func (f Flags) add(w *work) {
	switch f.Op {
	case mailstore.FlagsSet:
		w.flags = f.Flags
	case mailstore.FlagsAdd:
		w.flags = union(w.flags, f.Flags)
	case mailstore.FlagsRemove:
		w.flags = slices.DeleteFunc(slices.Clone(w.flags), func(g imap.Flag) bool { return holds(f.Flags, g) })
	}
}

func holds(flags []imap.Flag, f imap.Flag) bool {
	return slices.ContainsFunc(flags, func(g imap.Flag) bool { return strings.EqualFold(string(f), string(g)) })
}

func union(a, b []imap.Flag) []imap.Flag {
	out := slices.Clip(a)
	for _, f := range b {
		if !holds(out, f) {
			out = append(out, f)
		}
	}
	return out
}

func (r Redirect) add(w *work) {
	if r.To.Equal(w.m.To) || r.To.Equal(w.m.Account.Address) {
		Keep{}.add(w)
		return
	}
	if !slices.ContainsFunc(w.redirects, r.To.Equal) {
		w.redirects = append(w.redirects, r.To)
	}
}

func (r Reject) add(w *work) {
	text := printable.UTF8(r.Text)
	if text == "" {
		text = "Message refused by the recipient"
	}
	w.rejected = dsn.New(dsn.Policy, text).WithCode(550)
}

func (Discard) add(w *work) { w.discarded = true }

func (v Vacation) add(w *work) {
	if !w.m.From.IsNull() {
		w.answer = v.Answer
	}
}
