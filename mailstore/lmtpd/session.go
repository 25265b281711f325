package lmtpd

import (
	"io"
	"sync"

	"github.com/emersion/go-smtp"

	"toastmaster/directory"
	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
	"toastmaster/internal/msglog"
	"toastmaster/internal/service"
	"toastmaster/internal/smtpserver"
	"toastmaster/internal/spool"
	"toastmaster/mailstore"
)

// session is one client's connection.
type session struct {
	d      *Daemon
	c      *smtpserver.Conn
	sender string
	rcpts  []recipient
}

// recipient is one accepted recipient.
type recipient struct {
	given   string // as the engine gave it, for the answer
	address addr.Address
	box     directory.Mailbox
}

var _ smtp.LMTPSession = (*session)(nil)

// Mail is MAIL FROM.
func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	s.sender = from
	return nil
}

// Reset forgets the transaction.
func (s *session) Reset() { s.sender, s.rcpts = "", nil }

// Logout has nothing to give back.
func (s *session) Logout() error { return nil }

// Data is never asked for by an LMTP server that knows LMTPSession.
func (s *session) Data(io.Reader) error {
	return dsn.New(dsn.MailSystem, "Internal error")
}

// LMTPData receives the message and answers for each recipient.
func (s *session) LMTPData(r io.Reader, status smtp.StatusCollector) error {
	buf := s.d.o.Store.Spool().New()
	err := smtpserver.WriteLF(buf, r)
	if err == nil {
		for i, failed := range s.deliverAll(buf) {
			status.SetStatus(s.rcpts[i].given, answer(failed))
		}
	}
	if e := buf.Close(); e != nil {
		// The message is stored; what is lost is a file without a name.
		s.d.o.Log.Warn("spool", "service", "lmtpd", "session", s.c.ID(), "cause", e)
	}
	return err
}

func answer(failed *dsn.Error) error {
	if failed != nil {
		return failed
	}
	return smtpserver.Accepted("Saved")
}

// deliverAll delivers to every recipient and returns their outcomes in order.
// The calling goroutine takes part; each helper is waited for.
func (s *session) deliverAll(content *spool.Buffer) []*dsn.Error {
	results := make([]*dsn.Error, len(s.rcpts))
	next := make(chan int, len(s.rcpts))
	for i := range s.rcpts {
		next <- i
	}
	close(next)
	work := func() {
		for i := range next {
			// A panic about one recipient is a 451 for that one.
			err := service.Fenced(s.d.o.Log, func() error {
				results[i] = s.deliver(&s.rcpts[i], content)
				return nil
			}, "service", "lmtpd", "session", s.c.ID())
			if err != nil {
				results[i] = dsn.From(err)
			}
		}
	}
	var helpers sync.WaitGroup
	for range min(len(s.rcpts), s.d.o.Params.Concurrency) - 1 {
		helpers.Go(work)
	}
	work()
	helpers.Wait()
	return results
}

func (s *session) deliver(to *recipient, content *spool.Buffer) *dsn.Error {
	account := mailstore.Account{
		Address: to.box.Address, Home: to.box.Home,
		QuotaBytes: to.box.QuotaBytes, QuotaMessages: to.box.QuotaMessages,
	}
	prefix := s.prefix(to)
	err := s.d.o.Store.Deliver(s.c.Context(), account, &mailstore.Delivery{
		Date: s.d.o.Clock.Now(), Prefix: prefix, Content: content, Durable: true,
	})
	if failed := mailstore.DSN(err); failed != nil {
		return failed
	}
	s.d.o.Log.Event(msglog.Stored{
		Service: "lmtpd", Session: s.c.ID(), Mailbox: to.box.Address.String(), Folder: "INBOX",
		Size: int64(len(prefix)) + content.Size(),
	})
	return nil
}

// prefix is what final delivery puts on top (RFC 5321 section 4.4).
func (s *session) prefix(to *recipient) []byte {
	b := make([]byte, 0, 160)
	b = append(b, "Return-Path: <"...)
	b = append(b, s.sender...)
	b = append(b, ">\nDelivered-To: "...)
	b = append(b, to.address.String()...)
	return append(b, '\n')
}
