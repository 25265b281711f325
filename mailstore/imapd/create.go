package imapd

import (
	"strings"

	"github.com/emersion/go-imap/v2"
)

// specialUses are the attributes of RFC 6154 that a mailbox can be given.
var specialUses = []imap.MailboxAttr{
	imap.MailboxAttrArchive, imap.MailboxAttrDrafts, imap.MailboxAttrFlagged,
	imap.MailboxAttrJunk, imap.MailboxAttrSent, imap.MailboxAttrTrash,
}

// runCreate is CREATE (RFC 3501 section 6.3.3) with the USE of RFC 6154 section 3.
func runCreate(s *session, a *args) (reply, error) {
	a.space()
	name := a.mailboxName()
	var use imap.MailboxAttr
	if a.more() {
		use = a.use()
	}
	// "name/" announces children and makes name.
	if n := strings.TrimSuffix(name, string(s.mail.Separator())); n != "" {
		name = n
	}
	box := a.find(name)
	if err := a.end(); err != nil {
		return reply{}, err
	}
	if name == inbox {
		return reply{}, no("ALREADYEXISTS", "INBOX exists")
	}
	return reply{text: "Create completed"}, box.Create(s.ctx, use)
}

// use reads "(USE (\Sent))". A mailbox can have one use here.
func (a *args) use() (use imap.MailboxAttr) {
	a.list(func() {
		if a.atom() != "USE" {
			a.fail(bad("Unknown parameter of CREATE"))
		}
		a.space()
		a.list(func() {
			a.expect('\\')
			u := a.specialUse()
			if use != "" && use != u {
				a.fail(no("USEATTR", "A mailbox can have one special use"))
			}
			use = u
		})
	})
	return use
}

func (a *args) specialUse() imap.MailboxAttr {
	word := a.word(&atomEnd)
	for _, u := range specialUses {
		if equalFold(word, string(u[1:])) {
			return u
		}
	}
	a.fail(no("USEATTR", "No such special use"))
	return ""
}
