package policy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"toastmaster/configs"
	"toastmaster/directory"
	"toastmaster/directory/tables"
)

// Mistake is an error in a list of the configuration.
type Mistake struct {
	// Param is the parameter, Item the place in its list, or -1 for the whole.
	Param string
	Item  int
	Err   error
}

// Error is for the operator.
func (m *Mistake) Error() string { return m.Param + ": " + m.Err.Error() }

// Unwrap gives the mistake itself.
func (m *Mistake) Unwrap() error { return m.Err }

// Compile makes a list of restrictions, each as Postfix writes it: "name", or "name argument".
// The error is a *Mistake without Param.
func Compile(s Stage, items []string, e *Env) (List, error) { return compile(rows(), s, items, e) }

func compile(table []row, s Stage, items []string, e *Env) (List, error) {
	return (&compiler{rows: table, argued: arguedRows(), stage: s, asked: s, env: e}).list(items)
}

// compiler makes a list.
type compiler struct {
	rows   []row
	argued []arguedRow
	// stage is what the list is about, and asked when it is asked: with delay_reject later.
	stage, asked Stage
	env          *Env
	// within are the classes around what is being compiled.
	within []string
}

// warnIfReject stands before a restriction, in its item or in one of its own.
const warnIfReject = "warn_if_reject"

// fields are the name and the argument of an item.
func fields(item string) (name, arg string) {
	name, arg, _ = strings.Cut(strings.TrimSpace(strings.ReplaceAll(item, "\t", " ")), " ")
	return name, strings.TrimSpace(arg)
}

func (c *compiler) list(items []string) (List, error) {
	checks := make([]Check, 0, len(items))
	warn := false
	for i, item := range items {
		name, arg := fields(item)
		if name == warnIfReject {
			warn = true
			if arg == "" && i+1 < len(items) {
				continue
			}
			name, arg = fields(arg)
			if name == "" {
				return List{}, &Mistake{Item: i, Err: errors.New(warnIfReject + " stands before a restriction")}
			}
		}
		check, err := c.one(name, arg)
		if err != nil {
			return List{}, &Mistake{Item: i, Err: err}
		}
		if warn {
			check, warn = warnOnly(c.env, strings.TrimSpace(name+" "+arg), check), false
		}
		logs, err := c.env.permitLog(name)
		if err != nil {
			return List{}, &Mistake{Item: i, Err: err}
		}
		if logs != nil {
			check = logPermit(c.env, strings.TrimSpace(name+" "+arg), check, logs)
		}
		checks = append(checks, check)
	}
	return NewList(checks...), nil
}

// one makes a restriction, or a class.
func (c *compiler) one(name, arg string) (Check, error) {
	if class, ok := c.env.Classes[name]; ok {
		return c.class(name, arg, class)
	}
	if i := c.arguedAt(name); i >= 0 {
		switch r := c.argued[i]; {
		case !r.stages.has(c.asked):
			return nil, c.tooEarly(name)
		case arg == "":
			return nil, fmt.Errorf("%s wants an argument, in the same item: \"%[1]s ARGUMENT\"", name)
		default:
			check, err := r.make(c.stage, c.env, arg)
			if err != nil {
				err = fmt.Errorf("%s: %w", name, err)
			}
			return check, err
		}
	}
	i := slices.IndexFunc(c.rows, func(r row) bool { return r.name == name })
	switch {
	case i < 0:
		return nil, c.unknownName(name)
	case !c.rows[i].stages.has(c.asked):
		return nil, c.tooEarly(name)
	case arg != "":
		return nil, fmt.Errorf("%s has no argument, but here it has %q; each restriction is an item of its own", name, arg)
	}
	return c.rows[i].make(c.stage, c.env), nil
}

// arguedAt is the row of a restriction that has an argument, or -1.
func (c *compiler) arguedAt(name string) int {
	return slices.IndexFunc(c.argued, func(r arguedRow) bool { return r.name == name })
}

// class makes a list that has a name.
func (c *compiler) class(name, arg string, items []string) (Check, error) {
	switch {
	case arg != "":
		return nil, fmt.Errorf("the class %s has no argument", name)
	case slices.Contains(c.within, name):
		return nil, fmt.Errorf("the class %s is in itself: %s", name, strings.Join(append(c.within, name), ", "))
	}
	inner := *c
	inner.within = append(slices.Clip(c.within), name)
	l, err := inner.list(items)
	var m *Mistake
	if errors.As(err, &m) {
		return nil, fmt.Errorf("in the class %s: %w", name, m.Err)
	}
	return l, err
}

