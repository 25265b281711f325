package imapd

import (
	"github.com/emersion/go-imap/v2"

	"toastmaster/mailstore"
)

// runCopy is COPY (RFC 3501 section 6.4.7) with COPYUID (RFC 4315).
func runCopy(s *session, a *args) (reply, error) {
	list, dest, err := copyArgs(s, a)
	if err != nil {
		return reply{}, err
	}
	if len(list) == 0 {
		return reply{text: "No messages found"}, nil
	}
	from := s.box.uids(list)
	validity, to, err := s.box.view.Copy(s.ctx, list, dest)
	if err != nil {
		return reply{}, tryCreate(err)
	}
	return reply{copyUID(validity, from, to), "Copy completed"}, nil
}

// copyArgs reads the messages and the destination of COPY and MOVE.
func copyArgs(s *session, a *args) (list []uint32, to mailstore.Mailbox, err error) {
	ranges := s.box.messages(a)
	a.space()
	to = a.mailbox()
	return seqs(ranges), to, tryCreate(a.end())
}

// uids are the UIDs of messages; taken before a copy, which may find some
// gone.
func (b *mailbox) uids(list []uint32) []imap.UID {
	out := make([]imap.UID, len(list))
	for i, seq := range list {
		out[i] = b.view.UID(seq)
	}
	return out
}

// copyUID is the response code, "" when the store does not know the UIDs.
func copyUID(validity uint32, from, to []imap.UID) string {
	if len(to) == 0 || len(from) != len(to) {
		return ""
	}
	code := appendNumber([]byte("COPYUID "), validity)
	code = appendUIDSet(append(code, ' '), from)
	return string(appendUIDSet(append(code, ' '), to))
}
