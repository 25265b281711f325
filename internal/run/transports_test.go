package run

import (
	"slices"
	"testing"

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
		want qmgr.Limits
	}{
		{configs.Transport{ProcessLimit: 3, DestinationRecipients: 1}, qmgr.Limits{Concurrency: 3, Initial: remote.Initial, Destination: remote.Destination, Recipients: 1}},
		{configs.Transport{DestinationLimit: 2}, qmgr.Limits{Concurrency: remote.Concurrency, Initial: 2, Destination: 2, Recipients: remote.Recipients}},
		{configs.Transport{InitialDestination: 1, DestinationLimit: 9}, qmgr.Limits{Concurrency: remote.Concurrency, Initial: 1, Destination: 9, Recipients: remote.Recipients}},
	} {
		if got := limitsOf(one.t, c.Qmgr, false); got != one.want {
			t.Errorf("%+v: %+v", one.t, got)
		}
	}
}
