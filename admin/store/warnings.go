package store

import (
	"context"
	"strings"

	"toastmaster/directory"
	"toastmaster/internal/addr"
	"toastmaster/internal/db"
)

// somebody says whether a target leads to anything: it is of another host, or
// here an entry of any kind takes it.
func (t *tx) somebody(ctx context.Context, target string) (bool, error) {
	a, err := addr.Parse(target)
	if err != nil {
		return false, err
	}
	d := t.directory()
	if _, err := d.Domain(ctx, a.Domain); directory.OutcomeOf(err) == directory.NotFound {
		return true, nil
	}
	_, err = d.Recipient(ctx, a)
	if directory.OutcomeOf(err) == directory.NotFound {
		return false, nil
	}
	return err == nil, failure(err)
}

// deadTargets warns of the targets of an alias that are nobody: mail for them
// is refused when there is no other, and comes back otherwise.
func (t *tx) deadTargets(ctx context.Context, targets []string) ([]string, error) {
	var out []string
	for _, target := range targets {
		alive, err := t.somebody(ctx, target)
		if err != nil {
			return nil, err
		}
		if !alive {
			out = append(out, "nobody has the target "+target)
		}
	}
	return out, nil
}

// aliasesLeft warns of the aliases of an address that was removed, if it leads
// to nothing now.
func (t *tx) aliasesLeft(ctx context.Context, address string) ([]string, error) {
	rows, err := t.Query(ctx, selectAliasesTo, strings.ToLower(address))
	left, err := collect(rows, err, func(r *db.Rows) (alias string, err error) {
		err = r.Scan(&alias)
		return alias, err
	})
	if err != nil || len(left) == 0 {
		return nil, err
	}
	if alive, err := t.somebody(ctx, address); alive || err != nil {
		return nil, err
	}
	return []string{address + " is still a target of " + strings.Join(left, ", ")}, nil
}
