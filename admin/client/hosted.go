package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"toastmaster/admin/model"
)

// listing is the query of a listing.
func listing(f model.Filter, after string, limit int) url.Values {
	q := url.Values{}
	set := func(name, value string) {
		if value != "" {
			q.Set(name, value)
		}
	}
	set("domain", f.Domain)
	set("contains", f.Contains)
	set("target", f.Target)
	set("after", after)
	if f.Enabled != nil {
		q.Set("enabled", strconv.FormatBool(*f.Enabled))
	}
	if limit > 0 {
		q.Set("limit", strconv.Itoa(limit))
	}
	return q
}

// pageSize is what Each asks for at once. It is no parameter: it is the server's
// limit, and pages are put together again.
const pageSize = 1000

// Each calls f with every entry of a listing. list is a method such as
// (*Client).Mailboxes. It stops at the first error.
func Each[F, T any](ctx context.Context, list func(context.Context, F, string, int) (model.Page[T], error), filter F, f func(T) error) error {
	after := ""
	for {
		p, err := list(ctx, filter, after, pageSize)
		if err != nil {
			return err
		}
		for _, item := range p.Items {
			if err := f(item); err != nil {
				return err
			}
		}
		switch p.Next {
		case "":
			return nil
		case after:
			return model.Fail(model.Internal, "the server repeats a page")
		}
		after = p.Next
	}
}

// AddDomain makes a domain.
func (c *Client) AddDomain(ctx context.Context, in model.NewDomain) (model.Domain, error) {
	return call[model.Domain](ctx, c, request{method: http.MethodPost, path: "/domains", in: in})
}

// SetDomain changes a domain.
func (c *Client) SetDomain(ctx context.Context, name string, in model.DomainChange) (model.Domain, error) {
	return call[model.Domain](ctx, c, request{method: http.MethodPatch, path: path("domains", name), in: in})
}

// Domain reads one.
func (c *Client) Domain(ctx context.Context, name string) (model.Domain, error) {
	return call[model.Domain](ctx, c, request{method: http.MethodGet, path: path("domains", name)})
}

// Domains lists a page. f.Domain selects the aliases of a domain.
func (c *Client) Domains(ctx context.Context, f model.Filter, after string, limit int) (model.Page[model.Domain], error) {
	q := listing(f, after, limit)
	if f.Domain != "" {
		q.Del("domain")
		q.Set("alias_of", f.Domain)
	}
	return call[model.Page[model.Domain]](ctx, c, request{method: http.MethodGet, path: "/domains", query: q})
}

// RemoveDomain removes a domain; all takes its addresses with it. Their mail stays.
func (c *Client) RemoveDomain(ctx context.Context, name string, all bool) error {
	q := url.Values{"all": {strconv.FormatBool(all)}}
	return c.send(ctx, request{method: http.MethodDelete, path: path("domains", name), query: q})
}

// PurgeDomain begins the removal of a domain with all its addresses and their mail.
func (c *Client) PurgeDomain(ctx context.Context, name string) (model.Job, error) {
	q := url.Values{"all": {"true"}, "purge": {"true"}}
	return call[model.Job](ctx, c, request{method: http.MethodDelete, path: path("domains", name), query: q})
}

// PurgeMailboxes begins the removal of mailboxes with their mail.
func (c *Client) PurgeMailboxes(ctx context.Context, addresses []string) (model.Job, error) {
	return call[model.Job](ctx, c, request{method: http.MethodPost, path: "/mailboxes/purge", in: model.Purge{Addresses: addresses}})
}

// AddMailbox makes a mailbox.
func (c *Client) AddMailbox(ctx context.Context, in model.NewMailbox) (model.Mailbox, error) {
	return call[model.Mailbox](ctx, c, request{method: http.MethodPost, path: "/mailboxes", in: in})
}

// AddMailboxes makes many, at most 5000; dry only says what would be done.
func (c *Client) AddMailboxes(ctx context.Context, in []model.NewMailbox, dry bool) (model.BulkResponse, error) {
	return bulk(ctx, c, "mailboxes", in, dry)
}

// SetMailbox changes a mailbox.
func (c *Client) SetMailbox(ctx context.Context, address string, in model.MailboxChange) (model.Mailbox, error) {
	return call[model.Mailbox](ctx, c, request{method: http.MethodPatch, path: path("mailboxes", address), in: in})
}

// Mailbox reads one.
func (c *Client) Mailbox(ctx context.Context, address string) (model.Mailbox, error) {
	return call[model.Mailbox](ctx, c, request{method: http.MethodGet, path: path("mailboxes", address)})
}

