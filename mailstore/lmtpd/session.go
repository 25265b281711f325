package lmtpd

import (
	"context"
	"io"
	"sync"
	"time"

	"toastmaster/directory"
	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/msglog"
	"toastmaster/internal/service"
	"toastmaster/internal/smtpserver"
	"toastmaster/internal/spool"
	"toastmaster/internal/trace"
	"toastmaster/mailstore"
	"toastmaster/mailstore/plan"
)

// session is one client's connection.
type session struct {
	d      *Daemon
	c      *smtpserver.Conn
	sender addr.Address
	utf8   bool
	body   envelope.Body
	rcpts  []recipient
	copies []delivery
	// known are the indexes of copies by address, folded and in the real domain.
	known map[addr.Address]int
	// asked is when the first of them was looked up.
	asked time.Time
	head  header // of the present message
	// logged is what a line about a panic says of the session.
	logged []any
	// messageID is that of the present message, for the log.
	messageID string
}

// recipient is one accepted recipient.
type recipient struct {
	address addr.Address
	copy    int // the index of its delivery
}

// delivery is one copy of the message. Recipients that are one address of one
// mailbox, however they are written, share it.
type delivery struct {
	to  addr.Address // of the first of them
	box directory.Mailbox
}

// Mail is MAIL FROM.
func (s *session) Mail(_ context.Context, m smtpserver.Mail) *dsn.Error {
	s.sender, s.utf8, s.body = m.From, m.UTF8, m.Body
	return dsn.From(s.d.o.Store.Room(m.Size))
}

// Reset forgets the transaction.
func (s *session) Reset() {
	s.sender, s.rcpts, s.copies, s.known, s.asked = addr.Address{}, nil, nil, nil, time.Time{}
}

// Data receives the message and answers for each recipient.
func (s *session) Data(ctx context.Context, r io.Reader) (smtpserver.Accepted, *dsn.Error) {
	accepted := smtpserver.Accepted{Text: "Saved"}
	buf := s.d.o.Store.Spool().New()
	prefix, err := s.lead(buf)
	h := &s.head
	h.begin(buf)
	defer h.begin(nil) // nothing of the message stays until the next one
	if err == nil {
		err = smtpserver.WriteLF(h, r)
	}
	if err == nil {
		err = h.Close()
	}
	if err == nil && h.hops > s.d.o.Params.HopCountLimit {
		err = dsn.New(dsn.LoopDetected, "Too many hops")
	}
	if err == nil {
		s.messageID = h.id
		outcomes := s.deliverAll(ctx, buf, &h.delivered, prefix)
		accepted.Each = make([]*dsn.Error, len(s.rcpts))
		for i := range s.rcpts {
			accepted.Each[i] = outcomes[s.rcpts[i].copy]
		}
	}
	if e := buf.Close(); e != nil {
		// The message is stored; what is lost is a file without a name.
		s.d.o.Log.Warn("spool", "service", "lmtpd", "session", s.c.ID(), "cause", e)
	}
	return accepted, dsn.From(err)
}

// lead writes the prefix of a single copy before the content, so that the
// store can link a large message instead of copying it. Several copies get
// theirs from prefix.
func (s *session) lead(buf *spool.Buffer) (prefix func(*delivery) []byte, err error) {
	now := s.d.o.Clock.Now()
	if len(s.copies) == 1 {
		_, err = buf.Write(s.prefix(&s.copies[0], now))
		return func(*delivery) []byte { return nil }, err
	}
	return func(c *delivery) []byte { return s.prefix(c, now) }, nil
}

// deliverAll makes every copy and returns their outcomes in order. The calling
// goroutine takes part; each helper is waited for. A single copy, the usual one, needs
// none of that.
func (s *session) deliverAll(ctx context.Context, content *spool.Buffer, before *trace.Delivered, prefix func(*delivery) []byte) []*dsn.Error {
	results := make([]*dsn.Error, len(s.copies))
	s.refuseLoops(before, results)
	if len(results) == 1 {
		if results[0] == nil {
			results[0] = s.fenced(ctx, &s.copies[0], content, prefix)
		}
		return results
	}
	next := make(chan int, len(s.copies))
	for i := range s.copies {
		if results[i] == nil {
			next <- i
		}
	}
	close(next)
	work := func() {
		for i := range next {
			results[i] = s.fenced(ctx, &s.copies[i], content, prefix)
		}
	}
	var helpers sync.WaitGroup
	for range min(len(s.copies), s.d.o.Params.Concurrency) - 1 {
		helpers.Go(work)
	}
	work()
	helpers.Wait()
	return results
}

// fenced is deliver; a panic about one copy is a 451 for that one.
func (s *session) fenced(ctx context.Context, c *delivery, content *spool.Buffer, prefix func(*delivery) []byte) (failed *dsn.Error) {
	err := service.Fenced(s.d.o.Log, func() error {
		failed = s.deliver(ctx, c, content, prefix(c))
		return nil
	}, s.logged...)
	if err != nil {
		return dsn.From(err)
	}
	return failed
}

// refuseLoops refuses the copies that were delivered before, under whichever of
// the addresses that share one.
func (s *session) refuseLoops(before *trace.Delivered, results []*dsn.Error) {
	for i := range s.rcpts {
		if to := &s.rcpts[i]; before.To(to.address) {
			results[to.copy] = dsn.Newf(dsn.LoopDetected, "Mail forwarding loop for %s", to.address)
		}
	}
}

func (s *session) deliver(ctx context.Context, c *delivery, content *spool.Buffer, prefix []byte) *dsn.Error {
	out, err := s.d.o.Plan.Deliver(ctx, &plan.Message{
		Account: mailstore.AccountOf(c.box).AskedAt(s.asked), From: s.sender, To: c.to,
		Durable: true, Date: s.d.o.Clock.Now(), Prefix: prefix, Content: content, Body: s.body, UTF8: s.utf8,
	})
	if err != nil {
		return err
	}
	for _, stored := range out.Stored {
		s.d.o.Log.Event(msglog.Stored{
			Service: "lmtpd", Session: s.c.ID(), Mailbox: c.box.Address.String(), Folder: stored.Folder,
			UID: stored.UID, MessageID: s.messageID, Size: int64(len(prefix)) + content.Size(),
		})
	}
	return nil
}

// prefix is what the final delivery puts on top, and the Received field of this
// host, which names the copy's recipient: nobody else sees it.
func (s *session) prefix(c *delivery, now time.Time) []byte {
	final := trace.Final{ReturnPath: s.sender.Path(), To: c.to}
	received := trace.Received{
		Origin: s.origin(), By: s.d.o.Hostname, ID: s.c.ID(), For: c.to, UTF8: s.utf8, At: now,
	}
	return received.Append(final.Append(make([]byte, 0, 512)))
}

// origin is the client. Its name is not looked up: it is one of ours.
func (s *session) origin() *envelope.Origin {
	o := &envelope.Origin{
		Protocol: s.c.Protocol(), ClientAddr: service.ClientText(s.c.ClientAddr()), Helo: s.c.Helo(), TLS: trace.TLS(s.c.TLS()),
	}
	if s.c.Local() {
		o.ClientName = "localhost"
	}
	return o
}
