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
	"toastmaster/mta/policy"
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
	Reserve   func(ctx context.Context, m directory.Mailbox, id string, size int64) *dsn.Error
	Unreserve func(m directory.Mailbox, id string)
	// OverQuotaTemporary makes mail for a full mailbox wait
	// (qmgr.over_quota_temporary).
	OverQuotaTemporary bool
	// ForeignAuthors lets users write as addresses of other hosts
	// (smtpd.foreign_header_from).
	ForeignAuthors bool
	// Ours says that an address literal is one of this host; nil knows none.
	Ours func(domain string) bool
	// Checks are the tables that contents are looked up in.
	Checks Checks
	// Copies say who gets blind copies.
	Copies Copies
	// Addresses say which addresses are rewritten.
	Addresses Addresses
	// Filters are the mail filters of what has no client.
	Filters Filters
	Log     *msglog.Log
	Clock   clock.Clock
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
	// rights says who may write as whom.
	rights policy.Env
}

var _ envelope.Submitter = (*Cleanup)(nil)

// New makes a Cleanup.
func New(o Options) *Cleanup {
	c := &Cleanup{o: o, drop: map[string]bool{}, domain: o.Params.HeaderAddedDomain}
	if c.domain == "" {
		c.domain = o.Hostname
	}
	c.rights = policy.Env{Directory: o.Directory, Aliases: o.Addresses.Limits(o.Params)}
	c.authserv = strings.ToLower(cmp.Or(o.Params.AuthservID, o.Hostname))
	for _, name := range o.Params.DropHeaders {
		c.drop[strings.ToLower(name)] = true
	}
	return c
}

// Submit implements envelope.Submitter.
func (c *Cleanup) Submit(ctx context.Context, s *envelope.Submission) (envelope.QueueID, error) {
	m := c.begin(s)
	if err := m.run(ctx); err != nil {
		return "", errors.Join(dsn.From(err), s.Content.Close())
	}
	if err := c.o.Queue.Add(ctx, s.Envelope, m.prefix, m.content); err != nil {
		c.unreserve(m.held)
		return "", dsn.From(err)
	}
	env := s.Envelope
	c.o.Log.Event(msglog.Queued{
		ID: env.ID, Session: env.Origin.Session, Client: env.Origin.ClientAddr, From: env.Sender.String(),
		Login: env.Origin.Login, Mechanism: env.Origin.Mechanism, UserID: env.Origin.UserID, MessageID: m.messageID, Proto: env.Origin.Word(),
		Size: m.size(), Recipients: len(env.Recipients), Forwarded: env.Origin.Forwarded,
	})
	return env.ID, nil
}
