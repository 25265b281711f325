package cleanup

import (
	"context"
	"fmt"
	"slices"

	"toastmaster/configs"
	"toastmaster/directory"
	"toastmaster/directory/tables"
	"toastmaster/directory/tables/keys"
	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
)

// Copies say who gets a blind copy of a message that comes in. The zero Copies are for nobody.
type Copies struct {
	always            addr.Address
	sender, recipient check
	keys              keys.Options
}

// OpenCopies reads always_bcc, and opens the tables of sender_bcc_maps and recipient_bcc_maps, or gives
// those that are open. The error names the parameter.
func OpenCopies(ctx context.Context, c *configs.Config, set *tables.Set) (Copies, error) {
	p := &c.Cleanup
	all := Copies{keys: keys.Options{Delimiters: c.Main.RecipientDelimiter, Own: c.OwnDomain}}
	if p.AlwaysBCC != "" {
		all.always, _ = anAddress(p.AlwaysBCC) // it was read with the parameters
	}
	for _, row := range []struct {
		to    *check
		param string
		names []string
	}{{&all.sender, "sender_bcc_maps", p.SenderBCCMaps}, {&all.recipient, "recipient_bcc_maps", p.RecipientBCCMaps}} {
		maps, item, err := set.OpenAll(ctx, row.names)
		if err != nil {
			return Copies{}, c.MistakeIn("cleanup."+row.param, item, err)
		}
		*row.to = check{row.param, maps}
	}
	return all, nil
}

// copies adds who gets a blind copy to the envelope, each once. Copies have none themselves. What is copied for a sender or
// recipient is so although a mail filter has put another one there, as in Postfix.
func (m *message) copies(ctx context.Context) error {
	o, env := &m.c.o.Copies, m.s.Envelope
	if !o.always.IsNull() {
		m.copyTo(o.always)
	}
	for _, sender := range slices.Compact([]addr.Address{m.before.Sender, env.Sender}) {
		if sender.IsNull() {
			continue
		}
		if err := m.copyFor(ctx, &o.sender, sender); err != nil {
			return err
		}
	}
	for _, list := range [][]envelope.Recipient{m.gone(), m.given} {
		for i := range list {
			if err := m.copyFor(ctx, &o.recipient, list[i].Address); err != nil {
				return err
			}
		}
	}
	return nil
}

// gone are the recipients that a mail filter has taken away.
func (m *message) gone() (gone []envelope.Recipient) {
	there := make(map[addr.Address]bool, len(m.given))
	for i := range m.given {
		there[m.given[i].Address] = true
	}
	for _, r := range m.before.Recipients {
		if !there[r.Address] {
			gone = append(gone, r)
		}
	}
	return gone
}

func (m *message) copyTo(a addr.Address) {
	if env := m.s.Envelope; !slices.Contains(env.BCC, a) {
		env.BCC = append(slices.Clip(env.BCC), a)
	}
}

// copyFor asks the tables about an address. One that has no answer refuses the message for now: a
// copy that somebody must have would be missing.
func (m *message) copyFor(ctx context.Context, c *check, of addr.Address) error {
	if len(c.maps) == 0 {
		return nil
	}
	text, key, err := keys.Address(of, m.c.o.Copies.keys).Lookup(ctx, c.maps)
	if directory.OutcomeOf(err) == directory.NotFound {
		return nil
	}
	status := dsn.MailSystem
	if err == nil {
		to, ok := anAddress(text)
		if ok {
			m.copyTo(to)
			return nil
		}
		status, err = dsn.Misconfigured, fmt.Errorf("%q is no address with a domain", text)
	}
	env := m.s.Envelope
	m.c.o.Log.Error("blind copies", "service", "cleanup", "id", string(env.ID), "session", env.Origin.Session,
		"check", c.param, "table", c.maps.String(), "key", key.Text, "cause", err)
	if status == dsn.Misconfigured {
		return dsn.Wrap(status, "Server configuration error", err)
	}
	return dsn.Wrap(status, "Temporary failure while looking up who gets a copy", err)
}
