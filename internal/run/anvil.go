package run

import (
	"context"

	"toastmaster/internal/anvil"
	"toastmaster/internal/msglog"
	"toastmaster/internal/service"
)

// openAnvil writes what clients did at most, as Postfix's anvil(8) does.
func openAnvil(i *Instance) (service.Service, error) {
	return background{"anvil", i.runAnvil}, nil
}

func (i *Instance) runAnvil(ctx context.Context) error {
	// Services that count end before this one, so that the last line has all.
	defer i.statistics()
	ticker := i.clock.NewTimer(i.config.Anvil.StatusUpdate)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C():
			i.statistics()
			ticker.Reset(i.config.Anvil.StatusUpdate)
		}
	}
}

// statistics logs the peaks and begins new ones. What nobody did has no line, and is 0 in the metrics.
func (i *Instance) statistics() {
	peaks := i.anvil.TakePeaks()
	for _, p := range anvil.AllPeaks() {
		e := msglog.Statistic{What: p.What}
		if !p.Open {
			e.Unit = i.config.Anvil.RateTimeUnit
		}
		i.log.Count(e)
	}
	i.log.Count(msglog.Statistic{What: "cache", Value: peaks.Keys})
	for _, p := range peaks.List {
		i.log.Event(msglog.Statistic{What: p.What, Value: p.Value, Unit: p.Unit, Service: p.Service, Client: p.Client, At: p.At})
	}
	if peaks.Keys > 0 {
		i.log.Event(msglog.Statistic{What: "cache", Value: peaks.Keys, At: peaks.KeysAt})
	}
}
