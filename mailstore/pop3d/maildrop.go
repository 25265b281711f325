package pop3d

import (
	"context"
	"strconv"

	"github.com/emersion/go-imap/v2"

	"toastmaster/internal/dsn"
	"toastmaster/mailstore"
)

// maildrop is INBOX as of log-in. The view is never brought up to date, so its
// sequence numbers are the message numbers of the session.
type maildrop struct {
	view     *mailstore.Selection
	messages []message
	total    int64 // size of all at log-in
	kept     int   // not deleted
	keptSize int64
	expunged int // by QUIT
	toSee    int // messages with see set
	// uidls are the unique ids that were saved, once they were asked for.
	uidls     map[imap.UID]string
	uidlsRead bool
	// form makes the others; nil until it is asked for.
	form *uidForm
}

// message is what a session knows about one message: 16 octets, because a
// maildrop may have a hundred thousand.
type message struct {
	size    int64
	uid     imap.UID
	deleted bool
	see     bool // was read by RETR and is not \Seen yet
	seen    bool
}

func openMaildrop(s *session) (*maildrop, error) {
	// Never read-only: QUIT must be able to delete.
	box, err := s.login.Mail().Resolve(s.ctx, "INBOX", mailstore.AllRights)
	if err != nil {
		return nil, dsn.Wrap(dsn.MailSystem, "Mailbox is not available, try again later", err)
	}
	view, err := box.Open(s.ctx, false)
	if err != nil {
		return nil, dsn.Wrap(dsn.MailSystem, "Mailbox is not available, try again later", err)
	}
	d := &maildrop{view: view, messages: make([]message, view.Len())}
	for i := range d.messages {
		m := view.Message(uint32(i + 1))
		d.messages[i] = message{size: m.Size, uid: m.UID, seen: hasSeen(m.Flags)}
		d.total += m.Size
	}
	d.kept, d.keptSize = len(d.messages), d.total
	return d, nil
}

func hasSeen(flags []imap.Flag) bool {
	for _, f := range flags {
		if f == imap.FlagSeen {
			return true
		}
	}
	return false
}

func (d *maildrop) len() int { return len(d.messages) }

// find is the message of a number that the client sent; reason says why there
// is none.
func (d *maildrop) find(number string) (seq uint32, m *message, reason string) {
	n, err := strconv.ParseUint(number, 10, 32)
	if err != nil {
		return 0, nil, "Not a message number"
	}
	if n == 0 || n > uint64(len(d.messages)) {
		return 0, nil, "No such message"
	}
	m = &d.messages[n-1]
	if m.deleted {
		return 0, nil, "Message is deleted"
	}
	return uint32(n), m, ""
}

// read marks a message as read.
func (d *maildrop) read(m *message) {
	if !m.seen && !m.see {
		m.see = true
		d.toSee++
	}
}

func (d *maildrop) remove(m *message) {
	m.deleted = true
	d.kept--
	d.keptSize -= m.size
}

// restore takes all deletions back.
func (d *maildrop) restore() {
	for i := range d.messages {
		d.messages[i].deleted = false
	}
	d.kept, d.keptSize = len(d.messages), d.total
}

// markSeen writes the marks of RETR.
func (d *maildrop) markSeen(ctx context.Context) error {
	if d.toSee == 0 {
		return nil
	}
	seqs := make([]uint32, 0, d.toSee)
	for i := range d.messages {
		if m := &d.messages[i]; m.see && !m.deleted {
			seqs = append(seqs, uint32(i+1))
		}
	}
	d.toSee = 0
	if len(seqs) == 0 {
		return nil
	}
	_, err := d.view.SetFlags(ctx, seqs, mailstore.FlagsAdd, []imap.Flag{imap.FlagSeen}, 0)
	return err
}

// expunge removes what DELE marked.
func (d *maildrop) expunge(ctx context.Context) error {
	if d.kept == len(d.messages) {
		return nil
	}
	seqs := make([]uint32, 0, len(d.messages)-d.kept)
	for i := range d.messages {
		if d.messages[i].deleted {
			seqs = append(seqs, uint32(i+1))
		}
	}
	err := d.view.Expunge(ctx, seqs)
	if err == nil {
		d.expunged = len(seqs)
	}
	return err
}

// close writes the marks of a session that ended without QUIT, and closes the
// view. What DELE marked stays: without QUIT there is no UPDATE (RFC 1939
// section 6).
func (d *maildrop) close(s *session) {
	s.deferred()
	if err := d.view.Close(); err != nil {
		s.warn("closing the mailbox failed", err)
	}
}
