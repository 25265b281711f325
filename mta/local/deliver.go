package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/hostuser"
	"toastmaster/internal/mailcopy"
	"toastmaster/internal/process"
	"toastmaster/mta/agent"
)

// run finds what is to be done for the recipient, and does it. What can be found out later only
// lets everything wait, before anything is done.
func (d *delivery) run(ctx context.Context) outcome {
	d.recipient(ctx, place{at: d.to.Address, sender: d.r.Envelope.Sender})
	if err := d.later(); err != nil {
		return outcome{err: err}
	}
	switch {
	case ctx.Err() != nil: // what there is to do may not be all
		return outcome{err: dsn.From(context.Cause(ctx))}
	case d.many:
		return outcome{err: d.failed[0]}
	}
	id := envelope.DeliveryID(d.r.Envelope.ID, d.to.Address)
	var done []outcome
	var forwards []*step
	for i := range d.steps {
		s := &d.steps[i]
		switch before, was := d.a.earlier(id, s.key()); {
		case was && before != nil:
			d.fail(before)
			continue
		case was:
			continue
		case s.kind == toAddress:
			forwards = append(forwards, s)
			continue
		}
		got := d.do(ctx, s)
		if got.err != nil && len(d.steps)+len(d.failed) == 1 {
			return got // with the transport that has said so
		}
		if d.over(id, got.err, s); got.err == nil {
			done = append(done, got)
		}
	}
	if err := d.later(); err != nil {
		return outcome{err: err}
	}
	done = append(done, d.resubmit(ctx, id, forwards)...)
	if err := d.later(); err != nil {
		return outcome{err: err}
	}
	d.a.forget(id)
	if len(d.failed) > 0 {
		return outcome{err: d.failed[0]}
	}
	return d.together(done, slices.ContainsFunc(d.steps, func(s step) bool { return s.kind == toAddress }))
}

// over notes what became of steps, for the outcome, and for the next attempt where there will be no other try of them.
func (d *delivery) over(id string, err *dsn.Error, all ...*step) {
	if err != nil {
		d.fail(err)
	}
	if err != nil && err.Temporary() {
		return
	}
	for _, s := range all {
		d.a.remember(id, s.key(), err)
	}
}

// outcome is what became of a step, or of a recipient.
type outcome struct {
	err    *dsn.Error
	text   string
	action agent.Action
	// relay, status and connected are those of another transport; relay is "" without.
	relay     string
	status    dsn.Status
	connected time.Time
}

// later is the first failure that may end with another attempt, nil without.
func (d *delivery) later() *dsn.Error {
	for _, err := range d.failed {
		if err.Temporary() {
			return err
		}
	}
	return nil
}

// together is the outcome of a recipient whose steps have succeeded.
func (d *delivery) together(done []outcome, forwarded bool) outcome {
	if len(done) == 1 && len(d.steps) == 1 && !d.listed && !forwarded {
		return done[0]
	}
	whole := outcome{action: agent.Sent}
	if forwarded {
		if whole.action = agent.Transferred; d.listed {
			whole.action = agent.Expanded
		}
	}
	texts := make([]string, len(done))
	for i := range done {
		texts[i] = done[i].text
	}
	whole.text = strings.Join(texts, ", ")
	return whole
}

// do carries out a step.
func (d *delivery) do(ctx context.Context, s *step) outcome {
	if s.kind == toAgent {
		return d.pass(ctx, s)
	}
	if err := s.who.Permitted(); err != nil {
		return outcome{err: notPermitted(err)}
	}
	text, err := d.deliver(ctx, s)
	return outcome{err: err, text: text, action: agent.Sent}
}

// deliver does what is done here.
func (d *delivery) deliver(ctx context.Context, s *step) (string, *dsn.Error) {
	switch s.kind {
	case toCommand:
		return d.command(ctx, s, s.text, s.user)
	case toFile:
		if strings.HasSuffix(s.text, "/") {
			return d.maildir(s, s.text, -1)
		}
		return d.mbox(ctx, s, mailboxFile{path: s.text, text: "delivered to file: " + s.text, group: -1})
	}
	return d.toMailbox(ctx, s)
}

// toMailbox is where the user has his mail: a command, a file or a Maildir.
func (d *delivery) toMailbox(ctx context.Context, s *step) (string, *dsn.Error) {
	p := d.a.o.Params
	s.user = &s.who
	line := p.MailboxCommand
	switch mapped, found, err := safely(ctx, d.a.commands, s.who.Name); {
	case err != nil:
		return "", err
	case found:
		line = mapped
	}
	switch {
	case line != "":
		return d.command(ctx, s, line, &s.who)
	case strings.HasSuffix(p.HomeMailbox, "/"):
		return d.maildir(s, filepath.Join(s.who.Home, p.HomeMailbox), -1)
	case p.HomeMailbox != "":
		return d.mbox(ctx, s, mailboxFile{path: filepath.Join(s.who.Home, p.HomeMailbox), text: "delivered to mailbox", group: -1, owned: true})
	}
	spool := filepath.Join(p.MailSpoolDirectory, s.who.Name)
	group, err := d.a.groupOf(p.MailSpoolDirectory)
	if err != nil {
		return "", dsn.Wrap(dsn.Make(4, 2, 0), "cannot update mailbox", err)
	}
	if strings.HasSuffix(p.MailSpoolDirectory, "/") {
		return d.maildir(s, spool, group)
	}
	return d.mbox(ctx, s, mailboxFile{path: spool, text: "delivered to mailbox", group: group, owned: true})
}

