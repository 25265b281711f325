package tables

import (
	"context"
	"errors"

	"toastmaster/directory"
)

// Table answers keys with texts. Safe for concurrent use; the context's deadline
// is honoured.
type Table interface {
	// Lookup returns what stands under a key. Every error is a *directory.Error
	// with one of the answers NotFound, Unavailable and Misconfigured
	// (directory.OutcomeOf). An empty key is found nowhere.
	Lookup(ctx context.Context, key string) (string, error)
}

// Lister is a Table that can say all that is in it: postmap -s.
type Lister interface {
	// List calls yield with each key and its text, in no particular order, until it
	// returns false.
	List(yield func(key, text string) bool)
}

// CanList says that a table is a Lister that has something to list: one of patterns in a
// file has not.
func CanList(t Table) bool {
	if f, ok := t.(*file); ok {
		_, ok := f.now.Load().content.(Lister)
		return ok
	}
	_, ok := t.(Lister)
	return ok
}

// whole is a Table that wants whole keys: one of patterns, or one that asks somebody
// who looks for parts himself.
type whole interface{ wantsWhole() bool }

// WantsWhole says that a table is not asked for parts of a key: the domain of an
// address, the network of a client. It is so for cidr, regexp, pcre, socketmap,
// tcp, randmap and fail, and for what is made of one of them.
func WantsWhole(t Table) bool {
	w, ok := t.(whole)
	return ok && w.wantsWhole()
}

// quoting is a Table whose texts may hold parts of the key.
type quoting interface{ quotesKey() bool }

// QuotesKey says that texts of a table may hold parts of the key they are found by: one of patterns with
// $1 in a text, and what is made of one. Whoever writes the key has a say in such a text, so it decides
// nothing that he must not decide.
func QuotesKey(t Table) bool {
	q, ok := t.(quoting)
	return ok && q.quotesKey()
}

// parts is a Table that knows itself which of its tables may be asked for a part.
type parts interface {
	lookupPart(ctx context.Context, key string) (string, error)
}

// LookupPart asks a table for a part of a key. One that wants whole keys has none.
func LookupPart(ctx context.Context, t Table, key string) (string, error) {
	if p, ok := t.(parts); ok {
		return p.lookupPart(ctx, key)
	}
	if WantsWhole(t) {
		return "", directory.Missing("", key)
	}
	return t.Lookup(ctx, key)
}

// Maps is a list of tables, as a parameter has it: the first that answers wins. One
// that cannot answer ends the search, because the next might say what is not meant.
// An empty list finds nothing.
type Maps []Table

// Lookup asks one after the other. An empty text is a mistake, not an answer: what a
// table has no answer to must not be in it.
func (m Maps) Lookup(ctx context.Context, key string) (string, error) {
	return m.lookup(ctx, key, func(t Table) (string, error) { return t.Lookup(ctx, key) })
}

func (m Maps) lookupPart(ctx context.Context, key string) (string, error) {
	return m.lookup(ctx, key, func(t Table) (string, error) { return LookupPart(ctx, t, key) })
}

func (m Maps) lookup(_ context.Context, key string, ask func(Table) (string, error)) (string, error) {
	for _, t := range m {
		text, err := ask(t)
		switch {
		case err == nil && text == "":
			return "", &directory.Error{Outcome: directory.Misconfigured, Table: Name(t), Key: key, Cause: errEmptyText}
		case err == nil, directory.OutcomeOf(err) != directory.NotFound:
			return text, err
		}
	}
	return "", directory.Missing(m.String(), key)
}

var errEmptyText = errors.New("the text is empty: a key that is not to be found must not be in the table")

// String is the names of the tables, for the log.
func (m Maps) String() string {
	s := ""
	for i, t := range m {
		if i > 0 {
			s += " "
		}
		s += Name(t)
	}
	return s
}

// named is a Table that knows its name.
type named interface{ tableName() string }

// Name is "type:argument" of a table that a Set opened, for the log; "table" for others.
func Name(t Table) string {
	switch n := t.(type) {
	case named:
		return n.tableName()
	case Maps:
		return n.String()
	}
	return "table"
}

// name is what the tables of this package share.
type name string

func (n name) tableName() string { return string(n) }

func (n name) missing(key string) error { return directory.Missing(string(n), key) }

func (n name) unavailable(key string, cause error) error {
	return &directory.Error{Outcome: directory.Unavailable, Table: string(n), Key: key, Cause: cause}
}

func (n name) misconfigured(key string, cause error) error {
	return &directory.Error{Outcome: directory.Misconfigured, Table: string(n), Key: key, Cause: cause}
}
