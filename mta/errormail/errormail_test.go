package errormail

import (
	"testing"

	"toastmaster/internal/dsn"
	"toastmaster/mta/agent"
)

func TestEveryRecipientGetsTheError(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  *dsn.Error
		want dsn.Status
	}{
		{dsn.New(dsn.BadDestMailbox, "No such user"), dsn.BadDestMailbox},
		{nil, dsn.Misconfigured},
	} {
		var got []agent.Result
		Agent{}.Deliver(t.Context(), &agent.Request{Recipients: []int{2, 5}, Err: c.err}, func(r agent.Result) { got = append(got, r) })
		if len(got) != 2 || got[0].Recipient != 2 || got[1].Recipient != 5 {
			t.Fatalf("%+v", got)
		}
		for _, r := range got {
			if r.Err == nil || r.Err.Status != c.want || r.Site {
				t.Errorf("%+v", r)
			}
		}
	}
}
