package cleanup

import (
	"context"
	"strings"

	"toastmaster/configs"
	"toastmaster/directory"
	"toastmaster/directory/tables"
	"toastmaster/internal/dsn"
	"toastmaster/mta/contentcheck"
	"toastmaster/mta/policy"
)

// Checks are the tables that a content is looked up in. The zero Checks let all pass.
type Checks struct{ header, mime, nested, body, milter check }

// check is a parameter with the tables in it.
type check struct {
	param string
	maps  tables.Maps
}

// OpenChecks opens the tables of header_checks, mime_header_checks, nested_header_checks,
// body_checks and milter_header_checks, or gives those that are open. The error names the parameter.
func OpenChecks(ctx context.Context, c *configs.Config, set *tables.Set) (Checks, error) {
	var all Checks
	p := &c.Cleanup
	for _, row := range []struct {
		to    *check
		param string
		names []string
	}{
		{&all.header, "header_checks", p.HeaderChecks},
		{&all.mime, "mime_header_checks", p.MIMETables()},
		{&all.nested, "nested_header_checks", p.NestedTables()},
		{&all.body, "body_checks", p.BodyChecks},
		{&all.milter, "milter.header_checks", c.Milter.HeaderChecks},
	} {
		maps, item, err := set.OpenAll(ctx, row.names)
		if err != nil {
			section := "cleanup."
			if strings.Contains(row.param, ".") {
				section = ""
			}
			return Checks{}, c.MistakeIn(section+row.param, item, err)
		}
		*row.to = check{row.param, maps}
	}
	return all, nil
}

// any says that there is something to be looked up.
func (c *Checks) any() bool {
	return len(c.header.maps)+len(c.mime.maps)+len(c.nested.maps)+len(c.body.maps) > 0
}

// look looks something up, and does what the tables want.
func (i *inspection) look(ctx context.Context, c *check, e *editor, f contentcheck.Found) error {
	if f.Text == "" || len(c.maps) == 0 {
		return nil
	}
	text, err := c.maps.Lookup(ctx, f.Text)
	switch {
	case directory.OutcomeOf(err) == directory.NotFound:
		return nil
	case err != nil:
		i.log(c).Error("content check without an answer", i.keys("table", c.maps.String(), "cause", err)...)
		return dsn.Wrap(dsn.MailSystem, "Temporary failure while checking the content", err)
	}
	r, err := policy.ParseContent(text)
	if err == nil {
		err = i.obey(c, e, f, r)
	} else {
		err = i.nonsense(c, err)
	}
	return err
}
