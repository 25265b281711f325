package imapd

import (
	"slices"

	"toastmaster/mailstore"
)

// statusItem is one row of STATUS's items.
type statusItem struct {
	name  string
	value func(mailstore.Status) uint64
}

func statusItems() []statusItem {
	return []statusItem{
		{"MESSAGES", func(t mailstore.Status) uint64 { return uint64(t.Messages) }},
		{"RECENT", func(t mailstore.Status) uint64 { return uint64(t.Recent) }},
		{"UIDNEXT", func(t mailstore.Status) uint64 { return uint64(t.UIDNext) }},
		{uidValidity, func(t mailstore.Status) uint64 { return uint64(t.UIDValidity) }},
		{"UNSEEN", func(t mailstore.Status) uint64 { return uint64(t.Unseen) }},
		{"DELETED", func(t mailstore.Status) uint64 { return uint64(t.Deleted) }},
		{"SIZE", func(t mailstore.Status) uint64 { return uint64(max(t.Size, 0)) }},
	}
}

const uidValidity = "UIDVALIDITY"

func asks(items []statusItem, name string) bool {
	return slices.ContainsFunc(items, func(i statusItem) bool { return i.name == name })
}

// status is STATUS (RFC 3501 section 6.3.10, RFC 8438 for SIZE).
func (s *session) status(a *args) (reply, error) {
	if err := a.space(); err != nil {
		return reply{}, err
	}
	name, err := a.mailboxName()
	if err != nil {
		return reply{}, err
	}
	if err := a.space(); err != nil {
		return reply{}, err
	}
	items, err := a.statusList()
	if err != nil {
		return reply{}, err
	}
	if err := a.end(); err != nil {
		return reply{}, err
	}
	return reply{text: "Status completed"}, s.writeStatus(name, items)
}

// statusList reads "(MESSAGES UNSEEN)".
func (a *args) statusList() ([]statusItem, error) {
	known := statusItems()
	var items []statusItem
	err := a.list(func() error {
		w, err := a.atom()
		if err != nil {
			return err
		}
		i := slices.IndexFunc(known, func(k statusItem) bool { return k.name == w })
		if i < 0 {
			return bad("Unknown status item " + w)
		}
		if !asks(items, w) {
			items = append(items, known[i])
		}
		return nil
	})
	if err == nil && len(items) == 0 {
		err = bad("Empty status item list")
	}
	return items, err
}

func (s *session) writeStatus(name string, items []statusItem) error {
	status, err := s.user.Status(s.ctx, name)
	if err == nil && status.UIDValidity == 0 && asks(items, uidValidity) {
		// A default folder that is not made yet; from now on it has to keep it.
		if err = s.user.MakeDefault(s.ctx, name); err == nil {
			status, err = s.user.Status(s.ctx, name)
		}
	}
	if err != nil {
		return err
	}
	out := append(s.c.buf(), "* STATUS "...)
	out = appendMailbox(out, name)
	out = append(out, " ("...)
	for i, item := range items {
		if i > 0 {
			out = append(out, ' ')
		}
		out = append(out, item.name...)
		out = append(out, ' ')
		out = appendNumber(out, item.value(status))
	}
	s.c.put(append(out, ")\r\n"...))
	return nil
}
