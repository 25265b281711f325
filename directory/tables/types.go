package tables

import (
	"context"
	"fmt"
	"strings"

	"toastmaster/configs"
)

// kind is a type of table.
type kind struct {
	name string
	open func(ctx context.Context, s *Set, n name, argument string) (Table, error)
	// help is a line for people.
	help string
}

// types are all types. A new one is a row here.
func types() []kind {
	rows := []kind{
		{"aliases", openAliases, "a file of aliases(5), as postalias reads it"},
		{"cidr", ofRules(parseCIDR), "networks and addresses, in a file or in braces"},
		{"directory", openDirectory, "hosted data: domains, mailboxes, aliases"},
		{"environ", openEnviron, "variables of the process"},
		{"fail", openFail, "no answer, ever"},
		{"inline", openInline, "keys and texts in braces"},
		{"pcre", ofRules(parsePCRE), "Perl's patterns, in a file or in braces"},
		{"pipemap", openPipemap, "each table is asked for what the one before it said"},
		{"randmap", openRandmap, "one of several texts"},
		{"regexp", ofRules(parseRegexp), "POSIX patterns, in a file or in braces"},
		{"socketmap", openSocketmap, "a server of the socketmap protocol"},
		{"static", openStatic, "the argument itself"},
		{"tcp", openTCP, "a server of tcp_table(5)"},
		{"texthash", ofText, "keys and texts in a file"},
		{"unionmap", openUnionmap, "what several tables say, with commas between"},
	}
	for _, n := range []string{"btree", "cdb", "dbm", "hash", "lmdb", "sdbm"} {
		rows = append(rows, kind{n, ofText, "the text file of that name, as texthash: no postmap is needed"})
	}
	return rows
}

// Types are the names of all types, sorted as Postfix's `postconf -m`, with a line for
// people.
func Types() map[string]string {
	all := map[string]string{"proxy": "the table behind it: all are shared"}
	for _, r := range types() {
		all[r.name] = r.help
	}
	return all
}

// elsewhere are Postfix's types that are not done, and what to do.
func elsewhere() map[string]string {
	const query = "the directory has hosted data (type directory); for others ask a server through socketmap or tcp"
	return map[string]string{
		"ldap": query, "memcache": query, "mongodb": query, "mysql": query, "nis": query, "nisplus": query, "netinfo": query,
		"pgsql": query, "sqlite": query, "internal": "it is Postfix's own",
		"unix": "the users of the machine are mta/local's",
	}
}

func typeOf(kindName string) (kind, error) {
	var names []string
	for _, r := range types() {
		if r.name == kindName {
			return r, nil
		}
		names = append(names, r.name)
	}
	if why := elsewhere()[kindName]; why != "" {
		return kind{}, fmt.Errorf("tables of type %s are not done here: %s", kindName, why)
	}
	hint := ""
	if near := configs.NearestName(kindName, names); near != "" {
		hint = ", did you mean " + near + "?"
	}
	return kind{}, fmt.Errorf("there is no type %q of table%s (types: %s)", brief(kindName), hint, strings.Join(names, ", "))
}

// ofText opens a file of keys and texts.
func ofText(_ context.Context, s *Set, n name, argument string) (Table, error) {
	return openFile(s, n, argument, parseText)
}

// ofRules opens a table of patterns: a file, or rules in braces.
func ofRules(parse parser) func(context.Context, *Set, name, string) (Table, error) {
	return func(_ context.Context, s *Set, n name, argument string) (Table, error) {
		if !strings.HasPrefix(argument, "{") {
			return openFile(s, n, argument, parse)
		}
		lines, err := list(argument)
		if err != nil {
			return nil, err
		}
		var text strings.Builder
		for _, line := range lines {
			if line, err = unbrace(line); err != nil {
				return nil, fmt.Errorf("rule %w", err)
			}
			text.WriteString(line + "\n")
		}
		in := &source{file: "rule", rest: text.String(), maxLine: s.limits.maxLine}
		c, err := parse(n, in, s.limits)
		for _, w := range in.warnings {
			s.warn(w)
		}
		if err != nil {
			return nil, fmt.Errorf("%s", err)
		}
		return braced{c}, nil
	}
}

// braced is content that stands in the configuration.
type braced struct{ content }

func (t braced) Lookup(ctx context.Context, key string) (string, error) { return t.lookup(ctx, key) }

func (t braced) tableName() string { return t.content.(named).tableName() }

func (t braced) wantsWhole() bool { return t.content.(whole).wantsWhole() }

func (t braced) quotesKey() bool { return t.content.(quoting).quotesKey() }

func parseRegexp(n name, s *source, l limits) (content, error) {
	return parsePatterns(n, s, l, posixFlags(), compilePOSIX)
}

func parsePCRE(n name, s *source, l limits) (content, error) {
	return parsePatterns(n, s, l, perlFlags(), compilePerl)
}
