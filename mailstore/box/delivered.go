package box

import (
	"context"

	"toastmaster/mailstore/maildir"
)

// Delivered lists the IDs of the deliveries that the mailbox has had, as far as they are
// remembered.
func (mb *Box) Delivered(ctx context.Context) (ids []string, err error) {
	if err := mb.Refresh(ctx); err != nil {
		return nil, err
	}
	mb.mu.Lock()
	defer mb.mu.Unlock()
	if mb.dead {
		return nil, nil
	}
	for _, m := range mb.st.Messages {
		if id := maildir.ID(m.Name); id != "" {
			ids = append(ids, id)
		}
	}
	for i := range mb.st.Expunged {
		e := &mb.st.Expunged[i]
		if id := maildir.ID(e.Name); id != "" && !e.Vanished {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// BaseName is the name of a message's file without its flags, "" when it is no more.
func (v *View) BaseName(seq uint32) string {
	v.mb.mu.Lock()
	defer v.mb.mu.Unlock()
	m := v.live(seq)
	if m == nil {
		return ""
	}
	return m.Name
}
