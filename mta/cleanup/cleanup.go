package cleanup

import (
	"cmp"
	"context"
	"errors"
	"strings"

	"toastmaster/configs"
	"toastmaster/directory"
	"toastmaster/internal/clock"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/msglog"
	"toastmaster/mta/queue"
)

// Options are what a Cleanup is made of.
type Options struct {
	Params    configs.Cleanup
	Hostname  string // main.hostname
	Directory *directory.Directory
	Queue     *queue.Queue
	// Reserve counts a message of size octets into the quota of a mailbox
	// until it is delivered with that ID (envelope.DeliveryID); 5.2.2 when it
	// does not fit. It is asked for mailboxes with a quota only. Release gives
	// back what Reserve took. nil leaves quotas to delivery.
	Reserve func(ctx context.Context, m directory.Mailbox, id string, size int64) *dsn.Error
	Release func(m directory.Mailbox, id string)
	// OverQuotaTemporary makes mail for a full mailbox wait
	// (qmgr.over_quota_temporary).
	OverQuotaTemporary bool
	Log                *msglog.Log
	Clock              clock.Clock
}

// Cleanup is an envelope.Submitter. Safe for concurrent use; it has no
// goroutine and needs no Close.
type Cleanup struct {
	o    Options
	drop map[string]bool // field names in lower case
	// domain is that of added Message-IDs.
	domain string
	// authserv is the name under which we say what we found out about mail.
	authserv string
}

var _ envelope.Submitter = (*Cleanup)(nil)

// New makes a Cleanup.
func New(o Options) *Cleanup {
	c := &Cleanup{o: o, drop: map[string]bool{}, domain: o.Params.HeaderAddedDomain}
	if c.domain == "" {
		c.domain = o.Hostname
	}
	c.authserv = strings.ToLower(cmp.Or(o.Params.AuthservID, o.Hostname))
	for _, name := range o.Params.DropHeaders {
		c.drop[strings.ToLower(name)] = true
	}
	return c
}

// Submit implements envelope.Submitter.
func (c *Cleanup) Submit(ctx context.Context, s *envelope.Submission) (envelope.QueueID, error) {
	p, err := c.prepare(ctx, s)
	if err != nil {
		return "", errors.Join(dsn.From(err), s.Content.Close())
	}
	size := int64(len(p.prefix)) + p.content.Size()
	held, err := c.reserve(ctx, s, size)
	if err != nil {
		return "", errors.Join(dsn.From(err), s.Content.Close())
	}
	if err := c.o.Queue.Add(ctx, s.Envelope, p.prefix, p.content); err != nil {
		c.release(held)
		return "", dsn.From(err)
	}
	env := s.Envelope
	c.o.Log.Event(msglog.Queued{
		ID: env.ID, Session: env.Origin.Session, Client: env.Origin.ClientAddr, From: env.Sender.String(),
		Login: env.Origin.Login, Mechanism: env.Origin.Mechanism, MessageID: p.messageID, Proto: env.Origin.Protocol,
		Size: size, Recipients: len(env.Recipients),
	})
	return env.ID, nil
}

// prepared is a message that is ready for the queue.
type prepared struct {
	prefix    []byte
	content   envelope.Content
	messageID string
}

// prepare does everything but the queue's part. On an error the content is
// still the submission's.
func (c *Cleanup) prepare(ctx context.Context, s *envelope.Submission) (*prepared, error) {
	h, err := c.readHeader(s.Content, s.Outside)
	if err != nil {
		return nil, dsn.Wrap(dsn.MailSystem, "Temporary failure while reading the message", err)
	}
	env := s.Envelope
	env.Hops = h.received
	if h.received >= c.o.Params.HopCountLimit {
		return nil, dsn.New(dsn.LoopDetected, "Too many hops")
	}
	given := env.Recipients
	if env.Recipients, err = c.expand(ctx, given); err != nil {
		return nil, err
	}
	h.refuseLoops(env.Recipients)
	if err := refuseAll(env); err != nil {
		return nil, err
	}
	env.ID, env.Arrived = c.o.Queue.NewID(), c.o.Clock.Now()
	p := &prepared{messageID: h.messageID}
	p.prefix = c.received(env, given)
	if s.Complete {
		p.complete(c, env, h)
	}
	return p, c.assemble(p, s, h)
}
