package cli

import (
	"strings"
	"testing"
	"time"

	"toastmaster/admin/model"
)

// TestMailqInPostfixsColumns: the lines of a message are those of postqueue -p with
// long queue IDs, octet for octet.
func TestMailqInPostfixsColumns(t *testing.T) {
	t.Parallel()
	arrived := time.Date(2026, 11, 6, 9, 8, 7, 0, time.Local)
	for _, c := range []struct {
		m    model.QueuedMessage
		want string
	}{
		{model.QueuedMessage{
			ID: "4jb4F91jm4z1", Place: "active", Size: 1234, Arrived: arrived, Sender: "s@example.org",
			Recipients: []model.QueuedRecipient{{Address: "a@example.test"}, {Address: "b@example.test"}},
		}, "4jb4F91jm4z1*         1234 Fri Nov  6 09:08:07 s@example.org\n" +
			"                                               a@example.test\n" +
			"                                               b@example.test\n\n"},
		{model.QueuedMessage{
			ID: "4jb4F91lvbz1", Place: "deferred", Size: 123456789, Arrived: arrived,
			Recipients: []model.QueuedRecipient{{Address: "a@example.test", Reason: "4.4.1 connect to mx.example.test[192.0.2.1]:25: Connection refused"}},
		}, "4jb4F91lvbz1      123456789 Fri Nov  6 09:08:07 MAILER-DAEMON\n" +
			"                (connect to mx.example.test[192.0.2.1]:25: Connection refused)\n" +
			"                                               a@example.test\n\n"},
	} {
		var b strings.Builder
		if err := printQueued(&b, c.m); err != nil || b.String() != c.want {
			t.Errorf("%v\n%s\nwant\n%s", err, b.String(), c.want)
		}
	}
}
