package postscreen

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"toastmaster/directory"
	"toastmaster/directory/tables"
	"toastmaster/internal/service"
)

// verdict is what an access list says of a client.
type verdict uint8

const (
	dunno verdict = iota
	permit
	reject
)

// rule is an item of the access list.
type rule func(ctx context.Context, client netip.Addr) verdict

// rules makes postscreen.access_list.
func (s *Screen) rules() ([]rule, error) {
	var all []rule
	for _, item := range s.o.Params.AccessList {
		switch item {
		case "permit_mynetworks":
			all = append(all, func(_ context.Context, client netip.Addr) verdict {
				if service.InNetworks(s.o.Trusted, client) {
					return permit
				}
				return dunno
			})
		case "permit", "reject":
			said, _ := verdictOf(item)
			all = append(all, func(context.Context, netip.Addr) verdict { return said })
		default:
			table, err := s.o.Table(item)
			if err != nil {
				return nil, fmt.Errorf("postscreen.access_list: %s: %w", item, err)
			}
			all = append(all, func(ctx context.Context, client netip.Addr) verdict { return s.ask(ctx, item, table, client) })
		}
	}
	return all, nil
}

// ask looks a client up by its address; its name is not known, and is not asked for.
func (s *Screen) ask(ctx context.Context, name string, table tables.Table, client netip.Addr) verdict {
	text, err := table.Lookup(ctx, client.String())
	switch directory.OutcomeOf(err) {
	case directory.Found:
		said, known := verdictOf(text)
		if !known {
			s.o.Log.Warn("a table of postscreen.access_list says what is not known; the client is tested",
				"service", "postscreen", "table", name, "client", client.String(), "text", text)
		}
		return said
	case directory.NotFound:
	default:
		// Nobody is turned away, or let in, by a table that does not answer.
		s.o.Log.Warn("a table of postscreen.access_list does not answer; the client is tested",
			"service", "postscreen", "table", name, "client", client.String(), "cause", err.Error())
	}
	return dunno
}

func verdictOf(text string) (said verdict, known bool) {
	switch text = strings.TrimSpace(text); {
	case strings.EqualFold(text, "permit"):
		return permit, true
	case strings.EqualFold(text, "reject"):
		return reject, true
	}
	return dunno, strings.EqualFold(text, "dunno")
}

// listed is what the access list says; the first that is not dunno counts.
func (s *Screen) listed(ctx context.Context, client netip.Addr) verdict {
	for _, ask := range s.access {
		if said := ask(ctx, client); said != dunno {
			return said
		}
	}
	return dunno
}
