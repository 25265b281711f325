package flush

import (
	"context"
	"errors"
	"slices"
	"strings"

	"toastmaster/configs"
	"toastmaster/directory"
	"toastmaster/directory/tables"
	"toastmaster/directory/tables/keys"
)

// Opener opens the table "type:argument": a *tables.Set.
type Opener interface {
	Open(ctx context.Context, name string) (tables.Table, error)
}

// domains are flush.fast_flush_domains; the first item that fits counts.
type domains []domainItem

type domainItem struct {
	not   bool
	text  string
	table tables.Table // nil: text is a domain
}

func openDomains(o Options) (domains, error) {
	var list domains
	for _, item := range o.Params.Domains {
		d := domainItem{}
		d.text, d.not = configs.ParseDomainItem(item)
		if strings.Contains(d.text, ":") {
			if o.Tables == nil {
				return nil, errors.New("there are no lookup tables here: " + d.text)
			}
			table, err := o.Tables.Open(context.Background(), d.text)
			if err != nil {
				return nil, err
			}
			d.table = table
		} else {
			d.text = strings.ToLower(d.text)
		}
		list = append(list, d)
	}
	return list, nil
}

// match says whether a domain, in lower case, is in the list. An error is that of a table.
func (l domains) match(ctx context.Context, domain string, o keys.Options) (bool, error) {
	walk := keys.Domain(domain, o)
	for _, d := range l {
		if d.table == nil {
			below := d.text[0] == '.' && strings.HasSuffix(domain, d.text)
			if below || slices.ContainsFunc(walk, func(k keys.Key) bool { return k.Text == d.text }) {
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
