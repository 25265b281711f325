package agent_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/mta/agent"
	"toastmaster/mta/discard"
	"toastmaster/mta/errormail"
	"toastmaster/mta/queue"
)

// agents are those without a peer, with what qmgr may believe of each answer.
var agents = map[string]struct {
	agent.Agent
	check func(r *agent.Request, got agent.Result) error
}{
	"discard": {discard.Agent{}, func(_ *agent.Request, got agent.Result) error {
		// A success that tells the sender no lie: no report says "delivered".
		if got.Err != nil || got.Action != agent.Transferred || got.Effect != queue.EffectFinal {
			return fmt.Errorf("%+v is no discarded mail", got)
		}
		return nil
	}},
	"error": {errormail.Bounces(), reasonOf(dsn.Make(5, 0, 0))},
	"retry": {errormail.Defers(), reasonOf(dsn.Make(4, 0, 0))},
}

// reasonOf wants the error of the route, or else the nexthop with a status.
func reasonOf(status dsn.Status) func(*agent.Request, agent.Result) error {
	return func(r *agent.Request, got agent.Result) error {
		want := r.Err
		if want == nil {
			want = dsn.New(status, r.Nexthop)
		}
		if got.Err == nil || got.Err.Status != want.Status || got.Err.Text != want.Text {
			return fmt.Errorf("%v, want %v", got.Err, want)
		}
		return nil
	}
}

// TestEveryRecipientIsReportedOnce: an agent answers for the recipients of the request,
// each once, and for no other of the envelope; from many goroutines at once; and it
// leaves the request, the envelope and the content alone.
func TestEveryRecipientIsReportedOnce(t *testing.T) {
	t.Parallel()
	for name, a := range agents {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var wg sync.WaitGroup
			for seed := range uint64(8) {
				wg.Go(func() {
					rng := rand.New(rand.NewPCG(seed, 3))
					for range 200 {
						r := request(rng)
						before := fmt.Sprintf("%+v %+v", *r.Envelope, r.Recipients)
						counts := map[int]int{}
						a.Deliver(t.Context(), r, func(got agent.Result) {
							counts[got.Recipient]++
							if err := a.check(r, got); err != nil {
								t.Error(err)
							}
							if got.Relay == "" {
								t.Error("the log is not told where it went")
							}
						})
						for i := range r.Envelope.Recipients {
							want := 0
							if slices.Contains(r.Recipients, i) {
								want = 1
							}
							if counts[i] != want {
								t.Errorf("recipient %d of %v was reported %d times", i, r.Recipients, counts[i])
							}
						}
						if after := fmt.Sprintf("%+v %+v", *r.Envelope, r.Recipients); after != before {
							t.Errorf("the request was changed:\n%s\n%s", before, after)
						}
					}
				})
			}
			wg.Wait()
		})
	}
}

// request is one with some of the recipients of an envelope.
func request(rng *rand.Rand) *agent.Request {
	e := &envelope.Envelope{ID: "Q1", Sender: addr.Address{Local: "s", Domain: "x.test"}}
	for i := range 1 + rng.IntN(10) {
		e.Recipients = append(e.Recipients, envelope.Recipient{Address: addr.Address{Local: fmt.Sprint("r", i), Domain: "y.test"}})
	}
	r := &agent.Request{
		Envelope: e, Content: closed{envelope.Memory("Subject: x\n\ny\n")}, Nexthop: "y.test", Activated: time.Unix(1e9, 0), Started: time.Unix(1e9, 1), Replay: rng.IntN(2) == 0,
	}
	for i := range e.Recipients {
		if rng.IntN(3) > 0 {
			r.Recipients = append(r.Recipients, i)
		}
	}
	rng.Shuffle(len(r.Recipients), func(i, j int) { r.Recipients[i], r.Recipients[j] = r.Recipients[j], r.Recipients[i] })
	switch rng.IntN(3) {
	case 0:
		r.Err = dsn.New(dsn.Unroutable, "No route")
	case 1:
		r.Err = dsn.New(dsn.NoAnswer, "No answer")
	}
	return r
}

// closed is a content that no agent may close.
type closed struct{ envelope.Memory }

func (closed) Close() error { panic("an agent has closed the content, which is qmgr's") }

// TestActionsAreApart: Sent and Transferred are told apart in the log and in
// reports, and no two actions are one word.
func TestActionsAreApart(t *testing.T) {
	t.Parallel()
	seen := map[agent.Action]bool{}
	for _, a := range []agent.Action{agent.Sent, agent.Transferred, agent.Relayed, agent.Expanded, agent.Deferred, agent.Bounced} {
		if a == "" || seen[a] {
			t.Errorf("%q", a)
		}
		seen[a] = true
	}
	kinds := map[agent.Kind]bool{}
	for _, k := range []agent.Kind{agent.Failure, agent.Delay, agent.Success} {
		if k == "" || kinds[k] {
			t.Errorf("%q", k)
		}
		kinds[k] = true
	}
}
