package run

import (
	"context"

	"toastmaster/internal/addr"
	"toastmaster/mta/cleanup"
	"toastmaster/mta/milter"
	"toastmaster/mta/smtpd"
)

// openMilters makes what knows the mail filters. It connects to none.
func (p *pipeline) openMilters() {
	c := p.config
	largest := c.SMTPD.MessageSizeLimit
	for _, l := range c.SMTPDListeners {
		largest = max(largest, l.Params.MessageSizeLimit)
	}
	p.milters = milter.New(milter.Options{
		Params: c.Milter, Hostname: c.Main.Hostname, MaxBody: largest, Path: c.Path, Spool: p.queue.Spool(), Log: p.log, Clock: p.clock,
	})
	p.onRetire(p.milters.Close)
}

// filtersWithout are those of mail that has no client.
func (p *pipeline) filtersWithout() (cleanup.Filters, error) {
	list, err := p.milters.List(p.config.Cleanup.Milters)
	if err != nil {
		return cleanup.Filters{}, p.config.Mistake("cleanup.non_smtpd_milters", err)
	}
	return cleanup.Filters{Milters: p.milters, List: list, Route: p.routeOf()}, nil
}

// filtersOf are those of smtpd.
func (p *pipeline) filtersOf(ctx context.Context, o *smtpd.Options) (err error) {
	params := &o.Params
	if o.MilterList, err = p.milters.List(params.Milters); err != nil {
		return p.config.Mistake(o.Section+".milters", err)
	}
	maps, item, err := p.tables.OpenAll(ctx, params.MilterMaps)
	if err != nil {
		return p.config.MistakeIn(o.Section+".milter_maps", item, err)
	}
	if len(o.MilterList)+len(maps) > 0 {
		o.Milters, o.MilterMaps, o.NewID, o.Route = p.milters, maps, p.queue.NewID, p.routeOf()
	}
	return nil
}

// routeOf is where mail for an address goes, as filters are told of it.
func (p *pipeline) routeOf() func(ctx context.Context, a addr.Address) (transport, nexthop string) {
	return func(ctx context.Context, a addr.Address) (transport, nexthop string) {
		if a.IsNull() {
			return "local", p.config.Main.Hostname
		}
		if d, err := p.directory.Domain(ctx, a.Domain); err == nil {
			return "virtual", d.Name
		}
		return p.resolver.Elsewhere(ctx, a)
	}
}
