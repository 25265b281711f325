package discard

import (
	"testing"

	"toastmaster/mta/agent"
	"toastmaster/mta/queue"
)

func TestDiscardsAndSaysWhy(t *testing.T) {
	t.Parallel()
	var got []agent.Result
	Agent{}.Deliver(t.Context(), &agent.Request{Recipients: []int{0, 1}, Nexthop: "spam trap"}, func(r agent.Result) { got = append(got, r) })
	if len(got) != 2 {
		t.Fatalf("%+v", got)
	}
	for i, r := range got {
		if r.Recipient != i || r.Err != nil || r.Effect != queue.EffectFinal || r.Text != "discarded: spam trap" {
			t.Errorf("%+v", r)
		}
	}
}
