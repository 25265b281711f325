package imapd

import (
	"slices"

	"toastmaster/mailstore"
)

// statusItem is one row of STATUS's items.
type statusItem struct {
	name  string
	caps  []capability
	value func(mailstore.Status) uint64
}

var statusItems = []statusItem{
	{"MESSAGES", nil, func(t mailstore.Status) uint64 { return uint64(t.Messages) }},
	{"RECENT", nil, func(t mailstore.Status) uint64 { return uint64(t.Recent) }},
	{"UIDNEXT", nil, func(t mailstore.Status) uint64 { return uint64(t.UIDNext) }},
	{uidValidity, nil, func(t mailstore.Status) uint64 { return uint64(t.UIDValidity) }},
	{"UNSEEN", nil, func(t mailstore.Status) uint64 { return uint64(t.Unseen) }},
	{"DELETED", nil, func(t mailstore.Status) uint64 { return uint64(t.Deleted) }},
	{"SIZE", has("STATUS=SIZE"), func(t mailstore.Status) uint64 { return uint64(max(t.Size, 0)) }},
}

const uidValidity = "UIDVALIDITY"

func asks(items []statusItem, name string) bool {
	return slices.ContainsFunc(items, func(i statusItem) bool { return i.name == name })
}

// runStatus is STATUS (RFC 3501 section 6.3.10, RFC 8438 for SIZE).
func runStatus(s *session, a *args) (reply, error) {
	a.space()
	box := a.mailbox()
	a.space()
	items := a.statusList()
	if err := a.end(); err != nil {
		return reply{}, err
	}
	return reply{text: "Status completed"}, s.lister().writeStatus(box, items)
}

// statusList reads "(MESSAGES UNSEEN)".
func (a *args) statusList() []statusItem {
	var items []statusItem
	a.list(func() {
		w := a.atom()
		i := slices.IndexFunc(statusItems, func(k statusItem) bool { return k.name == w })
		if i < 0 {
			a.fail(bad("Unknown status item " + w))
		} else if !asks(items, w) {
			items = append(items, statusItems[i])
		}
	})
	if len(items) == 0 {
		a.fail(bad("Empty status item list"))
	}
	return items
}

// writeStatusOf is writeStatus for a mailbox of a listing.
func (l *lister) writeStatusOf(name string, items []statusItem) error {
	box, err := l.mail.Resolve(l.ctx, name, mayRead)
	if err != nil {
		return err
	}
	return l.writeStatus(box, items)
}

func (l *lister) writeStatus(box mailstore.Mailbox, items []statusItem) error {
	status, err := box.Status(l.ctx, asks(items, uidValidity))
	if err != nil {
		return err
	}
	out := append(l.c.buf(), "* STATUS "...)
	out = appendMailbox(out, box.Name())
	out = append(out, " ("...)
	for i, item := range items {
		if i > 0 {
			out = append(out, ' ')
		}
		out = append(out, item.name...)
		out = append(out, ' ')
		out = appendNumber(out, item.value(status))
	}
	l.c.put(append(out, ")\r\n"...))
	return nil
}