// command gives the message to a command.
func (d *delivery) command(ctx context.Context, s *step, line string, u *hostuser.User) (string, *dsn.Error) {
	argv := process.CommandLine(line)
	if shell := strings.Fields(d.a.o.Params.CommandShell); len(shell) > 0 {
		argv = append(shell, line)
	}
	c := d.copyOf(s, "command")
	c.From, c.At = from(s.sender), d.a.o.Clock.Now().Local()
	result, err := process.Run(ctx, process.Command{
		Argv: argv, Name: line, Dir: d.a.templates.directory.Expand(d.values(s.place, u, d.a.o.Params.DirectoryFilter)), Env: d.environment(s, u), User: s.who, TimeLimit: d.a.o.Params.CommandTimeLimit,
		Write: func(w io.Writer) error { return c.Write(w, d.r.Content) },
	})
	if err != nil {
		return "", dsn.From(err)
	}
	text := "delivered to command: " + line
	if result.Output != "" {
		text += " (" + result.Output + ")"
	}
	return text, result.Error()
}

// copyOf has the fields that a delivery gets; where is a word of local.prepend_delivered_header.
func (d *delivery) copyOf(s *step, where string) *mailcopy.Copy {
	c := &mailcopy.Copy{ReturnPath: s.sender.Path()}
	if !s.anew {
		c.OriginalTo = original(d.to.Original, d.to.Address).String()
	}
	if slices.Contains(d.a.o.Params.PrependDelivered, where) {
		c.DeliveredTo = d.to.Address.String()
	}
	return c
}

func from(sender addr.Address) string {
	if sender.IsNull() {
		return "MAILER-DAEMON"
	}
	return sender.String()
}

// resubmit puts a message into the queue for the addresses elsewhere, one for each sender. What one sender's cannot holds up
// no other's, and none of them is sent again at the next attempt.
func (d *delivery) resubmit(ctx context.Context, id string, forwards []*step) (queued []outcome) {
	for len(forwards) > 0 {
		sender := forwards[0].sender
		e := d.r.Envelope
		env := &envelope.Envelope{
			Sender: sender, Body: e.Body, UTF8: e.UTF8, Return: e.Return, EnvID: e.EnvID, Hops: e.Hops,
			Origin: envelope.Origin{Source: envelope.SourceRedirect, Session: e.Origin.Session}, // handed in by nobody of this host: see cleanup
		}
		var own, rest []*step
		for _, s := range forwards {
			if s.sender != sender {
				rest = append(rest, s)
				continue
			}
			to, err := addr.Parse(s.text)
			if err != nil {
				d.over(id, dsn.From(err), s)
				continue
			}
			own = append(own, s)
			if !has(env.Recipients, to) {
				given := original(d.to.Original, d.to.Address)
				if s.anew {
					given = to
				}
				env.Recipients = append(env.Recipients, d.member(to, given))
			}
		}
		forwards = rest
		if len(own) == 0 {
			continue
		}
		var head []byte
		if slices.Contains(d.a.o.Params.PrependDelivered, "forward") {
			head = []byte("Delivered-To: " + d.to.Address.String() + "\n")
		}
		as, err := d.a.o.Submit.Submit(ctx, &envelope.Submission{Envelope: env, Content: &prefixed{head, d.r.Content}})
		if d.over(id, dsn.From(err), own...); err == nil {
			queued = append(queued, outcome{text: "forwarded as " + string(as)})
		}
	}
	return queued
}

// member is somebody whom the recipient stands for, with what the sender wants to hear of him: nothing
// of a delivery where there are others.
func (d *delivery) member(to, original addr.Address) envelope.Recipient {
	r := envelope.Recipient{Address: to, Original: original, Notify: d.to.Notify, ORcpt: d.to.ORcpt}
	if d.listed {
		r.ORcpt = ""
		if r.Notify &^= envelope.NotifySuccess; d.to.Notify != 0 && r.Notify == 0 {
			r.Notify = envelope.NotifyNever
		}
	}
	return r
}

func has(all []envelope.Recipient, a addr.Address) bool {
	for i := range all {
		if all[i].Address.Equal(a) {
			return true
		}
	}
	return false
}

// prefixed is a content with something before it. Closing it leaves the content open: it is
// qmgr's.
type prefixed struct {
	head []byte
	envelope.Content
}

func (p *prefixed) Close() error { return nil }

func (p *prefixed) Size() int64 { return int64(len(p.head)) + p.Content.Size() }

func (p *prefixed) Bytes() ([]byte, bool) {
	b, ok := p.Content.Bytes()
	if !ok {
		return nil, false
	}
	return append(bytes.Clone(p.head), b...), true
}

func (p *prefixed) ReadAt(b []byte, off int64) (n int, err error) {
	if off < int64(len(p.head)) {
		if n = copy(b, p.head[off:]); n == len(b) {
			return n, nil
		}
	}
	more, err := p.Content.ReadAt(b[n:], off+int64(n)-int64(len(p.head)))
	return n + more, err
}

// refused says how an error of a mailbox's file ends.
func refused(what string, err error) *dsn.Error {
	var known *dsn.Error
	if errors.As(err, &known) {
		return known
	}
	return dsn.Wrap(dsn.Make(4, 2, 0), what, fmt.Errorf("%w", err))
}
