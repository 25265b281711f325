package imapd

import (
	"strings"

	"github.com/emersion/go-imap/v2"

	"toastmaster/mailstore"
)

// runStore is STORE (RFC 3501 section 6.4.6).
func runStore(s *session, a *args) (reply, error) {
	ranges := s.box.messages(a)
	a.space()
	op, silent := a.storeItem()
	flags := a.storeFlags()
	if err := a.end(); err != nil {
		return reply{}, err
	}
	list := seqs(ranges)
	if len(list) == 0 {
		return reply{text: "Store completed, no messages matched"}, nil
	}
	if _, err := s.box.view.SetFlags(s.ctx, list, op, flags, 0); err != nil {
		return reply{}, err
	}
	if !silent {
		for _, seq := range list {
			s.box.writeFlagUpdate(seq, a.uid)
		}
	}
	if s.box.view.AnyExpunged(list) {
		return reply{"EXPUNGEISSUED", "Store completed, some of the messages no longer exist"}, nil
	}
	return reply{text: "Store completed"}, nil
}

// storeItem reads "+FLAGS.SILENT" and the blank behind it.
func (a *args) storeItem() (op mailstore.FlagOp, silent bool) {
	w := a.atom()
	switch {
	case strings.HasPrefix(w, "+"):
		op, w = mailstore.FlagsAdd, w[1:]
	case strings.HasPrefix(w, "-"):
		op, w = mailstore.FlagsRemove, w[1:]
	default:
		op = mailstore.FlagsSet
	}
	if w, silent = strings.CutSuffix(w, ".SILENT"); w != "FLAGS" {
		a.fail(bad("Unknown data item of STORE"))
	}
	a.space()
	return op, silent
}

// storeFlags reads a list of flags, or flags without brackets, to the end.
func (a *args) storeFlags() []imap.Flag {
	if a.peek() == '(' {
		return a.flagList()
	}
	flags := []imap.Flag{a.flag()}
	for a.more() {
		flags = append(flags, a.flag())
	}
	return flags
}
