package run

import (
	"context"
	"fmt"
	"strings"

	"toastmaster/directory"
	"toastmaster/directory/tables"
	"toastmaster/internal/dns"
)

// filteredServers is nameServers with the tables of a parameter *.dns_reply_filter; without any it is that itself.
func (p *pipeline) filteredServers(ctx context.Context, list []string, param string, names []string) (*dns.Resolver, error) {
	servers := p.nameServers(list)
	if len(names) == 0 {
		return servers, nil
	}
	maps, item, err := p.tables.OpenAll(ctx, names)
	if err != nil {
		return nil, p.config.MistakeIn(param, item, err)
	}
	return servers.Filtered(replyFilter(param, maps)), nil
}

// replyFilter obeys tables. A table that does not answer, or says what nobody knows, leaves no answer: mail waits until
// somebody has looked.
func replyFilter(param string, maps tables.Maps) dns.Filter {
	return func(ctx context.Context, record string) (bool, error) {
		text, err := maps.Lookup(ctx, record)
		switch {
		case directory.OutcomeOf(err) == directory.NotFound:
			return false, nil
		case err != nil:
			return false, fmt.Errorf("%s: %w", param, err)
		}
		word, _, _ := strings.Cut(strings.TrimSpace(text), " ")
		if !strings.EqualFold(word, "IGNORE") {
			return false, fmt.Errorf("%s: %q is no action, there is IGNORE", param, text)
		}
		return true, nil
	}
}
