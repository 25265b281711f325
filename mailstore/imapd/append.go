package imapd

import (
	"time"

	"github.com/emersion/go-imap/v2"

	"toastmaster/internal/msglog"
	"toastmaster/internal/spool"
	"toastmaster/internal/wire"
)

// runAppend is APPEND (RFC 3501 section 6.3.11) with APPENDUID (RFC 4315). The
// message streams into the store's spool with bounded memory. One that is
// refused is still read to its end when the client sends it unasked.
func runAppend(s *session, a *args) (reply, error) {
	a.space()
	to := a.mailbox()
	flags, date := a.appendOptions(s.now())
	if a.announcement(); a.err != nil {
		return reply{}, a.err
	}
	if a.denied != nil { // before the client sends it
		return reply{}, tryCreate(a.denied)
	}
	if a.lit.size == 0 {
		return reply{}, no("", "An empty message cannot be stored") // RFC 3502 makes it the way to cancel
	}
	if a.lit.size > s.srv.config.MaxMessage {
		return reply{}, no("TOOBIG", "Message is larger than the limit")
	}
	if err := s.mail.Room(a.lit.size); err != nil {
		return reply{}, err
	}
	content := s.mail.Spool().New()
	defer func() { _ = content.Close() }()
	if err := receive(s, a, content); err != nil {
		return reply{}, err
	}
	if err := a.end(); err != nil {
		return reply{}, err
	}
	if err := s.stillGood(); err != nil { // the message may have taken minutes
		return reply{}, err
	}
	validity, uid, err := to.Append(s.ctx, flags, date, content)
	if err != nil {
		return reply{}, tryCreate(err)
	}
	s.counts.appended++
	s.srv.log.Event(msglog.Stored{
		Service: "imapd", Session: s.login.ID, Mailbox: s.login.Account().Address.String(),
		Folder: to.Name(), UID: uid, Size: content.Size(),
	})
	code := appendNumber([]byte("APPENDUID "), validity)
	code = appendNumber(append(code, ' '), uid)
	return reply{string(code), "Append completed"}, nil
}

// appendOptions reads the optional flags and date before the message; without a date it
// is now.
func (a *args) appendOptions(now time.Time) (flags []imap.Flag, date time.Time) {
	date = now
	a.space()
	if a.peek() == '(' {
		flags = a.flagList()
		a.space()
	}
	if a.peek() == '"' {
		date = a.dateTime()
		a.space()
	}
	return flags, date
}

// receive reads the announced message into content and the line behind it.
// After an error of the spool the rest of the message is dropped.
func receive(s *session, a *args, content *spool.Buffer) error {
	a.goAhead()
	w := wire.NewLFWriter(content)
	block := s.c.blocks.Get()
	defer s.c.blocks.Put(block)
	w.Borrow(*block)
	var failed error
	for text := s.c.In.Literal(a.lit.size); text.Left() > 0; {
		p, err := text.Next()
		if err != nil {
			return err
		}
		if failed == nil {
			_, failed = w.Write(p)
		}
	}
	if failed == nil {
		failed = w.Close()
	}
	if a.afterLiteral(); a.err != nil {
		return a.err
	}
	return failed
}
