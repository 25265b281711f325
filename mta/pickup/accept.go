package pickup

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strconv"
	"sync"
	"unicode/utf8"

	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/maildrop"
	"toastmaster/internal/mime"
	"toastmaster/internal/service"
	"toastmaster/internal/spool"
	"toastmaster/mta/agent"
)

// received is a message that was read and not yet decided about.
type received struct {
	user    user
	said    *maildrop.Message
	content *spool.Buffer
	seen    *octets
	// env is nil before the addresses are read.
	env *envelope.Envelope
	// decided says that its owner may hand it in, as that sender.
	decided bool
}

// read reads a message of a user. The caller closes its content unless it is submitted.
func (s *Service) read(u user, r io.Reader) (*received, error) {
	m := &received{user: u, content: s.o.Spool.New()}
	m.seen = &octets{w: m.content, header: true}
	var err error
	m.said, err = maildrop.Read(r, m.seen, s.now.Load().maxMessage)
	switch {
	case errors.Is(err, maildrop.ErrTooLarge):
		err = dsn.Wrap(dsn.MessageTooLong, "Message size exceeds fixed limit", err)
	case errors.Is(err, maildrop.ErrMalformed):
		err = dsn.Wrap(dsn.SyntaxError, "Malformed message", err)
	}
	if err != nil {
		return nil, errors.Join(err, m.content.Close())
	}
	return m, nil
}

// accept decides about a message and puts it into the queue, under an ID when one is given. The content is closed.
// Without an error and without an ID it was a question that is answered.
func (s *Service) accept(ctx context.Context, m *received, id envelope.QueueID) (envelope.QueueID, *dsn.Error) {
	if e := s.decide(ctx, m, id); e != nil {
		return "", dsn.From(errors.Join(e, m.content.Close()))
	}
	if m.said.Trace == maildrop.TraceVerify {
		return "", dsn.From(errors.Join(s.verify(ctx, m), m.content.Close()))
	}
	rewrite := m.env.Origin.Source.Rewrite()
	if m.said.Remote {
		rewrite = envelope.RewriteRemote
	}
	id, err := s.o.Submit.Submit(ctx, &envelope.Submission{
		Envelope: m.env, Content: m.content, Complete: !m.said.Remote, FullName: m.said.FullName, Incoming: true, Rewrite: rewrite,
	})
	return id, dsn.From(err)
}

// decide says who writes to whom, and whether that may be.
func (s *Service) decide(ctx context.Context, m *received, id envelope.QueueID) *dsn.Error {
	owner := m.user.address(s.o.Hostname)
	env := &envelope.Envelope{
		ID: id, Sender: owner, Auth: &owner, UTF8: m.seen.utf8Header(),
		Origin: envelope.Origin{Source: envelope.SourceSendmail, UserID: strconv.Itoa(m.user.uid)},
	}
	m.env = env
	if !m.said.Own {
		sender, err := s.address(m.said.Sender, true)
		if err != nil {
			return dsn.Wrap(dsn.BadSenderSyntax, "Bad sender address syntax", err)
		}
		env.Sender = sender
	}
	if may, err := s.now.Load().submit.has(ctx, m.user); err != nil {
		return dsn.From(err)
	} else if !may {
		return dsn.Newf(dsn.Policy, "User %s(%d) is not allowed to submit mail", m.user.key(), m.user.uid)
	}
	notify, _ := envelope.ParseNotify(m.said.Notify)
	if notify == 0 && m.said.Trace == maildrop.TraceRecord {
		notify = envelope.NotifySuccess | envelope.NotifyFailure | envelope.NotifyDelay
	}
	env.Return, _ = envelope.ParseReturn(m.said.Return)
	if id := envelope.EncodeXtext(m.said.EnvID); envelope.IsEnvID(id) {
		env.EnvID = id
	}
	if m.said.EightBit || m.seen.eight {
		env.Body = envelope.Body8BitMIME
	}
	for _, r := range m.said.Recipients {
		to, err := s.address(r.Address, false)
		if err != nil {
			return dsn.Wrap(dsn.BadDestSyntax, "Bad recipient address syntax", err)
		}
		env.UTF8 = env.UTF8 || !to.IsASCII()
		own, ok := envelope.ParseNotify(r.Notify)
		if !ok {
			own = notify
		}
		orcpt, _ := envelope.ParseORcpt(r.ORcpt)
		env.Recipients = append(env.Recipients, envelope.Recipient{Address: to, Original: to, Notify: own, ORcpt: orcpt})
	}
	env.UTF8 = env.UTF8 || !env.Sender.IsASCII()
	if len(env.Recipients) == 0 {
		return dsn.New(dsn.BadDestMailbox, "No recipients")
	}
	if e := s.maySend(ctx, m.user, env.Sender); e != nil {
		env.Sender = owner // the report is about what the owner did
		return e
	}
	m.decided = true
	return dsn.From(s.o.Room(m.content.Size()))
}

