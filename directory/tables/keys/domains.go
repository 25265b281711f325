package keys

import (
	"context"
	"errors"
	"slices"
	"strings"

	"toastmaster/configs"
	"toastmaster/directory"
	"toastmaster/directory/tables"
)

// Opener opens the table "type:argument": a *tables.Set.
type Opener interface {
	Open(ctx context.Context, name string) (tables.Table, error)
}

// Domains are a list of domains; the first item that fits counts (configs.Domains).
type Domains []domainItem

type domainItem struct {
	not   bool
	text  string
	table tables.Table // nil: text is a domain
}

// OpenDomains opens the tables among the items of a list, with t, or gives those that are open; with nil there are
// none. item is the one that an error is about.
func OpenDomains(ctx context.Context, t Opener, items []string) (list Domains, item int, err error) {
	for i, text := range items {
		d := domainItem{}
		d.text, d.not = configs.ParseDomainItem(text)
		if strings.Contains(d.text, ":") {
			if t == nil {
				return nil, i, errors.New("there are no lookup tables here: " + d.text)
			}
			if d.table, err = t.Open(ctx, d.text); err != nil {
				return nil, i, err
			}
		} else {
			d.text = strings.ToLower(d.text)
		}
		list = append(list, d)
	}
	return list, 0, nil
}

// Match says whether a domain, in lower case, is in the list. An error is that of a table.
func (l Domains) Match(ctx context.Context, domain string, o Options) (bool, error) {
	if len(l) == 0 {
		return false, nil
	}
	walk := Domain(domain, o)
	for _, d := range l {
		if d.table == nil {
			below := d.text[0] == '.' && strings.HasSuffix(domain, d.text)
			if below || slices.ContainsFunc(walk, func(k Key) bool { return k.Text == d.text }) {
				return !d.not, nil
			}
			continue
		}
		_, _, err := walk.Lookup(ctx, d.table)
		switch {
		case err == nil:
			return !d.not, nil
		case directory.OutcomeOf(err) != directory.NotFound:
			return false, err
		}
	}
	return false, nil
}
