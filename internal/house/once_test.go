package house

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestNothingStandsTwice: two people who bring the same page up to date leave a row, an entry or a word behind twice, often with other words in
// the second half, and nobody sees which is true.
func TestNothingStandsTwice(t *testing.T) {
	docs := filepath.Join("..", "..", "docs")
	for _, c := range []struct {
		page string
		keys func(string) []string
	}{
		{filepath.Join(docs, "anatomy.md"), anatomyKeys},
		{filepath.Join(docs, "postfix-differences.md"), rowKeys},
		{filepath.Join(docs, "internals", "glossary.md"), glossaryKeys},
		{filepath.Join("..", "..", "HISTORY.md"), historyKeys},
	} {
		text, err := os.ReadFile(c.page)
		if err != nil {
			t.Fatal(err)
		}
		keys := c.keys(string(text))
		if len(keys) < 10 {
			t.Errorf("%s: only %d rows were read", c.page, len(keys))
		}
		for _, key := range repeated(keys) {
			t.Errorf("%s: stands twice: %s", c.page, key)
		}
	}
}

// TestWhatStandsTwiceIsSeen: the readers above find what they are for.
func TestWhatStandsTwiceIsSeen(t *testing.T) {
	for name, c := range map[string]struct {
		keys func(string) []string
		text string
		want int
	}{
		"the same row":                 {anatomyKeys, "| smtp | `a` | x | t | |\n| smtp | `a` | x | u | d |\n", 1},
		"another row":                  {anatomyKeys, "| smtp | `a` | x | t | |\n| smtp | `a` | y | t | |\n", 0},
		"a row, anywhere":              {rowKeys, "## a\n| x | y |\n## b\n| x | y |\n", 1},
		"a name in one table":          {rowKeys, "| P | h |\n|---|---|\n| `x` | y |\n| `x` | z |\n", 1},
		"a name in two tables":         {rowKeys, "| `x` | y |\n\n| `x` | z |\n", 0},
		"heads of tables":              {rowKeys, "| Postfix | here |\n|---|---|\n\n| Postfix | here |\n|---|---|\n", 0},
		"a word among others":          {glossaryKeys, "| lane, site | x | |\n| site | y | |\n", 1},
		"an entry with another end":    {historyKeys, "- 2026-01-01 The same beginning of an entry that is long enough, and then a.\n- 2026-01-02 The same beginning of an\n  entry that is long enough, and then b.\n", 1},
		"an entry with another middle": {historyKeys, "- 2026-01-01 One thing.\n- 2026-01-01 Another thing.\n", 0},
	} {
		if got := repeated(c.keys(c.text)); len(got) != c.want {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func repeated(keys []string) (twice []string) {
	seen := map[string]bool{}
	for _, k := range keys {
		if seen[k] {
			twice = append(twice, k)
		}
		seen[k] = true
	}
	return twice
}

// tablesOf are the tables of a page, their rows in cells, without heads.
func tablesOf(text string) (tables [][][]string) {
	var table [][]string
	for line := range strings.Lines(text + "\n") {
		cells := strings.Split(strings.TrimSpace(line), "|")
		switch {
		case len(cells) < 3:
			if table != nil {
				tables, table = append(tables, table), nil
			}
		case strings.HasPrefix(line, "|---"):
			table = nil // what stood before is the head
		default:
			for i := range cells {
				cells[i] = strings.TrimSpace(cells[i])
			}
			table = append(table, cells[1:len(cells)-1])
		}
	}
	return tables
}

// anatomyKeys are daemon, package and what is implemented.
func anatomyKeys(text string) (keys []string) {
	for _, table := range tablesOf(text) {
		for _, row := range table {
			keys = append(keys, strings.Join(row[:min(3, len(row))], " | "))
		}
	}
	return keys
}

// rowKeys are whole rows, and in one table what a row is about.
func rowKeys(text string) (keys []string) {
	for n, table := range tablesOf(text) {
		for _, row := range table {
			about := strings.Repeat(" ", n) + row[0] // of this table
			keys = append(keys, about, strings.Join(row, " | "))
		}
	}
	return keys
}

// glossaryKeys are the words.
func glossaryKeys(text string) (keys []string) {
	for _, table := range tablesOf(text) {
		for _, row := range table {
			keys = append(keys, strings.Split(row[0], ", ")...)
		}
	}
	return keys
}

// historyKeys are the beginnings of the entries, without their dates.
func historyKeys(text string) (keys []string) {
	entry := regexp.MustCompile(`(?m)^- \d{4}-\d\d-\d\d `)
	for _, e := range entry.Split(text, -1)[1:] {
		e = strings.Join(strings.Fields(e), " ")
		keys = append(keys, e[:min(60, len(e))])
	}
	return keys
}
