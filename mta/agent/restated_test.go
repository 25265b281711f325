package agent_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"toastmaster/internal/addr"
	"toastmaster/internal/dsn"
	"toastmaster/internal/envelope"
	"toastmaster/internal/msglog"
	"toastmaster/mta/agent"
)

// says is an agent with one answer.
type says struct{ agent.Result }

func (s says) Deliver(_ context.Context, r *agent.Request, report func(agent.Result)) {
	report(s.Result)
}

// asked is one that can be asked.
type asked struct{ says }

func (a asked) Probe(_ context.Context, r *agent.Request, report func(agent.Result)) {
	report(a.Result)
}

// TestStatusFilter: a filter changes status and text, never a failure to a success or back; what it cannot say
// leaves the result as it is, with all that is in it.
func TestStatusFilter(t *testing.T) {
	t.Parallel()
	cause := errors.New("why")
	remote := &dsn.Error{Status: dsn.Make(4, 2, 0), Code: 451, Text: "later", Cause: cause, RemoteMTA: "mx", RemoteReply: "451 4.2.0 later"}
	sent := agent.Result{Text: "delivered", Action: agent.Sent, Relay: "local"}
	for _, c := range []struct {
		told   string
		failed error
		r      agent.Result
		ask    string
		want   string
	}{
		{"2.9.9 other", nil, sent, "2.0.0 delivered", "2.9.9 other"}, {"2.9.9", nil, sent, "2.0.0 delivered", "2.9.9 delivered"}, {"", nil, sent, "2.0.0 delivered", "2.0.0 delivered"},
		{"5.0.0 no", nil, sent, "2.0.0 delivered", "2.0.0 delivered"}, {"nonsense", nil, sent, "2.0.0 delivered", "2.0.0 delivered"}, {"", cause, sent, "2.0.0 delivered", "2.0.0 delivered"},
		{"5.7.1 never", nil, agent.Result{Err: remote}, "4.2.0 later", "5.7.1 never"}, {"2.0.0 fine", nil, agent.Result{Err: remote}, "4.2.0 later", "4.2.0 later"},
		{"4.9.9 still", nil, agent.Result{Err: remote}, "4.2.0 later", "4.9.9 still"}, {"", cause, agent.Result{Err: remote}, "4.2.0 later", "4.2.0 later"},
	} {
		f := &agent.StatusFilter{Transport: "x", Log: msglog.Discard(), Lookup: func(_ context.Context, result string) (string, bool, error) {
			if result != c.ask {
				t.Errorf("asked %q, want %q", result, c.ask)
			}
			return c.told, c.told != "", c.failed
		}}
		var got agent.Result
		f.Of(says{c.r}).Deliver(t.Context(), &agent.Request{Envelope: &envelope.Envelope{ID: "Q", Recipients: []envelope.Recipient{{Address: addr.Address{Local: "a"}}}}}, func(r agent.Result) { got = r })
		text := ""
		if got.Err != nil {
			if text = got.Err.Status.String() + " " + got.Err.Text; !errors.Is(got.Err, cause) || got.Err.RemoteReply != remote.RemoteReply || got.Err.Reply()/100 != got.Err.Status.Class() {
				t.Errorf("%+v", got.Err)
			}
		} else {
			status := got.Status
			if status == 0 {
				status = dsn.OK
			}
			text = status.String() + " " + got.Text
		}
		if text != c.want || remote.Text != "later" {
			t.Errorf("%q: %q, want %q", c.told, text, c.want)
		}
		if got.Relay != c.r.Relay || got.Action != c.r.Action {
			t.Errorf("%+v", got)
		}
		if _, can := f.Of(says{c.r}).(agent.Prober); can {
			t.Error("an agent that cannot be asked can")
		}
		if p, can := f.Of(asked{says{c.r}}).(agent.Prober); !can {
			t.Error("an agent that can be asked cannot")
		} else {
			p.Probe(t.Context(), nil, func(r agent.Result) {
				if r.Text != c.r.Text {
					t.Errorf("%+v", r)
				}
			})
		}
	}
	if !strings.HasPrefix(dsn.OK.String(), "2") {
		t.Fatal()
	}
}
