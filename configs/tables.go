package configs

import (
	"errors"
	"strings"
	"time"
)

// TableLimits is the section [tables]: what bounds a lookup table, whoever asks it.
type TableLimits struct {
	MaxFileSize    int64
	MaxLine        int64
	MaxEntries     int
	MaxResult      int64
	Timeout        time.Duration
	MatchTimeout   time.Duration
	MaxConnections int
	MaxIdle        time.Duration
}

func (c *TableLimits) params() []Param {
	return []Param{
		Size("tables.max_file_size", &c.MaxFileSize, 64<<20, 1<<10, 1<<30,
			"How large the file of a lookup table may be. A larger one is a mistake; when a file has grown beyond it, what was in it before stays in use."),
		Size("tables.max_line", &c.MaxLine, 1<<20, 1<<10, 64<<20,
			"How long a line of a table may be, with the lines that continue it."),
		Int("tables.max_entries", &c.MaxEntries, 1_000_000, 1, 10_000_000,
			"How many entries or rules a table in a file may have."),
		Size("tables.max_result", &c.MaxResult, 100_000, 100, 1<<20,
			"How long the text may be that a table has for a key; what a socketmap server answers beyond it is a mistake of the server."),
		Duration("tables.timeout", &c.Timeout, 100*time.Second, time.Second, 10*time.Minute,
			"How long a server of a table (socketmap, tcp) may take for a connection and its answer; then the answer is a temporary failure."),
		Duration("tables.match_timeout", &c.MatchTimeout, time.Second, 10*time.Millisecond, time.Minute,
			"How long a pattern of a pcre table that looks around or refers to groups may take for one text; then the answer is a temporary failure. Other patterns need no such bound."),
		Int("tables.max_connections", &c.MaxConnections, 20, 1, 1000,
			"How many connections there may be to one server of tables (socketmap, tcp). Who needs one more waits for it."),
		Duration("tables.max_idle", &c.MaxIdle, 10*time.Second, 0, time.Hour,
			"How long a connection to a server of tables is kept when nobody asks."),
	}
}

const tablesAllowed = `lookup tables, "type:argument", see docs/tables.md`

// Tables is a list of lookup tables, of which the first that answers wins. Whether there
// are such tables, and what is in them, is looked at before ports are opened
// (directory/tables).
func Tables(name string, field *[]string, def []string, text string) Param {
	p := List(name, field, def, tablesAllowed, checkTable, text)
	p.Tables = func() []string { return *field }
	return p
}

// checkTable accepts what may be a table.
func checkTable(s string) error {
	kind, argument, ok := strings.Cut(s, ":")
	if !ok || strings.TrimSpace(kind) == "" || strings.TrimSpace(argument) == "" {
		return errors.New("no table: type:argument")
	}
	return nil
}

// TableLists are the parameters that are lists of lookup tables, and what is in them.
func (c *Config) TableLists() map[string][]string {
	lists := map[string][]string{}
	for _, p := range c.bound {
		if p.Tables != nil {
			lists[p.Name] = p.Tables()
		}
	}
	return lists
}
