package db

import (
	"fmt"
	"io/fs"
	"strings"
	"unicode/utf8"
)

// Query is the name of a query.
type Query string

// Queries are texts by name, in the words of one dialect. They are read only.
type Queries map[Query]string

// nameLine begins a query.
const nameLine = "-- name: "

// Load reads queries.sql of a package, and queries_<dialect>.sql if there is one:
// a query of that takes the place of one of the same name, or is beside them. The
// placeholders are the dialect's then.
func Load(files fs.FS, d Dialect) (Queries, error) {
	out := Queries{}
	own := "queries_" + d.Name() + ".sql"
	for _, file := range []string{"queries.sql", own} {
		text, err := fs.ReadFile(files, file)
		if err != nil && file == own {
			continue
		}
		if err != nil {
			return nil, err
		}
		if err := out.parse(string(text), file); err != nil {
			return nil, err
		}
	}
	for name, text := range out {
		out[name] = d.Bind(text)
	}
	return out, nil
}

// parse adds the queries of a file.
func (q Queries) parse(text, file string) error {
	seen := map[Query]bool{}
	head, rest, _ := strings.Cut("\n"+text, "\n"+nameLine)
	if query := withoutComments(head); query != "" {
		return fmt.Errorf("%s: a query without a name: %.40q", file, query)
	}
	for rest != "" {
		var part string
		part, rest, _ = strings.Cut(rest, "\n"+nameLine)
		line, body, _ := strings.Cut(part, "\n")
		name, query := Query(strings.TrimSpace(line)), withoutComments(body)
		switch {
		case name == "" || query == "":
			return fmt.Errorf("%s: the query %q is empty", file, name)
		case seen[name]:
			return fmt.Errorf("%s: two queries are named %q", file, name)
		}
		seen[name] = true
		q[name] = query
	}
	return nil
}

// withoutComments drops the lines that are comments, and blanks around.
func withoutComments(text string) string {
	var out []string
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(strings.TrimSpace(line), "--") {
			out = append(out, strings.TrimRight(line, " \n"))
		}
	}
	return strings.TrimSpace(strings.Join(out, "\n"))
}

// Storable says whether a database can have a text at all. PostgreSQL has none with a NUL or
// with what is not UTF-8, and calls the question an error, for which mail would wait
// where the answer is known.
func Storable(s string) bool { return utf8.ValidString(s) && !strings.Contains(s, "\x00") }
