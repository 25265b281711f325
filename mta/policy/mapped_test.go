package policy

import (
	"context"
	"testing"

	"toastmaster/internal/addr"
)

// TestWhoIsMappedIsAskedOfASender: an unknown sender that only senders are mapped from is not refused, and an unknown recipient
// is.
func TestWhoIsMappedIsAskedOfASender(t *testing.T) {
	t.Parallel()
	e := environment(t)
	e.Mapped = func(_ context.Context, _ addr.Address, sender bool) (bool, error) { return sender, nil }
	from := func(tx *Transaction) {
		tx.SetSender(address(t, "nobody@example.test"), address(t, "nobody@example.test"))
	}
	for name, want := range map[string]string{"reject_unlisted_sender": "DUNNO", "reject_unlisted_recipient": "REJECT 550 5.1.1 <nobody@example.test>: User unknown"} {
		if got := asked(t, e, []string{name}, "nobody@example.test", from); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}
