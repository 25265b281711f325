package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"toastmaster/directory"
	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/mailcopy"
	"toastmaster/internal/process"
	"toastmaster/mta/agent"
)

// run finds what is to be done for the recipient, and does it. What can be found out later only
// lets everything wait, before anything is done.
func (d *delivery) run(ctx context.Context) (agent.Action, string, *dsn.Error) {
	d.recipient(ctx, place{at: d.to.Address, sender: d.r.Envelope.Sender})
	for _, err := range d.failed {
		if err.Temporary() {
			return "", "", err
		}
	}
	id := envelope.DeliveryID(d.r.Envelope.ID, d.to.Address)
	var texts []string
	var forwards []*step
	for i := range d.steps {
		s := &d.steps[i]
		if s.kind == "forward" {
			forwards = append(forwards, s)
			continue
		}
		if d.a.isDone(id, s.key()) {
			continue
		}
		text, err := d.do(ctx, s)
		if err != nil {
			d.fail(err)
			continue
		}
		texts = append(texts, text)
		d.a.remember(id, s.key())
	}
	for _, err := range d.failed {
		if err.Temporary() {
			return "", "", err
		}
	}
	action := agent.Sent
	if len(forwards) > 0 {
		if action = agent.Transferred; d.listed {
			action = agent.Expanded
		}
		queued, err := d.resubmit(ctx, forwards)
		if err != nil {
			return "", "", err
		}
		texts = append(texts, queued...)
	}
	d.a.forget(id)
	if len(d.failed) > 0 {
		return "", "", d.failed[0]
	}
	return action, strings.Join(texts, ", "), nil
}

// do carries out a step.
func (d *delivery) do(ctx context.Context, s *step) (string, *dsn.Error) {
	if err := s.who.Permitted(); err != nil {
		return "", notPermitted(err)
	}
	switch s.kind {
	case "command":
		return d.command(ctx, s, process.CommandLine(s.text), s.text, s.user)
	case "file":
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
	switch mapped, err := d.a.commands.Lookup(ctx, s.who.Name); {
	case err == nil:
		line = mapped
	case directory.OutcomeOf(err) != directory.NotFound:
		return "", unavailable(err)
	}
	switch {
	case line != "":
		return d.command(ctx, s, process.CommandLine(line), line, &s.who)
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
func (d *delivery) command(ctx context.Context, s *step, argv []string, name string, u *process.User) (string, *dsn.Error) {
	c := d.copyOf(s)
	c.From, c.At = from(s.sender), d.a.o.Clock.Now().Local()
	result, err := process.Run(ctx, process.Command{
		Argv: argv, Name: name, Dir: d.a.templates.directory.Expand(d.values(s.place, u)), Env: d.environment(s, u), User: s.who, TimeLimit: d.a.o.Params.CommandTimeLimit,
		Write: func(w io.Writer) error { return c.Write(w, d.r.Content) },
	})
	if err != nil {
		return "", dsn.From(err)
	}
	text := "delivered to command: " + name
	if result.Output != "" {
		text += " (" + result.Output + ")"
	}
	return text, result.Error()
}

// copyOf has the fields that every delivery gets.
func (d *delivery) copyOf(s *step) *mailcopy.Copy {
	return &mailcopy.Copy{ReturnPath: s.sender.Path(), OriginalTo: original(d.to.Original, d.to.Address).String(), DeliveredTo: d.to.Address.String()}
}

func from(sender addr.Address) string {
	if sender.IsNull() {
		return "MAILER-DAEMON"
	}
	return sender.String()
}

// resubmit puts a message into the queue for the addresses elsewhere, one for each sender.
func (d *delivery) resubmit(ctx context.Context, forwards []*step) (texts []string, failed *dsn.Error) {
	for len(forwards) > 0 {
		sender := forwards[0].sender
		e := d.r.Envelope
		env := &envelope.Envelope{
			Sender: sender, Body: e.Body, UTF8: e.UTF8, Return: e.Return, EnvID: e.EnvID, Hops: e.Hops,
			Origin: envelope.Origin{Protocol: "local", Session: e.Origin.Session},
		}
		var rest []*step
		for _, s := range forwards {
			if s.sender != sender {
				rest = append(rest, s)
				continue
			}
			to, err := addr.Parse(s.text)
			if err != nil {
				return nil, dsn.From(err)
			}
			r := envelope.Recipient{Address: to, Original: to, Notify: d.to.Notify, ORcpt: d.to.ORcpt}
			if d.listed {
				r.ORcpt = ""
				if r.Notify &^= envelope.NotifySuccess; d.to.Notify != 0 && r.Notify == 0 {
					r.Notify = envelope.NotifyNever
				}
			}
			if !has(env.Recipients, to) {
				env.Recipients = append(env.Recipients, r)
			}
		}
		forwards = rest
		head := []byte("Delivered-To: " + d.to.Address.String() + "\n")
		id, err := d.a.o.Submit.Submit(ctx, &envelope.Submission{Envelope: env, Content: &prefixed{head, d.r.Content}})
		if err != nil {
			return nil, dsn.From(err)
		}
		texts = append(texts, "forwarded as "+string(id))
	}
	return texts, nil
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
