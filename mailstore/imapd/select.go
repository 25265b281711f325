package imapd

import (
	"slices"

	"github.com/emersion/go-imap/v2"
)

// selectCommand is SELECT (RFC 3501 section 6.3.1).
func (s *session) selectCommand(a *args) (reply, error) { return s.open(a, false) }

// examine is EXAMINE (RFC 3501 section 6.3.2).
func (s *session) examine(a *args) (reply, error) { return s.open(a, true) }

func (s *session) open(a *args, readOnly bool) (reply, error) {
	name, err := a.onlyMailbox()
	if err != nil {
		return reply{}, err
	}
	// The mailbox selected before is left even if the new one cannot be opened.
	s.closeView()
	v, err := s.user.Open(s.ctx, name, readOnly)
	if err != nil {
		return reply{}, err
	}
	s.view = v
	info := v.Info()
	s.readOnly = readOnly || info.ReadOnly
	s.writeFlags()
	s.writeCounts(info.Messages, info.Recent)
	out := s.c.buf()
	if info.FirstUnseen > 0 {
		out = append(out, "* OK [UNSEEN "...)
		out = appendNumber(out, info.FirstUnseen)
		out = append(out, "] First unseen\r\n"...)
	}
	out = append(out, "* OK [UIDVALIDITY "...)
	out = appendNumber(out, info.UIDValidity)
	out = append(out, "] UIDs valid\r\n* OK [UIDNEXT "...)
	out = appendNumber(out, info.UIDNext)
	s.c.put(append(out, "] Predicted next UID\r\n"...))
	if s.readOnly {
		return reply{"READ-ONLY", "Mailbox opened, read-only"}, nil
	}
	return reply{"READ-WRITE", "Mailbox opened"}, nil
}

// tellKeywords tells the flags in use if one of flags was not told yet: a
// client must know a keyword before it meets it (RFC 3501 section 7.2.6). It is
// called before each response that has flags, with those that it will have:
// another session may have made a keyword since the last news.
func (s *session) tellKeywords(flags []imap.Flag) {
	for _, f := range flags {
		if f[0] != '\\' && !slices.Contains(s.told, f) {
			s.writeFlags()
			return
		}
	}
}

// writeFlags tells the flags in use and those that can be kept.
func (s *session) writeFlags() {
	info := s.view.Info()
	flags := info.Flags
	if len(flags) == 0 {
		flags = systemFlags
	}
	s.told = flags
	out := append(s.c.buf(), "* FLAGS "...)
	out = appendFlags(out, flags, false)
	out = append(out, "\r\n* OK [PERMANENTFLAGS "...)
	switch {
	case s.readOnly:
		out = append(out, "()] No permanent flags permitted\r\n"...)
	case info.KeywordsFull:
		out = appendFlags(out, flags, false)
		out = append(out, "] Flags permitted\r\n"...)
	default:
		out = appendFlags(out, append(flags[:len(flags):len(flags)], imap.FlagWildcard), false)
		out = append(out, "] Flags permitted\r\n"...)
	}
	s.c.put(out)
}
