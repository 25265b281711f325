package errormail

import (
	"testing"

	"toastmaster/internal/dsn"
	"toastmaster/mta/agent"
)

// TestReasons: the route's error comes first; a nexthop is a text that may have a status,
// and never changes what the agent is for.
func TestReasons(t *testing.T) {
	t.Parallel()
	moved := dsn.New(dsn.MailboxMoved, "User has moved")
	for _, c := range []struct {
		agent   Agent
		err     *dsn.Error
		nexthop string
		want    string
		ignored bool
	}{
		{Bounces(), moved, "x.test", "5.1.6 User has moved", false},
		{Defers(), moved, "x.test", "5.1.6 User has moved", false},
		{Bounces(), nil, "This company is closed", "5.0.0 This company is closed", false},
		{Bounces(), nil, "5.1.2 This company is closed", "5.1.2 This company is closed", false},
		{Bounces(), nil, "  5.1.2\t two  words ", "5.1.2 two  words", false},
		{Bounces(), nil, "4.1.2 wait", "5.0.0 wait", true},
		{Bounces(), nil, "2.0.0 ok", "5.0.0 ok", true},
		{Bounces(), nil, "5.1.2.3 text", "5.0.0 5.1.2.3 text", false},
		{Bounces(), nil, "5.1.2x text", "5.0.0 5.1.2x text", false},
		{Bounces(), nil, "5.1.2", "5.1.2 Address is undeliverable", false},
		{Bounces(), nil, "", "5.0.0 Address is undeliverable", false},
		{Defers(), nil, "moving house", "4.0.0 moving house", false},
		{Defers(), nil, "4.3.2 moving house", "4.3.2 moving house", false},
		{Defers(), nil, "5.3.2 moving house", "4.0.0 moving house", true},
		{Defers(), nil, "", "4.0.0 Address is undeliverable", false},
	} {
		var got []agent.Result
		c.agent.Deliver(t.Context(), &agent.Request{Recipients: []int{2, 5}, Err: c.err, Nexthop: c.nexthop}, func(r agent.Result) { got = append(got, r) })
		if len(got) != 2 || got[0].Recipient != 2 || got[1].Recipient != 5 {
			t.Fatalf("%+v", got)
		}
		for _, r := range got {
			if r.Err == nil || r.Err.Status.String()+" "+r.Err.Text != c.want || (r.Err.Cause != nil) != c.ignored || r.Site || r.Relay != "none" {
				t.Errorf("%q: %+v, want %s", c.nexthop, r, c.want)
			}
		}
	}
}
