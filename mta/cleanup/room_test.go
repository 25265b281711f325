package cleanup

import (
	"context"
	"slices"
	"testing"

	"toastmaster/directory"
	"toastmaster/directory/static"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
)

// TestRoomIsTakenBeforeTheMessage: a message that fits nowhere is refused, one
// that fits somewhere is queued with the others refused, and room that was taken
// for a message that did not come in is given back.
func TestRoomIsTakenBeforeTheMessage(t *testing.T) {
	t.Parallel()
	full, small := static.Box("full@example.test", ""), static.Box("small@example.test", "")
	full.Mailbox.QuotaMessages, small.Mailbox.QuotaBytes = 1, 1000
	d, err := static.New(static.Data{
		Domains:  static.Hosted("example.test"),
		Accounts: []directory.Account{full, small, static.Box("free@example.test", "")},
		Aliases:  map[string][]string{"list@example.test": {"full@example.test", "small@example.test"}, "only@example.test": {"full@example.test"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		to        []string
		unchecked bool // handed in by ourselves
		waits     bool // qmgr.over_quota_temporary
		taken     []string
		refused   []string // of the recipients in the queue
		want      dsn.Status
	}{
		{to: []string{"free"}, taken: nil},
		{to: []string{"small"}, taken: []string{"small@example.test"}},
		{to: []string{"full"}, want: dsn.MailboxFull},
		{to: []string{"only"}, want: dsn.MailboxFull},
		{to: []string{"full", "only"}, want: dsn.MailboxFull},
		{to: []string{"full"}, waits: true, want: dsn.MailboxFullNow},
		{to: []string{"full"}, unchecked: true},
		{to: []string{"full", "free"}, refused: []string{"full@example.test"}},
		{to: []string{"full", "free"}, waits: true},
		{to: []string{"list"}, taken: []string{"small@example.test"}, refused: []string{"full@example.test"}},
		{to: []string{"full", "nobody"}, refused: []string{"full@example.test"}},
	} {
		b := newBed(t, d)
		var taken []string
		ids := map[string]bool{}
		b.c.o.OverQuotaTemporary = c.waits
		b.c.o.Reserve = func(_ context.Context, m directory.Mailbox, id string, size int64) *dsn.Error {
			if m.Address == full.Mailbox.Address {
				return dsn.New(dsn.MailboxFull, "Mailbox is full")
			}
			if size < 250 || size > 600 {
				t.Errorf("%v: %d octets", c.to, size)
			}
			taken, ids[id] = append(taken, m.Address.String()), true
			return nil
		}
		b.c.o.Unreserve = func(m directory.Mailbox, id string) {
			if !ids[id] {
				t.Errorf("%v: %s gives back what it has not", c.to, m.Address)
			}
			taken = slices.DeleteFunc(taken, func(s string) bool { return s == m.Address.String() })
		}
		s := b.submission("Subject: x\n\nbody\n", hostedHere(c.to)...)
		s.CheckRoom = !c.unchecked
		_, err := b.c.Submit(t.Context(), s)
		if e := dsn.From(err); (e == nil) != (c.want == 0) || e != nil && e.Status != c.want {
			t.Errorf("%v: %v", c.to, err)
			continue
		}
		var refused []string
		for _, r := range s.Envelope.Recipients {
			if r.Refused != nil {
				refused = append(refused, r.Address.String())
			}
			if id := envelope.DeliveryID(s.Envelope.ID, r.Address); err == nil && r.Address.Local == "small" && !ids[id] {
				t.Errorf("%v: another ID", c.to)
			}
		}
		if !slices.Equal(taken, c.taken) || err == nil && !slices.Equal(refused, c.refused) {
			t.Errorf("%v: taken %v, refused %v", c.to, taken, refused)
		}
		// The queue does not take it.
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		taken = nil
		s = b.submission("Subject: x\n\nbody\n", hostedHere(c.to)...)
		s.CheckRoom = true
		if _, err := b.c.Submit(gone, s); err == nil || len(taken) > 0 {
			t.Errorf("%v: %v, taken %v", c.to, err, taken)
		}
	}
}

// hostedHere makes addresses of local parts.
func hostedHere(locals []string) []string {
	var out []string
	for _, l := range locals {
		out = append(out, l+"@example.test")
	}
	return out
}
