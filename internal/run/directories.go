package run

import (
	"fmt"

	"toastmaster/configs"
	"toastmaster/directory"
	"toastmaster/directory/sql"
)

// directoryRow is one source of the answers of the directory, by the name that
// directory.type calls it. A new one is a row here, and its name one in
// configs.DirectoryTypes.
type directoryRow struct {
	name string
	// open opens it; the caller calls close at the end.
	open func(*configs.Config) (b directory.Backend, close func() error, err error)
}

func directoryTable() []directoryRow {
	return []directoryRow{
		{"sqlite", openSQLite},
	}
}

// openAnswers opens the source that the configuration names.
func openAnswers(c *configs.Config) (directory.Backend, func() error, error) {
	for _, row := range directoryTable() {
		if row.name == c.Directory.Type {
			return row.open(c)
		}
	}
	return nil, nil, fmt.Errorf("no directory of type %q", c.Directory.Type)
}

func openSQLite(c *configs.Config) (directory.Backend, func() error, error) {
	d, err := sql.Open(c.Path(c.Directory.Path), c.Directory)
	if err != nil {
		return nil, nil, err
	}
	return d, d.Close, nil
}
