package imapd

import (
	"strings"

	"github.com/emersion/go-imap/v2"

	"toastmaster/mailstore"
)

// store is STORE (RFC 3501 section 6.4.6).
func (s *session) store(a *args) (reply, error) {
	ranges, err := s.messages(a)
	if err != nil {
		return reply{}, err
	}
	if err := a.space(); err != nil {
		return reply{}, err
	}
	op, silent, err := a.storeItem()
	if err != nil {
		return reply{}, err
	}
	flags, err := a.storeFlags()
	if err != nil {
		return reply{}, err
	}
	if s.readOnly {
		return reply{}, errReadOnly
	}
	list := seqs(ranges)
	if len(list) == 0 {
		return reply{text: "Store completed, no messages matched"}, nil
	}
	if _, err := s.view.SetFlags(s.ctx, list, op, flags, 0); err != nil {
		return reply{}, err
	}
	if !silent {
		for _, seq := range list {
			s.writeFlagUpdate(seq, a.uid)
		}
	}
	if s.view.Gone(list) {
		return reply{"EXPUNGEISSUED", "Store completed, some of the messages no longer exist"}, nil
	}
	return reply{text: "Store completed"}, nil
}

// storeItem reads "+FLAGS.SILENT" and the blank behind it.
func (a *args) storeItem() (op mailstore.FlagOp, silent bool, err error) {
	w, err := a.atom()
	if err != nil {
		return 0, false, err
	}
	switch w[0] {
	case '+':
		op, w = mailstore.FlagsAdd, w[1:]
	case '-':
		op, w = mailstore.FlagsRemove, w[1:]
	default:
		op = mailstore.FlagsSet
	}
	w, silent = strings.CutSuffix(w, ".SILENT")
	if w != "FLAGS" {
		return 0, false, bad("Unknown data item of STORE")
	}
	return op, silent, a.space()
}

// storeFlags reads a list of flags, or flags without brackets, to the end.
func (a *args) storeFlags() ([]imap.Flag, error) {
	if a.peek() == '(' {
		flags, err := a.flagList()
		if err == nil {
			err = a.end()
		}
		return flags, err
	}
	flags := []imap.Flag{}
	for {
		f, err := a.flag()
		if err != nil {
			return nil, err
		}
		flags = append(flags, f)
		if !a.more() {
			return flags, a.end()
		}
	}
}