// warnOnly logs what a restriction refuses, and lets pass.
func warnOnly(e *Env, name string, c Check) Check {
	return CheckFunc(func(ctx context.Context, t *Transaction) Decision {
		d := c.Check(ctx, t)
		switch d.Action {
		case Reject, Defer, DeferIfPermit:
			if d.broken {
				return d
			}
			e.Log.Warn("reject_warning", "service", e.logService(), "session", t.Session, "client", e.clientText(ctx, t), "helo", t.Helo,
				"from", t.Sender.String(), "to", t.Recipient.String(), "restriction", name, "code", d.Err.Reply(), "dsn", d.Err.Status.String(), "text", d.Err.Text)
			return Decision{}
		}
		return d
	})
}

func (c *compiler) tooEarly(name string) error {
	return fmt.Errorf("%s cannot be asked here, before what it is about is known (allowed: %s)", name, strings.Join(c.names(), ", "))
}

// unknownName is the error about a name that no restriction has.
func (c *compiler) unknownName(name string) error {
	if first, _, several := strings.Cut(name, ","); several {
		return fmt.Errorf("unknown restriction %q: no commas, each restriction is an item of its own, \"%s\"", name, first)
	}
	names := c.names()
	if near := configs.NearestName(name, names); near != "" {
		return fmt.Errorf("unknown restriction %q, did you mean %s?", name, near)
	}
	return fmt.Errorf("unknown restriction %q (allowed: %s)", name, strings.Join(names, ", "))
}

// knows says that a name is that of a restriction.
func (c *compiler) knows(name string) bool {
	return name == warnIfReject || slices.ContainsFunc(c.rows, func(r row) bool { return r.name == name }) ||
		c.arguedAt(name) >= 0
}

// names are the restrictions that can be asked here.
func (c *compiler) names() []string {
	var out []string
	for _, r := range c.rows {
		if r.stages.has(c.asked) {
			out = append(out, r.name)
		}
	}
	for _, r := range c.argued {
		if r.stages.has(c.asked) {
			out = append(out, r.name)
		}
	}
	return append(append(out, warnIfReject), slices.Sorted(maps.Keys(c.env.Classes))...)
}

// permitLog says, when a restriction permits, whether that is logged; nil is never. Tables are asked each time, as in Postfix: they change, and
// one that has no answer now may have one at the next client.
func (e *Env) permitLog(name string) (func(context.Context) bool, error) {
	type item struct {
		not   bool
		table tables.Table
	}
	var items []item
	for _, text := range e.LogPermits {
		text, not := strings.CutPrefix(text, "!")
		switch {
		case text == name:
			items = append(items, item{not, nil})
		case strings.Contains(text, ":") && e.Tables != nil:
			table, err := e.Tables.Open(context.Background(), text)
			if err != nil {
				return nil, fmt.Errorf("log_access_permit_actions: %w", err)
			}
			items = append(items, item{not, table})
		}
	}
	if len(items) == 0 {
		return nil, nil
	}
	return func(ctx context.Context) bool {
		for _, i := range items {
			if i.table != nil {
				_, err := i.table.Lookup(ctx, name)
				switch directory.OutcomeOf(err) {
				case directory.Found:
				case directory.NotFound:
					continue
				default:
					e.Log.Warn("a permission may lack in the log", "service", e.logService(), "parameter", "log_access_permit_actions", "restriction", name, "cause", err)
					continue
				}
			}
			return !i.not
		}
		return false
	}, nil
}

// logPermit logs what a restriction permits.
func logPermit(e *Env, name string, c Check, logs func(context.Context) bool) Check {
	return CheckFunc(func(ctx context.Context, t *Transaction) Decision {
		d := c.Check(ctx, t)
		if d.Action == Permit && logs(ctx) {
			e.Log.Info("permit", "service", e.logService(), "session", t.Session, "client", e.clientText(ctx, t), "helo", t.Helo,
				"from", t.Sender.String(), "to", t.Recipient.String(), "restriction", name)
		}
		return d
	})
}
