package cleanup

import (
	"context"
	"slices"

	"toastmaster/internal/envelope"
)

// actions gives the message other recipients, where a restriction, a content check or one of
// always_bcc, sender_bcc_maps and recipient_bcc_maps wants that. A
// redirection takes the place of all of them: reports are about the first one. Who gets a blind copy is
// nobody that the sender hears of.
type actions struct{ quiet }

func (actions) end(ctx context.Context, m *message) error {
	env := m.s.Envelope
	if !env.Redirect.IsNull() && len(m.given) > 0 {
		r := m.given[0]
		r.Address = env.Redirect
		m.given = []envelope.Recipient{r}
		return nil
	}
	if m.s.Incoming && !m.s.Override.NoMappings {
		if err := m.copies(ctx); err != nil {
			return err
		}
	}
	m.given = slices.Clip(m.given)
	for _, a := range env.BCC {
		m.given = append(m.given, envelope.Recipient{Address: a, Original: a, Notify: envelope.NotifyNever})
	}
	return nil
}
