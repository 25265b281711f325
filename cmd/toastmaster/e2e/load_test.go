package e2e

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

// smtpLoad sends messages on one connection until it breaks.
func (b *box) smtpLoad(l *ledger) func(context.Context, *rand.Rand) {
	return func(ctx context.Context, r *rand.Rand) {
		s, err := dialSMTP(b.SMTP(), "EHLO")
		if err != nil {
			return
		}
		defer s.Close()
		for ctx.Err() == nil {
			id := l.newID("smtp")
			to, mailboxes := someRecipients(r)
			for _, m := range mailboxes {
				l.sending(id, m)
			}
			if _, err := s.send("a@example.net", to, crashMessage(r, id)); err != nil {
				return
			}
			for _, m := range mailboxes {
				l.accepted(id, m)
			}
			pause(ctx, r, 15)
		}
	}
}

// someRecipients chooses addresses and says which mailboxes they mean.
func someRecipients(r *rand.Rand) (to, mailboxes []string) {
	switch r.IntN(5) {
	case 0: // an alias
		return []string{"team@example.test"}, []string{crashAddress(0), crashAddress(1)}
	case 1: // several
		for _, i := range r.Perm(crashMailboxes)[:3] {
			to = append(to, crashAddress(i))
		}
		return to, to
	case 2: // one that is emptied at the same time
		to = []string{crashAddress(popMailbox + r.IntN(2))}
	default:
		to = []string{crashAddress(r.IntN(crashMailboxes))}
	}
	return to, to
}

// lmtpLoad delivers to one or more recipients, each with its own answer.
func (b *box) lmtpLoad(l *ledger) func(context.Context, *rand.Rand) {
	return func(ctx context.Context, r *rand.Rand) {
		s, err := dialSMTP(b.LMTP(), "LHLO")
		if err != nil {
			return
		}
		defer s.Close()
		for ctx.Err() == nil {
			id := l.newID("lmtp")
			var to []string
			for _, i := range r.Perm(crashMailboxes)[:1+r.IntN(3)] {
				to = append(to, crashAddress(i))
				l.sending(id, crashAddress(i))
			}
			if _, err := s.send("a@example.net", to, crashMessage(r, id)); err != nil {
				return
			}
			l.accepted(id, to[0])
			for _, address := range to[1:] {
				if _, err := s.expect("250"); err != nil {
					return
				}
				l.accepted(id, address)
			}
			pause(ctx, r, 15)
		}
	}
}

// appendLoad stores messages by IMAP and notes their UIDs.
func (b *box) appendLoad(l *ledger) func(context.Context, *rand.Rand) {
	return func(ctx context.Context, r *rand.Rand) {
		address := crashAddress(r.IntN(crashMailboxes))
		c, err := b.crashLogin(address)
		if err != nil {
			return
		}
		defer c.Close()
		for ctx.Err() == nil {
			id := l.newID("imap")
			text := crashMessage(r, id)
			l.sending(id, address)
			a := c.Append("INBOX", int64(len(text)), nil)
			if _, err := a.Write([]byte(text)); err != nil {
				return
			}
			if err := a.Close(); err != nil {
				return
			}
			data, err := a.Wait()
			if err != nil {
				return
			}
			l.accepted(id, address)
			l.sawUID(uidKey{address, data.UIDValidity, uint32(data.UID)}, id)
			pause(ctx, r, 15)
		}
	}
}

