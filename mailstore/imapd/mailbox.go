package imapd

import (
	"context"
	"slices"

	"github.com/emersion/go-imap/v2"

	"toastmaster/mailstore"
)

// mailbox is the selected mailbox as one session sees it: its numbers, what the
// client was told of its flags, and the saved result of a search. It belongs to the
// session's goroutine.
type mailbox struct {
	c      *conn
	ctx    context.Context
	view   *mailstore.Selection
	told   []imap.Flag // the flags of the last FLAGS response
	result []imap.UID  // "$" (RFC 5182), in ascending order
	fetch  fetcher
}

// news tells what others did to the mailbox. Expunged messages are told only when
// no sequence number is in flight (RFC 3501 section 7.4.1).
func (b *mailbox) news(expunge bool) error {
	u, err := b.view.Update(b.ctx, expunge)
	if err != nil {
		return err
	}
	for _, seq := range u.Expunged {
		out := append(b.c.buf(), "* "...)
		out = appendNumber(out, seq)
		b.c.put(append(out, " EXPUNGE\r\n"...))
	}
	b.forget(u.ExpungedUIDs)
	if u.NewKeywords {
		b.tellKeywords(b.view.Info().Flags)
	}
	if u.Exists > 0 {
		b.writeCounts(u.Exists, u.Recent)
	}
	for _, seq := range u.Flags {
		b.writeFlagUpdate(seq, false)
	}
	return nil
}

func (b *mailbox) writeCounts(exists, recent uint32) {
	out := append(b.c.buf(), "* "...)
	out = appendNumber(out, exists)
	out = append(out, " EXISTS\r\n* "...)
	out = appendNumber(out, recent)
	b.c.put(append(out, " RECENT\r\n"...))
}

// writeFlagUpdate tells the flags of one message.
func (b *mailbox) writeFlagUpdate(seq uint32, uid bool) {
	m := b.view.Message(seq)
	b.tellKeywords(m.Flags)
	out := append(b.c.buf(), "* "...)
	out = appendNumber(out, seq)
	out = append(out, " FETCH ("...)
	if uid {
		out = append(out, "UID "...)
		out = appendNumber(out, m.UID)
		out = append(out, ' ')
	}
	out = append(out, "FLAGS "...)
	out = appendFlags(out, m.Flags, m.Recent)
	b.c.put(append(out, ")\r\n"...))
}

// tellKeywords tells the flags in use if one of flags was not told yet: a
// client must know a keyword before it meets it (RFC 3501 section 7.2.6). It is
// called before each response that has flags, with those that it will have:
// another session may have made a keyword since the last news.
func (b *mailbox) tellKeywords(flags []imap.Flag) {
	for _, f := range flags {
		if f[0] != '\\' && !slices.Contains(b.told, f) {
			b.writeFlags()
			return
		}
	}
}

// writeFlags tells the flags in use and those that can be kept.
func (b *mailbox) writeFlags() {
	info := b.view.Info()
	flags := info.Flags
	if len(flags) == 0 {
		flags = systemFlags
	}
	b.told = flags
	out := append(b.c.buf(), "* FLAGS "...)
	out = appendFlags(out, flags, false)
	out = append(out, "\r\n* OK [PERMANENTFLAGS "...)
	may := b.permanent(flags, !info.KeywordsFull)
	out = appendFlags(out, may, false)
	if len(may) == 0 {
		b.c.put(append(out, "] No permanent flags permitted\r\n"...))
		return
	}
	b.c.put(append(out, "] Flags permitted\r\n"...))
}

// permanent are those of flags that the client can change, and \* where it can make
// keywords.
func (b *mailbox) permanent(flags []imap.Flag, more bool) (may []imap.Flag) {
	for _, f := range flags {
		if b.view.MayStore(f) {
			may = append(may, f)
		}
	}
	if more && b.view.MayStore(imap.FlagWildcard) {
		may = append(may, imap.FlagWildcard)
	}
	return may
}
