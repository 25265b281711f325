package cleanup

import (
	"strings"
	"testing"
)

// TestARemovedFieldIsNotSeenBehind: what cleanup.drop_headers removes is not there
// for the stages behind, so mail of a user gets a Message-ID in its place.
func TestARemovedFieldIsNotSeenBehind(t *testing.T) {
	t.Parallel()
	b := newBed(t, hosted(t))
	b.c.drop["message-id"] = true
	s := b.submission("Message-ID: <old@elsewhere.test>\nDate: x\nFrom: a@b.test\n\nbody\n", "alice@example.test")
	s.Complete = true
	_, text := b.take(s)
	if strings.Count(text, "Message-ID: <") != 1 || strings.Contains(text, "old@elsewhere.test") || strings.Count(text, "Date: ") != 1 {
		t.Errorf("%q", text)
	}
}