// Mailboxes lists a page.
func (c *Client) Mailboxes(ctx context.Context, f model.Filter, after string, limit int) (model.Page[model.Mailbox], error) {
	return call[model.Page[model.Mailbox]](ctx, c, request{method: http.MethodGet, path: "/mailboxes", query: listing(f, after, limit)})
}

// RemoveMailbox removes a mailbox; purge removes its mail, too.
func (c *Client) RemoveMailbox(ctx context.Context, address string, purge bool) (model.Removed, error) {
	q := url.Values{"purge": {strconv.FormatBool(purge)}}
	return call[model.Removed](ctx, c, request{method: http.MethodDelete, path: path("mailboxes", address), query: q})
}

// AddAlias makes an alias.
func (c *Client) AddAlias(ctx context.Context, in model.NewAlias) (model.Alias, error) {
	return call[model.Alias](ctx, c, request{method: http.MethodPost, path: "/aliases", in: in})
}

// SetAlias replaces the targets.
func (c *Client) SetAlias(ctx context.Context, address string, in model.AliasChange) (model.Alias, error) {
	return call[model.Alias](ctx, c, request{method: http.MethodPatch, path: path("aliases", address), in: in})
}

// Alias reads one.
func (c *Client) Alias(ctx context.Context, address string) (model.Alias, error) {
	return call[model.Alias](ctx, c, request{method: http.MethodGet, path: path("aliases", address)})
}

// Aliases lists a page.
func (c *Client) Aliases(ctx context.Context, f model.Filter, after string, limit int) (model.Page[model.Alias], error) {
	return call[model.Page[model.Alias]](ctx, c, request{method: http.MethodGet, path: "/aliases", query: listing(f, after, limit)})
}

// RemoveAlias removes an alias.
func (c *Client) RemoveAlias(ctx context.Context, address string) error {
	return c.send(ctx, request{method: http.MethodDelete, path: path("aliases", address)})
}

// AddRelocated makes a relocated address.
func (c *Client) AddRelocated(ctx context.Context, in model.NewRelocated) (model.Relocated, error) {
	return call[model.Relocated](ctx, c, request{method: http.MethodPost, path: "/relocated", in: in})
}

// SetRelocated changes the new place.
func (c *Client) SetRelocated(ctx context.Context, address string, in model.RelocatedChange) (model.Relocated, error) {
	return call[model.Relocated](ctx, c, request{method: http.MethodPatch, path: path("relocated", address), in: in})
}

// Relocated reads one.
func (c *Client) Relocated(ctx context.Context, address string) (model.Relocated, error) {
	return call[model.Relocated](ctx, c, request{method: http.MethodGet, path: path("relocated", address)})
}

// RelocatedList lists a page.
func (c *Client) RelocatedList(ctx context.Context, f model.Filter, after string, limit int) (model.Page[model.Relocated], error) {
	return call[model.Page[model.Relocated]](ctx, c, request{method: http.MethodGet, path: "/relocated", query: listing(f, after, limit)})
}

// RemoveRelocated removes one.
func (c *Client) RemoveRelocated(ctx context.Context, address string) error {
	return c.send(ctx, request{method: http.MethodDelete, path: path("relocated", address)})
}

// bulk makes many things; dry only says what would be done.
func bulk[T any](ctx context.Context, c *Client, things string, in []T, dry bool) (model.BulkResponse, error) {
	q := url.Values{}
	if dry {
		q.Set("dry_run", "true")
	}
	return call[model.BulkResponse](ctx, c, request{method: http.MethodPost, path: path(things, "bulk"), query: q, in: in})
}

// AddAliases makes many, at most 5000.
func (c *Client) AddAliases(ctx context.Context, in []model.NewAlias, dry bool) (model.BulkResponse, error) {
	return bulk(ctx, c, "aliases", in, dry)
}

// AddRelocations makes many, at most 5000.
func (c *Client) AddRelocations(ctx context.Context, in []model.NewRelocated, dry bool) (model.BulkResponse, error) {
	return bulk(ctx, c, "relocated", in, dry)
}

// AddDomains makes many, at most 5000.
func (c *Client) AddDomains(ctx context.Context, in []model.NewDomain, dry bool) (model.BulkResponse, error) {
	return bulk(ctx, c, "domains", in, dry)
}

// Check says what would happen to mail for an address.
func (c *Client) Check(ctx context.Context, address string) (model.Decision, error) {
	return call[model.Decision](ctx, c, request{method: http.MethodGet, path: path("addresses", address)})
}
