package check

import (
	"context"
	"slices"

	"toastmaster/configs"
	"toastmaster/directory/tables"

	"golang.org/x/sys/unix"
)

// checkTables opens the lookup tables of all lists and restrictions, and says what must be
// read while serving. It asks no server.
func checkTables(c *configs.Config) ([]need, error) {
	set := tables.NewSet(tables.Options{Params: c.Lookup, Dir: c.Dir()})
	var read []need
	lists := c.TableLists()
	var params []string
	for param := range lists {
		params = append(params, param)
	}
	slices.Sort(params)
	for _, param := range params {
		before := len(set.Files())
		if _, item, err := set.OpenAll(context.Background(), lists[param]); err != nil {
			return nil, c.MistakeIn(param, item, err)
		}
		for _, file := range set.Files()[before:] {
			read = append(read, need{param, file, unix.R_OK})
		}
	}
	before := len(set.Files())
	if err := checkRestrictions(c, set); err != nil {
		return nil, err
	}
	for _, file := range set.Files()[before:] {
		read = append(read, need{"smtpd.*_restrictions", file, unix.R_OK})
	}
	return read, set.Close()
}
