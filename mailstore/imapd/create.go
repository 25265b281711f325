package imapd

import (
	"strings"

	"github.com/emersion/go-imap/v2"
)

// specialUses are the attributes of RFC 6154 that a mailbox can be given.
func specialUses() []imap.MailboxAttr {
	return []imap.MailboxAttr{
		imap.MailboxAttrArchive, imap.MailboxAttrDrafts, imap.MailboxAttrFlagged,
		imap.MailboxAttrJunk, imap.MailboxAttrSent, imap.MailboxAttrTrash,
	}
}

// create is CREATE (RFC 3501 section 6.3.3) with the USE of RFC 6154 section 3.
func (s *session) create(a *args) (reply, error) {
	if err := a.space(); err != nil {
		return reply{}, err
	}
	name, err := a.mailboxName()
	if err != nil {
		return reply{}, err
	}
	var use imap.MailboxAttr
	if a.more() {
		if use, err = a.use(); err != nil {
			return reply{}, err
		}
	}
	if err := a.end(); err != nil {
		return reply{}, err
	}
	// "name/" announces children and makes name.
	if n := strings.TrimSuffix(name, string(s.user.Separator())); n != "" {
		name = n
	}
	if name == inbox {
		return reply{}, no("ALREADYEXISTS", "INBOX exists")
	}
	return reply{text: "Create completed"}, s.user.Create(s.ctx, name, use)
}

// use reads "(USE (\Sent))". A mailbox can have one use here.
func (a *args) use() (imap.MailboxAttr, error) {
	var use imap.MailboxAttr
	err := a.list(func() error {
		if w, err := a.atom(); err != nil || w != "USE" {
			return bad("Unknown parameter of CREATE")
		}
		if err := a.space(); err != nil {
			return err
		}
		return a.list(func() error {
			if err := a.expect('\\'); err != nil {
				return err
			}
			u, err := specialUse(a.word(&atomEnd))
			if err == nil && use != "" && use != u {
				err = no("USEATTR", "A mailbox can have one special use")
			}
			use = u
			return err
		})
	})
	return use, err
}

func specialUse(word []byte) (imap.MailboxAttr, error) {
	for _, u := range specialUses() {
		if equalFold(word, string(u[1:])) {
			return u, nil
		}
	}
	return "", no("USEATTR", "No such special use")
}