func (b *box) crashLogin(address string) (*imapclient.Client, error) {
	c, err := imapclient.DialInsecure(b.IMAP(), &imapclient.Options{Dialer: &net.Dialer{Timeout: time.Minute}})
	if err != nil {
		return nil, err
	}
	if err := c.Login(address, crashWord).Wait(); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// imapLoad expunges the oldest messages of its mailbox.
func (b *box) imapLoad(l *ledger) func(context.Context, *rand.Rand) {
	address := crashAddress(imapMailbox)
	return func(ctx context.Context, r *rand.Rand) {
		c, err := b.crashLogin(address)
		if err != nil {
			return
		}
		defer c.Close()
		selected, err := c.Select("INBOX", nil).Wait()
		if err != nil {
			return
		}
		for ctx.Err() == nil {
			if err := c.Noop().Wait(); err != nil {
				return
			}
			if err := expungeSome(c, l, r, address, selected.UIDValidity); err != nil {
				return
			}
			pause(ctx, r, 50)
		}
	}
}

func expungeSome(c *imapclient.Client, l *ledger, r *rand.Rand, address string, uidValidity uint32) error {
	n := c.Mailbox().NumMessages
	if n == 0 {
		return nil
	}
	section := &imap.FetchItemBodySection{Specifier: imap.PartSpecifierHeader, Peek: true}
	messages, err := c.Fetch(imap.SeqSet{{Start: 1, Stop: min(n, 10)}},
		&imap.FetchOptions{UID: true, BodySection: []*imap.FetchItemBodySection{section}}).Collect()
	if err != nil {
		return err
	}
	var uids imap.UIDSet
	var ids []string
	for _, m := range messages {
		id := headerOf(string(m.FindBodySection(section)), "Message-ID")
		if id == "" {
			continue // gone meanwhile
		}
		l.sawUID(uidKey{address, uidValidity, uint32(m.UID)}, id)
		if r.IntN(3) > 0 {
			uids.AddNum(m.UID)
			ids = append(ids, id)
			l.expunging(id, address)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	if err := c.Store(uids, &imap.StoreFlags{Op: imap.StoreFlagsAdd, Flags: []imap.Flag{imap.FlagDeleted}, Silent: true}, nil).Close(); err != nil {
		return err
	}
	if err := c.UIDExpunge(uids).Close(); err != nil {
		return err
	}
	for _, id := range ids {
		l.expunged(id, address)
	}
	return nil
}

// popLoad deletes some messages of its mailbox in one POP3 session.
func (b *box) popLoad(l *ledger) func(context.Context, *rand.Rand) {
	address := crashAddress(popMailbox)
	return func(ctx context.Context, r *rand.Rand) {
		conn, err := net.DialTimeout("tcp", b.POP3(), time.Minute)
		if err != nil {
			return
		}
		defer conn.Close()
		p := &popConn{conn, bufio.NewReader(conn)}
		if _, err := p.line(""); err != nil {
			return
		}
		for _, command := range []string{"USER " + address, "PASS " + crashWord} {
			if _, err := p.line(command); err != nil {
				return
			}
		}
		stat, err := p.line("STAT")
		if err != nil {
			return
		}
		var n, size int
		if _, err := fmt.Sscanf(stat, "+OK %d %d", &n, &size); err != nil {
			return
		}
		var ids []string
		for i := 1; i <= min(n, 20); i++ {
			header, err := p.text(fmt.Sprintf("TOP %d 0", i))
			if err != nil {
				return
			}
			if r.IntN(3) == 0 {
				continue
			}
			id := headerOf(header, "Message-ID")
			l.expunging(id, address)
			if _, err := p.line(fmt.Sprintf("DELE %d", i)); err != nil {
				return
			}
			ids = append(ids, id)
		}
		if _, err := p.line("QUIT"); err != nil {
			return
		}
		for _, id := range ids {
			l.expunged(id, address)
		}
	}
}

// popConn speaks POP3.
type popConn struct {
	net.Conn
	r *bufio.Reader
}

// line sends a command and reads a one-line answer, which must be +OK.
func (p *popConn) line(command string) (string, error) {
	if err := p.SetDeadline(time.Now().Add(smtpTimeout)); err != nil {
		return "", err
	}
	if command != "" {
		if _, err := fmt.Fprintf(p, "%s\r\n", command); err != nil {
			return "", err
		}
	}
	answer, err := p.r.ReadString('\n')
	if err == nil && !strings.HasPrefix(answer, "+OK") {
		err = &smtpError{answer}
	}
	return answer, err
}

// text sends a command and reads a multi-line answer.
func (p *popConn) text(command string) (string, error) {
	if _, err := p.line(command); err != nil {
		return "", err
	}
	var b strings.Builder
	for {
		line, err := p.r.ReadString('\n')
		if err != nil {
			return "", err
		}
		if line == ".\r\n" {
			return b.String(), nil
		}
		b.WriteString(strings.TrimPrefix(line, "."))
	}
}
