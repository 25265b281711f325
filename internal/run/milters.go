package run

import (
	"context"

	"toastmaster/internal/addr"
	"toastmaster/mta/cleanup"
	"toastmaster/mta/milter"
	"toastmaster/mta/smtpd"
)

// openMilters makes what knows the mail filters. It connects to none.
func (i *Instance) openMilters() {
	c := i.config
	largest := c.SMTPD.MessageSizeLimit
	for _, l := range c.SMTPDListeners {
		largest = max(largest, l.Params.MessageSizeLimit)
	}
	i.milters = milter.New(milter.Options{
		Params: c.Milter, Hostname: c.Main.Hostname, MaxBody: largest, Path: c.Path, Spool: i.queue.Spool(), Log: i.log, Clock: i.clock,
	})
	i.onClose(i.milters.Close)
}

// filtersWithout are those of mail that has no client.
func (i *Instance) filtersWithout() (cleanup.Filters, error) {
	list, err := i.milters.List(i.config.Cleanup.Milters)
	if err != nil {
		return cleanup.Filters{}, i.config.Mistake("cleanup.non_smtpd_milters", err)
	}
	return cleanup.Filters{Milters: i.milters, List: list, Route: i.routeOf()}, nil
}

// filtersOf are those of smtpd.
func (i *Instance) filtersOf(o *smtpd.Options) (err error) {
	p := &o.Params
	if o.MilterList, err = i.milters.List(p.Milters); err != nil {
		return i.config.Mistake(o.Section+".milters", err)
	}
	maps, item, err := i.tables.OpenAll(context.Background(), p.MilterMaps)
	if err != nil {
		return i.config.MistakeIn(o.Section+".milter_maps", item, err)
	}
	if len(o.MilterList)+len(maps) > 0 {
		o.Milters, o.MilterMaps, o.NewID, o.Route = i.milters, maps, i.queue.NewID, i.routeOf()
	}
	return nil
}

// routeOf is where mail for an address goes, as filters are told of it.
func (i *Instance) routeOf() func(ctx context.Context, a addr.Address) (transport, nexthop string) {
	r := newResolver(i)
	return func(ctx context.Context, a addr.Address) (transport, nexthop string) {
		if a.IsNull() {
			return "local", i.config.Main.Hostname
		}
		if d, err := i.directory.Domain(ctx, a.Domain); err == nil {
			return "virtual", d.Name
		}
		return r.Elsewhere(a)
	}
}
