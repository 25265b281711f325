package run

import (
	"slices"
	"testing"
	"time"

	"toastmaster/configs"
	"toastmaster/mta/qmgr"
)

// TestEveryAgentHasARow: what the configuration takes can be opened.
func TestEveryAgentHasARow(t *testing.T) {
	t.Parallel()
	var names []string
	for _, row := range agentTable() {
		names = append(names, row.name)
	}
	if !slices.Equal(names, configs.Agents()) {
		t.Errorf("the rows are %q, transport.agent takes %q", names, configs.Agents())
	}
}

// TestLimitsOfTransports: without a table they are what they were before there were tables.
func TestLimitsOfTransports(t *testing.T) {
	t.Parallel()
	c := configs.Default()
	local, remote := qmgr.LocalLimits(c.Qmgr), qmgr.RemoteLimits(c.Qmgr)
	for name, want := range map[string]qmgr.Limits{"virtual": local, "error": local, "retry": local, "discard": local, "smtp": remote} {
		for _, tr := range c.Transports() {
			if got := limitsOf(tr, c.Qmgr, configs.IsLocal(tr.Agent)); tr.Name == name && got != want {
				t.Errorf("%s: %+v, want %+v", name, got, want)
			}
		}
	}
	for _, one := range []struct {
		t    configs.Transport
		want func(*qmgr.Limits)
	}{
		{configs.Transport{ProcessLimit: 3, DestinationRecipients: 1}, func(l *qmgr.Limits) { l.Concurrency, l.Recipients = 3, 1 }},
		{configs.Transport{DestinationLimit: 2}, func(l *qmgr.Limits) { l.Initial, l.Destination = 2, 2 }},
		{configs.Transport{InitialDestination: 1, DestinationLimit: 9}, func(l *qmgr.Limits) { l.Initial, l.Destination = 1, 9 }},
		{configs.Transport{DestinationCohorts: 3, PositiveFeedback: "1/concurrency", NegativeFeedback: "0.5"}, func(l *qmgr.Limits) {
			l.Cohorts, l.Positive, l.Negative = 3, configs.Feedback{Times: 1, By: 1}, configs.Feedback{Times: 0.5}
		}},
		{configs.Transport{DestinationRateDelay: time.Second, TransportRateDelay: time.Minute}, func(l *qmgr.Limits) {
			l.DestinationDelay, l.TransportDelay = time.Second, time.Minute
		}},
	} {
		want := remote
		one.want(&want)
		if got := limitsOf(one.t, c.Qmgr, false); got != want {
			t.Errorf("%+v: %+v", one.t, got)
		}
	}
}