// address reads an address, which is of this host without a domain.
func (s *Service) address(text string, null bool) (addr.Address, error) {
	if text == "" && null {
		return addr.Address{}, nil
	}
	a, err := addr.Parse(text)
	if err == nil && a.Domain == "" {
		a = a.WithDomain(s.o.Hostname)
	}
	return a, err
}

// Limits of questions: how many recipients one may have, and how many are asked about at once. They are no
// parameters: mta/verify has its own.
const (
	mostVerified    = 100
	verifiersAtOnce = 10
)

// verify asks what would become of each recipient, and mails the answer to the sender.
func (s *Service) verify(ctx context.Context, m *received) error {
	if s.o.Verify == nil || len(m.env.Recipients) > mostVerified {
		return dsn.Newf(dsn.InvalidArguments, "At most %d recipients are verified at once", mostVerified)
	}
	m.env.ID, m.env.Arrived = s.o.NewID(), s.o.Clock.Now()
	about := make([]agent.ReportRecipient, len(m.env.Recipients))
	next := make(chan int)
	var all sync.WaitGroup
	for range min(verifiersAtOnce, len(about)) {
		all.Go(func() {
			for n := range next {
				about[n] = s.verifyOne(ctx, m, n)
			}
		})
	}
	for n := range about {
		next <- n
	}
	close(next)
	all.Wait()
	return s.o.Reporter.Report(ctx, &agent.Report{Kind: agent.Verified, Envelope: m.env, Recipients: about})
}

// verifyOne asks about one recipient. A panic there is that recipient's trouble.
func (s *Service) verifyOne(ctx context.Context, m *received, n int) agent.ReportRecipient {
	about := agent.ReportRecipient{Recipient: n}
	err := service.Fenced(s.o.Log, func() error {
		v := s.o.Verify(ctx, m.env.Recipients[n].Address)
		about.Err, about.Text = v.Err, v.Text
		return nil
	}, "service", serviceName, "step", "verify", "id", string(m.env.ID))
	if err != nil {
		about.Err = dsn.From(err)
	}
	about.At = s.o.Clock.Now()
	return about
}

// octets notes what passes of a message: octets that are not ASCII, and whether those of the header
// are UTF-8.
type octets struct {
	w      io.Writer
	header bool // it is not over yet
	some   bool // there was an octet
	line   bool // the last octet ended a line
	eight  bool
	// high is the beginning of a character of the header whose rest has not come.
	high               []byte
	eightHead, notUTF8 bool
}

// Write implements io.Writer.
func (o *octets) Write(p []byte) (int, error) {
	n, err := o.w.Write(p)
	o.note(p[:n])
	return n, err
}

func (o *octets) note(p []byte) {
	if o.header {
		head := p
		if at := o.headerEnd(p); at >= 0 {
			head, o.header = p[:at], false
		}
		o.noteHeader(head)
	}
	o.eight = o.eight || mime.Has8Bit(p)
}

// headerEnd is where the header ends in p, -1 when it goes on.
func (o *octets) headerEnd(p []byte) int {
	if len(p) == 0 {
		return -1
	}
	if p[0] == '\n' && (o.line || !o.some) {
		return 0
	}
	o.some = true
	at := bytes.Index(p, []byte("\n\n"))
	o.line = p[len(p)-1] == '\n'
	return at
}

// noteHeader looks at octets of the header; a character may lie in two pieces.
func (o *octets) noteHeader(p []byte) {
	p = append(o.high, p...)
	o.high = nil
	for len(p) > 0 {
		if p[0] < utf8.RuneSelf {
			p = p[1:]
			continue
		}
		o.eightHead = true
		if !utf8.FullRune(p) {
			o.high = bytes.Clone(p)
			return
		}
		r, size := utf8.DecodeRune(p)
		o.notUTF8 = o.notUTF8 || r == utf8.RuneError && size == 1
		p = p[size:]
	}
}

// utf8Header says that the header is UTF-8 with more than ASCII.
func (o *octets) utf8Header() bool { return o.eightHead && !o.notUTF8 && len(o.high) == 0 }
