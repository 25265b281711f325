package discard

import (
	"testing"

	"toastmaster/internal/dsn"
	"toastmaster/mta/agent"
	"toastmaster/mta/queue"
)

// TestDiscardsAndSaysWhy: the reason and its status, which is one of success.
func TestDiscardsAndSaysWhy(t *testing.T) {
	t.Parallel()
	for nexthop, want := range map[string]agent.Result{
		"spam trap":       {Status: dsn.OK, Text: "spam trap"},
		"2.1.5 spam trap": {Status: dsn.AddressValid, Text: "spam trap"},
		"5.1.5 spam trap": {Status: dsn.OK, Text: "spam trap"},
		"x.test":          {Status: dsn.OK, Text: "x.test"},
	} {
		var got []agent.Result
		Agent{}.Deliver(t.Context(), &agent.Request{Recipients: []int{0, 1}, Nexthop: nexthop}, func(r agent.Result) { got = append(got, r) })
		if len(got) != 2 {
			t.Fatalf("%+v", got)
		}
		for i, r := range got {
			if r.Recipient != i || r.Err != nil || r.Effect != queue.EffectFinal || r.Action != agent.Transferred || r.Status != want.Status || r.Text != want.Text {
				t.Errorf("%q: %+v", nexthop, r)
			}
		}
	}
}
