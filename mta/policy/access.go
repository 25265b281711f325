package policy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"toastmaster/directory"
	"toastmaster/directory/tables"
	"toastmaster/directory/tables/keys"
	"toastmaster/internal/dsn"
)

// lookups asks for what a restriction looks up, one walk after the other, until ask says that
// the answer is there. What is not known yet, or never will be, is not asked for.
type lookups func(ctx context.Context, e *Env, t *Transaction, ask func(keys.Walk) (done bool))

// access is a restriction check_*_access.
type access struct {
	e *Env
	// topic is what it is about, in replies and in the restrictions that the table names.
	topic Stage
	table tables.Table
	each  lookups
	// mayPermit is false where the other side says what is looked up, and could permit
	// itself.
	mayPermit bool
}

// checkAccess is check_*_access with a table.
func checkAccess(topic Stage, each lookups) argued { return accessRow(topic, each, true) }

// checkForeign is the same where OK is refused.
func checkForeign(topic Stage, each lookups) argued { return accessRow(topic, each, false) }

func accessRow(topic Stage, each lookups, mayPermit bool) argued {
	return func(_ Stage, e *Env, arg string) (Check, error) {
		table, err := e.openTable(arg)
		if err != nil {
			return nil, err
		}
		return &access{e, topic, table, each, mayPermit}, nil
	}
}

// openTable opens a table, or gives the one that is open. It asks no server.
func (e *Env) openTable(name string) (tables.Table, error) {
	if e.Tables == nil {
		return nil, errors.New("there are no lookup tables here")
	}
	return e.Tables.Open(context.Background(), name)
}

// Check looks up one key after the other. A table that cannot answer defers: nobody is
// permitted, nor refused for good, by a guess.
func (a *access) Check(ctx context.Context, t *Transaction) (d Decision) {
	a.each(ctx, a.e, t, func(w keys.Walk) bool {
		text, key, err := w.Lookup(ctx, a.table)
		if directory.OutcomeOf(err) == directory.NotFound {
			return false
		}
		what := source{tables.Name(a.table), key.Text}
		if err != nil {
			d = a.e.cannotSay(ctx, t, a.topic, what, err)
			return true
		}
		d = a.e.obey(ctx, t, a.topic, what, text)
		return true
	})
	if d.Action == Permit && !a.mayPermit && !t.discards() {
		a.e.Log.Error("access table says OK about what the client chooses: it may not; DUNNO makes an exception",
			"service", a.e.logService(), "session", t.Session, "table", tables.Name(a.table))
		return broken(errForeignOK)
	}
	return d
}

// source is who says something, for the log.
type source struct{ table, key string }

var errForeignOK = errors.New("OK about what the client chooses")

// broken is the reply where the configuration makes no sense.
func broken(cause error) Decision {
	return Decision{Action: Defer, Err: dsn.Wrap(dsn.Misconfigured, "Server configuration error", cause), broken: true}
}

// nonsense is the reply to a text that cannot be obeyed.
func (e *Env) nonsense(t *Transaction, from source, cause error) Decision {
	e.Log.Error("access table", "service", e.logService(), "session", t.Session, "table", from.table, "key", from.key, "cause", cause)
	return broken(cause)
}

// cannotSay is the reply where a table has no answer.
func (e *Env) cannotSay(ctx context.Context, t *Transaction, topic Stage, from source, cause error) Decision {
	e.Log.Error("access table", "service", e.logService(), "session", t.Session, "table", from.table, "key", from.key, "cause", cause)
	return Decision{Action: Defer, Err: dsn.Wrap(dsn.Misconfigured, e.about(ctx, t, topic)+"Server configuration error", cause)}
}

// maxNested bounds how deep lists stand in one another: a class can look up its own name.
const maxNested = 100

// obey makes a decision of the text of a table, or of a policy service.
func (e *Env) obey(ctx context.Context, t *Transaction, topic Stage, from source, text string) Decision {
	r, err := ParseResult(text)
	if err != nil {
		return e.nonsense(t, from, err)
	}
	if r.List != nil {
		return e.askListed(ctx, t, topic, from, r.List)
	}
	about := func(code int, usual dsn.Status, words string) *dsn.Error {
		code = cmp.Or(r.Code, code)
		return coded(code, fixStatus(cmp.Or(r.Status, usual), topic), e.about(ctx, t, topic)+cmp.Or(r.Text, words))
	}
	switch r.Action {
	case Reject:
		return refuse(about(e.Codes.Access, dsn.Policy, "Access denied")) // for now, when the code says so
	case Defer:
		return refuse(about(e.Codes.AccessDefer, dsn.PolicyLater, "Access denied"))
	case DeferIfPermit, DeferIfReject:
		return Decision{Action: r.Action, Err: about(e.Codes.AccessDefer, dsn.PolicyLater, "Service unavailable")}
	}
	return Decision{Action: r.Action, Arg: r.Text}
}

// fixStatus is the status of a refusal about addresses, as Postfix has it: a sender is no bad
// destination, and a client is no address at all.
func fixStatus(s dsn.Status, topic Stage) dsn.Status {
	if s.Subject() != 1 {
		return s
	}
	// A place for each detail of RFC 3463; the last one is for those that it has not.
	var as [10]int
	switch topic {
	case Mail:
		as = [...]int{0, 7, 8, 7, 7, 0, 7, 7, 8, 0}
	case Rcpt:
		as = [...]int{0, 1, 2, 3, 4, 5, 6, 3, 2, 0}
	default:
		return dsn.Make(s.Class(), 0, 0)
	}
	return dsn.Make(s.Class(), 1, as[min(s.Detail(), len(as)-1)])
}

// askListed asks the restrictions that a table names, about what was looked up.
func (e *Env) askListed(ctx context.Context, t *Transaction, topic Stage, from source, words []string) Decision {
	if t.nested >= maxNested {
		return e.nonsense(t, from, fmt.Errorf("lists in lists, deeper than %d", maxNested))
	}
	c := &compiler{rows: rows(), argued: arguedRows(), stage: topic, asked: t.Stage, env: e}
	l, err := c.list(c.items(words))
	if err != nil {
		return e.nonsense(t, from, err)
	}
	t.nested++
	defer func() { t.nested-- }()
	return l.Decide(ctx, t)
}

// items puts the arguments of restrictions, which are words of their own in the text of a
// table, to their names. The names are in any case there.
func (c *compiler) items(words []string) []string {
	var items []string
	for i := 0; i < len(words); i++ {
		item := words[i]
		if lower := strings.ToLower(item); c.env.Classes[item] == nil && c.knows(lower) {
			item = lower
		}
		if c.arguedAt(item) >= 0 && i+1 < len(words) {
			i++
			item += " " + words[i]
		}
		items = append(items, item)
	}
	return items
}
